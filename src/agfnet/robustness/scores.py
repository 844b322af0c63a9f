"""Scores of a network under all conditions: the content of `robustness.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import bootstrap, to_json
from agfnet.metrics.calibration import CENTRES
from agfnet.metrics.discrimination import area_under_roc
from agfnet.metrics.metric import Floats, Statistic, Statistics, joined, together
from agfnet.metrics.summary import METRICS
from agfnet.robustness.conditions import CLEAN, FRAMES_LOST, Condition

ROBUSTNESS = "robustness.json"
MEASURES = ("accuracy", "balanced_accuracy", "nll", "ece")

Key = tuple[Condition | None, str]
"""Condition, None for a mean over corruptions, and name of the number."""


def score_conditions(
    answers: Mapping[Condition, Predictions],
    *,
    resamples: int = 1000,
    seed: int = 0,
    reference: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of robustness.json: MEASURES of every condition, and means over them.

    Every number comes with its 95 % interval from one patient bootstrap, in which all conditions
    see the same draws. `accuracy_drop` is the accuracy lost against the same lesions unchanged.
    `detection_auroc` is the probability that a lesion under the condition has a higher
    out-of-distribution score than an unchanged lesion (0.5: the score does not notice it).

    Over all corruptions and severities, `corruption_error` is the mean error rate and
    `corruption_error_increase` the same minus the error rate of the unchanged images.

    Args:
        answers: result of `predict_conditions`.
        resamples: of patients.
        seed: of the resampling.
        reference: the robustness.json of another run on the same lesions. Its errors divide those
            of this run (`mean_corruption_error`, `relative_mean_corruption_error`) and are taken as
            fixed numbers.

    Raises:
        DataError: the reference judged other lesions, or under none of these conditions.
    """
    clean = answers[CLEAN]
    lesions = _digest(clean)
    statistics = joined(
        together(_condition_statistics(answers)), _mean_statistics(answers, reference, lesions)
    )
    centres: dict[Key, Key] = {
        (condition, name): (condition, CENTRES[name])
        for condition in answers
        for name in MEASURES
        if name in CENTRES
    }
    scored = bootstrap(
        clean.patient_id, statistics, resamples=resamples, seed=seed, centres=centres
    )
    numbers: dict[Condition | None, dict[str, Any]] = {}
    for (condition, name), interval in scored.items():
        numbers.setdefault(condition, {})[name] = to_json(interval)
    return {
        "n": len(clean),
        "lesions": lesions,
        "clean": numbers[CLEAN],
        "means": numbers[None],
        "conditions": [
            condition._asdict() | numbers[condition] for condition in answers if condition != CLEAN
        ],
    }


def mean_corruption_error(errors: Floats, reference: Floats) -> float:
    """Mean over corruptions of the error summed over severities, divided by the reference's.

    With the clean error subtracted from both, this is the relative mean corruption error.
    Corruptions under which the reference's sum is not above 0 are left out; nan if all are.
    Hendrycks and Dietterich, ICLR 2019.

    Args:
        errors: (K, 5), one row per corruption.
        reference: (K, 5), of the reference.
    """
    sums, reference_sums = errors.sum(axis=1), reference.sum(axis=1)
    kept = reference_sums > 1e-9  # differences of equal error rates leave rounding errors near 0
    return float((sums[kept] / reference_sums[kept]).mean()) if kept.any() else float("nan")


def _condition_statistics(answers: Mapping[Condition, Predictions]) -> dict[Key, Statistic]:
    """Statistics of each condition; `detection_auroc` only if there are scores."""
    clean = answers[CLEAN]
    target = clean.target
    unchanged = METRICS["accuracy"].prepare(clean.probabilities, target)
    statistics: dict[Key, Statistic] = {}
    for condition, table in answers.items():
        measures = {name: METRICS[name].prepare(table.probabilities, target) for name in MEASURES}
        statistics |= {(condition, name): measure for name, measure in measures.items()}
        if condition == CLEAN:
            continue
        statistics[condition, "accuracy_drop"] = _difference(unchanged, measures["accuracy"])
        if clean.ood_score is not None and table.ood_score is not None:
            statistics[condition, "detection_auroc"] = _detection(clean.ood_score, table.ood_score)
    return statistics


