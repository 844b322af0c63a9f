"""Sections on attribution maps, from focus.json and sanity.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.pages.blocks import Bullets, Section, Table, Text
from agfnet.report.wording import cell, span
from agfnet.translation import display_name, t, translate_filled

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
            f"{t(title)}\n{t(text)}",
            *(cell(measures[key], percent=True) for measures in modalities.values()),
        )
        for key, (title, text) in MEASURES.items()
    ]
    counts = t(", ").join(f"{part['n']:,} {display_name(n)}" for n, part in modalities.items())
    text = (
        "Attribution of the predicted class ({method}), on lesions with masks: {counts}. "
        "Attribution outside the lesion may indicate a shortcut, or the surrounding skin that a "
        "dermatologist also looks at: see the cases below."
    )
    title = t("Attribution on the lesion")
    return Section(
        "focus",
        title,
        [
            Text(t(text, method=t(results["method"]), counts=counts)),
            Table(title, (t("Measure"), *map(display_name, modalities)), rows),
            *(
                Text(t("Excluded: {names}.", names=translate_filled(part)), "soft")
                for part in results["left_out"]
            ),
        ],
    )


def sanity(results: Mapping[str, Any] | None) -> Section | None:
    """Reliability of the maps of `agfnet explain` for this network."""
    if not results:
        return None
    columns = [name for name in CHECKS if name != "order"]
    fails = t(" (fails)")
    rows = [
        (
            t(METHODS[name].title) + ("\n" + t("Do not rely on it") if row["failed"] else ""),
            *(f"{row[check]:.2f}" + fails * (check in row["failed"]) for check in columns),
            span(row["order"]["low"], row["order"]["high"], percent=False)
            + fails * ("order" in row["failed"]),
        )
        for name, row in results["methods"].items()
        if name in METHODS
    ]
    titles = (t(CHECKS[check].title) for check in columns)
    gain = f"{t('Gain over chance')}\n{t('95 % interval')}"
    text = "The maps of agfnet explain were tested on {count} lesions. A method fails if"
    limits = (
        "The first three are rank correlations: the first two should be below {limit}, the third "
        "above it."
    )
    return Section(
        "sanity",
        t("Sanity checks of the attribution maps"),
        [
            Text(t(text, count=f"{results['cases']:,}")),
            Bullets(
                [
                    t("{title}: {text}.", title=t(check.title), text=t(check.text))
                    for check in CHECKS.values()
                ]
            ),
            Table(t("Sanity checks"), (t("Method"), *titles, gain), rows),
            Text(t(limits, limit=f"{results['limits']['same']:g}"), "soft"),
        ],
    )
