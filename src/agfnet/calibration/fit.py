"""Calibration of a bundle on the validation split: scaling, sets, abstention, OOD threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from agfnet.bundle import Calibration, Familiarity
from agfnet.calibration.abstention import fit_abstention
from agfnet.calibration.conformal import fit_sets
from agfnet.calibration.ood import fit_threshold, fit_thresholds
from agfnet.calibration.operating_point import exact_rate, fit_operating_point
from agfnet.calibration.scaling import fit_temperature, fit_vector
from agfnet.config import CalibrationConfig
from agfnet.inference.percents import setting_percent
from agfnet.inference.postprocessing import calibrated, decide
from agfnet.inference.predictions import Predictions


def fit_calibration(
    predictions: Predictions,
    config: CalibrationConfig,
    familiarity: Mapping[str, Familiarity] | None = None,
) -> Calibration:
    """Fit the calibration of a bundle: first the scaling, then the rest on scaled probabilities.

    One split serves all: the scaling has seen the cases that set the quantiles and the threshold.
    With one temperature the effect is negligible (`bench/coverage.py`). Vector scaling fits two
    numbers per class, and with few cases the guarantees of sets and abstention are then too
    optimistic.

    Args:
        predictions: of the validation split, by the bundle without calibration.
        config: what to fit.
        familiarity: statistics of the training images, with thresholds of 1; the thresholds are
            fitted to the distances of the predictions.
    """
    cases = predictions.labelled()
    calibration = Calibration(
        cases=len(cases), patients=len(set(cases.patient_id)), flips=config.flips
    )
    if config.scaling == "temperature":
        temperature = fit_temperature(cases.probabilities, cases.target)
        calibration = replace(calibration, temperature=temperature)
    if config.scaling == "vector":
        scale, bias = fit_vector(cases.probabilities, cases.target)
        calibration = replace(calibration, scale=tuple(scale.tolist()), bias=tuple(bias.tolist()))
    scaled = apply_calibration(cases, calibration)
    if config.logit_adjustment:
        calibration = with_equal_classes(calibration, scaled, config.logit_adjustment)
        scaled = apply_calibration(cases, calibration)
    right = scaled.probabilities.argmax(axis=1) == scaled.target
    counts = np.bincount(cases.target, minlength=len(cases.classes))
    return replace(
        calibration,
        accuracy=exact_rate(right, np.array(cases.patient_id, dtype=str)),
        majority=float(counts.max() / len(cases)) if len(cases) else None,
        sets=fit_sets(
            scaled,
            score=config.sets,
            coverage=config.coverage,
            by_class=config.by_class,
            penalty=config.penalty,
            rank=config.rank,
            consider=config.consider,
        ),
        abstention=fit_abstention(
            scaled, target_risk=config.target_risk, confidence=config.confidence
        ),
        operating_point=fit_operating_point(scaled, sensitivity=config.sensitivity),
        familiarity=fit_thresholds(familiarity or {}, predictions, ood_rate=config.ood_rate),
        ood_threshold=None if familiarity else fit_threshold(predictions, ood_rate=config.ood_rate),
    )


def with_equal_classes(
    calibration: Calibration, scaled: Predictions, strength: float
) -> Calibration:
    """Add logit adjustment to a calibration: as if all classes were equally frequent.

    Menon et al., 2021, arXiv:2007.07314, equation 8. The class frequencies are the means of the
    calibrated probabilities, which are above 0 also for a class without validation cases.

    Args:
        calibration: the scaling.
        scaled: the validation cases, scaled.
        strength: 1 is the full correction.
    """
    scale, bias = calibration.scaling(len(scaled.classes))
    offsets = -strength * np.log(scaled.probabilities.mean(axis=0))
    offsets -= offsets.mean()
    return replace(
        calibration,
        temperature=1.0,
        scale=scale,
        bias=tuple((np.array(bias) + offsets).tolist()),
        logit_adjustment=strength,
        offsets=tuple(offsets.tolist()),
    )


def apply_calibration(predictions: Predictions, calibration: Calibration) -> Predictions:
    """Convert predictions of the uncalibrated bundle to those of the calibrated one."""
    logs = np.log(np.maximum(predictions.probabilities, np.finfo(np.float64).tiny))
    probabilities = calibrated(logs, calibration)
    scores, distances = predictions.ood_score, predictions.distances
    if calibration.familiarity is not None:
        distances = {
            name: distances[name] / model.threshold
            for name, model in calibration.familiarity.items()
        }
        columns = np.stack([np.nan_to_num(values) for values in distances.values()])
        scores = columns.max(axis=0)
    filled = np.full(len(predictions), np.nan) if scores is None else scores
    decisions = decide(probabilities, filled, calibration)
    if scores is None:
        decisions |= {"ood_score": None, "out_of_distribution": None}
    return replace(predictions, probabilities=probabilities, distances=distances, **decisions)


def calibration_warnings(calibration: Calibration, classes: tuple[str, ...]) -> list[str]:
    """Sentences on what could not be fitted: too few or too difficult validation cases."""
    if calibration.cases is None:
        return []
    warnings = []
    patients = f"{calibration.patients} labelled validation patients"
    if sets := calibration.sets:
        unbounded = [
            name for name, quantile in zip(classes, sets.quantiles, strict=True) if quantile is None
        ]
        coverage = setting_percent(sets.coverage)
        needed = math.ceil(sets.coverage / (1 - sets.coverage) - 1e-9)
        if len(unbounded) == len(classes):
            warnings.append(
                f"Every prediction set contains all classes: {coverage} coverage needs "
                f"{needed} validation patients{' of each class' if sets.by_class else ''}, and "
                f"there are {patients}."
            )
        elif unbounded:
            warnings.append(
                f"Every prediction set contains {', '.join(unbounded)}: {coverage} "
                f"coverage of each class needs {needed} validation patients of the class."
            )
    if calibration.abstention is None:
        warnings.append(
            f"The network never abstains: with {patients} the target risk cannot be guaranteed at "
            "any confidence."
        )
    if calibration.ood_limit is None:
        warnings.append(
            "There are no out-of-distribution warnings: too few validation patients, or the same "
            "score for all of them."
        )
    return warnings