def _difference(a: Statistic, b: Statistic) -> Statistic:
    return lambda weights: a(weights) - b(weights)


def _detection(clean: Floats, changed: Floats) -> Statistic:
    """Area under the ROC curve between scores (N,) of the same lesions unchanged and changed."""
    area = area_under_roc(
        np.concatenate([clean, changed]), np.repeat([False, True], [len(clean), len(changed)])
    )
    return lambda weights: area(np.concatenate([weights, weights]))


def _mean_statistics(
    answers: Mapping[Condition, Predictions], reference: Mapping[str, Any] | None, lesions: str
) -> Statistics[Key]:
    """Means over corruptions and severities."""
    target = answers[CLEAN].target
    wrong = {c: table.probabilities.argmax(axis=1) != target for c, table in answers.items()}
    groups: dict[tuple[str, str], list[Any]] = {}
    for condition, rows in wrong.items():
        if condition.severity and condition.corruption != FRAMES_LOST:
            groups.setdefault(condition[:2], []).append(rows)
    every = np.array(list(groups.values()))
    modalities = np.array([modality for modality, _ in groups])
    shared = None if reference is None else _shared_errors(reference, lesions, list(groups))

    def means(weights: Floats) -> dict[Key, float]:
        errors = every @ weights / weights.sum()  # (K, 5)
        clean = float(wrong[CLEAN] @ weights / weights.sum())
        values = {
            "corruption_error": float(errors.mean()),
            "corruption_error_increase": float(errors.mean() - clean),
        }
        for modality in dict.fromkeys(modalities.tolist()):
            part = errors[modalities == modality]
            values[f"corruption_error_increase/{modality}"] = float(part.mean() - clean)
        if shared is not None:
            rows, fixed, base = shared
            values["mean_corruption_error"] = mean_corruption_error(errors[rows], fixed)
            values["relative_mean_corruption_error"] = mean_corruption_error(
                errors[rows] - clean, fixed - base
            )
        return {(None, name): value for name, value in values.items()}

    return means


def _shared_errors(
    reference: Mapping[str, Any], lesions: str, corruptions: list[tuple[str, str]]
) -> tuple[list[int], Floats, float]:
    """Rows of the corruptions that the reference has too, its errors there, its clean error."""
    if reference["lesions"] != lesions:
        raise DataError(
            "reference: its robustness.json is of other lesions; run `agfnet evaluate` with "
            "--robustness on the same table and split for both runs"
        )
    errors: dict[tuple[str, str], list[float]] = {}
    for row in reference["conditions"]:
        if row["severity"] and row["corruption"] != FRAMES_LOST:
            key = row["modality"], row["corruption"]
            errors.setdefault(key, []).append(1 - row["accuracy"]["value"])
    rows = [row for row, key in enumerate(corruptions) if key in errors]
    if not rows:
        raise DataError(
            "reference: it was evaluated under none of these corruptions; give a run with a "
            "modality of the same name and type"
        )
    fixed = np.array([errors[corruptions[row]] for row in rows])
    return rows, fixed, 1 - reference["clean"]["accuracy"]["value"]


def _digest(cases: Predictions) -> str:
    """Fingerprint of a set of labelled lesions."""
    rows = sorted(zip(cases.lesion_id, cases.label, strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def read_reference(run: str | Path, name: str) -> dict[str, Any]:
    """The robustness of another run in its evaluation of the same name.

    Raises:
        DataError: it has none, or it is damaged.
    """
    path = Path(run) / "evaluation" / name / ROBUSTNESS
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"lesions", "clean", "conditions"} <= set(content):
            raise ValueError("it holds no conditions")
    except OSError as error:
        raise DataError(
            f"reference: {path}: cannot be read ({error.strerror}); run `agfnet evaluate {run} "
            "--robustness` on the same table first"
        ) from error
    except ValueError as error:
        raise DataError(f"reference: {path}: is damaged ({error}); evaluate {run} again") from error
    return content
