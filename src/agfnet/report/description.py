"""Facts about a run in sentences, for the reporting checklists."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from agfnet.config import OptimConfig
from agfnet.data.table import SPLITS, cases_hash
from agfnet.evaluation.inputs import EvaluationInputs
from agfnet.evaluation.run import Evaluation
from agfnet.network_description import (
    balancing,
    frequencies_sentence,
    kept_epoch,
    missing_sentence,
    preparation,
    scaling_words,
)
from agfnet.report.subgroups import column_name
from agfnet.translation import display_name, joined, listed, t


def facts(evaluation: Evaluation) -> dict[str, str]:
    """Return sentences by the names that `report.checklists` uses; unknown facts are left out."""
    inputs = evaluation.inputs
    return data_facts(inputs) | model_facts(inputs) | result_facts(evaluation)


def data_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The table, its lesions and its parts."""
    table, config = inputs.table, inputs.predictor.bundle.config
    attributes = sorted({name for case in table.cases for name in case.attributes})
    patients = len({case.patient_id for case in table.cases})
    preparations = {n: preparation(m, config.size) for n, m in config.modalities.items()}
    missing = {
        name: f"{sum(not case.images[name] for case in table.cases):,}"
        for name in config.modalities
    }
    return split_facts(inputs) | {
        "data": t(
            "{table}: {lesions} lesions of {patients} patients. The authors must state where and "
            "when the data were collected.",
            table=table.path.name,
            lesions=f"{len(table):,}",
            patients=f"{patients:,}",
        ),
        "preparation": t("{text}.", text=t("; ").join(by_name(preparations))),
        "selection_of_data": t(
            "{count} lesions excluded because the network does not know their label.",
            count=f"{inputs.excluded:,}",
        ),
        "elements": t(
            "Images: {images}. Further columns, not used by the network: {columns}.",
            images=listed(config.modalities),
            columns=t(", ").join(attributes) or t("none"),
        ),
        "missing": joined(
            [
                t("Lesions without {missing}.", missing=t(", ").join(by_name(missing))),
                missing_sentence(inputs.settings["optim"]["modality_dropout"]),
            ]
        ),
        "outcome": t(
            "The label of the table, one of: {names}. The authors must state how it was "
            "determined.",
            names=listed(config.classes),
        ),
    }


def split_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The parts of the table."""
    cases = inputs.table.cases
    count = Counter(case.split for case in cases)
    parts = [f"{t(name)} {count[name]:,}" for name in SPLITS if count[name]]
    fold = inputs.settings["data"].get("fold")
    text = "Lesions: {parts}. The sample size was not calculated."
    sentences = {"sample": t(text, parts=t(", ").join(parts) or f"{len(cases):,}")}
    if inputs.config.cases is None:
        disjoint = "Patients: no patient is in two parts, which is checked when the table is read."
        sentences |= {
            "partition": t("Column split of the table.")
            if fold is None
            else t("Column fold of the table, fold {fold} for testing.", fold=fold),
            "disjoint": t(disjoint),
        }
    return sentences


def by_name(texts: dict[str, str]) -> Iterable[str]:
    """Yield what is said of each modality behind its name."""
    return (t("{name}: {text}", name=display_name(name), text=text) for name, text in texts.items())


def model_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The network, its software and its training."""
    bundle, environment = inputs.predictor.bundle, inputs.environment
    calibration = bundle.calibration
    packages = {"Python": environment["python"]} | environment["packages"]
    versions = [f"agfnet {environment['agfnet']}", *(" ".join(item) for item in packages.items())]
    decisions = [
        t(", a prediction set") if calibration.sets else "",
        t(", and whether the network abstains") if calibration.abstention else "",
    ]
    scaling = scaling_words(calibration)
    measures = t(", ").join(balancing(inputs.settings) or [t("nothing")])
    return training_facts(inputs) | {
        "software": t("{text}.", text=t(", ").join(versions)),
        "ensemble": t("None: one network; several frames of a lesion are averaged.")
        if bundle.config.members == 1
        else t(
            "The mean of the log-probabilities of {count} networks, each calibrated by itself;"
            " several frames of a lesion are averaged.",
            count=bundle.config.members,
        ),
        "analysis": t("Calibrated on the validation lesions ({scaling}).", scaling=scaling)
        if calibration.cases is None
        else t(
            "Calibrated on {count} validation lesions ({scaling}).",
            count=calibration.cases,
            scaling=scaling,
        ),
        "imbalance": joined(
            [
                t("For rare classes: {measures}.", measures=measures),
                frequencies_sentence(inputs.settings, calibration),
            ]
        ),
        "output": t("Probabilities of the classes{decisions}.", decisions="".join(decisions)),
        "code": t(
            "agfnet {version}, Apache-2.0. The authors must state data availability, funding, "
            "protocol, registration and interests.",
            version=environment["agfnet"],
        ),
        "updating": t("None."),
    }


