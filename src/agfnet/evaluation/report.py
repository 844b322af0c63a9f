"""The report: one self-contained HTML page that a clinician and a statistician can both read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.evaluation import plots
from agfnet.evaluation.examples import KINDS, Example, thumbnail
from agfnet.evaluation.metrics import class_auc, confusion, rates
from agfnet.evaluation.page import drawing, page, table
from agfnet.evaluation.wording import MEANINGS, UNLISTED, Meaning, number, span, summary
from agfnet.files import write_text
from agfnet.inference.predictions import Predictions


def write_report(
    path: str | Path,
    *,
    title: str,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    context: Mapping[str, object] | None = None,
    limits: Mapping[str, float] | None = None,
    examples: Sequence[Example] = (),
) -> None:
    """Write report.html: no script, nothing loaded from outside.

    Args:
        path: the file; it appears only when complete.
        title: heading of the page.
        predictions: the table, labelled or not; unlabelled rows are shown but not scored.
        metrics: the answer of `evaluate` on the same table.
        context: facts about run and data, name to value, listed at the end.
        limits: best reachable value of a metric where known, by its name in `metrics`.
        examples: cases to show, for instance those of `choose_examples`.
    """
    limits = limits or {}
    lead, *more = summary(predictions, metrics, limits.get("accuracy"))
    sections = [f'<p class="lead">{escape(lead)}</p>']
    if more:
        sections.append(f"<p>{escape(' '.join(more))}</p>")
    if len(predictions.labelled()):
        sections += [_metrics(metrics, limits), _per_class(predictions), _figures(predictions)]
    else:
        sections.append(_answers(predictions))
    sections += [_examples(predictions.classes, examples), _context(predictions, context or {})]
    write_text(Path(path), page(title, sections))


def _metrics(metrics: Mapping[str, Any], limits: Mapping[str, float]) -> str:
    rows = []
    for name in dict.fromkeys([*MEANINGS, *metrics]):
        if name not in metrics or name in UNLISTED:
            continue
        meaning = MEANINGS.get(name, Meaning(name, False, ""))
        found, percent = metrics[name], meaning.percent
        text = meaning.text
        if name in limits:
            text += f" The best reachable here is {number(limits[name], percent=percent)}."
        rows.append(
            (
                f"{meaning.title}\n{text}",
                number(found["value"], percent=percent)
                + "\n"
                + span(found["low"], found["high"], percent=percent),
            )
        )
    return (
        "<h2>The numbers</h2>"
        + table("Metrics", ("Metric", "Value\n95\u00a0% interval"), rows)
        + '<p class="soft">Intervals: bootstrap over patients, each with all their lesions.</p>'
    )


def _per_class(predictions: Predictions) -> str:
    cases = predictions.labelled()
    found = rates(confusion(cases.probabilities, cases.target))
    areas = class_auc(cases.probabilities, cases.target)

    def shown(value: float, percent: bool = True) -> str:
        return number(float(value) if np.isfinite(value) else None, percent=percent)

    rows = [
        (
            name,
            f"{found.cases[c]:,.0f}",
            shown(found.sensitivity[c]),
            shown(found.specificity[c]),
            shown(found.precision[c]),
            shown(areas[c], percent=False),
        )
        for c, name in enumerate(cases.classes)
    ]
    return (
        "<h2>Class by class</h2>"
        "<p>Sensitivity: of the lesions of the class, those found. Specificity: of all others, "
        "those not called so. PPV: of the lesions called so, those that were.</p>"
        + table(
            "Results per class",
            ("Class", "Lesions", "Sensitivity", "Specificity", "PPV", "AUC"),
            rows,
        )
    )


def _figures(predictions: Predictions) -> str:
    return (
        "<h2>What it confuses</h2>"
        + drawing(
            plots.confusion_matrix(predictions),
            "Each row is a true class: how many of its lesions got each answer, and what per cent "
            "of the row. Right answers lie on the diagonal.",
            wide=len(predictions.classes) > 6,
        )
        + "<h2>How far its answers can be trusted</h2>"
        + '<div class="figures">'
        + drawing(
            plots.reliability_diagram(predictions),
            "Stated confidence against the share that was right, with 95 % intervals. On the "
            "dotted line the two agree. Below: how many cases had that confidence.",
        )
        + drawing(
            plots.risk_coverage(predictions),
            "Errors left when the least confident cases are set aside for a person to judge. The "
            "steeper it falls to the left, the better the network knows when it does not know.",
        )
        + (
            drawing(
                plots.roc_curves(predictions),
                "Cases of a class found against false alarms, for every threshold. Guessing gives "
                "the dotted line.",
            )
            if len(set(predictions.labelled().label)) > 1
            else ""
        )
        + "</div>"
    )


def _answers(predictions: Predictions) -> str:
    count = Counter(predictions.predicted)
    rows = [(name, f"{count[name]:,}") for name in predictions.classes]
    return "<h2>The answers</h2>" + table("Answers", ("Class", "Lesions"), rows)


def _examples(classes: Sequence[str], examples: Sequence[Example]) -> str:
    groups = [
        f"<h3>{heading}</h3>"
        + '<div class="cases">'
        + "".join(_case(classes, example) for example in examples if example.kind == kind)
        + "</div>"
        for kind, heading in KINDS.items()
        if any(example.kind == kind for example in examples)
    ]
    return "<h2>Cases</h2>" + "".join(groups) if groups else ""


def _case(classes: Sequence[str], example: Example) -> str:
    images = "".join(
        f'<figure><img src="{thumbnail(pixels)}" '
        f'alt="{escape(f"{modality} of lesion {example.lesion_id}")}">'
        f"<figcaption>{escape(modality)}</figcaption></figure>"
        for modality, pixels in example.images.items()
    )
    top = np.argsort(-example.probabilities, kind="stable")[:3]
    bars = "".join(
        f"<span>{escape(classes[c])}</span><span>{100 * example.probabilities[c]:.0f} %</span>"
        f'<i style="width: {100 * example.probabilities[c]:.1f}%"></i>'
        for c in top
    )
    return (
        f'<article class="case"><div class="images">{images}</div>'
        f"<p><strong>{escape(example.lesion_id)}</strong></p>"
        f"<p>Truth: {escape(example.label) or 'unknown'}</p>"
        f"<p>Answer: {escape(example.predicted)}</p>"
        f'<div class="bars">{bars}</div></article>'
    )


def _context(predictions: Predictions, context: Mapping[str, object]) -> str:
    facts: dict[str, object] = {
        "Lesions": f"{len(predictions):,}",
        "Labelled lesions": f"{len(predictions.labelled()):,}",
        "Patients": f"{len(set(predictions.patient_id)):,}",
        "Classes": len(predictions.classes),
    }
    rows = [(name, str(value)) for name, value in (facts | dict(context)).items()]
    listed = table("Data and run", ("Fact", "Value"), rows)
    return f'<section class="facts"><h2>Data and run</h2>{listed}</section>'
