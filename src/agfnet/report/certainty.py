"""Section on certainty: calibration, selective prediction, abstention and prediction sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from agfnet.inference.predictions import Predictions
from agfnet.pages.blocks import Block, Columns, Figure, Heading, Section, Table, Text
from agfnet.report.plots.curves import risk_coverage_curve
from agfnet.report.plots.reliability import reliability_diagram
from agfnet.report.wording import UNDEFINED, number
from agfnet.translation import t


def certainty(predictions: Predictions, metrics: Mapping[str, Any]) -> Section:
    """Reliability, risk against coverage, and the decisions of the bundle on these lesions."""
    figures = Columns(
        [
            Figure(
                reliability_diagram(predictions),
                t(
                    "Accuracy at each level of confidence, with 95 % intervals. On the dotted line "
                    "the two agree. Below: the number of cases with that confidence."
                ),
            ),
            Figure(
                risk_coverage_curve(predictions),
                t(
                    "Error rate when the least confident cases are not answered. The steeper the "
                    "line falls to the left, the better the confidence separates correct "
                    "predictions from errors."
                ),
            ),
        ]
    )
    cases = predictions.labelled()
    return Section(
        "certainty",
        t("Calibration and uncertainty"),
        [figures, *_abstention(cases), *_sets(cases, metrics)],
    )


def _abstention(cases: Predictions) -> list[Block]:
    """Accuracy of the answered cases and of the others."""
    if cases.abstain is None:
        return []
    right = cases.probabilities.argmax(axis=1) == cases.target
    rows = []
    for title, mask in ((t("Answered"), ~cases.abstain), (t("Abstained"), cases.abstain)):
        count, hits = int(mask.sum()), int(right[mask].sum())
        accuracy = number(hits / count, percent=True) if count else UNDEFINED
        rows.append((title, f"{count:,}", f"{hits:,}", accuracy))
    return [
        Heading(t("Abstention")),
        Text(
            t(
                "The network abstains when its confidence is below a threshold, which was set on "
                "the validation split. Such a case needs review by a specialist. The last row "
                "shows what the accuracy of these cases would have been."
            )
        ),
        Table(t("Abstention"), ("", t("Lesions"), t("Correct"), t("Accuracy")), rows),
    ]


def _sets(cases: Predictions, metrics: Mapping[str, Any]) -> list[Block]:
    """Size of the prediction sets, and how often they contain the true class."""
    if cases.prediction_set is None:
        return []
    sizes = cases.prediction_set.sum(axis=1)
    covered = cases.prediction_set[np.arange(len(cases)), cases.target]
    rows = [
        (
            f"{size}",
            f"{int((sizes == size).sum()):,}",
            number(covered[sizes == size].mean(), percent=True),
        )
        for size in np.unique(sizes)
    ]
    coverage = number(metrics.get("set_coverage", {}).get("value"), percent=True)
    return [
        Heading(t("Prediction sets")),
        Text(
            t(
                "The prediction set of a lesion holds the classes that cannot be ruled out. Here "
                "it contained the true class of {coverage} of the lesions. The coverage is "
                "guaranteed over all sets, not for the sets of one size.",
                coverage=coverage,
            )
        ),
        Table(
            t("Prediction sets"),
            (t("Classes in the set"), t("Lesions"), t("True class in the set")),
            rows,
        ),
    ]
