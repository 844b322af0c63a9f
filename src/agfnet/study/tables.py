"""Tables of a study as text: Markdown, LaTeX, CSV and JSON, one set per setting and table."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agfnet import NOTICE
from agfnet.files import write_json, write_text
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.wording import MEANINGS
from agfnet.study.results import Cell, Section
from agfnet.study.settings import slug

DASH = "—"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table for readers; the second line of a cell is set in a smaller font if possible."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def grids(section: Section) -> list[Grid]:
    """Return the tables of values, of differences from the reference, and of ranks."""
    tables = [_values(section)]
    if len(section.methods) > 1:
        tables += [_differences(section), _ranks(section)]
    return tables


def verdicts(section: Section) -> list[str]:
    """Summarise the differences, one sentence per metric."""
    sentences = []
    for metric in section.metrics:
        groups: dict[str, list[str]] = {}
        for method in section.methods:
            if (cell := section.cells.get((method, metric))) and cell.verdict:
                groups.setdefault(cell.verdict, []).append(method)
        parts = [
            f"{word} than {section.reference}: {', '.join(groups[word])}"
            for word in ("better", "worse")
            if word in groups
        ]
        if noise := groups.get("within noise"):
            parts.append(f"no significant difference from {section.reference}: {', '.join(noise)}")
        if parts:
            sentences.append(f"{metric_title(metric)}: {'; '.join(parts)}.")
    return sentences


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


def seeds_note(section: Section) -> str:
    """State the population for which the intervals hold."""
    counts = {cell.seeds for cell in section.cells.values()}
    patients = f"{section.patients} patients, {section.cases} cases"
    if counts <= {1}:
        return (
            f"{patients}; one seed: the intervals hold for new patients and these trained "
            "networks, not for networks trained with other seeds."
        )
    text = f"{patients}; the intervals hold for new patients and new seeds."
    if len(counts) > 1:
        text += " Not all seeds of all methods are finished."
    return text


def write_tables(section: Section, folder: Path) -> list[Path]:
    """Write the Markdown, LaTeX, CSV and JSON files of a section; return their paths."""
    name = file_name(section)
    tables = grids(section)
    write_text(folder / f"{name}.md", markdown(section.title, tables, verdicts(section)))
    write_text(folder / f"{name}.tex", latex(tables, name))
    write_text(folder / f"{name}.csv", as_csv(section))
    write_json(folder / f"{name}.json", as_json(section))
    return [folder / f"{name}.{kind}" for kind in ("md", "tex", "csv", "json")]


def file_name(section: Section) -> str:
    """File name of a section, without extension."""
    return "-".join(filter(None, [slug(section.setting), slug(section.table)]))


def markdown(heading: str, tables: Sequence[Grid], sentences: Sequence[str]) -> str:
    """Format the tables of a section as Markdown."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", "<br>") for c in cells) + " |"

    parts = [f"# {heading}", f"> {NOTICE}"]
    for table in tables:
        rules = "|" + "---|" * len(table.head)
        lines = "\n".join([row(table.head), rules, *map(row, table.rows)])
        parts += [f"## {table.title}", lines, table.note]
    if sentences:
        parts += ["## Summary", "\n".join(f"- {sentence}" for sentence in sentences)]
    return "\n\n".join(parts) + "\n"


LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "—": "---",
    "\u00a0": "~",
}


def latex(tables: Sequence[Grid], name: str) -> str:
    """Format the tables of a section as LaTeX, no wider than the text of the page."""
    parts = [f"% {NOTICE}\n% Needs \\usepackage{{booktabs,graphicx}}."]
    for number, table in enumerate(tables, start=1):
        lines = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
        rows = "\n\\addlinespace\n".join(lines)
        parts.append(
            "\\begin{table}\n\\centering\\footnotesize\n"
            f"\\caption{{{escape(table.title)}. {escape(table.note)} {escape(NOTICE)}}}\n"
            f"\\label{{tab:{name}-{number}}}\n"
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{"
            f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}\n\\toprule\n"
            + " & ".join(_latex_cell(text.replace(" ", "\n", 1)) for text in table.head)
            + f" \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}"
        )
    return "\n\n".join(parts) + "\n"


