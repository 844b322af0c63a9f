"""What a run knows about itself, in sentences, for the reporting checklists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from agfnet.bundle import BundleConfig, Calibration
from agfnet.card import preparation
from agfnet.data.table import SPLITS, CasesTable


def facts(
    *,
    bundle: BundleConfig,
    calibration: Calibration,
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    table: CasesTable,
    own: bool,
    split: str | None,
    scored: int,
    left_out: int,
    resamples: int,
    results: Mapping[str, Any],
) -> dict[str, str]:
    """Sentences by name, as `report.checklists` asks for them; what is not known is not there.

    Args:
        bundle: settings of the network.
        calibration: what was fitted after training.
        settings: content of the run's config.yaml.
        environment: content of its environment.json.
        table: the cases table that is scored.
        own: whether it is the table that the run was trained on.
        split: the split of it that is scored; None for all.
        scored: cases that are.
        left_out: cases that are not, for their label.
        resamples: of the bootstrap.
        results: the content of the result files, by file name.
    """
    missing = {
        name: sum(not case.images[name] for case in table.cases) for name in bundle.modalities
    }
    attributes = sorted({name for case in table.cases for name in case.attributes})
    optim, data, model = settings["optim"], settings["data"], settings["model"]
    patients = len({case.patient_id for case in table.cases})
    weights = model["backbone"]["weights"] or "random weights"
    method = "AGFnet, our reading of Xiao et al., 2025" if bundle.model.method == "agfnet" else ""
    found = {
        "data": f"{table.path.name}: {len(table):,} lesions of {patients:,} patients. Where and "
        "when they were gathered is for the authors to say.",
        "preparation": "; ".join(
            f"{name}: {preparation(modality, bundle.size)}"
            for name, modality in bundle.modalities.items()
        )
        + ".",
        "selection_of_data": f"{left_out:,} lesions left out for labels that the network does not "
        "know.",
        "elements": f"Images: {', '.join(bundle.modalities)}. Further columns, not used by the "
        f"network: {', '.join(attributes) or 'none'}.",
        "missing": "Lesions without "
        + ", ".join(f"{name}: {count:,}" for name, count in missing.items())
        + ". The network has learned what stands in for a missing view; in training a view was "
        f"dropped with probability {optim['modality_dropout']:g}.",
        "outcome": f"The table's label, as one of: {', '.join(bundle.classes)}. How it was found "
        "is for the authors to say.",
        "sample": _sample(table) + " No calculation of the size was made.",
        "model": f"{method or bundle.model.method}; backbone {bundle.model.backbone.name}, images "
        f"of {bundle.size} x {bundle.size} pixels. All settings: config.yaml; all weights: "
        "bundle/.",
        "software": f"agfnet {environment['agfnet']}, Python {environment['python']}, "
        + ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
        + ".",
        "initialisation": f"Backbone: {weights}; the rest random, seed {settings['seed']}.",
        "training": f"AdamW, {optim['epochs']} epochs, batches of {optim['batch_size']}, peak "
        f"learning rate {optim['lr']:g}, augmentation {'on' if data['augment'] else 'off'}. All "
        "settings: config.yaml.",
        "model_choice": "The epoch with the least validation loss.",
        "ensemble": "None: one network; several frames of a lesion are averaged.",
        "metrics": "metrics.json and classes.json; what each means stands in this report.",
        "uncertainty": f"95 % percentile intervals from {resamples:,} bootstrap resamples of "
        "patients.",
        "flow": f"{len(table):,} lesions in the table, {scored:,} scored"
        + (f" (split {split})." if split else "."),
        "performance": "Every number of this report has an interval"
        + (", also in subgroups." if "subgroups.json" in results else "."),
        "parts": "This part only"
        + (f" ({split})" if split else "")
        + "; evaluate the others with --split.",
        "failures": "Confusion matrix, and the confidently wrong cases of this report.",
        "limitations": "Listed in this report, as far as the run can know them.",
        "analysis": f"Calibrated on {calibration.cases or 'the'} validation lesions (temperature "
        f"{calibration.temperature:.3g}). Intervals: {resamples:,} bootstrap resamples of "
        "patients.",
        "imbalance": f"Class weights in the loss: {settings['loss']['class_weights']}. "
        "Probabilities follow the frequencies of the training cases.",
        "output": "A probability for each class"
        + (", the set of classes not ruled out" if calibration.sets else "")
        + (", and whether the answer is left to a person" if calibration.abstention else "")
        + ".",
        "external": "None: the table that the network was trained on, other patients."
        if own
        else f"{table.path.name} is another table than that of the training; whether it comes from "
        "elsewhere is for the authors to say.",
        "code": f"agfnet {environment['agfnet']}, Apache-2.0. Data, funding, protocol, "
        "registration and interests are for the authors to say.",
        "updating": "None.",
    }
    if own:
        found["partition"] = (
            f"Column fold, fold {data['fold']} for testing."
            if data.get("fold") is not None
            else "Column split of the table."
        )
        found["disjoint"] = "Patients: no patient is in two parts, which is checked on reading."
    if columns := results.get("subgroups.json", {}).get("columns"):
        names = ", ".join(name.strip("()") for name in columns)
        found["patients"] = f"Lesions by {names}: see the subgroups."
        found["fairness"] = f"Performance compared by {names}; nothing was corrected."
    if "robustness.json" in results:
        found["robustness"] = "Corrupted, missing and mismatched images: see the section."
    if "focus.json" in results:
        found["explanation"] = "Evidence against lesion masks; overlays of single cases."
    return found


def _sample(table: CasesTable) -> str:
    count = Counter(case.split for case in table.cases)
    parts = [f"{name} {count[name]:,}" for name in SPLITS if count[name]]
    return f"Lesions: {', '.join(parts) or f'{len(table):,}'}."
