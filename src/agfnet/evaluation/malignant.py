"""A group of classes against all others, above all malignant against benign: `malignant.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agfnet.bundle import BundleConfig
from agfnet.diagnoses import MALIGNANT
from agfnet.errors import ConfigError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import bootstrap
from agfnet.metrics.calibration import CENTRES, brier, ece
from agfnet.metrics.decision_curve import decision_curve
from agfnet.metrics.delong import auc_interval
from agfnet.metrics.discrimination import area_under_roc, average_precision
from agfnet.metrics.metric import together
from agfnet.metrics.operating_points import (
    halfway_threshold,
    rates_at,
    threshold_for_sensitivity,
)

OTHER = "other"


def grouped(predictions: Predictions, names: Sequence[str]) -> Predictions:
    """Return the table with two classes, `other` and the group, whose probabilities are summed.

    Args:
        predictions: the table.
        names: classes that form the group.

    Raises:
        ConfigError: no name, a name that is no class, or all classes.
    """
    check_group(predictions.classes, names)
    members = np.isin(predictions.classes, list(names))
    probability = np.clip(predictions.probabilities[:, members].sum(axis=1), 0, 1)
    return Predictions(
        classes=(OTHER, MALIGNANT),
        lesion_id=predictions.lesion_id,
        patient_id=predictions.patient_id,
        label=tuple(name and (MALIGNANT if name in names else OTHER) for name in predictions.label),
        probabilities=np.stack([1 - probability, probability], axis=1),
    )


def check_group(classes: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError unless the names are some of the classes, but not all."""
    known = ", ".join(classes)
    if unknown := sorted(set(names) - set(classes)):
        raise ConfigError(
            f"{MALIGNANT}: {unknown[0]!r} is not a class of this network; expected some of {known}"
        )
    if not 0 < len(set(names)) < len(classes):
        raise ConfigError(f"{MALIGNANT}: name some of the classes, but not all ({known})")


def evaluate_group(
    predictions: Predictions,
    names: Sequence[str],
    *,
    validation: Predictions | None = None,
    sensitivities: Sequence[float] = (0.9, 0.95),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the content of malignant.json: the group against the rest over the labelled cases.

    Args:
        predictions: the table to score.
        names: classes of the group.
        validation: predictions of the validation split, from which alone thresholds are taken;
            without it there are no operating points.
        sensitivities: one operating point each.
        resamples: of patients.
        seed: of the resampling.

    Raises:
        ConfigError: see `grouped`.
    """
    options: dict[str, Any] = {"resamples": resamples, "seed": seed}
    cases = grouped(predictions, names).labelled()
    target = cases.target
    positive, score = target == 1, cases.probabilities[:, 1]
    statistics = together(
        {
            "auc": area_under_roc(score, positive),
            "ap": average_precision(score, positive),
            "brier": brier.prepare(cases.probabilities, target),
            "ece": ece.prepare(cases.probabilities, target),
        }
    )
    points = []
    if validation is not None:
        fitting = grouped(validation, names).labelled()
        for aim in sensitivities:
            threshold = threshold_for_sensitivity(
                fitting.probabilities[:, 1], fitting.target == 1, aim
            )
            point: dict[str, Any] = {"target_sensitivity": aim, "threshold": threshold}
            if threshold is not None:
                point["threshold"] = threshold = halfway_threshold(threshold)
                rates = rates_at(score, positive, threshold)
                point |= bootstrap(cases.patient_id, rates, **options)
            points.append(point)
    return {
        "classes": list(names),
        "n": len(cases),
        "positives": int(positive.sum()),
        **bootstrap(cases.patient_id, statistics, **options, centres=CENTRES),
        "auc_delong": auc_interval(score, positive, cases.patient_id),
        "operating_points": points,
        "decision_curve": decision_curve(score, positive, cases.patient_id, **options)._asdict(),
    }


def malignant_classes(names: Sequence[str] | None, config: BundleConfig) -> tuple[str, ...]:
    """Return the classes of the malignant group; empty without one, or if it has all classes.

    Args:
        names: setting `malignant`.
        config: of the network.

    Raises:
        ConfigError: a name that is no class, or another group than that of the network.
    """
    group = config.groups.get(MALIGNANT, ())
    if names is None:
        return group if len(group) < len(config.classes) else ()
    check_group(config.classes, names)
    if group and set(names) != set(group):
        raise ConfigError(
            f"malignant: in this network the group is {', '.join(group)}, which its answers also"
            " use; leave the setting out, or train with other groups (data.diagnoses)"
        )
    return tuple(names)