def _latex_cell(text: str) -> str:
    first, *more = map(escape, text.replace(", p ", "\np ").splitlines())
    small = "".join(rf"\\{{\scriptsize {line}}}" for line in more)
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{first}{small}\end{{tabular}}" if more else first


def escape(text: str) -> str:
    """Escape the characters that are special in LaTeX."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text).replace("\u2212", "$-$")


def as_csv(section: Section) -> str:
    """Format a section as CSV, one row per method and metric."""
    text = io.StringIO()
    rows = [_flat(cell) for cell in section.cells.values()]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(section: Section) -> dict[str, Any]:
    """Return all numbers of a section as JSON values."""
    return {
        "note": NOTICE,
        "setting": section.setting,
        "table": section.table,
        "reference": section.reference,
        "patients": section.patients,
        "cases": section.cases,
        "ranked_runs": section.runs,
        "friedman_p": {name: _finite(p) for name, p in section.friedman.items()},
        "rows": [_flat(cell) for cell in section.cells.values()],
    }


def _flat(cell: Cell) -> dict[str, Any]:
    return {name: _finite(value) for name, value in asdict(cell).items()} | {
        "verdict": cell.verdict
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(
    section: Section, methods: Iterable[str], text_of: Callable[[Cell], str]
) -> tuple[tuple[str, ...], ...]:
    """Return one row per method, with a text for each metric; a dash without a finished seed."""
    cells = section.cells
    return tuple(
        (method, *(text_of(c) if (c := cells.get((method, m))) else DASH for m in section.metrics))
        for method in methods
    )


def _header(section: Section) -> tuple[str, ...]:
    return ("Method", *map(metric_header, section.metrics))


def _values(section: Section) -> Grid:
    def text_of(cell: Cell) -> str:
        spread = f" ± {cell.sd:.3f}" if math.isfinite(cell.sd) else ""
        value = f"{format_number(cell.value)}{spread}"
        if not math.isfinite(cell.low):  # for instance where all cases are correct
            return value
        return f"{value}\n{format_number(cell.low)} to {format_number(cell.high)}"

    return Grid(
        title=f"Results: {section.title}",
        head=_header(section),
        rows=_rows(section, section.methods, text_of),
        note="Mean over seeds ± standard deviation over single runs; below, the 95 % interval. "
        + seeds_note(section),
    )


def _differences(section: Section) -> Grid:
    def text_of(cell: Cell) -> str:
        if not math.isfinite(cell.difference):
            return DASH
        difference, low, high = (
            format_number(number, signed=True)
            for number in (cell.difference, cell.difference_low, cell.difference_high)
        )
        verdict = f", {cell.verdict}" if cell.verdict in ("better", "worse") else ""
        return f"{difference}{verdict}\n{low} to {high}, {format_p(cell.p_holm)}"

    return Grid(
        title=f"Difference from {section.reference}: {section.title}",
        head=_header(section),
        rows=_rows(section, [m for m in section.methods if m != section.reference], text_of),
        note="On the same cases and seeds, with the 95 % interval. p is adjusted for the number of "
        "methods (Holm); the interval is not. A difference with an adjusted p of 0.05 or more is "
        "within noise, which does not prove that there is no difference.",
    )


def _ranks(section: Section) -> Grid:
    friedman = tuple(format_p(section.friedman[metric]) for metric in section.metrics)
    return Grid(
        title=f"Average ranks: {section.title}",
        head=_header(section),
        rows=(
            *_rows(section, section.methods, lambda cell: format_number(cell.rank)),
            ("Friedman test", *friedman),
        ),
        note=f"Over the {section.runs} runs that every method has; 1 is the best. The test assumes "
        "independent runs. Runs that share patients are not, so it is descriptive only.",
    )
