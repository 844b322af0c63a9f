"""How far the network's own certainty can be trusted: calibration, selective risk, sets."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from agfnet.inference.predictions import Predictions
from agfnet.report import plots
from agfnet.report.page import Section, drawing, table
from agfnet.report.wording import number


def certainty(predictions: Predictions, metrics: Mapping[str, Any]) -> Section:
    """Reliability, risk-coverage, and what the bundle's decisions did on these lesions."""
    figures = drawing(
        plots.reliability_diagram(predictions),
        "Stated confidence against the share that was right, with 95 % intervals. On the dotted "
        "line the two agree. Below: how many cases had that confidence.",
    ) + drawing(
        plots.risk_coverage_curve(predictions),
        "Errors left when the least confident cases are set aside for a person to judge. The "
        "steeper it falls to the left, the better the network knows when it does not know.",
    )
    return Section(
        "certainty",
        "How far its answers can be trusted",
        f'<div class="figures">{figures}</div>'
        + _abstention(predictions.labelled())
        + _sets(predictions.labelled(), metrics),
    )


def _abstention(cases: Predictions) -> str:
    """What was left to a person, and how right the rest was."""
    if cases.abstain is None:
        return ""
    right = cases.probabilities.argmax(axis=1) == cases.target
    rows = []
    for title, chosen in (("Answered", ~cases.abstain), ("Left to a person", cases.abstain)):
        count, hits = int(chosen.sum()), int(right[chosen].sum())
        share = number(hits / count, percent=True) if count else "—"
        rows.append((title, f"{count:,}", f"{hits:,}", share))
    return (
        "<h3>When it leaves the answer to a person</h3>"
        "<p>The least confident answers are marked as left to a person; the limit was set on the "
        "validation split. Had the network answered them all the same, it would have been right as "
        "often as the last line says.</p>"
        + table("Abstention", ("", "Lesions", "Right", "Share right"), rows)
    )


def _sets(cases: Predictions, metrics: Mapping[str, Any]) -> str:
    """How large the sets of possible classes are, and how often they hold the truth."""
    if cases.prediction_set is None:
        return ""
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
    share = number(metrics.get("set_coverage", {}).get("value"), percent=True)
    text = (
        "Each answer comes with the set of classes that it cannot rule out. Here the truth was in "
        f"it for {share} of the lesions. One class: the answer stands alone. An empty set: no "
        "class fits. A set of a given size need not hold the truth as often as all sets do."
    )
    return f"<h3>Which classes it cannot rule out</h3><p>{escape(text)}</p>" + table(
        "Prediction sets", ("Classes in the set", "Lesions", "Truth in the set"), rows
    )
