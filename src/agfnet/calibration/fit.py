"""Everything that is fitted on the validation split after training, in one go."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from agfnet.bundle import Calibration
from agfnet.calibration.abstention import fit_abstention
from agfnet.calibration.conformal import fit_sets
from agfnet.calibration.ood import fit_threshold
from agfnet.calibration.scaling import fit_temperature, fit_vector
from agfnet.config import CalibrationConfig
from agfnet.inference.postprocessing import calibrated, decide
from agfnet.inference.predictions import Predictions


def fit_calibration(predictions: Predictions, config: CalibrationConfig) -> Calibration:
    """The calibration of a bundle: scaling first, all else on the scaled probabilities.

    One split serves all: the scaling has seen the cases that set the quantiles and the threshold.
    With one temperature that is negligible (`bench/coverage.py`); vector scaling fits two numbers
    per class, and on few cases the promises of sets and abstention then are too good.

    Args:
        predictions: of the validation split, by the bundle without calibration.
        config: what to fit.
    """
    cases = predictions.labelled()
    found = Calibration(cases=len(cases), patients=len(set(cases.patient_id)))
    if config.scaling == "temperature":
        temperature = fit_temperature(cases.probabilities, cases.target)
        found = replace(found, temperature=temperature)
    if config.scaling == "vector":
        scale, bias = fit_vector(cases.probabilities, cases.target)
        found = replace(found, scale=tuple(scale.tolist()), bias=tuple(bias.tolist()))
    scaled = apply_calibration(cases, found)
    return replace(
        found,
        sets=fit_sets(
            scaled,
            score=config.sets,
            coverage=config.coverage,
            by_class=config.by_class,
            penalty=config.penalty,
            rank=config.rank,
        ),
        abstention=fit_abstention(
            scaled, target_risk=config.target_risk, confidence=config.confidence
        ),
        ood_threshold=fit_threshold(predictions, share=config.ood_rate),
    )


def apply_calibration(predictions: Predictions, calibration: Calibration) -> Predictions:
    """The table as the calibrated bundle answers it, from that of the uncalibrated one."""
    logs = np.log(np.maximum(predictions.probabilities, np.finfo(np.float64).tiny))
    probabilities = calibrated(logs, calibration)
    scores = predictions.ood_score
    known = np.full(len(predictions), np.nan) if scores is None else scores
    said = decide(probabilities, known, calibration)
    if scores is None:
        said |= {"ood_score": None, "out_of_distribution": None}
    return replace(predictions, probabilities=probabilities, **said)


def shortcomings(calibration: Calibration, classes: tuple[str, ...]) -> list[str]:
    """What too few or too difficult validation cases left undone, in sentences."""
    if calibration.cases is None:
        return []
    found = []
    patients = f"{calibration.patients} labelled validation patients"
    if sets := calibration.sets:
        endless = [
            name for name, limit in zip(classes, sets.quantiles, strict=True) if limit is None
        ]
        needed = math.ceil(sets.coverage / (1 - sets.coverage) - 1e-9)
        if len(endless) == len(classes):
            found.append(
                f"Every prediction set holds all classes: {sets.coverage:.0%} coverage needs "
                f"{needed} validation patients{' of each class' if sets.by_class else ''}, and "
                f"there are {patients}."
            )
        elif endless:
            found.append(
                f"Every prediction set holds {', '.join(endless)}: {sets.coverage:.0%} coverage "
                f"of each class needs {needed} validation patients who have it."
            )
    if calibration.abstention is None:
        found.append(
            f"No answer is held back: {patients} cannot guarantee the asked risk at any confidence."
        )
    if calibration.ood_threshold is None:
        found.append(
            "No case is called unlike the training cases: too few validation patients to say "
            "what is ordinary."
        )
    return found
