"""What was tried on the network: poor images (robustness.json) and covered parts (focus.json)."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.report.discrimination import cell
from agfnet.report.page import Section, drawing, table
from agfnet.report.plots_more import severity_curves
from agfnet.report.wording import number, span
from agfnet.robustness.conditions import FRAMES_LOST, MISMATCHED, MISSING
from agfnet.robustness.corruptions import CORRUPTIONS

TITLES = {
    name: corruption.title for found in CORRUPTIONS.values() for name, corruption in found.items()
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


def robustness(found: Mapping[str, Any] | None) -> Section | None:
    """Curves over severity for each modality, and a table of all conditions at their worst."""
    if not found:
        return None
    steps: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in found["conditions"]:
        steps.setdefault((row["modality"], row["corruption"]), []).append(row)
    figures = ""
    for modality in dict.fromkeys(name for name, _ in steps):
        panels = {
            TITLES[corruption]: [row["accuracy"] for row in rows]
            for (name, corruption), rows in steps.items()
            if name == modality and len(rows) > 1
        }
        if panels:
            heading = modality or "all views"
            figures += f"<h3>{escape(heading)}</h3>" + drawing(
                severity_curves(
                    panels,
                    found["clean"]["accuracy"],
                    "Accuracy",
                    f"Accuracy of poor images of {heading} by severity",
                ),
                "Accuracy at each severity, 0 being the images as they are (dotted). Bands: 95 % "
                "intervals." + (" The other views stay as they are." if modality else ""),
                wide=len(panels) > 1,
            )
    rows = [("As they are", *_cells(found["clean"]), "", "")]
    for (modality, corruption), conditions in steps.items():
        worst = conditions[-1]
        name = f"{modality or 'all views'}: {TITLES[corruption]}"
        seen = cell(worst["detection_auroc"], percent=False) if "detection_auroc" in worst else "—"
        rows.append((name, *_cells(worst), cell(worst["accuracy_drop"], percent=True), seen))
    return Section(
        "robustness",
        "How it bears poor images",
        f"<p>{escape(_told(found))}</p>"
        + figures
        + "<h3>At the worst</h3>"
        + table(
            "Robustness",
            (
                "Condition, at severity 5",
                *(t for t, _ in MEASURES.values()),
                "Accuracy lost",
                "Noticed (AUROC)",
            ),
            rows,
        )
        + '<p class="soft">Noticed: the chance that such a lesion has a higher out-of-distribution '
        "score than one as it is. 0.5: the score does not see the change; 1: always.</p>",
    )


def _cells(found: Mapping[str, Any]) -> list[str]:
    return [cell(found[key], percent=percent) for key, (_, percent) in MEASURES.items()]


def _told(found: Mapping[str, Any]) -> str:
    means = found["means"]
    increase = means["corruption_error_increase"]
    texts = [
        f"Tried on the {found['n']:,} labelled lesions that have every view. Over all corruptions "
        "and severities the network was wrong in "
        f"{number(means['corruption_error']['value'], percent=True)}, where it is wrong in "
        f"{number(1 - found['clean']['accuracy']['value'], percent=True)} of the images as they "
        f"are: {100 * increase['value']:.1f} points more (95 % interval "
        f"{span(increase['low'], increase['high'], percent=True)})."
    ]
    if "mean_corruption_error" in means:
        mce, relative = (
            means[name] for name in ("mean_corruption_error", "relative_mean_corruption_error")
        )
        texts.append(
            "Against the reference run, mean corruption error is "
            f"{number(mce['value'], percent=True)} "
            f"({span(mce['low'], mce['high'], percent=True)}), and relative mean corruption error "
            f"{number(relative['value'], percent=True)} "
            f"({span(relative['low'], relative['high'], percent=True)}): below 100 % is better "
            "than the reference, whose errors are taken as fixed."
        )
    return " ".join(texts)


FOCUS = {
    "relevance_mass_accuracy": (
        "Evidence inside the lesion",
        "Share of all evidence that lies in the lesion mask.",
    ),
    "lesion_area": (
        "Lesion's share of the image",
        "What evidence scattered at random would have inside.",
    ),
    "pointing_game": (
        "Strongest evidence inside",
        "In so many lesions the strongest point is in the mask.",
    ),
    "deletion": (
        "Deletion area",
        "Mean probability of the answer while pixels are covered, strongest evidence first. Lower "
        "means that the evidence is what the answer rests on.",
    ),
    "insertion": (
        "Insertion area",
        "The same while pixels are uncovered, strongest evidence first. Higher means that the "
        "evidence is enough for the answer.",
    ),
}


def focus(found: Mapping[str, Any] | None) -> Section | None:
    """Where the evidence lies, per modality, beside what chance would give."""
    if not found:
        return None
    names = list(found["modalities"])
    rows = [
        (
            f"{title}\n{text}",
            *(cell(found["modalities"][name][key], percent=True) for name in names),
        )
        for key, (title, text) in FOCUS.items()
    ]
    counts = ", ".join(f"{found['modalities'][name]['n']:,} {name}" for name in names)
    left_out = "".join(
        f'<p class="soft">Left out: {escape(text)}.</p>' for text in found["left_out"]
    )
    return Section(
        "focus",
        "Whether it looks at the lesion",
        f"<p>Evidence is what speaks for the answer ({escape(found['method'])}), on lesions with "
        f"masks: {escape(counts)}. Much evidence outside the lesion may be a shortcut, or the "
        "skin around it that a dermatologist looks at too: see the cases below.</p>"
        + table("Focus", ("Measure", *names), rows)
        + left_out,
    )


def sanity(found: Mapping[str, Any] | None) -> Section | None:
    """Which maps of `agfnet explain` can be relied on for this network."""
    if not found:
        return None
    columns = [name for name in CHECKS if name != "order"]
    rows = [
        (
            METHODS[name].title + ("\nDo not rely on it" if row["failed"] else ""),
            *(f"{row[check]:.2f}" + " (fails)" * (check in row["failed"]) for check in columns),
            span(row["order"]["low"], row["order"]["high"], percent=False)
            + " (fails)" * ("order" in row["failed"]),
        )
        for name, row in found["methods"].items()
        if name in METHODS
    ]
    texts = "".join(
        f"<li>{escape(check.title)}: {escape(check.text)}.</li>" for check in CHECKS.values()
    )
    return Section(
        "sanity",
        "Which maps can be relied on",
        f"<p>Maps of <code>agfnet explain</code>, put to the test on {found['cases']:,} lesions. "
        f"A method fails if</p><ul>{texts}</ul>"
        + table(
            "Sanity checks",
            ("Method", *(CHECKS[c].title for c in columns), "Gain over chance\n95 % interval"),
            rows,
        )
        + '<p class="soft">The first three are rank correlations: the first two should be below '
        f"{found['limits']['same']:g}, the third above it.</p>",
    )