def training_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The network, its start and its training."""
    config, settings = inputs.predictor.bundle.config, inputs.settings
    optim = settings["optim"]
    method: str = config.model.method
    if method == "agfnet":
        method = t("AGFnet, our interpretation of Xiao et al., 2025")
    kept = t(kept_epoch(OptimConfig(**optim)))
    training = (
        "AdamW, {epochs} epochs, batches of {batch}, maximum learning rate {rate}, with "
        "augmentation. All settings: config.yaml."
        if settings["data"]["augment"]
        else "AdamW, {epochs} epochs, batches of {batch}, maximum learning rate {rate}, without "
        "augmentation. All settings: config.yaml."
    )
    return {
        "model": t(
            "{method}; backbone {backbone}, images of {size} x {size} pixels. All settings: "
            "config.yaml; all weights: bundle/.",
            method=method,
            backbone=config.model.backbone.name,
            size=config.size,
        ),
        "initialisation": t(
            "Backbone: {weights}; the rest random, seed {seed}.",
            weights=settings["model"]["backbone"]["weights"] or t("random weights"),
            seed=settings["seed"],
        ),
        "training": t(
            training,
            epochs=optim["epochs"],
            batch=optim["batch_size"],
            rate=f"{optim['lr']:g}",
        ),
        "model_choice": t("{text}.", text=kept[:1].upper() + kept[1:]),
    }


def result_facts(evaluation: Evaluation) -> dict[str, str]:
    """The measures and what they were applied to."""
    inputs, results = evaluation.inputs, evaluation.results
    table, split = inputs.table, inputs.split
    part = t(" ({part})", part=t(split)) if split else ""
    sentences = {
        "metrics": t("metrics.json and classes.json; this report defines each metric."),
        "uncertainty": t(
            "95 % percentile intervals from {count} bootstrap resamples of patients.",
            count=f"{inputs.config.resamples:,}",
        ),
        "flow": t(
            "{lesions} lesions in the table, {scored} scored{part}.",
            lesions=f"{len(table):,}",
            scored=f"{evaluation.metrics['n']:,}",
            part=part,
        ),
        "performance": t(
            "All metrics of this report have intervals, also in subgroups."
            if "subgroups.json" in results
            else "All metrics of this report have intervals."
        ),
        "parts": t("This part only{part}; evaluate the others with --split.", part=part),
        "failures": t("Confusion matrix, and the confident errors of this report."),
        "limitations": t("Listed in this report, as far as they follow from the run."),
        "external": origin(inputs),
    }
    if columns := results.get("subgroups.json", {}).get("columns"):
        names = t(", ").join(map(column_name, columns))
        sentences["patients"] = t("Lesions by {names}: see the subgroups.", names=names)
        text = "Performance compared by {names}; nothing was corrected."
        sentences["fairness"] = t(text, names=names)
    if "robustness.json" in results:
        text = "Corrupted, missing and mismatched images: see the section."
        sentences["robustness"] = t(text)
    if "focus.json" in results:
        text = "Attribution compared with lesion masks; attribution maps of single cases."
        sentences["explanation"] = t(text)
    return sentences


def is_training_table(inputs: EvaluationInputs) -> bool:
    """Return whether the table is that of the training, also if it is named as a table to score."""
    if inputs.config.cases is None:
        return True
    recorded = Path(inputs.settings["data"]["cases"]).resolve()
    content = cases_hash(inputs.table)
    return (
        recorded == inputs.table.path.resolve()
        or content == inputs.predictor.bundle.config.data_hash
    )


def origin(inputs: EvaluationInputs) -> str:
    """Say how the table relates to that of the training."""
    if not is_training_table(inputs):
        text = (
            "{table} is not the table of the training; the authors must state where it comes from."
        )
        return t(text, table=inputs.table.path.name)
    if inputs.split == "test":
        return t("None: the table of the training, other patients.")
    return t("None: the table of the training.")


def optimal_accuracy(
    cases: Path,
    modalities: Sequence[str],
    split: str | None,
    labels: Iterable[str] | None = None,
) -> float | None:
    """Bayes-optimal accuracy, from the `truth.json` next to the table of a phantom cohort.

    Args:
        cases: path of the table.
        modalities: of the network.
        split: that is scored; None for all cases.
        labels: classes of `data.labels`. If they are not those of the cohort, because some are left
            out or merged, the optimum is unknown.
    """
    path = cases.parent / "truth.json"
    if not path.is_file():
        return None
    truth = json.loads(path.read_text(encoding="utf-8"))
    if labels is not None and set(labels) != set(truth["classes"]):
        return None
    limits = truth["limits_by_split"].get(split, truth["limits"])
    value = limits.get("both" if len(modalities) > 1 else modalities[0])
    return None if value is None else float(value)
