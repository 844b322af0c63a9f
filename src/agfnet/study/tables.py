"""Tables of a study for readers: verdicts, values, differences and ranks of a section."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agfnet.metrics.seeds import MIN_NETWORKS
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.wording import MEANINGS
from agfnet.study.results import SAME, Cell, Section

DASH = "—"
BEST = "best"
WORDS = {"within noise": "inconclusive", "": "not tested"}
"""Verdicts of a cell that a table words differently."""
Mark = tuple[int, int]  # row and column of a table


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table for readers: a row for each method, a column for each metric.

    All lines of a cell after the first are set in a smaller font if possible.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    marks: Mapping[Mark, str] = field(default_factory=dict)
    """Row and column of a cell to `best`, `better` or `worse`."""
    words: bool = False
    """The cells hold words, which may be broken, so that more columns fit."""

    def parts(self, columns: int, rows: int | None = None) -> Iterator[Grid]:
        """Divide the table so that each part fits on a page; the first column is repeated.

        Args:
            columns: Maximum number of metrics of a part.
            rows: Maximum number of rows of a part; unlimited if None.
        """
        for low, high in chunks(len(self.rows), rows or len(self.rows)):
            for start, stop in chunks(len(self.head) - 1, columns):
                kept = [0, *range(1 + start, 1 + stop)]
                yield Grid(
                    title=self.title,
                    head=tuple(self.head[i] for i in kept),
                    rows=tuple(tuple(row[i] for i in kept) for row in self.rows[low:high]),
                    note=self.note,
                    marks={
                        (row - low, column - start): mark
                        for (row, column), mark in self.marks.items()
                        if low <= row < high and start < column <= stop
                    },
                    words=self.words,
                )


def chunks(count: int, largest: int) -> Iterator[tuple[int, int]]:
    """Return start and end of nearly equal parts of at most `largest` items."""
    number = max(1, math.ceil(count / largest)) if largest else 1
    for part in range(number):
        yield count * part // number, count * (part + 1) // number


def grids(section: Section) -> list[Grid]:
    """Return the tables of verdicts, values, differences from the reference, and tested ranks."""
    if len(section.methods) < 2:
        return [_values(section)]
    tables = [_verdicts(section), _values(section), _differences(section)]
    return [*tables, _ranks(section)] if section.friedman else tables


def metric_title(metric: str) -> str:
    """Name of a metric in words."""
    return MEANINGS[metric].title if metric in MEANINGS else metric


def metric_header(metric: str) -> str:
    """Short name of a metric with its better direction, such as `ECE ↓`."""
    words, _, abbreviation = metric_title(metric).rstrip(")").partition(" (")
    name = abbreviation if abbreviation.isupper() else words
    return f"{name} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def format_number(value: float, *, signed: bool = False) -> str:
    """Format a number with three decimals; a dash where undefined."""
    if not math.isfinite(value):
        return DASH
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def format_p(p: float) -> str:
    """Format a p value."""
    if not math.isfinite(p):
        return f"p {DASH}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def count(number: int, noun: str) -> str:
    """Format a number of things."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def seeds_note(section: Section) -> str:
    """State the population for which the intervals hold."""
    counts = {cell.seeds for cell in section.cells.values()}
    patients = f"{section.patients} patients, {section.cases} cases"
    if counts <= {1} and section.networks >= MIN_NETWORKS:
        return (
            f"{patients}; one seed and {section.folds} folds: the intervals hold for new patients "
            "and networks trained on others of the patients."
        )
    if counts <= {1}:
        return (
            f"{patients}; one seed: the intervals hold for new patients and these trained "
            "networks, not for networks trained with other seeds."
        )
    text = f"{patients}; the intervals hold for new patients and new seeds."
    if section.networks < MIN_NETWORKS:
        text += f" p for new seeds needs {MIN_NETWORKS} networks of each method."
    if len(counts) > 1:
        text += " Not all seeds of all methods are finished."
    return text


def _table(
    section: Section,
    methods: Sequence[str],
    text_of: Callable[[Cell], str],
    *,
    title: str,
    note: str,
    mark_of: Callable[[Cell], str] = lambda _: "",
    words: bool = False,
) -> Grid:
    """Make a table of texts of cells, each with its mark; a dash without a finished seed."""
    cells = section.cells
    rows = []
    marks = {}
    for row, method in enumerate(methods):
        texts = [section.display(method)]
        for column, metric in enumerate(section.metrics, start=1):
            cell = cells.get((method, metric))
            texts.append(DASH if cell is None else text_of(cell))
            if cell is not None and (mark := mark_of(cell)):
                marks[row, column] = mark
        rows.append(tuple(texts))
    head = ("Method", *map(metric_header, section.metrics))
    return Grid(title=title, head=head, rows=tuple(rows), note=note, marks=marks, words=words)


