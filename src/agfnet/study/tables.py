"""The tables of a study as text: Markdown, LaTeX, CSV and JSON, one set per setting and table."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agfnet import NOTICE
from agfnet.files import write_json, write_text
from agfnet.metrics.summary import LOWER_IS_BETTER
from agfnet.report.wording import MEANINGS
from agfnet.study.collect import Cell, Section
from agfnet.study.plan import slug

DASH = "—"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table to be read; the second line of a cell is set smaller where that is possible."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def grids(section: Section) -> list[Grid]:
    """Values, differences from the reference, and ranks."""
    found = [_values(section)]
    if len(section.methods) > 1:
        found += [_differences(section), _ranks(section)]
    return found


def verdicts(section: Section) -> list[str]:
    """What the differences say, one sentence per metric."""
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
            parts.append(
                f"not told apart from {section.reference} (within noise): {', '.join(noise)}"
            )
        if parts:
            sentences.append(f"{title(metric)}: {'; '.join(parts)}.")
    return sentences


def title(metric: str) -> str:
    """A metric in words."""
    return MEANINGS[metric].title if metric in MEANINGS else metric


def headed(metric: str) -> str:
    """A metric in few words, with the better direction: `ECE ↓`."""
    words, _, more = title(metric).rstrip(")").partition(" (")
    return f"{more if more.isupper() else words} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def figure(value: float, *, signed: bool = False) -> str:
    """A number in three decimals; a dash where undefined."""
    if not math.isfinite(value):
        return DASH
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def p_value(p: float) -> str:
    """A p in words."""
    if not math.isfinite(p):
        return f"p {DASH}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def seeds_note(section: Section) -> str:
    """What chance the intervals speak of."""
    counts = {cell.seeds for cell in section.cells.values()}
    patients = f"{section.patients} patients, {section.cases} cases"
    if counts <= {1}:
        return (
            f"{patients}; one seed: the intervals hold for new patients and these very networks, "
            "not for networks trained anew."
        )
    text = f"{patients}; the intervals hold for new patients and new seeds."
    if len(counts) > 1:
        text += " Not all seeds of all methods are finished."
    return text


def write_tables(section: Section, folder: Path) -> list[Path]:
    """Write NAME.md, .tex, .csv and .json of a section."""
    name = file_name(section)
    tables = grids(section)
    write_text(folder / f"{name}.md", markdown(section.title, tables, verdicts(section)))
    write_text(folder / f"{name}.tex", latex(tables, name))
    write_text(folder / f"{name}.csv", as_csv(section))
    write_json(folder / f"{name}.json", as_json(section))
    return [folder / f"{name}.{kind}" for kind in ("md", "tex", "csv", "json")]


def file_name(section: Section) -> str:
    """Name of a section's files."""
    return "-".join(filter(None, [slug(section.setting), slug(section.table)]))


def markdown(heading: str, tables: Sequence[Grid], sentences: Sequence[str]) -> str:
    """The tables of a section for a README or a wiki."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", "<br>") for c in cells) + " |"

    parts = [f"# {heading}", f"> {NOTICE}"]
    for one in tables:
        rules = "|" + "---|" * len(one.head)
        lines = "\n".join([row(one.head), rules, *map(row, one.rows)])
        parts += [f"## {one.title}", lines, one.note]
    if sentences:
        parts += ["## In words", "\n".join(f"- {sentence}" for sentence in sentences)]
    return "\n\n".join(parts) + "\n"


LATEX = {
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
    """The tables of a section for a paper, no wider than its text."""
    parts = [f"% {NOTICE}\n% Needs \\usepackage{{booktabs,graphicx}}."]
    for number, one in enumerate(tables, start=1):
        lines = [" & ".join(map(_latex_cell, row)) + r" \\" for row in one.rows]
        rows = "\n\\addlinespace\n".join(lines)
        parts.append(
            "\\begin{table}\n\\centering\\footnotesize\n"
            f"\\caption{{{escape(one.title)}. {escape(one.note)} {escape(NOTICE)}}}\n"
            f"\\label{{tab:{name}-{number}}}\n"
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{"
            f"\\begin{{tabular}}{{l{'r' * (len(one.head) - 1)}}}\n\\toprule\n"
            + " & ".join(_latex_cell(text.replace(" ", "\n", 1)) for text in one.head)
            + f" \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}"
        )
    return "\n\n".join(parts) + "\n"


def _latex_cell(text: str) -> str:
    first, *more = map(escape, text.replace(", p ", "\np ").splitlines())
    small = "".join(rf"\\{{\scriptsize {line}}}" for line in more)
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{first}{small}\end{{tabular}}" if more else first


def escape(text: str) -> str:
    """Text that LaTeX sets as it is."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "\u2212", text)
    return "".join(LATEX.get(letter, letter) for letter in text).replace("\u2212", "$-$")


def as_csv(section: Section) -> str:
    """One row per method and metric."""
    text = io.StringIO()
    rows = [_flat(cell) for cell in section.cells.values()]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(section: Section) -> dict[str, Any]:
    """All numbers of a section."""
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


def _values(section: Section) -> Grid:
    def shown(cell: Cell | None) -> str:
        if cell is None:
            return DASH
        spread = f" ± {cell.sd:.3f}" if math.isfinite(cell.sd) else ""
        return f"{figure(cell.value)}{spread}\n{figure(cell.low)} to {figure(cell.high)}"

    return Grid(
        title=f"Results: {section.title}",
        head=("Method", *map(headed, section.metrics)),
        rows=tuple(
            (method, *(shown(section.cells.get((method, metric))) for metric in section.metrics))
            for method in section.methods
        ),
        note="Mean over seeds ± standard deviation over single runs; below, the 95 % interval. "
        + seeds_note(section),
    )


def _differences(section: Section) -> Grid:
    def shown(cell: Cell | None) -> str:
        if cell is None or not math.isfinite(cell.difference):
            return DASH
        low, high = (figure(x, signed=True) for x in (cell.difference_low, cell.difference_high))
        told = f", {cell.verdict}" if cell.verdict in ("better", "worse") else ""
        return (
            f"{figure(cell.difference, signed=True)}{told}\n{low} to {high}, {p_value(cell.p_holm)}"
        )

    return Grid(
        title=f"Difference from {section.reference}: {section.title}",
        head=("Method", *map(headed, section.metrics)),
        rows=tuple(
            (method, *(shown(section.cells.get((method, metric))) for metric in section.metrics))
            for method in section.methods
            if method != section.reference
        ),
        note="On the same cases and seeds, with the 95 % interval; p is adjusted for all methods "
        "of a column (Holm), the interval is not. A difference is within noise unless the adjusted "
        "p is below 0.05: that is no proof that there is none.",
    )


def _ranks(section: Section) -> Grid:
    rows = [
        (
            method,
            *(
                figure(cell.rank) if (cell := section.cells.get((method, metric))) else DASH
                for metric in section.metrics
            ),
        )
        for method in section.methods
    ]
    friedman = tuple(p_value(section.friedman[metric]) for metric in section.metrics)
    return Grid(
        title=f"Average ranks: {section.title}",
        head=("Method", *map(headed, section.metrics)),
        rows=(*rows, ("Friedman test", *friedman)),
        note=f"Over {section.runs} runs that every method has, 1 is best. The test takes the runs "
        "as independent; those that share patients are not, so read it as a description.",
    )
