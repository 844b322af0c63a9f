"""compare.html: two runs on the same lesions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.explain.show.overlay import thumbnail
from agfnet.files import write_text
from agfnet.inference import wording
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.page import Section, drawing, key_figures, page, table
from agfnet.report.plots import short
from agfnet.report.plots_more import Panel, forest
from agfnet.report.wording import FEW_LESIONS, MEANINGS, number, span

OWN_SCALE = {"nll", "brier"}  # neither a share nor an area: not in the figure


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A lesion that only one of the two named correctly."""

    lesion_id: str
    label: str
    answers: tuple[str, str]
    confidence: tuple[float, float]
    right: int  # 0 or 1: which of the two
    images: Mapping[str, NDArray[np.uint8]]  # (H, W, 3) each


def write_comparison(
    path: Path,
    *,
    names: tuple[str, str],
    evaluation: str,
    found: Mapping[str, Any],
    cases: Sequence[Disagreement],
) -> None:
    """Write compare.html, as self-contained as a report.

    Args:
        path: the file.
        names: of the two runs.
        evaluation: name of the results that are compared.
        found: the answer of `compare`.
        cases: to show.
    """
    lead = f'<p class="lead">{escape(_verdict(names, found))}</p><p>{escape(_base(found))}</p>'
    lead += key_figures(
        [
            (
                f"{MEANINGS[name].title}, difference",
                *_difference(found["metrics"][name], percent=MEANINGS[name].percent),
            )
            for name in ("accuracy", "balanced_accuracy", "macro_auc", "ece")
        ]
    )
    sections = [
        _differences(names, found),
        _right(names, found["right"]),
        _classes(names, found["classes"]),
        _gallery(names, cases),
    ]
    title = f"{names[0]} against {names[1]}: {evaluation}"
    write_text(path, page(title, lead, [section for section in sections if section]))


def _verdict(names: tuple[str, str], found: Mapping[str, Any]) -> str:
    a, b = (found["metrics"]["accuracy"][key]["value"] for key in ("a", "b"))
    difference = found["metrics"]["accuracy"]["difference"]
    low, high = difference["low"], difference["high"]
    if low is None or low <= 0 <= high:
        said = "These lesions do not tell which of the two is better"
    else:
        said = f"{names[0] if low > 0 else names[1]} is better beyond chance"
    return (
        f"Of {found['n']:,} lesions, {names[0]} named {number(a, percent=True)} correctly and "
        f"{names[1]} {number(b, percent=True)}: a difference of "
        f"{number(difference['value'], percent=True, sign=True)} "
        f"(95 % interval {span(low, high, percent=True, sign=True)}). {said}."
    )


def _base(found: Mapping[str, Any]) -> str:
    text = f"Compared on the {found['n']:,} labelled lesions ({found['patients']:,} patients) that "
    text += "both have judged."
    if found["only_a"] or found["only_b"]:
        text += (
            f" Left out, since only one of them judged them: {found['only_a']:,} of the first and "
            f"{found['only_b']:,} of the second."
        )
    return (
        text + " This is about these two networks: another training of the same methods may end "
        "otherwise."
    )


def _differences(names: tuple[str, str], found: Mapping[str, Any]) -> Section:
    metrics = found["metrics"]
    drawn = [name for name in metrics if name not in OWN_SCALE]
    titles = [
        MEANINGS[name].title + (" (lower is better)" if name in LOWER_IS_BETTER else "")
        for name in drawn
    ]
    panel = Panel(
        textwrap.fill(f"{short(names[0])} minus {short(names[1])}, points", 44),
        [metrics[name]["difference"] for name in drawn],
        percent=True,
        line=0.0,
    )
    rows = []
    for name, row in metrics.items():
        percent = MEANINGS[name].percent
        lower = "\nlower is better" if name in LOWER_IS_BETTER else ""
        difference = row["difference"]
        rows.append(
            (
                MEANINGS[name].title + lower,
                number(row["a"]["value"], percent=percent),
                number(row["b"]["value"], percent=percent),
                "\n".join(_difference(row, percent=percent)),
                _p(difference["p"]),
                _p(difference["p_holm"]),
            )
        )
    area = found["macro_auc_delong"]
    return Section(
        "differences",
        "Differences",
        drawing(
            forest(titles, [panel], "Difference of each metric with its interval"),
            "Differences with 95 % intervals, from the same resamples of patients for both. An "
            "interval that meets the dotted line is compatible with no difference.",
            wide=True,
        )
        + table("Metrics", ("Metric", *names, "Difference\n95 % interval", "p", "p (Holm)"), rows)
        + '<p class="soft">p: of no difference, two-sided, from the bootstrap; Holm: adjusted for '
        f"the {len(rows)} metrics. Mean AUC after DeLong, patients as clusters: "
        f"{number(area['value'], percent=False, sign=True)} "
        f"({span(area['low'], area['high'], percent=False, sign=True)}), p {_p(area['p'])}.</p>",
    )


