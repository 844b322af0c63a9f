"""What the network tells apart: confusion, each class, and a group of classes against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from agfnet.inference.predictions import Predictions
from agfnet.report import plots
from agfnet.report.page import Section, drawing, table
from agfnet.report.plots_more import Panel, decision_curve, forest
from agfnet.report.wording import FEW_LESIONS, number, span

CLASS_COLUMNS = {
    "sensitivity": ("Sensitivity", True),
    "specificity": ("Specificity", True),
    "ppv": ("PPV", True),
    "npv": ("NPV", True),
    "auc": ("AUC", False),
}
POINT_COLUMNS = ("sensitivity", "specificity", "ppv", "npv")


def confusions(predictions: Predictions) -> Section:
    """The confusion matrix."""
    return Section(
        "confusion",
        "What it confuses",
        drawing(
            plots.confusion_matrix(predictions),
            "Each row is a true class: how many of its lesions got each answer, and what per cent "
            "of the row. Right answers lie on the diagonal.",
            wide=len(predictions.classes) > 6,
        ),
    )


def classes(predictions: Predictions, found: Mapping[str, Any] | None) -> Section | None:
    """Discrimination of each class with intervals, from classes.json, and the ROC curves."""
    several = len(set(predictions.labelled().label)) > 1
    if not found or not several:
        return None
    names = list(found)
    shown = ("sensitivity", "specificity", "auc")
    panels = [
        Panel(CLASS_COLUMNS[key][0], [found[name][key] for name in names], CLASS_COLUMNS[key][1])
        for key in shown
    ]
    few = [found[name]["n"] < FEW_LESIONS for name in names]
    rows = [
        (
            name,
            f"{found[name]['n']:,}",
            *(
                cell(found[name][key], percent=percent)
                for key, (_, percent) in CLASS_COLUMNS.items()
            ),
        )
        for name in names
    ]
    pale = f" Grey: fewer than {FEW_LESIONS} lesions." if any(few) else ""
    return Section(
        "classes",
        "Class by class",
        "<p>Sensitivity: of the lesions of the class, those found. Specificity: of all others, "
        "those not called so. PPV: of the lesions called so, those that were; NPV: of those not "
        "called so, those that were not. Both depend on how common the class is in this table.</p>"
        + drawing(
            forest(names, panels, "Sensitivity, specificity and AUC of each class", faint=few),
            f"Each class against the rest, with 95 % intervals.{pale}",
            wide=True,
        )
        + table(
            "Results per class",
            ("Class", "Lesions", *(title for title, _ in CLASS_COLUMNS.values())),
            rows,
        )
        + drawing(
            plots.roc_curves(predictions),
            "Cases of a class found against false alarms, for every threshold. Guessing gives the "
            "dotted line.",
        ),
    )


def group(found: Mapping[str, Any] | None) -> Section | None:
    """A group of classes against the rest, from malignant.json: operating points, net benefit."""
    if not found or "operating_points" not in found:
        return None
    together = ", ".join(found["classes"])
    text = (
        f"<p>The probabilities of {escape(together)} together, against all other classes: "
        f"{found['positives']:,} of {found['n']:,} lesions, AUC "
        f"{number(found['auc']['value'], percent=False)} "
        f"({span(found['auc']['low'], found['auc']['high'], percent=False)}).</p>"
    )
    rows = [
        (
            f"{100 * point['target_sensitivity']:g}\u00a0%",
            "—" if point["threshold"] is None else f"{100 * point['threshold']:.1f}\u00a0%",
            *(cell(point.get(key), percent=True) for key in POINT_COLUMNS),
        )
        for point in found["operating_points"]
    ]
    points = table(
        "Operating points",
        ("Sensitivity aimed at", "Threshold", *(CLASS_COLUMNS[key][0] for key in POINT_COLUMNS)),
        rows,
    )
    note = (
        '<p class="soft">Thresholds come from the validation split, not from these lesions: what '
        "they reach here is what they reach on new patients of the same kind.</p>"
    )
    curve = drawing(
        decision_curve(found["decision_curve"], "malignant"),
        "Net benefit (Vickers and Elkin, 2006): lesions rightly acted on, less those wrongly acted "
        "on, weighed by the odds of the threshold. The network is of use where its line lies above "
        "both others.",
    )
    return Section(
        "group",
        "Malignant against the rest",
        text + (points + note if rows else "") + curve,
    )


def cell(found: Mapping[str, Any] | None, *, percent: bool) -> str:
    """A value with its interval below it, for a table."""
    if not found:
        return "—"
    value = number(found["value"], percent=percent)
    interval = span(found["low"], found["high"], percent=percent)
    return value if interval == "—" else f"{value}\n{interval}"
