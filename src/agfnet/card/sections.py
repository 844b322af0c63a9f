"""The sections of a card, each as lines of Markdown in the current language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agfnet.bundle import BundleConfig, Calibration, OperatingPoint
from agfnet.inference.percents import setting_percent
from agfnet.inference.wording import rate, whole_percent
from agfnet.network_description import (
    frequencies_sentence,
    missing_sentence,
    preparation,
    scaling_words,
    setting_text,
)
from agfnet.translation import (
    current_language,
    display_name,
    joined,
    listed,
    t,
    translate_filled,
    words,
)

HUB_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "macro_f1": "f1",
    "macro_auc": "roc_auc",
    "brier": "brier_score",
    "ece": "expected_calibration_error",
}
"""Names on model hubs of the metrics that they know."""
SHOWN = (*HUB_NAMES, "macro_sensitivity", "macro_specificity", "nll", "aurc")
FEW = 30  # training cases of a class below which its figures are not to be relied on

Evaluations = Mapping[str, Mapping[str, Any]]
"""Content of metrics.json by the name of the evaluation."""


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
        reason = translate_filled(choice["reason"])
        yield row(f"`{choice['setting']}`", setting_text(choice["value"]), reason)


def seen_lesions(metrics: Mapping[str, Any]) -> int:
    """Return how many lesions of an evaluation the network was trained or validated on."""
    return int(metrics.get("training_overlap", {}).get("lesions", 0))


def held_out(evaluations: Evaluations) -> Evaluations:
    """Return the evaluations with lesions that the network has not seen."""
    return {name: m for name, m in evaluations.items() if seen_lesions(m) < m["n"]}


def results(evaluations: Evaluations, outdated: Sequence[str] = ()) -> Iterator[str]:
    """Yield every evaluation with its 95 % intervals, and what limits it."""
    if outdated:
        text = (
            "Left out, since the network was calibrated again after them: {names}. `agfnet "
            "evaluate RUN` evaluates again."
        )
        yield t(text, names=t(", ").join(outdated)) + "\n"
    if not evaluations:
        if not outdated:
            yield t("Not evaluated yet: `agfnet evaluate RUN`.")
        return
    cases = t(", ").join(f"{name} {metrics['n']}" for name, metrics in evaluations.items())
    text = "Labelled lesions: {cases}. In brackets: 95 % interval, bootstrap over patients."
    yield t(text, cases=cases) + "\n"
    yield table([t("metric"), *evaluations])
    for name in SHOWN:
        yield row(t(name), *(interval(metrics.get(name, {})) for metrics in evaluations.values()))
    for name, metrics in evaluations.items():
        if count := seen_lesions(metrics):
            text = (
                "{name}: {count} of these lesions were used to train or validate this network, or "
                "have the ids of such. The results are not those to expect for new patients."
            )
            yield "\n" + t(text, name=name, count=count)


def interval(metric: Mapping[str, float | None]) -> str:
    """A value with its interval."""
    value, low, high = (metric.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "n/a"
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({t('{low} to {high}', low=f'{low:.3f}', high=f'{high:.3f}')})"


def calibration_lines(calibration: Calibration | None) -> Iterator[str]:
    """Yield the parameters that were fitted on the validation split."""
    if calibration is None or calibration.cases is None:
        yield t("Not calibrated: take probabilities for scores.")
        return
    text = "Probabilities: {scaling} ({count} validation cases)"
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
        lines.append(t(text, score=sets.score, coverage=setting_percent(sets.coverage), each=each))
    if calibration.operating_point is not None:
        lines.append(point_sentence(calibration.operating_point))
    if (abstention := calibration.abstention) is not None:
        text = (
            "Leaves an answer below confidence {threshold} to a person: at most {risk} of the "
            "others are wrong, with probability {confidence}"
        )
        values = {"risk": abstention.target_risk, "confidence": abstention.confidence}
        rates = {name: setting_percent(value) for name, value in values.items()}
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


def point_sentence(point: OperatingPoint) -> str:
    """Describe the operating point, with the numbers that the page shows next to an answer."""
    text = (
        "“{group}” is a probability of the group at or above {threshold}: on the validation "
        "lesions, the sensitivity for the {positives} of the group is {sensitivity}, and the "
        "specificity for the {negatives} others {specificity}"
    )
    language = current_language()
    return t(
        text,
        group=words(language).get(f"group.{point.group}", point.group),
        threshold=whole_percent(point.threshold),
        sensitivity=rate(point.sensitivity, language),
        positives=point.positives,
        specificity=rate(point.specificity, language),
        negatives=point.negatives,
    )


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
    if len(held_out(evaluations)) < 2:
        yield "- " + t("No evaluation on lesions from elsewhere is recorded here")
    text = "Subgroups (age, sex, skin tone, device) count only as far as the report compares them"
    yield "- " + t(text)


def table(columns: list[str]) -> str:
    """Head of a Markdown table."""
    return row(*columns) + "\n" + row(*["---"] * len(columns))


def row(*cells: object) -> str:
    """Row of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
