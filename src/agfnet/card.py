"""The model card of a bundle, as model hubs read it: YAML on top, Markdown below."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agfnet import NOTICE
from agfnet.bundle import (
    EXPORT,
    BundleConfig,
    Calibration,
    Evaluated,
    OperatingPoint,
    Rate,
    read_bundle,
    replace_cards,
)
from agfnet.config.renamed import run_settings
from agfnet.network_description import (
    display_names,
    frequencies_sentence,
    missing_sentence,
    preparation,
    scaling_words,
    setting_text,
)
from agfnet.translation import (
    LANGUAGES,
    Language,
    display_name,
    in_language,
    joined,
    listed,
    t,
    translate_filled,
)

HUB_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "macro_f1": "f1",
    "macro_auc": "roc_auc",
    "brier": "brier_score",
    "ece": "expected_calibration_error",
}
"""What hubs call the metrics that they know."""
SHOWN = (*HUB_NAMES, "macro_sensitivity", "macro_specificity", "nll", "aurc")
FEW = 30  # training cases of a class below which its figures are not to be relied on

Evaluations = Mapping[str, Mapping[str, Any]]
"""Content of metrics.json by the name of the evaluation."""


def refresh_card(run: str | Path, evaluations: Evaluations | None = None) -> None:
    """Rewrite the cards of a run's bundle with its calibration, evaluations and export.

    Args:
        run: run folder.
        evaluations: content of metrics.json by name, for evaluations whose files are not yet there.

    Raises:
        BundleError: the bundle is not sound.
    """
    bundle = read_bundle(run)
    files = sorted(Path(run).glob("evaluation/*/metrics.json"))
    results = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in files}
    results = dict(sorted((results | dict(evaluations or {})).items()))
    exported = json.loads((bundle.folder / EXPORT).read_bytes()) if EXPORT in bundle.files else {}
    settings = run_settings(run)
    texts = {
        language: card(
            bundle.config,
            calibration=bundle.calibration,
            evaluations={name: metrics for name, metrics in results.items() if metrics["n"]},
            exported=exported,
            settings=settings,
            warnings=read_list(Path(run) / "warnings.json"),
            plan=read_list(Path(run) / "plan.json"),
            language=language,
        )
        for language in LANGUAGES
    }
    point = bundle.calibration.operating_point
    tests = {
        name: evaluated(Path(run) / "evaluation" / name, metrics, point)
        for name, metrics in results.items()
        if metrics["n"]
    }
    replace_cards(bundle, texts, tests)


def read_list(path: Path) -> list[dict[str, Any]]:
    """Read a JSON file with a list of objects; an empty list if there is no file."""
    content: list[dict[str, Any]] = []
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
    return content


def evaluated(folder: Path, metrics: Mapping[str, Any], point: OperatingPoint | None) -> Evaluated:
    """Return the results that describe a network.

    Args:
        folder: of the evaluation; its files may not be there yet.
        metrics: content of metrics.json.
        point: operating point of the network, of which the evaluation has the rates.
    """

    def content(name: str) -> Any:
        path = folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def rate(values: Mapping[str, Any]) -> Rate:
        return Rate(*(values.get(key) for key in ("value", "low", "high")))

    points = content("malignant.json").get("operating_points", [])
    here = [p for p in points if point and p["target_sensitivity"] == point.target_sensitivity]
    rates = {name: rate(here[0].get(name, {})) for name in ("sensitivity", "specificity") if here}
    classes = content("classes.json")
    return Evaluated(
        n=metrics["n"],
        balanced_accuracy=rate(metrics.get("balanced_accuracy", {})),
        sensitivities={name: rate(row.get("sensitivity", {})) for name, row in classes.items()},
        **rates,
    )


def card(
    config: BundleConfig,
    *,
    calibration: Calibration | None = None,
    evaluations: Evaluations | None = None,
    exported: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    plan: Sequence[Mapping[str, Any]] = (),
    language: Language = "en",
) -> str:
    """The card.

    Args:
        config: settings of the network.
        calibration: what was fitted after training; nothing yet if None.
        evaluations: labelled ones, by name.
        exported: content of export.json.
        settings: content of config.yaml; None if unknown.
        warnings: content of warnings.json, the warnings about the network.
        plan: content of plan.json, the settings that were chosen.
        language: of the text; the data for hubs are English.
    """
    evaluations = evaluations or {}
    with in_language(language, display_names(config, language)):
        text = text_of(config, calibration, evaluations, exported, settings, warnings, plan)
    front = yaml.safe_dump(front_matter(config, evaluations), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{text}"


def text_of(
    config: BundleConfig,
    calibration: Calibration | None,
    evaluations: Evaluations,
    exported: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
    warnings: Sequence[Mapping[str, Any]],
    plan: Sequence[Mapping[str, Any]],
) -> str:
    """Return the text of the card in the current language; arguments as of `card`."""
    sections = {
        **({"Warnings": "\n".join(warning_lines(warnings))} if warnings else {}),
        "Intended use": t(INTENDED),
        "Not for": t(NOT_FOR),
        "How to use": f"{COMMANDS}\n\n{t(PYTHON)}",
        "Input": "\n".join(inputs(config, settings or {})),
        "Training data": "\n".join(training(config)),
        **({"Chosen settings": "\n".join(chosen_settings(plan))} if plan else {}),
        "Evaluation": "\n".join(results(evaluations)),
        "Calibration": "\n".join(doubts(calibration)),
        "Exported graphs": "\n".join(graphs(exported or {})),
        "Limits": "\n".join(limits(config, evaluations, calibration, settings or {})),
    }
    body = "\n\n".join(f"## {t(title)}\n\n{text}" for title, text in sections.items())
    views = t(" and ").join(map(display_name, config.modalities))
    title = t("{method} on {modalities}", method=config.model.method, modalities=views)
    text = (
        "Diagnoses a skin lesion as one of {count} classes: {names}. Network: {network}, backbone "
        "{backbone}. Written by agfnet {version}."
    )
    about = t(
        text,
        count=len(config.classes),
        names=listed(config.classes),
        network=config.network,
        backbone=config.model.backbone.name,
        version=config.agfnet,
    )
    return f"# {title}\n\n**{t(NOTICE)}**\n\n{about}\n\n{body}\n"


def front_matter(config: BundleConfig, evaluations: Evaluations) -> dict[str, Any]:
    """Return the data that hubs index. Those who trained the weights choose their licence."""
    front: dict[str, Any] = {
        "license": "other",
        "library_name": "agfnet",
        "pipeline_tag": "image-classification",
        "tags": ["dermatology", "skin-lesion", "medical", "multimodal", *config.modalities],
        "metrics": list(dict.fromkeys(HUB_NAMES.values())),
    }
    if evaluations:
        task = {"type": "image-classification", "name": "Skin lesion diagnosis"}
        results = [
            {
                "task": task.copy(),  # YAML would write the same object as a reference
                "dataset": {"type": "private", "name": name},
                "metrics": [
                    {"type": hub, "name": metric, "value": metrics[metric]["value"]}
                    for metric, hub in HUB_NAMES.items()
                    if metrics.get(metric, {}).get("value") is not None
                ],
            }
            for name, metrics in evaluations.items()
        ]
        name = f"{config.model.method}-{config.model.backbone.name}"
        front["model-index"] = [{"name": name, "results": results}]
    return front


INTENDED = """\
Research on the diagnosis of skin lesions from paired images: comparison with other methods, \
studies of calibration and abstention, retrospective evaluation on a separate labelled cohort \
before any conclusion is drawn from it."""

NOT_FOR = """Diagnosis, triage or treatment of patients: it is not a medical device and no \
authority has assessed it. Images of other kinds than those below, lesions of other classes than \
those above (it always names one of them), people unlike those of the training data."""

COMMANDS = """```sh
agfnet bundle verify BUNDLE
agfnet predict BUNDLE --cases cases.csv
```"""
PYTHON = 'or `agfnet.inference.predictor.Predictor.load("BUNDLE")` in Python.'


def inputs(config: BundleConfig, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the modalities and the preparation of their images."""
    for name, modality in config.modalities.items():
        kind, steps = t(modality.modality_type), preparation(modality, config.size)
        text = t("{name} ({kind}): {steps}", name=display_name(name), kind=kind, steps=steps)
        yield f"- {text}"
    yield "\n" + t("Several frames of a lesion are averaged.")
    if len(config.modalities) > 1:
        dropout = settings.get("optim", {}).get("modality_dropout")
        yield missing_sentence(dropout) if dropout is not None else t("A modality may be missing.")


