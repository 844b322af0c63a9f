"""From a predictions table to metrics.json, classes.json and the other result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agfnet.evaluation.malignant import evaluate_group
from agfnet.evaluation.subgroups import subgroups
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, bootstrap, to_json
from agfnet.metrics.calibration import CENTRES, SQUARED, certainty, class_ece, ece_by_chance, root
from agfnet.metrics.delong import auc_interval
from agfnet.metrics.discrimination import RATES, class_rates, discrimination
from agfnet.metrics.metric import (
    Floats,
    Statistic,
    Statistics,
    joined,
    ratio,
    together,
    weighted_mean,
)
from agfnet.metrics.summary import summary

FILES = ("metrics.json", "classes.json", "subgroups.json", "malignant.json")


def evaluate(predictions: Predictions, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Compute every metric over the labelled cases with its 95 % patient-level interval.

    Returns the content of metrics.json: name to `{value, low, high}`, with None where a number is
    undefined, and `n`, the number of labelled cases. `ece_by_chance` has no interval but the range
    of its draws. Without labelled cases, `n` alone.
    """
    cases = predictions.labelled()
    if not len(cases):
        return {"n": 0}
    probabilities, target = cases.probabilities, cases.target
    statistics = joined(
        summary(probabilities, target),
        discrimination(probabilities, target),
        certainty(probabilities, target),
        decision_statistics(cases),
    )
    options: dict[str, Any] = {"resamples": resamples, "seed": seed, "centres": CENTRES}
    intervals = bootstrap(cases.patient_id, statistics, **options)
    debiased, _ = (intervals.pop(name) for name in SQUARED)
    intervals["ece_debiased"] = Interval(*map(root, debiased))
    intervals["ece_by_chance"] = ece_by_chance(probabilities, seed=seed)
    return dict(to_json(intervals)) | {"n": len(cases)}


def decision_statistics(cases: Predictions) -> Statistics[str]:
    """Statistics of the prediction sets, abstentions and warnings of a labelled table.

    Where the table has them: `set_coverage`, fraction of sets with the true class; `set_size`,
    their mean size; `abstained`, fraction of cases referred to a person; `selective_risk`, error
    rate among the others; `out_of_distribution`, fraction with that warning.
    """
    statistics: dict[str, Statistic] = {}
    target = cases.target
    if (sets := cases.prediction_set) is not None:
        statistics["set_coverage"] = weighted_mean(sets[np.arange(len(target)), target])
        statistics["set_size"] = weighted_mean(sets.sum(axis=1).astype(np.float64))
    if (abstain := cases.abstain) is not None:
        answered = (~abstain).astype(np.float64)
        wrong = answered * (cases.probabilities.argmax(axis=1) != target)
        statistics["abstained"] = weighted_mean(abstain)
        statistics["selective_risk"] = lambda weights: ratio(weights @ wrong, weights @ answered)
    if (warning := cases.out_of_distribution) is not None:
        statistics["out_of_distribution"] = weighted_mean(warning)
    return together(statistics)


def evaluate_classes(
    predictions: Predictions, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compute the metrics of every class against the rest: the content of classes.json.

    Returns class to `n` (its cases), the RATES, `ece` and `auc_delong`, the area with DeLong's
    interval (Obuchowski's where patients have several lesions).
    """
    cases = predictions.labelled()
    target = cases.target
    errors = class_ece(cases.probabilities, target)

    def class_errors(weights: Floats) -> Mapping[tuple[str, int], float]:
        return {("ece", c): value for c, value in errors(weights).items()}

    intervals = bootstrap(
        cases.patient_id,
        joined(class_rates(cases.probabilities, target), class_errors),
        resamples=resamples,
        seed=seed,
        centres={("ece", c): ("ece", c) for c in range(len(cases.classes))},
    )
    classes = {
        name: {
            "n": int((target == c).sum()),
            **{rate: intervals[rate, c] for rate in (*RATES, "ece")},
            "auc_delong": auc_interval(cases.probabilities[:, c], target == c, cases.patient_id),
        }
        for c, name in enumerate(cases.classes)
    }
    return dict(to_json(classes))


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
    """Compute the content of those of FILES that apply, by file name.

    Args:
        predictions: the table.
        attributes: column to a cell per row, for subgroups.json.
        malignant: classes to group, for malignant.json.
        validation: predictions of the validation split, for the thresholds of malignant.json.
        sensitivities: targets of those thresholds.
        resamples: of patients.
        seed: of the resampling.

    Raises:
        ConfigError: `malignant` names no class, or all of them.
    """
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    files = {"metrics.json": evaluate(predictions, **options)}
    if not files["metrics.json"]["n"]:
        return files
    files["classes.json"] = evaluate_classes(predictions, **options)
    if attributes:
        files["subgroups.json"] = to_json(subgroups(predictions, attributes, **options))
    if malignant:
        group = evaluate_group(
            predictions, malignant, validation=validation, sensitivities=sensitivities, **options
        )
        files["malignant.json"] = to_json(group)
    return files
