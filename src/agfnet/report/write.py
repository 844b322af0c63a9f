"""The whole report: plain words first, then what they rest on, a part of a page each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from agfnet.files import write_text
from agfnet.inference.predictions import Predictions
from agfnet.report.certainty import certainty
from agfnet.report.checklists import checklists
from agfnet.report.discrimination import classes, confusions, group
from agfnet.report.examples import Example
from agfnet.report.gallery import gallery
from agfnet.report.page import Section, key_figures, page, table
from agfnet.report.subgroups import subgroups
from agfnet.report.trials import focus, robustness, sanity
from agfnet.report.wording import (
    MEANINGS,
    UNLISTED,
    Meaning,
    decisions,
    number,
    span,
    summary,
)

KEY = ("accuracy", "balanced_accuracy", "macro_auc", "ece")


def write_report(
    path: str | Path,
    *,
    title: str,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]] | None = None,
    context: Mapping[str, object] | None = None,
    facts: Mapping[str, str] | None = None,
    limits: Mapping[str, float] | None = None,
    examples: Sequence[Example] = (),
) -> None:
    """Write report.html: no script, nothing loaded from outside.

    Args:
        path: the file; it appears only when complete.
        title: heading of the page.
        predictions: the table, labelled or not; unlabelled rows are shown but not scored.
        metrics: the content of metrics.json for the same table.
        results: the content of the other files beside it, by file name, as far as they were made:
            classes.json, subgroups.json, malignant.json, robustness.json, focus.json, sanity.json.
        context: facts about run and data, name to value, listed near the end.
        facts: what is known for the reporting checklists (see `evaluation.facts`).
        limits: best reachable value of a metric where known, by its name in `metrics`.
        examples: cases to show, for instance those of `choose_examples`.
    """
    results, limits = results or {}, limits or {}
    said = summary(predictions, metrics, limits.get("accuracy"))
    paragraphs = [said[0], " ".join(said[1:]), " ".join(decisions(metrics))]
    lead = "".join(
        f"<p{attribute}>{escape(text)}</p>"
        for text, attribute in zip(paragraphs, (' class="lead"', "", ""), strict=True)
        if text
    )
    sections: list[Section | None] = []
    if len(predictions.labelled()):
        lead += key_figures(_key_figures(metrics))
        sections += [
            confusions(predictions),
            classes(predictions, results.get("classes.json")),
            group(results.get("malignant.json")),
            certainty(predictions, metrics),
            subgroups(results.get("subgroups.json")),
            robustness(results.get("robustness.json")),
            focus(results.get("focus.json")),
            sanity(results.get("sanity.json")),
        ]
    else:
        sections.append(_answers(predictions))
    sections.append(gallery(predictions.classes, examples))
    if len(predictions.labelled()):
        sections.append(_metrics(metrics, limits))
    sections += [
        _limitations(predictions, results),
        _context(predictions, context or {}),
        checklists(facts or {}),
    ]
    write_text(Path(path), page(title, lead, [section for section in sections if section]))


def _key_figures(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Title, value and interval of the numbers that most readers look for."""
    return [
        (
            MEANINGS[name].title,
            number(metrics[name]["value"], percent=MEANINGS[name].percent),
            span(metrics[name]["low"], metrics[name]["high"], percent=MEANINGS[name].percent),
        )
        for name in KEY
        if name in metrics
    ]


def _metrics(metrics: Mapping[str, Any], limits: Mapping[str, float]) -> Section:
    rows = []
    for name in dict.fromkeys([*MEANINGS, *metrics]):
        if name not in metrics or name in UNLISTED:
            continue
        meaning = MEANINGS.get(name, Meaning(name, False, ""))
        found, percent = metrics[name], meaning.percent
        text = meaning.text
        if name in limits:
            text += f" The best reachable here is {number(limits[name], percent=percent)}."
        interval = span(found["low"], found["high"], percent=percent)
        rows.append(
            (f"{meaning.title}\n{text}", number(found["value"], percent=percent) + "\n" + interval)
        )
    return Section(
        "numbers",
        "All numbers",
        table("Metrics", ("Metric", "Value\n95\u00a0% interval"), rows)
        + '<p class="soft">Intervals: bootstrap over patients, each with all their lesions.</p>',
    )


def _answers(predictions: Predictions) -> Section:
    count = Counter(predictions.predicted)
    rows = [(name, f"{count[name]:,}") for name in predictions.classes]
    return Section("answers", "The answers", table("Answers", ("Class", "Lesions"), rows))


def _limitations(predictions: Predictions, results: Mapping[str, Mapping[str, Any]]) -> Section:
    cases = predictions.labelled()
    few = sorted(name for name, count in Counter(cases.label).items() if count < 20)
    texts = [
        "The numbers hold for patients, devices and habits like those of this table. Nothing here "
        "says how the network does elsewhere, or whether a person does better with it.",
        "Every label of the table is taken as the truth.",
        "The network knows only its own classes: a lesion of another kind gets one of their names.",
    ]
    if len(cases):
        texts.append(
            "No interval is corrected for how many there are: of twenty, one is expected to miss."
        )
    if few:
        texts.append(f"Fewer than 20 lesions, so hardly judged: {', '.join(few)}.")
    untried = [
        name
        for file, name in {
            "robustness.json": "robustness to poor images (--robustness)",
            "focus.json": "focus, which needs lesion masks",
            "subgroups.json": "subgroups, which need further columns in the table",
        }.items()
        if file not in results
    ]
    if len(cases) and untried:
        texts.append(f"Not measured here: {'; '.join(untried)}.")
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return Section("limits", "What this report cannot say", f"<ul>{items}</ul>")


def _context(predictions: Predictions, context: Mapping[str, object]) -> Section:
    facts: dict[str, object] = {
        "Lesions": f"{len(predictions):,}",
        "Labelled lesions": f"{len(predictions.labelled()):,}",
        "Patients": f"{len(set(predictions.patient_id)):,}",
        "Classes": len(predictions.classes),
    }
    rows = [(name, str(value)) for name, value in (facts | dict(context)).items()]
    return Section(
        "data", "Data and run", table("Data and run", ("Fact", "Value"), rows, words=True)
    )