def _right(names: tuple[str, str], found: Mapping[str, Any]) -> Section:
    a, b = names
    rows = [
        (f"{a} right", f"{found['both']:,}", f"{found['only_a']:,}"),
        (f"{a} wrong", f"{found['only_b']:,}", f"{found['neither']:,}"),
    ]
    return Section(
        "right",
        "Who is right where",
        table("Who is right where", ("Lesions", f"{b} right", f"{b} wrong"), rows)
        + "<p>Only the lesions on which one is right and the other wrong tell the two apart: "
        f"{found['only_a']:,} against {found['only_b']:,}. p of no difference: "
        f"{_p(found['permutation'])} when patients are exchanged at random; {_p(found['mcnemar'])} "
        "by McNemar's exact test, which takes lesions of a patient as independent.</p>",
    )


def _classes(names: tuple[str, str], found: Mapping[str, Any]) -> Section:
    shown = {"sensitivity": ("Sensitivity", True), "auc": ("AUC", False)}
    panels = [
        Panel(title, [row[key]["difference"] for row in found.values()], percent, line=0.0)
        for key, (title, percent) in shown.items()
    ]
    few = [row["n"] < FEW_LESIONS for row in found.values()]
    rows = []
    for name, row in found.items():
        cells = [f"{row['n']:,}"]
        for key, (_, percent) in shown.items():
            part = row[key]
            cells += [
                number(part["a"], percent=percent),
                number(part["b"], percent=percent),
                "\n".join(_difference(part, percent=percent)),
            ]
        rows.append((name, *cells))
    head = [f"{title}\n{which}" for title, _ in shown.values() for which in (*names, "difference")]
    return Section(
        "classes",
        "Class by class",
        drawing(
            forest(list(found), panels, "Difference of each class", faint=few),
            f"{names[0]} minus {names[1]}, with 95 % intervals (sensitivity: bootstrap over "
            f"patients; AUC: DeLong, patients as clusters). Grey: under {FEW_LESIONS} lesions.",
            wide=True,
        )
        + table("Classes", ("Class", "Lesions", *head), rows),
    )


def _gallery(names: tuple[str, str], cases: Sequence[Disagreement]) -> Section | None:
    groups = [
        f"<h3>Only {escape(name)} is right</h3>"
        + '<div class="cases">'
        + "".join(_case(names, case) for case in cases if case.right == side)
        + "</div>"
        for side, name in enumerate(names)
        if any(case.right == side for case in cases)
    ]
    if not groups:
        return None
    text = "<p>The other one's surest mistakes first.</p>"
    return Section("cases", "Cases on which they differ", text + "".join(groups))


def _case(names: tuple[str, str], case: Disagreement) -> str:
    images = "".join(
        f'<figure><img src="{thumbnail(pixels)}" '
        f'alt="{escape(f"{modality} of lesion {case.lesion_id}")}">'
        f"<figcaption>{escape(modality)}</figcaption></figure>"
        for modality, pixels in case.images.items()
    )
    answers = "".join(
        f"<p>{escape(name)}: {escape(answer)} ({wording.percent(confidence)})</p>"
        for name, answer, confidence in zip(names, case.answers, case.confidence, strict=True)
    )
    return (
        f'<article class="case"><div class="images">{images}</div>'
        f"<p><strong>{escape(case.lesion_id)}</strong></p>"
        f"<p>Truth: {escape(case.label)}</p>{answers}</article>"
    )


def _difference(found: Mapping[str, Any], *, percent: bool) -> tuple[str, str]:
    """The difference and its interval."""
    value, low, high = (found["difference"][key] for key in ("value", "low", "high"))
    return (
        number(value, percent=percent, sign=True),
        span(low, high, percent=percent, sign=True),
    )


def _p(value: float | None) -> str:
    if value is None:
        return "—"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