def _others(section: Section) -> list[str]:
    return [method for method in section.methods if method != section.reference]


def _verdicts(section: Section) -> Grid:
    def text_of(cell: Cell) -> str:
        if not math.isfinite(cell.difference):
            return DASH
        word = WORDS.get(cell.verdict, cell.verdict)
        return f"{word}\n{format_number(cell.difference, signed=True)}"

    return _table(
        section,
        _others(section),
        text_of,
        title=f"Comparison with {section.display(section.reference)}",
        note="The number is the difference. Better or worse: p, adjusted for the number of methods "
        f"(Holm), is below 0.05. {_rope_note(section)}Inconclusive: neither a difference nor its "
        f"absence is shown; the interval tells which differences are excluded.{_no_p(section)}",
        mark_of=lambda cell: cell.verdict if cell.verdict in ("better", "worse") else "",
        words=True,
    )


def _values(section: Section) -> Grid:
    def text_of(cell: Cell) -> str:
        spread = f" ± {cell.sd:.3f}" if math.isfinite(cell.sd) else ""
        value = f"{format_number(cell.value)}{spread}"
        if not math.isfinite(cell.low):  # for instance where all cases are correct
            return value
        return f"{value}\n{format_number(cell.low)} to {format_number(cell.high)}"

    best = dict(_best(section, section.metrics)) if len(section.methods) > 1 else {}
    note = "Mean over seeds ± standard deviation over single runs; below, the 95 % interval. "
    if best:
        note += "Bold: the best value, which need not differ significantly from others. "
    return _table(
        section,
        section.methods,
        text_of,
        title="Results",
        note=note + seeds_note(section),
        mark_of=lambda cell: BEST if format_number(cell.value) == best.get(cell.metric) else "",
    )


def _best(section: Section, metrics: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return each metric with its best value as shown, which several methods may have."""
    for metric in metrics:
        cells = [section.cells.get((method, metric)) for method in section.methods]
        values = [cell.value for cell in cells if cell is not None and math.isfinite(cell.value)]
        if values:
            yield metric, format_number((min if metric in LOWER_IS_BETTER else max)(values))


def _differences(section: Section) -> Grid:
    def text_of(cell: Cell) -> str:
        if not math.isfinite(cell.difference):
            return DASH
        difference, low, high = (
            format_number(number, signed=True)
            for number in (cell.difference, cell.difference_low, cell.difference_high)
        )
        return f"{difference}\n{low} to {high}\n{format_p(cell.p_holm)}"

    return _table(
        section,
        _others(section),
        text_of,
        title=f"Differences from {section.display(section.reference)}",
        note="On the same cases and seeds, with the 95 % interval. p is adjusted for the number of "
        "methods (Holm); the interval is not. An adjusted p of 0.05 or more does not prove that "
        "there is no difference.",
    )


def _rope_note(section: Section) -> str:
    if not section.rope:
        return ""
    if len(set(section.rope.values())) == 1:
        margin = f"{next(iter(section.rope.values())):g}"
    else:
        margin = ", ".join(f"{metric_title(m)} {value:g}" for m, value in section.rope.items())
    return (
        f"{SAME.capitalize()}: a difference of the margin ({margin}) or more is excluded, with an "
        "adjusted p below 0.05. "
    )


def _no_p(section: Section) -> str:
    if section.networks >= MIN_NETWORKS:
        return ""
    return (
        f" Not tested: fewer than {MIN_NETWORKS} networks of each method, which cannot tell how "
        "much they vary."
    )


def _ranks(section: Section) -> Grid:
    ranks = _table(
        section,
        section.methods,
        lambda cell: format_number(cell.rank),
        title="Average ranks",
        note=f"Over the {section.runs} independent runs that every method has; 1 is the best.",
    )
    friedman = tuple(format_p(section.friedman[metric]) for metric in section.metrics)
    rows = (*ranks.rows, ("Friedman test", *friedman))
    return Grid(title=ranks.title, head=ranks.head, rows=rows, note=ranks.note)
