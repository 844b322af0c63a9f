"""compare.html: two runs on the same lesions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from agfnet.bundle import read_bundle
from agfnet.config.renamed import run_settings
from agfnet.errors import AgfnetError
from agfnet.evaluation.compare_runs import Comparison, disagreements
from agfnet.evaluation.members import run_table
from agfnet.inference.percents import percent as percentage
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.pages.blocks import (
    Block,
    Card,
    CardImage,
    Cards,
    Figure,
    Heading,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    page,
)
from agfnet.report.cases import SIDE, card_images, first_images
from agfnet.report.plots.forest import Panel, forest
from agfnet.report.plots.style import short
from agfnet.report.wording import FEW_LESIONS, MEANINGS, UNDEFINED, number, span

Results = Mapping[str, Any]
Names = tuple[str, str]
SEPARATE_SCALE = {"nll", "brier"}  # neither a fraction nor an area: not in the figure
KEY_METRICS = ("accuracy", "balanced_accuracy", "macro_auc", "ece")
CLASS_MEASURES = {"sensitivity": ("Sensitivity", True), "auc": ("AUC", False)}


def comparison_page(comparison: Comparison) -> str:
    """Return compare.html, as self-contained as a report."""
    names, results = comparison.names, comparison.results
    figures = []
    for name in KEY_METRICS:
        title, percent, _ = MEANINGS[name]
        value, interval = _difference(results["metrics"][name], percent=percent)
        figures.append(KeyFigure(f"{title}, difference", value, interval))
    warnings = [Text(text, label="Warning:") for text in results["warnings"]]
    return page(
        f"{names[0]} against {names[1]}: {comparison.config.name}",
        [
            Text(_verdict(names, results), "lead"),
            *warnings,
            Text(_basis(results)),
            KeyFigures(figures),
        ],
        [
            _differences(names, results),
            _agreement(names, results["right"]),
            _classes(names, results["classes"]),
            _cases(comparison),
        ],
    )


def _verdict(names: Names, results: Results) -> str:
    accuracy = results["metrics"]["accuracy"]
    a, b = (number(accuracy[key]["value"], percent=True) for key in ("a", "b"))
    value, low, high = (accuracy["difference"][key] for key in ("value", "low", "high"))
    if low is None:
        verdict = "No interval is defined, so that chance is not excluded"
    elif low <= 0 <= high:
        verdict = "The difference is compatible with chance"
    else:
        verdict = f"{names[0] if low > 0 else names[1]} is better, beyond chance"
    return (
        f"Of {results['n']:,} lesions, {names[0]} classified {a} correctly and {names[1]} {b}: a "
        f"difference of {number(value, percent=True, sign=True)} (95 % interval "
        f"{span(low, high, percent=True, sign=True)}). {verdict}."
    )


def _basis(results: Results) -> str:
    text = (
        f"Compared on the {results['n']:,} labelled lesions ({results['patients']:,} patients) "
        "that both have classified."
    )
    if results["only_a"] or results["only_b"]:
        text += (
            f" Excluded, because only one of them classified them: {results['only_a']:,} of the "
            f"first and {results['only_b']:,} of the second."
        )
    return (
        text + " The result is about these two networks: another training of the same methods "
        "may give another result."
    )


def _differences(names: Names, results: Results) -> Section:
    metrics = results["metrics"]
    drawn = [name for name in metrics if name not in SEPARATE_SCALE]
    titles = [
        MEANINGS[name].title + " (lower is better)" * (name in LOWER_IS_BETTER) for name in drawn
    ]
    panel = Panel(
        title=textwrap.fill(f"{short(names[0])} minus {short(names[1])}, points", 44),
        intervals=[metrics[name]["difference"] for name in drawn],
        reference=0.0,
    )
    rows = []
    for name, row in metrics.items():
        title, percent, _ = MEANINGS[name]
        rows.append(
            (
                title + "\nlower is better" * (name in LOWER_IS_BETTER),
                number(row["a"]["value"], percent=percent),
                number(row["b"]["value"], percent=percent),
                "\n".join(_difference(row, percent=percent)),
                _p(row["difference"]["p"]),
                _p(row["difference"]["p_holm"]),
            )
        )
    area = results["macro_auc_delong"]
    return Section(
        "differences",
        "Differences",
        [
            Figure(
                forest(titles, [panel], "Difference of each metric with its interval"),
                "Differences with 95 % intervals, for other patients. "
                "An interval that crosses the dotted line is compatible with no difference.",
                wide=True,
            ),
            Table(
                "Metrics",
                ("Metric", *names, "Difference\n95 % interval", "p", "p (Holm)"),
                rows,
            ),
            Text(
                "p: two-sided, for no difference. Intervals of differences and p come from a "
                "jackknife of patients, with Student's t. "
                f"Holm: adjusted for the {len(rows)} metrics. Mean AUC by DeLong's method, "
                f"patients as clusters: {number(area['value'], percent=False, sign=True)} "
                f"({span(area['low'], area['high'], percent=False, sign=True)}), "
                f"p {_p(area['p'])}.",
                "soft",
            ),
        ],
    )


def _agreement(names: Names, counts: Results) -> Section:
    a, b = names
    rows = [
        (f"{a} correct", f"{counts['both']:,}", f"{counts['only_a']:,}"),
        (f"{a} wrong", f"{counts['only_b']:,}", f"{counts['neither']:,}"),
    ]
    return Section(
        "right",
        "Agreement of the two",
        [
            Table("Agreement", ("Lesions", f"{b} correct", f"{b} wrong"), rows),
            Text(
                "Only the lesions that one classified correctly and the other wrongly show a "
                f"difference: {counts['only_a']:,} against {counts['only_b']:,}. p for no "
                f"difference: {_p(counts['permutation'])} by a permutation of patients; "
                f"{_p(counts['mcnemar'])} by McNemar's exact test, which takes the lesions of a "
                "patient as independent."
            ),
        ],
    )


def _classes(names: Names, classes: Mapping[str, Results]) -> Section:
    kinds = ["few" if row["n"] < FEW_LESIONS else "" for row in classes.values()]
    panels = [
        Panel(
            title=title,
            intervals=[row[key]["difference"] for row in classes.values()],
            percent=percent,
            reference=0.0,
            kinds=kinds,
        )
        for key, (title, percent) in CLASS_MEASURES.items()
    ]
    rows = []
    for name, row in classes.items():
        cells = [f"{row['n']:,}"]
        for key, (_, percent) in CLASS_MEASURES.items():
            cells += [number(row[key][run], percent=percent) for run in ("a", "b")]
            cells.append("\n".join(_difference(row[key], percent=percent)))
        rows.append((name, *cells))
    head = [
        f"{title}\n{column}"
        for title, _ in CLASS_MEASURES.values()
        for column in (*names, "difference")
    ]
    return Section(
        "classes",
        "Class by class",
        [
            Figure(
                forest(list(classes), panels, "Difference of each class"),
                f"{names[0]} minus {names[1]}, with 95 % intervals (sensitivity: jackknife over "
                "patients; AUC: DeLong's method, patients as clusters). Grey: fewer than "
                f"{FEW_LESIONS} lesions.",
                wide=True,
            ),
            Table("Classes", ("Class", "Lesions", *head), rows),
        ],
    )


def _cases(comparison: Comparison) -> Section | None:
    """Lesions that only one run classified correctly, with the first image of each modality."""
    pair, names = comparison.pair, comparison.names
    shown = disagreements(pair)
    if not shown:
        return None
    images = _images(comparison, {pair.a.lesion_id[row] for _, row in shown})
    cards: dict[int, list[Card]] = {0: [], 1: []}
    for side, row in shown:
        lesion = pair.a.lesion_id[row]
        lines = [f"Label: {pair.a.label[row]}"]
        for name, table in zip(names, (pair.a, pair.b), strict=True):
            confidence = percentage(float(table.probabilities[row].max()))
            lines.append(f"{name}: {table.predicted[row]} ({confidence})")
        cards[side].append(Card(lesion, images.get(lesion, []), lines))
    blocks: list[Block] = [Text("The most confident mistakes of the other come first.")]
    for side, name in enumerate(names):
        if cards[side]:
            blocks += [Heading(f"Only {name} is correct"), Cards(cards[side])]
    return Section("cases", "Cases on which they differ", blocks)


def _images(comparison: Comparison, lesions: set[str]) -> dict[str, list[CardImage]]:
    """Images of lesions by modality, as either network sees them; those that can be read."""
    config = comparison.config
    images: dict[str, dict[str, CardImage]] = {}
    for run in (config.run_a, config.run_b):
        try:
            bundle = read_bundle(run).config
            for case in run_table(run_settings(run), config.cases, bundle):
                if case.lesion_id in lesions:
                    shown = images.setdefault(case.lesion_id, {})
                    pixels = first_images(case, bundle, side=SIDE)
                    for image in card_images(case.lesion_id, pixels):
                        shown.setdefault(image.caption, image)
        except (AgfnetError, OSError):
            continue  # the numbers need no images: they may have been moved since
    return {lesion: list(shown.values()) for lesion, shown in images.items()}


def _difference(row: Results, *, percent: bool) -> tuple[str, str]:
    """A difference and its interval."""
    value, low, high = (row["difference"][key] for key in ("value", "low", "high"))
    return (
        number(value, percent=percent, sign=True),
        span(low, high, percent=percent, sign=True),
    )


def _p(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
