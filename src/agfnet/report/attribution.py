"""Sections on attribution maps, from focus.json and sanity.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.pages.blocks import Bullets, Section, Table, Text
from agfnet.report.wording import cell, span

MEASURES = {
    "relevance_mass_accuracy": (
        "Relevance mass accuracy",
        "Fraction of the total attribution that lies in the lesion mask.",
    ),
    "lesion_area": (
        "Lesion's fraction of the image",
        "Relevance mass accuracy of an attribution at random positions.",
    ),
    "pointing_game": (
        "Pointing game",
        "Fraction of lesions whose strongest attribution lies in the mask.",
    ),
    "deletion": (
        "Deletion area",
        "Mean probability of the predicted class while pixels are covered, strongest attribution "
        "first. Lower means that the prediction depends on the attributed pixels.",
    ),
    "insertion": (
        "Insertion area",
        "The same while pixels are uncovered, strongest attribution first. Higher means that the "
        "attributed pixels suffice for the prediction.",
    ),
}


def focus(results: Mapping[str, Any] | None) -> Section | None:
    """Position of the attribution per modality, compared with chance."""
    if not results:
        return None
    modalities: Mapping[str, Mapping[str, Any]] = results["modalities"]
    rows = [
        (
            f"{title}\n{text}",
            *(cell(measures[key], percent=True) for measures in modalities.values()),
        )
        for key, (title, text) in MEASURES.items()
    ]
    counts = ", ".join(f"{measures['n']:,} {name}" for name, measures in modalities.items())
    return Section(
        "focus",
        "Attribution on the lesion",
        [
            Text(
                f"Attribution of the predicted class ({results['method']}), on lesions with "
                f"masks: {counts}. Attribution outside the lesion may indicate a shortcut, or the "
                "surrounding skin that a dermatologist also looks at: see the cases below."
            ),
            Table("Attribution on the lesion", ("Measure", *modalities), rows),
            *(Text(f"Excluded: {reason}.", "soft") for reason in results["left_out"]),
        ],
    )


def sanity(results: Mapping[str, Any] | None) -> Section | None:
    """Reliability of the maps of `agfnet explain` for this network."""
    if not results:
        return None
    columns = [name for name in CHECKS if name != "order"]
    rows = [
        (
            METHODS[name].title + ("\nDo not rely on it" if row["failed"] else ""),
            *(f"{row[check]:.2f}" + " (fails)" * (check in row["failed"]) for check in columns),
            span(row["order"]["low"], row["order"]["high"], percent=False)
            + " (fails)" * ("order" in row["failed"]),
        )
        for name, row in results["methods"].items()
        if name in METHODS
    ]
    titles = (CHECKS[check].title for check in columns)
    return Section(
        "sanity",
        "Sanity checks of the attribution maps",
        [
            Text(
                f"The maps of agfnet explain were tested on {results['cases']:,} lesions. A method "
                "fails if"
            ),
            Bullets([f"{check.title}: {check.text}." for check in CHECKS.values()]),
            Table("Sanity checks", ("Method", *titles, "Gain over chance\n95 % interval"), rows),
            Text(
                "The first three are rank correlations: the first two should be below "
                f"{results['limits']['same']:g}, the third above it.",
                "soft",
            ),
        ],
    )
