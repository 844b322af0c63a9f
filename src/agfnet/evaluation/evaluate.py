"""From a predictions table to metrics.json, classes.json and the other files of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agfnet.calibration.abstention import decision_metrics
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, plain
from agfnet.metrics.calibration import CERTAINTY, SQUARED, class_ece, root
from agfnet.metrics.decision_curve import decision_curve
from agfnet.metrics.delong import area_interval, delong
from agfnet.metrics.discrimination import DISCRIMINATION, RATES, class_metrics
from agfnet.metrics.intervals import intervals
from agfnet.metrics.operating_points import evaluate_group
from agfnet.metrics.subgroups import subgroups
from agfnet.metrics.summary import METRICS, entries

FILES = ("metrics.json", "classes.json", "subgroups.json", "malignant.json")


def evaluate(predictions: Predictions, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Every metric over the labelled cases with its 95 % patient-level bootstrap interval.

    Returns name to `{value, low, high}`, with None where a number is undefined, and `n`, the
    labelled cases: what metrics.json holds. Without labelled cases, `n` alone.
    """
    cases = predictions.labelled()
    if not len(cases):
        return {"n": 0}
    metrics = METRICS | DISCRIMINATION | CERTAINTY | decision_metrics(cases)
    found = intervals(cases, metrics | SQUARED, resamples=resamples, seed=seed)
    found["ece_debiased"] = Interval(*map(root, found["debiased"]))
    return plain({name: found[name] for name in metrics}) | {"n": len(cases)}


def evaluate_classes(
    predictions: Predictions, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The same for every class against the rest: what classes.json holds.

    Returns class to `n` (its cases), the RATES, `ece` and `auc_delong`, the area with DeLong's
    interval (Obuchowski's where patients have several lesions).
    """
    cases = predictions.labelled()
    count = len(cases.classes)
    errors = [f"ece {c}" for c in range(count)]
    metrics = class_metrics(count) | entries(errors, class_ece, shifted=errors)
    found = intervals(cases, metrics, resamples=resamples, seed=seed)
    patient = np.array(cases.patient_id, dtype=str)
    target = cases.target
    classes = {}
    for c, name in enumerate(cases.classes):
        positive = target == c
        area, covariance = delong(cases.probabilities[:, c][None], positive, patient)
        ends = area_interval(float(area[0]), float(covariance[0, 0]))
        classes[name] = {
            "n": int(positive.sum()),
            **{rate: found[f"{rate} {c}"] for rate in (*RATES, "ece")},
            "auc_delong": Interval(float(area[0]), *ends),
        }
    return plain(classes)


def result_files(
    predictions: Predictions,
    *,
    attributes: Mapping[str, Sequence[str]] | None = None,
    malignant: Sequence[str] = (),
    validation: Predictions | None = None,
    sensitivities: Sequence[float] = (0.9, 0.95),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Those of FILES that there is something for, name to content.

    Args:
        predictions: the table.
        attributes: column to a cell per row, for subgroups.json.
        malignant: classes to group, for malignant.json.
        validation: predictions of the validation split, for the thresholds of malignant.json.
        sensitivities: that the thresholds aim at.
        resamples: of patients.
        seed: of the resampling.

    Raises:
        ConfigError: `malignant` names no class, or all of them.
    """
    options: dict[str, int] = {"resamples": resamples, "seed": seed}
    files = {"metrics.json": evaluate(predictions, **options)}
    if not files["metrics.json"]["n"]:
        return files
    files["classes.json"] = evaluate_classes(predictions, **options)
    if attributes:
        files["subgroups.json"] = plain(subgroups(predictions, attributes, **options))
    if malignant:
        group = evaluate_group(
            predictions,
            malignant,
            validation=validation,
            sensitivities=sensitivities,
            **options,
        )
        curve = decision_curve(predictions, malignant, resamples=resamples, seed=seed)
        files["malignant.json"] = plain(group | {"decision_curve": curve._asdict()})
    return files
