"""Sections on discrimination: confusion, each class, and a group of classes against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agfnet.inference.predictions import Predictions
from agfnet.pages.blocks import Block, Figure, Section, Table, Text
from agfnet.report.plots.confusion import confusion_matrix
from agfnet.report.plots.curves import decision_curve, roc_curves
from agfnet.report.plots.forest import Panel, forest
from agfnet.report.wording import FEW_LESIONS, UNDEFINED, cell, number, span
from agfnet.translation import display_name, joined, listed, t

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
        t("Confusion matrix"),
        [
            Figure(
                confusion_matrix(predictions),
                t(
                    "Each row is a true class: the number of its lesions by predicted class, and "
                    "the percentage of the row. Correct predictions lie on the diagonal."
                ),
                wide=len(predictions.classes) > 6,
            )
        ],
    )


def classes(predictions: Predictions, results: Mapping[str, Any] | None) -> Section | None:
    """Discrimination of each class with intervals, from classes.json, and the ROC curves."""
    several = len(set(predictions.labelled().label)) > 1
    if not results or not several:
        return None
    return Section(
        "classes",
        t("Class by class"),
        [
            Text(
                t(
                    "Sensitivity: the fraction of the lesions of the class that were predicted to "
                    "be in it. Specificity: the fraction of all other lesions that were not. PPV: "
                    "the fraction of the lesions predicted to be in the class that are in it. NPV: "
                    "the fraction of the lesions not predicted to be in it that are not. PPV and "
                    "NPV depend on how common the class is in this table."
                )
            ),
            class_plot(results),
            class_table(results),
            Figure(
                roc_curves(predictions),
                t(
                    "True positive rate against false positive rate for every threshold. Guessing "
                    "gives the dotted line."
                ),
            ),
        ],
    )


def class_plot(results: Mapping[str, Any]) -> Figure:
    """A forest plot of the results of each class."""
    few = [row["n"] < FEW_LESIONS for row in results.values()]
    panels = [
        Panel(
            title=t(CLASS_COLUMNS[key][0]),
            intervals=[row[key] for row in results.values()],
            percent=CLASS_COLUMNS[key][1],
            kinds=["few" if pale else "" for pale in few],
        )
        for key in ("sensitivity", "specificity", "auc")
    ]
    captions = [t("Each class against the rest, with 95 % intervals.")]
    if any(few):
        captions.append(t("Grey: fewer than {count} lesions.", count=FEW_LESIONS))
    alternative = t("Sensitivity, specificity and AUC of each class")
    names = list(map(display_name, results))
    return Figure(forest(names, panels, alternative), joined(captions), wide=True)


def class_table(results: Mapping[str, Any]) -> Table:
    """A row for each class."""
    titles = (t(title) for title, _ in CLASS_COLUMNS.values())
    rows = [
        (
            display_name(name),
            f"{row['n']:,}",
            *(cell(row[key], percent=percent) for key, (_, percent) in CLASS_COLUMNS.items()),
        )
        for name, row in results.items()
    ]
    return Table(t("Results per class"), (t("Class"), t("Lesions"), *titles), rows)


def group(results: Mapping[str, Any] | None) -> Section | None:
    """A group of classes against the rest, from malignant.json: operating points, net benefit."""
    if not results or "operating_points" not in results:
        return None
    area = results["auc"]
    blocks: list[Block] = [
        Text(
            t(
                "The probabilities of {names} are added and compared with all other classes: "
                "{positives} of {count} lesions, AUC {auc} ({interval}).",
                names=listed(results["classes"]),
                positives=f"{results['positives']:,}",
                count=f"{results['n']:,}",
                auc=number(area["value"], percent=False),
                interval=span(area["low"], area["high"], percent=False),
            )
        )
    ]
    rows = [
        (
            f"{100 * point['target_sensitivity']:g}\u00a0%",
            UNDEFINED if point["threshold"] is None else f"{100 * point['threshold']:.1f}\u00a0%",
            *(cell(point.get(key), percent=True) for key in POINT_COLUMNS),
        )
        for point in results["operating_points"]
    ]
    if rows:
        titles = (t(CLASS_COLUMNS[key][0]) for key in POINT_COLUMNS)
        head = (t("Target sensitivity"), t("Threshold"), *titles)
        text = (
            "The thresholds come from the validation split, not from these lesions: the results "
            "here are those to expect for new patients of the same kind."
        )
        blocks += [Table(t("Operating points"), head, rows), Text(t(text), "soft")]
    blocks.append(
        Figure(
            decision_curve(results["decision_curve"], t("malignant")),
            t(
                "Net benefit (Vickers and Elkin, 2006): true positives per lesion, minus false "
                "positives weighted by the odds of the threshold. The network is useful where its "
                "line lies above both others."
            ),
        )
    )
    return Section("group", t("Malignant against the rest"), blocks)
