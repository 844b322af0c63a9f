"""report.html: the page of an evaluation, a summary first, then a section for each result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agfnet.evaluation.network_warnings import read_history
from agfnet.evaluation.overlap import overlap_sentence
from agfnet.evaluation.run import Evaluation
from agfnet.inference.predictions import Predictions
from agfnet.network_description import display_names
from agfnet.pages.blocks import (
    Block,
    Bullets,
    KeyFigure,
    KeyFigures,
    Section,
    Table,
    Text,
    page,
)
from agfnet.report.attribution import focus, sanity
from agfnet.report.cases import Example, cases_section, choose_examples, example
from agfnet.report.certainty import certainty
from agfnet.report.checklists import checklists
from agfnet.report.description import facts, optimal_accuracy
from agfnet.report.discrimination import classes, confusions, group
from agfnet.report.learning import learning
from agfnet.report.robustness import robustness
from agfnet.report.subgroups import subgroups
from agfnet.report.wording import (
    FEW_LESIONS,
    MEANINGS,
    UNLISTED,
    Meaning,
    decisions,
    number,
    span,
    summary,
)
from agfnet.translation import display_name, in_language, joined, listed, t, translate_filled

KEY_METRICS = ("accuracy", "balanced_accuracy", "macro_auc", "ece")
OPTIONAL = {
    "robustness.json": "robustness to image corruption (--robustness)",
    "focus.json": "attribution on the lesion, which needs lesion masks",
    "subgroups.json": "subgroups, which need further columns in the table",
}
"""What a report can show besides, by result file."""


def evaluation_page(evaluation: Evaluation) -> str:
    """Return the report of an evaluation as HTML, in the language of its settings."""
    inputs, predictions = evaluation.inputs, evaluation.predictions
    examples = [
        example(predictions, row, inputs.cases[row], inputs.predictor)
        for row in choose_examples(predictions, inputs.config.examples)
    ]
    labels = inputs.predictor.bundle.config.labels
    best = optimal_accuracy(inputs.table.path, inputs.table.modalities, inputs.split, labels)
    language = inputs.config.language
    with in_language(language, display_names(inputs.predictor.bundle.config, language)):
        return report_page(
            title=f"{Path(inputs.config.run).name}: {inputs.name}",
            predictions=predictions,
            results=evaluation.results,
            context=context(evaluation),
            facts=facts(evaluation),
            optimal_accuracy=best,
            examples=examples,
            warnings=[
                joined(map(translate_filled, (each.message, each.cure))).replace("`", "")
                for each in inputs.warnings
            ],
            history=read_history(Path(inputs.config.run)),
        )


def context(evaluation: Evaluation) -> dict[str, object]:
    """Properties of the run and its data, name to value."""
    inputs = evaluation.inputs
    bundle = inputs.predictor.bundle
    return {
        t("Network"): bundle.config.network,
        t("Backbone"): bundle.config.model.backbone.name,
        t("Modalities"): listed(bundle.config.modalities),
        t("Image size"): f"{bundle.config.size} px",
        t("Table"): inputs.table.path.name,
        t("Split"): t(inputs.split) if inputs.split else t("all cases"),
        t("Excluded (labels that the network does not know)"): inputs.excluded,
        t("Lesions used in training or validation"): t("unknown, its table cannot be read")
        if evaluation.overlap is None
        else evaluation.overlap["lesions"],
        t("Temperature"): f"{bundle.calibration.temperature:.3g}",
        "agfnet": bundle.config.agfnet,
    }


def report_page(
    *,
    title: str,
    predictions: Predictions,
    results: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, object] | None = None,
    facts: Mapping[str, str] | None = None,
    optimal_accuracy: float | None = None,
    examples: Sequence[Example] = (),
    warnings: Sequence[str] = (),
    history: Sequence[Mapping[str, float]] = (),
) -> str:
    """Return a report as HTML, without scripts and without anything loaded from outside.

    Args:
        title: heading of the page.
        predictions: the table; unlabelled rows are shown but not scored.
        results: content of the result files by file name: metrics.json, and those of classes.json,
            subgroups.json, malignant.json, robustness.json, focus.json, sanity.json that exist.
        context: properties of run and data, name to value, listed near the end.
        facts: sentences for the reporting checklists (see `agfnet.report.description`).
        optimal_accuracy: Bayes-optimal accuracy where known.
        examples: cases to show.
        warnings: about the network, shown on top.
        history: rows of history.csv, one for each epoch of the training.
    """
    metrics = results["metrics.json"]
    lead = _lead(predictions, metrics, optimal_accuracy, warnings)
    gallery = cases_section(predictions.classes, examples)
    if len(predictions.labelled()):
        sections = [
            confusions(predictions),
            classes(predictions, results.get("classes.json")),
            group(results.get("malignant.json")),
            certainty(predictions, metrics),
            subgroups(results.get("subgroups.json")),
            robustness(results.get("robustness.json")),
            focus(results.get("focus.json")),
            sanity(results.get("sanity.json")),
            gallery,
            _metrics(metrics, optimal_accuracy),
        ]
    else:
        sections = [_predictions(predictions), gallery]
    sections += [
        learning(history),
        _limitations(predictions, results),
        _context(predictions, context or {}),
        checklists(facts or {}),
    ]
    return page(title, lead, sections)


def _lead(
    predictions: Predictions,
    metrics: Mapping[str, Any],
    optimal_accuracy: float | None,
    warnings: Sequence[str],
) -> list[Block]:
    first, *more = summary(predictions, metrics, optimal_accuracy)
    label = t("Warning:")
    lead: list[Block] = [Text(first, "lead")]
    if "training_overlap" in metrics:
        lead.append(Text(overlap_sentence(metrics["training_overlap"]), label=label))
    images = map(translate_filled, metrics.get("warnings", ()))
    lead += [Text(text, label=label) for text in (*images, *warnings)]
    lead += [Text(joined(texts)) for texts in (more, decisions(metrics)) if texts]
    figures = []
    for name in KEY_METRICS:
        if name in metrics:
            metric, percent = metrics[name], MEANINGS[name].percent
            value = number(metric["value"], percent=percent)
            interval = span(metric["low"], metric["high"], percent=percent)
            figures.append(KeyFigure(t(MEANINGS[name].title), value, interval))
    return [*lead, KeyFigures(figures)] if figures else lead


def _metrics(metrics: Mapping[str, Any], optimal_accuracy: float | None) -> Section:
    rows = []
    for name in dict.fromkeys([*MEANINGS, *metrics]):
        if name not in metrics or name in UNLISTED:
            continue
        title, percent, text = MEANINGS.get(name, Meaning(name, False, ""))
        title, texts, metric = t(title), [t(text)], metrics[name]
        if name == "accuracy" and optimal_accuracy is not None:
            best = number(optimal_accuracy, percent=True)
            texts.append(t("The best possible here is {accuracy}.", accuracy=best))
        interval = span(metric["low"], metric["high"], percent=percent)
        value = number(metric["value"], percent=percent)
        rows.append((f"{title}\n{joined(texts)}", f"{value}\n{interval}"))
    return Section(
        "numbers",
        t("All metrics"),
        [
            Table(t("Metrics"), (t("Metric"), f"{t('Value')}\n{t('95 % interval')}"), rows),
            Text(t("Intervals: bootstrap over patients, each with all their lesions."), "soft"),
        ],
    )


def _predictions(predictions: Predictions) -> Section:
    count = Counter(predictions.predicted)
    rows = [(display_name(name), f"{count[name]:,}") for name in predictions.classes]
    title = t("Predictions")
    return Section("answers", title, [Table(title, (t("Class"), t("Lesions")), rows)])


def _limitations(predictions: Predictions, results: Mapping[str, Any]) -> Section:
    cases = predictions.labelled()
    texts = [
        t(
            "The results hold for patients, devices and clinical practice like those of this "
            "table. This report says nothing about other places, or whether a doctor decides "
            "better with the network."
        ),
        t("Every label of the table is taken as the truth."),
        t("The network knows only its classes: any other lesion is assigned to one of them."),
    ]
    if len(cases):
        texts.append(
            t(
                "The intervals are not corrected for multiple comparisons: one in twenty is "
                "expected not to contain the true value."
            )
        )
        counts = Counter(cases.label)
        if few := [name for name in cases.classes if counts[name] < FEW_LESIONS]:
            text = "Classes with fewer than {count} lesions cannot be judged: {names}."
            texts.append(t(text, count=FEW_LESIONS, names=listed(few)))
        if absent := [name for name in cases.classes if not counts[name]]:
            text = "Averages over classes leave out those without a lesion in this table: {names}."
            texts.append(t(text, names=listed(absent)))
    not_measured = [t(text) for file, text in OPTIONAL.items() if file not in results]
    if len(cases) and not_measured:
        texts.append(t("Not measured here: {names}.", names=t("; ").join(not_measured)))
    return Section("limits", t("Limitations"), [Bullets(texts)])


def _context(predictions: Predictions, context: Mapping[str, object]) -> Section:
    properties: dict[str, object] = {
        t("Lesions"): f"{len(predictions):,}",
        t("Labelled lesions"): f"{len(predictions.labelled()):,}",
        t("Patients"): f"{len(set(predictions.patient_id)):,}",
        t("Classes"): len(predictions.classes),
    }
    rows = [(name, str(value)) for name, value in (properties | dict(context)).items()]
    title = t("Data and run")
    table = Table(title, (t("Property"), t("Value")), rows, words=True)
    return Section("data", title, [table])
