"""Curves: ROC, risk against coverage, net benefit, accuracy against severity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agfnet.inference.predictions import Predictions
from agfnet.metrics.discrimination import class_auc, roc_curve
from agfnet.metrics.metric import Floats
from agfnet.metrics.risk_coverage import risk_coverage
from agfnet.report.plots.style import (
    BLUE,
    DOTTED,
    ORANGE,
    STYLE,
    line_style,
    percent_axes,
    percent_axis,
    short,
    to_svg,
)
from agfnet.translation import display_name, t

Interval = Mapping[str, float | None]  # value, low, high


def roc_curves(predictions: Predictions) -> str:
    """One-vs-rest ROC curve of each class and their mean, with the areas under them."""
    cases = predictions.labelled()
    target = cases.target
    areas = class_auc(cases.probabilities, target)
    defined = np.flatnonzero(np.isfinite(areas)).tolist()
    grid = np.linspace(0, 1, 201)
    curves: list[Floats] = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.69 + 0.19 * len(defined)), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], **DOTTED)
        for number, column in enumerate(defined):
            false, true = roc_curve(cases.probabilities[:, column], target == column)
            curves.append(np.interp(grid, false, true))
            name = short(display_name(cases.classes[column]))
            label = t("{title}: {text}", title=name, text=f"{areas[column]:.3f}")
            axes.plot(false, true, linewidth=1.4, label=label, **line_style(number))
        if curves:
            mean = np.append(0, np.mean(curves, axis=0))
            label = t("mean of the classes: {auc}", auc=f"{np.nanmean(areas):.3f}")
            axes.plot(np.append(0, grid), mean, color="black", linewidth=2.2, label=label)
            title = "\n" + t("Area under the curve")
            figure.legend(loc="outside lower left", title=title, alignment="left")
        percent_axes(axes)
        axes.set_aspect("equal")
        axes.set_xlabel(t("False positive rate (1 - specificity)"))
        axes.set_ylabel(t("True positive rate (sensitivity)"))
        return to_svg(figure, t("ROC curve of each class against the rest"))


def risk_coverage_curve(predictions: Predictions) -> str:
    """Error rate among the most confident fraction of cases, against a perfect ordering."""
    cases = predictions.labelled()
    curve = risk_coverage(cases.probabilities, cases.target)
    wrong = np.sort(cases.probabilities.argmax(axis=1) != cases.target)
    accepted = np.arange(1, len(cases) + 1)
    coverage, best = accepted / len(cases), np.cumsum(wrong) / accepted
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.axhline(wrong.mean(), label=t("all cases"), **DOTTED)
        axes.plot(coverage, best, color=ORANGE, linestyle="--", label=t("perfect ordering"))
        marker = "o" if len(curve.risk) == 1 else None
        axes.plot(curve.coverage, curve.risk, color=BLUE, marker=marker, label=t("this network"))
        percent_axes(axes)
        axes.set_ylim(0, max(0.05, float(curve.risk.max()), float(wrong.mean())) * 1.08)
        axes.set_xlabel(t("Fraction of cases answered, most confident first"))
        axes.set_ylabel(t("Error rate of the answered cases"))
        figure.legend(loc="outside upper left", ncols=3)
        label = "Risk-coverage curve: errors left when doubtful cases are set aside"
        return to_svg(figure, t(label))


def decision_curve(curve: Mapping[str, Any], title: str) -> str:
    """Net benefit of acting on the answer, against acting on all lesions and on none.

    Args:
        curve: `threshold`, and at each `model`, `low`, `high` and `treat_all`; None is undefined.
        title: name of the class or group.
    """
    threshold = curve["threshold"]
    model, low, high, treat_all = (
        _with_nan(curve[key]) for key in ("model", "low", "high", "treat_all")
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        _band(axes, threshold, low, high)
        axes.plot(threshold, model, color=BLUE, label=t("this network"))
        axes.plot(threshold, treat_all, color=ORANGE, linestyle="--", label=t("act on all"))
        axes.axhline(0, label=t("act on none"), **DOTTED | {"linewidth": 1})
        top = max([0.01, *(value for value in curve["model"] if value is not None)])
        axes.set_ylim(-0.25 * top, 1.15 * top)
        percent_axis(axes.xaxis)
        axes.grid(linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(t("Probability of “{name}” from which one would act", name=short(title)))
        axes.set_ylabel(t("Net benefit per lesion"))
        figure.legend(loc="outside upper left", ncols=3)
        return to_svg(figure, t("Decision curve: net benefit of the network at each threshold"))


def learning_curves(history: Sequence[Mapping[str, float]]) -> str:
    """Losses of training and validation, and balanced accuracy of validation, over the epochs.

    Args:
        history: rows of history.csv, with `epoch` from 0, `train_cross_entropy`, `val_nll` and
            `val_balanced_accuracy`.
    """
    epochs = [row["epoch"] + 1 for row in history]
    loss, validation, accuracy = (
        [row.get(name, math.nan) for row in history]
        for name in ("train_cross_entropy", "val_nll", "val_balanced_accuracy")
    )
    best = epochs[int(np.nanargmin(validation))]
    marker = "o" if len(epochs) == 1 else None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        losses, accuracies = figure.subplots(1, 2)
        losses.plot(epochs, loss, color=ORANGE, linestyle="--", marker=marker, label=t("training"))
        losses.plot(epochs, validation, color=BLUE, marker=marker, label=t("validation"))
        losses.set_ylabel(t("Cross-entropy"))
        losses.set_ylim(bottom=0)
        accuracies.plot(epochs, accuracy, color=BLUE, marker=marker)
        accuracies.set_ylabel(t("Balanced accuracy (validation)"))
        accuracies.set_ylim(0, 1.02)
        percent_axis(accuracies.yaxis)
        for axes in (losses, accuracies):
            label = t("lowest validation loss") if axes is losses else None
            axes.axvline(best, label=label, **DOTTED)
            axes.set_xlabel(t("Epoch"))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y", linewidth=0.6)
            axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=3)
        return to_svg(figure, t("Learning curves: loss and balanced accuracy of every epoch"))


def severity_curves(
    panels: Mapping[str, Sequence[Interval]], clean: Interval, measure: str, label: str
) -> str:
    """Draw a measure against severity, one panel per corruption; severity 0 is the clean image.

    Args:
        panels: title to the numbers at severities 1 to 5.
        clean: the numbers of the clean images.
        measure: name of the vertical axis.
        label: a sentence that says what the figure shows.
    """
    columns = min(4, len(panels))
    lines = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 2 * columns, 0.5 + 1.75 * lines), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, steps) in zip(grid.flat, panels.items(), strict=False):
            severities = range(len(steps) + 1)
            value, low, high = (
                _with_nan([step[key] for step in (clean, *steps)])
                for key in ("value", "low", "high")
            )
            axes.axhline(value[0], **DOTTED)
            _band(axes, severities, low, high)
            axes.plot(value, color=BLUE, marker="o", markersize=3.5, linewidth=1.4)
            axes.set_title(title, fontsize=9, loc="left")
            axes.grid(axis="y", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.set_ylim(0, 1.02)
            axes.set_xticks(severities)
            percent_axis(axes.yaxis)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel(t("Severity"), fontsize=9)
        figure.supylabel(measure, fontsize=9)
        return to_svg(figure, label)


def _band(axes: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> None:
    axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)


def _with_nan(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
