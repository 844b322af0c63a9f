"""Reliability diagram."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agfnet.inference.predictions import Predictions
from agfnet.metrics.calibration import reliability
from agfnet.report.plots.style import BLUE, DOTTED, GREY, STYLE, percent_axes, to_svg
from agfnet.translation import t


def reliability_diagram(predictions: Predictions, bins: int = 10) -> str:
    """Accuracy at each level of confidence with 95 % intervals, above a histogram."""
    cases = predictions.labelled()
    table = reliability(cases.probabilities, cases.target, bins)
    filled = table.cases > 0
    spread = np.abs(np.stack([table.low, table.high])[:, filled] - table.accuracy[filled])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], **DOTTED)
        upper.errorbar(
            table.confidence[filled],
            table.accuracy[filled],
            yerr=spread,
            color=BLUE,
            marker="o",
            markersize=5,
            linewidth=1.4,
            elinewidth=1,
            capsize=3,
        )
        upper.annotate(t("too cautious"), (0.03, 0.95), color=GREY)
        upper.annotate(t("too confident"), (0.97, 0.03), color=GREY, ha="right")
        percent_axes(upper)
        upper.set_ylabel(t("Accuracy"))
        lower.bar((np.arange(bins) + 0.5) / bins, table.cases, 0.9 / bins, color=BLUE)
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        lower.set_ylabel(t("Cases"))
        lower.set_xlabel(t("Confidence of the network"))
        label = "Reliability diagram: how often the network was right at each confidence"
        return to_svg(figure, t(label))
