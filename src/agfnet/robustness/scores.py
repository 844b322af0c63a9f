"""What a network's answers under all conditions are worth: the content of `robustness.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import patient_bootstrap, plain
from agfnet.metrics.summary import METRICS, Floats, Integers, Metric, area_under_roc
from agfnet.robustness.conditions import CLEAN, FRAMES_LOST, Condition

MEASURES = ("accuracy", "balanced_accuracy", "nll", "ece")
Array = np.ndarray[Any, Any]


def score_conditions(
    found: Mapping[Condition, Predictions],
    *,
    resamples: int = 1000,
    seed: int = 0,
    reference: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What robustness.json holds: every measure of every condition, and their means.

    Every number comes with its 95 % interval from one patient bootstrap, in which all conditions
    see the same draws; `drop` is the accuracy lost against the same lesions as they are, and
    `ood_auroc` the chance that a lesion under the condition has a higher out-of-distribution score
    than a lesion as it is (0.5: the score does not see it).

    Args:
        found: the answer of `try_conditions`.
        resamples: of patients.
        seed: of the resampling.
        reference: the robustness.json of another run on the same lesions. Its errors divide ours
            (`mce`, `relative_mce`) and are taken as fixed numbers.

    Raises:
        DataError: the reference judged other lesions, or under no condition of these.
    """
    clean = found[CLEAN]
    target = clean.target
    measures: dict[tuple[str, ...], Metric] = {}
    for condition, answers in found.items():
        for name in MEASURES:
            measures[(*_words(condition), name)] = _fixed(METRICS[name], answers.probabilities)
        if condition != CLEAN:
            measures[(*_words(condition), "drop")] = _drop(clean, answers)
            if clean.ood_score is not None and answers.ood_score is not None:
                measures[(*_words(condition), "ood_auroc")] = _told_apart(
                    clean.ood_score, answers.ood_score
                )
    lesions = _digest(clean)
    named = {"/".join(words): metric for words, metric in measures.items()}
    wrong = {c: answers.probabilities.argmax(axis=1) != target for c, answers in found.items()}
    means = _means(wrong, reference, lesions)
    scored = plain(patient_bootstrap(clean, named | means, resamples=resamples, seed=seed))

    def numbers(condition: Condition) -> dict[str, Any]:
        names = (*MEASURES, "drop", "ood_auroc")
        keys = {name: "/".join((*_words(condition), name)) for name in names}
        return {name: scored[key] for name, key in keys.items() if key in scored}

    return {
        "n": len(clean),
        "lesions": lesions,
        "clean": numbers(CLEAN),
        "means": {name: scored[name] for name in means},
        "conditions": [
            condition._asdict() | numbers(condition) for condition in found if condition != CLEAN
        ],
    }


def mean_corruption_error(errors: Floats, reference: Floats) -> float:
    """Mean over corruptions of the error summed over severities, as a share of the reference's.

    With the clean error taken off both, the relative mean corruption error. Corruptions under
    which the reference's sum is not above 0 are left out; nan if all are. Hendrycks and
    Dietterich, ICLR 2019.

    Args:
        errors: (K, 5), one row per corruption.
        reference: (K, 5), of the reference.
    """
    ours, theirs = errors.sum(axis=1), reference.sum(axis=1)
    kept = theirs > 0
    return float((ours[kept] / theirs[kept]).mean()) if kept.any() else float("nan")


def _means(
    wrong: Mapping[Condition, Array], reference: Mapping[str, Any] | None, lesions: str
) -> dict[str, Metric]:
    """The means over corruptions, as metrics of the clean table."""
    groups: dict[tuple[str, str], list[Array]] = {}
    for condition, rows in wrong.items():
        if condition.severity and condition.corruption != FRAMES_LOST:
            groups.setdefault(condition[:2], []).append(rows)

    def metric(value: Callable[[Floats, float], float], stack: Array) -> Metric:
        """`value` of errors (K, 5) and clean error, as a function of the weights of cases."""
        return Metric(
            lambda *_: (
                lambda weights: value(
                    stack @ weights / weights.sum(), float(wrong[CLEAN] @ weights / weights.sum())
                )
            )
        )

    every = np.array(list(groups.values()))
    means = {
        "mean_error": metric(lambda errors, _: float(errors.mean()), every),
        "rise": metric(lambda errors, clean: float(errors.mean() - clean), every),
    }
    for modality in dict.fromkeys(name for name, _ in groups):
        own = np.array([rows for (name, _), rows in groups.items() if name == modality])
        means[f"rise/{modality}"] = metric(lambda errors, clean: float(errors.mean() - clean), own)
    if reference is not None:
        theirs, base = _errors(reference, lesions)
        shared = [key for key in groups if key in theirs]
        if not shared:
            raise DataError(
                "reference: it was tried under none of these corruptions; give a run with a "
                "modality of the same name and kind"
            )
        fixed = np.array([theirs[key] for key in shared])
        both = np.array([groups[key] for key in shared])
        means["mce"] = metric(lambda errors, _: mean_corruption_error(errors, fixed), both)
        means["relative_mce"] = metric(
            lambda errors, clean: mean_corruption_error(errors - clean, fixed - base), both
        )
    return means


def _errors(
    reference: Mapping[str, Any], lesions: str
) -> tuple[dict[tuple[str, str], list[float]], float]:
    """Error of every corruption at each severity, and the clean error, of a robustness.json."""
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
    return errors, 1 - reference["clean"]["accuracy"]["value"]


def _words(condition: Condition) -> tuple[str, str, str]:
    return condition.modality, condition.corruption, str(condition.severity)


def _fixed(metric: Metric, probabilities: Floats) -> Metric:
    """A metric of these probabilities, whatever table it is asked about."""
    return Metric(lambda _, target: metric.prepare(probabilities, target))


def _drop(clean: Predictions, answers: Predictions) -> Metric:
    def prepare(_: Floats, target: Integers) -> Callable[[Floats], float]:
        before, after = (
            METRICS["accuracy"].prepare(table.probabilities, target) for table in (clean, answers)
        )
        return lambda weights: before(weights) - after(weights)

    return Metric(prepare)


def _told_apart(clean: Floats, strange: Floats) -> Metric:
    """Area under the ROC curve between scores (N,) of the same lesions as they are and changed."""
    area = area_under_roc(
        np.concatenate([clean, strange]), np.repeat([False, True], [len(clean), len(strange)])
    )
    return Metric(lambda *_: lambda weights: area(np.concatenate([weights, weights])))


def _digest(cases: Predictions) -> str:
    """What tells one set of labelled lesions from another."""
    rows = sorted(zip(cases.lesion_id, cases.label, strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
