"""Facts about a run in sentences, for the reporting checklists."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agfnet.config import OptimConfig
from agfnet.data.table import SPLITS
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


def facts(evaluation: Evaluation) -> dict[str, str]:
    """Return sentences by the names that `report.checklists` uses; unknown facts are left out."""
    inputs = evaluation.inputs
    return data_facts(inputs) | model_facts(inputs) | result_facts(evaluation)


def data_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The table, its lesions and its parts."""
    table, config = inputs.table, inputs.predictor.bundle.config
    attributes = sorted({name for case in table.cases for name in case.attributes})
    patients = len({case.patient_id for case in table.cases})
    count = Counter(case.split for case in table.cases)
    parts = [f"{name} {count[name]:,}" for name in SPLITS if count[name]]
    modalities = config.modalities.items()
    preparations = [f"{name}: {preparation(value, config.size)}" for name, value in modalities]
    fold = inputs.settings["data"].get("fold")
    missing = ", ".join(
        f"{name}: {sum(not case.images[name] for case in table.cases):,}"
        for name in config.modalities
    )
    sentences = {
        "data": f"{table.path.name}: {len(table):,} lesions of {patients:,} patients. The authors "
        "must state where and when the data were collected.",
        "preparation": "; ".join(preparations) + ".",
        "selection_of_data": f"{inputs.excluded:,} lesions excluded because the network does not "
        "know their label.",
        "elements": f"Images: {', '.join(config.modalities)}. Further columns, not used by the "
        f"network: {', '.join(attributes) or 'none'}.",
        "missing": f"Lesions without {missing}. "
        + missing_sentence(inputs.settings["optim"]["modality_dropout"]),
        "outcome": f"The label of the table, one of: {', '.join(config.classes)}. The authors must "
        "state how it was determined.",
        "sample": f"Lesions: {', '.join(parts) or f'{len(table):,}'}. The sample size was not "
        "calculated.",
    }
    if inputs.config.cases is None:
        sentences |= {
            "partition": "Column split of the table."
            if fold is None
            else f"Column fold of the table, fold {fold} for testing.",
            "disjoint": "Patients: no patient is in two parts, which is checked when the table is "
            "read.",
        }
    return sentences


def model_facts(inputs: EvaluationInputs) -> dict[str, str]:
    """The network, its software and its training."""
    bundle, settings = inputs.predictor.bundle, inputs.settings
    config, calibration = bundle.config, bundle.calibration
    optim, environment = settings["optim"], inputs.environment
    method: str = config.model.method
    if method == "agfnet":
        method = "AGFnet, our interpretation of Xiao et al., 2025"
    weights = settings["model"]["backbone"]["weights"] or "random weights"
    packages = "".join(f", {name} {version}" for name, version in environment["packages"].items())
    decisions = [
        ", a prediction set" if calibration.sets else "",
        ", and whether the network abstains" if calibration.abstention else "",
    ]
    return {
        "model": f"{method}; backbone {config.model.backbone.name}, images of {config.size} x "
        f"{config.size} pixels. All settings: config.yaml; all weights: bundle/.",
        "software": f"agfnet {environment['agfnet']}, Python {environment['python']}{packages}.",
        "initialisation": f"Backbone: {weights}; the rest random, seed {settings['seed']}.",
        "training": f"AdamW, {optim['epochs']} epochs, batches of {optim['batch_size']}, maximum "
        f"learning rate {optim['lr']:g}, augmentation "
        f"{'on' if settings['data']['augment'] else 'off'}. All settings: config.yaml.",
        "model_choice": f"{kept_epoch(OptimConfig(**optim)).capitalize()}.",
        "ensemble": "None: one network; several frames of a lesion are averaged.",
        "analysis": f"Calibrated on {calibration.cases or 'the'} validation lesions ("
        f"{scaling_words(calibration)}).",
        "imbalance": f"For rare classes: {', '.join(balancing(settings) or ['nothing'])}. "
        + frequencies_sentence(settings, calibration),
        "output": f"Probabilities of the classes{''.join(decisions)}.",
        "code": f"agfnet {environment['agfnet']}, Apache-2.0. The authors must state data "
        "availability, funding, protocol, registration and interests.",
        "updating": "None.",
    }


def result_facts(evaluation: Evaluation) -> dict[str, str]:
    """The measures and what they were applied to."""
    inputs, results = evaluation.inputs, evaluation.results
    table, split = inputs.table, inputs.split
    part = f" ({split})" if split else ""
    sentences = {
        "metrics": "metrics.json and classes.json; this report defines each metric.",
        "uncertainty": f"95 % percentile intervals from {inputs.config.resamples:,} bootstrap "
        "resamples of patients.",
        "flow": f"{len(table):,} lesions in the table, {evaluation.metrics['n']:,} scored{part}.",
        "performance": "All metrics of this report have intervals"
        + (", also in subgroups." if "subgroups.json" in results else "."),
        "parts": f"This part only{part}; evaluate the others with --split.",
        "failures": "Confusion matrix, and the confident errors of this report.",
        "limitations": "Listed in this report, as far as they follow from the run.",
        "external": "None: the table of the training"
        + (", other patients." if split == "test" else ".")
        if inputs.config.cases is None
        else f"{table.path.name} is not the table of the training; the authors must state where "
        "it comes from.",
    }
    if columns := results.get("subgroups.json", {}).get("columns"):
        names = ", ".join(name.strip("()") for name in columns)
        sentences["patients"] = f"Lesions by {names}: see the subgroups."
        sentences["fairness"] = f"Performance compared by {names}; nothing was corrected."
    if "robustness.json" in results:
        sentences["robustness"] = "Corrupted, missing and mismatched images: see the section."
    if "focus.json" in results:
        sentences["explanation"] = (
            "Attribution compared with lesion masks; attribution maps of single cases."
        )
    return sentences


def optimal_accuracy(cases: Path, modalities: Sequence[str], split: str | None) -> float | None:
    """Bayes-optimal accuracy, from the `truth.json` next to the table of a phantom cohort."""
    path = cases.parent / "truth.json"
    if not path.is_file():
        return None
    truth = json.loads(path.read_text(encoding="utf-8"))
    limits = truth["limits_by_split"].get(split, truth["limits"])
    value = limits.get("both" if len(modalities) > 1 else modalities[0])
    return None if value is None else float(value)