def training(config: BundleConfig) -> Iterator[str]:
    """Yield the number of training cases of each class, and the table."""
    if config.cases is not None:
        splits = list(config.cases)
        yield table([t("class"), *map(t, splits)])
        for name in config.classes:
            yield row(display_name(name), *(config.cases[split].get(name, 0) for split in splits))
        yield row(t("all"), *(sum(config.cases[split].values()) for split in splits)) + "\n"
    text = (
        "Table: SHA-256 `{hash}`. Where, when and of whom the images were taken, and how the "
        "labels were found, is for those who trained the network to add."
    )
    yield t(text, hash=config.data_hash)


def warning_lines(warnings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the warnings about the network."""
    for warning in warnings:
        texts = joined(translate_filled(warning[part]) for part in ("message", "cure"))
        yield f"- {texts}"


def chosen_settings(plan: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the settings that `agfnet train` chose, and why."""
    text = "The training left these settings out; they were chosen from the data and the machine."
    yield t(text) + "\n"
    yield table([t("setting"), t("value"), t("reason")])
    for choice in plan:
        yield row(f"`{choice['setting']}`", setting_text(choice["value"]), choice["reason"])


def results(evaluations: Evaluations) -> Iterator[str]:
    """Every evaluation with its 95 % intervals."""
    if not evaluations:
        yield t("Not evaluated yet: `agfnet evaluate RUN`.")
        return
    cases = t(", ").join(f"{name} {metrics['n']}" for name, metrics in evaluations.items())
    text = "Labelled lesions: {cases}. In brackets: 95 % interval, bootstrap over patients."
    yield t(text, cases=cases) + "\n"
    yield table([t("metric"), *evaluations])
    for name in SHOWN:
        yield row(t(name), *(interval(metrics.get(name, {})) for metrics in evaluations.values()))


def interval(metric: Mapping[str, float | None]) -> str:
    """A value with its interval."""
    value, low, high = (metric.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "n/a"
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({t('{low} to {high}', low=f'{low:.3f}', high=f'{high:.3f}')})"


def doubts(calibration: Calibration | None) -> Iterator[str]:
    """Yield the parameters that were fitted on the validation split."""
    if calibration is None or calibration.cases is None:
        yield t("Not calibrated: take probabilities for scores.")
        return
    text = "Probabilities: {scaling}, fitted on {count} validation cases"
    lines = [t(text, scaling=scaling_words(calibration), count=calibration.cases)]
    if calibration.flips:
        text = "Averages the logits over flips of the images, which takes several forward passes"
        lines.append(t(text))
    if (sets := calibration.sets) is not None:
        text = (
            "Prediction sets ({score}): hold the true class in {coverage} of new lesions, {each}, "
            "if they are like those of the validation split"
        )
        each = t("of every class") if sets.by_class else t("over all classes")
        lines.append(t(text, score=sets.score, coverage=f"{sets.coverage:.0%}", each=each))
    if (abstention := calibration.abstention) is not None:
        text = (
            "Leaves an answer below confidence {threshold} to a person: at most {risk} of the "
            "others are wrong, with probability {confidence}"
        )
        values = {"risk": abstention.target_risk, "confidence": abstention.confidence}
        rates = {name: f"{value:.0%}" for name, value in values.items()}
        lines.append(t(text, threshold=f"{abstention.threshold:.3f}", **rates))
    else:
        text = "No confidence is known above which few answers are wrong: it never abstains"
        lines.append(t(text))
    if calibration.familiarity is not None:
        text = "Reports images unlike the training images (statistics of pixels): {names}"
        lines.append(t(text, names=listed(calibration.familiarity)))
    elif calibration.ood_threshold is not None:
        text = "Calls images unfamiliar above an energy of {threshold}"
        lines.append(t(text, threshold=f"{calibration.ood_threshold:.3g}"))
    yield from (f"- {line}" for line in lines)


def graphs(exported: Mapping[str, Any]) -> Iterator[str]:
    """Yield the measurements of the ONNX graphs."""
    if not exported:
        yield t("None: `agfnet export RUN` adds one.")
        return
    fp32 = exported["fp32"]
    text = "`model.onnx`: probabilities differ from torch by at most {difference} on {rows} rows"
    yield "- " + t(text, difference=f"{fp32['probabilities']:.1e}", rows=fp32["rows"])
    if int8 := exported.get("int8"):
        text = (
            "`model_int8.onnx`: balanced accuracy {accuracy} (fp32 {accuracy_fp32}), ECE {ece} "
            "(fp32 {ece_fp32}), same answer in {agreement} of {cases} validation cases"
        )
        values = {
            "accuracy": f"{int8['balanced_accuracy']:.3f}",
            "accuracy_fp32": f"{int8['balanced_accuracy_fp32']:.3f}",
            "ece": f"{int8['ece']:.3f}",
            "ece_fp32": f"{int8['ece_fp32']:.3f}",
            "agreement": f"{int8['agreement']:.1%}",
        }
        yield "- " + t(text, cases=int8["cases"], **values)


def limits(
    config: BundleConfig,
    evaluations: Evaluations,
    calibration: Calibration | None,
    settings: Mapping[str, Any],
) -> Iterator[str]:
    """Yield the known limits of the network."""
    elsewhere = t("Elsewhere other diagnoses may be more common")
    yield "- " + joined([frequencies_sentence(settings, calibration), elsewhere])
    if config.cases is not None:
        learned = config.cases["train"]
        if few := [name for name in config.classes if learned.get(name, 0) < FEW]:
            text = "Fewer than {count} training cases: {names}"
            yield "- " + t(text, count=FEW, names=listed(few))
    if len(evaluations) < 2:
        yield "- " + t("No evaluation on lesions from elsewhere is recorded here")
    text = "Subgroups (age, sex, skin tone, device) count only as far as the report compares them"
    yield "- " + t(text)


def table(columns: list[str]) -> str:
    """Head of a Markdown table."""
    return row(*columns) + "\n" + row(*["---"] * len(columns))


def row(*cells: object) -> str:
    """Row of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
