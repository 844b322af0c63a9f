"""Formats of the tables of a study: Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agfnet import NOTICE
from agfnet.files import write_json, write_text
from agfnet.study.results import Cell, Section
from agfnet.study.settings import slug
from agfnet.study.tables import BEST, Grid, grids

METRICS_ABREAST = 3  # columns of numbers that fit on A4 and into a text column of 120 mm
VERDICTS_ABREAST = 6  # columns of words
LATEX_WORDS = 4  # columns of words in LaTeX
LATEX_ROWS = 14  # rows that fit on a page in LaTeX


def write_tables(section: Section, folder: Path) -> list[Path]:
    """Write the Markdown, LaTeX, CSV and JSON files of a section; return their paths."""
    name = file_name(section)
    tables = grids(section)
    write_text(folder / f"{name}.md", markdown(section.title, tables))
    write_text(folder / f"{name}.tex", latex(section.title, tables, name))
    write_text(folder / f"{name}.csv", as_csv(section))
    write_json(folder / f"{name}.json", as_json(section))
    return [folder / f"{name}.{kind}" for kind in ("md", "tex", "csv", "json")]


def file_name(section: Section) -> str:
    """File name of a section, without extension."""
    return "-".join(filter(None, [slug(section.setting), slug(section.table)]))


def pages(grid: Grid) -> list[Grid]:
    """Divide a table into parts that fit on a screen of 1280 pixels and on A4."""
    return list(grid.parts(VERDICTS_ABREAST if grid.words else METRICS_ABREAST))


def markdown(heading: str, tables: Sequence[Grid]) -> str:
    """Format tables as Markdown."""
    parts = [f"# {heading}", f"> {NOTICE}"]
    for table in tables:
        parts += [f"## {table.title}", *map(_markdown_table, pages(table)), table.note]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Grid) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", "<br>") for c in cells) + " |"

    def bold(cell: str) -> str:
        first, newline, more = cell.partition("\n")
        return f"**{first}**{newline}{more}"

    rows = [
        row([bold(c) if table.marks.get((i, j)) == BEST else c for j, c in enumerate(cells)])
        for i, cells in enumerate(table.rows)
    ]
    return "\n".join([row(table.head), "|" + "---|" * len(table.head), *rows])


LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "—": "---",
    "\u2013": "--",
    "…": r"\ldots{}",
    "\u00a0": "~",
    "\u2212": "$-$",
}


def latex(condition: str, tables: Sequence[Grid], name: str) -> str:
    """Format tables as LaTeX, in parts that fit into the text of a page.

    Args:
        condition: What all the tables show; part of their captions.
        tables: The tables.
        name: Prefix of the labels.
    """
    parts = [f"% {NOTICE}\n% Needs \\usepackage{{array,booktabs}}."]
    number = 0
    for table in tables:
        columns = LATEX_WORDS if table.words else METRICS_ABREAST
        for part, grid in enumerate(table.parts(columns, LATEX_ROWS)):
            number += 1
            note = f"{grid.note} {NOTICE}" if part == 0 else "Continued."
            caption = f"{grid.title}: {condition}. {note}"
            parts.append(
                "\\begin{table}\n\\centering\\footnotesize\n"
                f"\\caption{{{escape(caption)}}}\n\\label{{tab:{name}-{number}}}\n"
                f"{latex_tabular(grid)}\n\\end{{table}}"
            )
    return "\n\n".join(parts) + "\n"


def latex_tabular(grid: Grid) -> str:
    """Format a table as a `tabular` that is as wide as the text."""
    columns = len(grid.head) - 1
    first = max(0.2, 0.4 - 0.04 * columns)
    width = (0.97 - first) / columns - 0.035  # 0.035: twice \tabcolsep, in 121 mm of text
    align = "\\raggedright" if grid.words else "\\raggedleft"
    lines = [
        " & ".join(_latex_cell(c, grid.marks.get((i, j), "")) for j, c in enumerate(cells)) + r" \\"
        for i, cells in enumerate(grid.rows)
    ]
    return (
        f"\\begin{{tabular}}{{@{{}}>{{\\raggedright\\arraybackslash}}p{{{first:.3f}\\linewidth}}"
        f"*{{{columns}}}{{>{{{align}\\arraybackslash}}p{{{width:.3f}\\linewidth}}}}@{{}}}}\n"
        "\\toprule\n"
        + " & ".join(map(escape, grid.head))
        + " \\\\\n\\midrule\n"
        + "\n\\addlinespace[2pt]\n".join(lines)
        + "\n\\bottomrule\n\\end{tabular}"
    )


def _latex_cell(text: str, mark: str) -> str:
    first, *more = map(escape, text.splitlines() or [""])
    small = "".join(rf"\newline{{\scriptsize {line}}}" for line in more)
    return (rf"\textbf{{{first}}}" if mark == BEST else first) + small


def escape(text: str) -> str:
    """Escape the characters that are special in LaTeX."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text)


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
