"""Section on robustness to image corruption, from robustness.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agfnet.pages.blocks import Block, Figure, Heading, Section, Table, Text
from agfnet.report.plots.curves import severity_curves
from agfnet.report.wording import UNDEFINED, cell, number, span
from agfnet.robustness.conditions import FRAMES_LOST, MISMATCHED, MISSING
from agfnet.robustness.corruptions import CORRUPTIONS
from agfnet.translation import display_name, joined, t

TITLES = {
    name: corruption.title
    for corruptions in CORRUPTIONS.values()
    for name, corruption in corruptions.items()
} | {
    MISSING: "Missing",
    MISMATCHED: "Of another patient",
    FRAMES_LOST: "Frames lost",
}
MEASURES = {
    "accuracy": ("Accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "nll": ("NLL", False),
    "ece": ("ECE", True),
}
ALL = "all modalities"

Steps = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
"""Modality and corruption to the results at each severity."""


def robustness(results: Mapping[str, Any] | None) -> Section | None:
    """Curves over severity for each modality, and a table of all conditions at their worst."""
    if not results:
        return None
    steps: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in results["conditions"]:
        steps.setdefault((row["modality"], row["corruption"]), []).append(row)
    return Section(
        "robustness",
        t("Robustness to image corruption"),
        [
            Text(_summary(results)),
            *_figures(steps, results["clean"]["accuracy"]),
            Heading(t("At the highest severity")),
            _table(steps, results["clean"]),
            Text(
                t(
                    "Detection AUROC: the probability that such a lesion has a higher "
                    "out-of-distribution score than a lesion with clean images. 0.5: the score "
                    "does not respond to the change; 1: always."
                ),
                "soft",
            ),
        ],
    )


def _figures(steps: Steps, clean: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    for modality in dict.fromkeys(name for name, _ in steps):
        panels = {
            t(TITLES[corruption]): [row["accuracy"] for row in rows]
            for (name, corruption), rows in steps.items()
            if name == modality and len(rows) > 1
        }
        if panels:
            heading = _modality(modality)
            label = t("Accuracy on corrupted images of {modality} by severity", modality=heading)
            captions = [
                t(
                    "Accuracy at each severity; 0 are the clean images (dotted). Bands: 95 % "
                    "intervals."
                )
            ]
            if modality:
                captions.append(t("The other modalities stay clean."))
            blocks += [
                Heading(heading),
                Figure(
                    severity_curves(panels, clean, t("Accuracy"), label),
                    joined(captions),
                    wide=len(panels) > 1,
                ),
            ]
    return blocks


def _table(steps: Steps, clean: Mapping[str, Any]) -> Table:
    def cells(measures: Mapping[str, Any]) -> list[str]:
        return [cell(measures[key], percent=percent) for key, (_, percent) in MEASURES.items()]

    rows = [(t("Clean images"), *cells(clean), "", "")]
    for (modality, corruption), conditions in steps.items():
        worst = conditions[-1]
        detection = (
            cell(worst["detection_auroc"], percent=False)
            if "detection_auroc" in worst
            else UNDEFINED
        )
        name = t("{title}: {text}", title=_modality(modality), text=t(TITLES[corruption]))
        rows.append((name, *cells(worst), cell(worst["accuracy_drop"], percent=True), detection))
    titles = (t(title) for title, _ in MEASURES.values())
    head = (t("Condition, at severity 5"), *titles, t("Accuracy drop"), t("Detection AUROC"))
    return Table(t("Robustness"), head, rows)


def _modality(name: str) -> str:
    return display_name(name) if name else t(ALL)


def _summary(results: Mapping[str, Any]) -> str:
    means = results["means"]
    increase = means["corruption_error_increase"]
    sentences = [
        t(
            "Measured on the {count} labelled lesions that have an image of every modality. Over "
            "all corruptions and severities, the mean error rate was {error}, and {clean} on clean "
            "images: an increase of {points} points (95 % interval {interval}).",
            count=f"{results['n']:,}",
            error=number(means["corruption_error"]["value"], percent=True),
            clean=number(1 - results["clean"]["accuracy"]["value"], percent=True),
            points=f"{100 * increase['value']:.1f}",
            interval=span(increase["low"], increase["high"], percent=True),
        )
    ]
    if "mean_corruption_error" in means:
        mce = means["mean_corruption_error"]
        relative = means["relative_mean_corruption_error"]
        sentences.append(
            t(
                "Against the reference run, the mean corruption error is {mce} ({interval}), and "
                "the relative mean corruption error {relative} ({relative_interval}). Below 100 % "
                "is better than the reference. The errors of the reference are taken as fixed.",
                mce=number(mce["value"], percent=True),
                interval=span(mce["low"], mce["high"], percent=True),
                relative=number(relative["value"], percent=True),
                relative_interval=span(relative["low"], relative["high"], percent=True),
            )
        )
    return joined(sentences)
