"""Write the report of a study with its tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from agfnet.files import write_bytes, write_text
from agfnet.pages.blocks import Block, Bullets, Figure, Heading, Table, Text, page
from agfnet.pages.blocks import Section as Part
from agfnet.report.plots.style import to_pdf, to_svg
from agfnet.study import plots
from agfnet.study.formats import file_name, pages, write_tables
from agfnet.study.plan import Study
from agfnet.study.results import Section
from agfnet.study.settings import slug, training_fractions
from agfnet.study.tables import Grid, count, grids, seeds_note

REPORT = "report.html"
TABLES = "tables"
FIGURES = "figures"


def write_study(study: Study, results: Sequence[Section], unfinished: Mapping[str, str]) -> Path:
    """Write `tables/`, `figures/` and `report.html` in the study's folder, from the finished runs.

    Args:
        study: The study.
        results: Its results, without sections that have none.
        unfinished: Names of the runs that are missing from the results, with the reason.

    Returns:
        Path of the report.
    """
    parts = [*_learning_curves(study, results)]
    parts += [_part(section, study.out) for section in results]
    parts.append(_how(study))
    path = study.out / REPORT
    write_text(path, page(study.title, _lead(study, results, unfinished), parts))
    return path


def _learning_curves(study: Study, results: Sequence[Section]) -> Iterator[Part]:
    """Draw learning curves of every table, if settings differ in the fraction of patients."""
    fractions = training_fractions(study.file.settings)
    for table in dict.fromkeys(section.table for section in results):
        curve = [s for s in results if s.table == table and s.setting in fractions]
        if len(curve) > 1:
            name = f"learning-curves-{slug(table)}"
            condition = curve[0].table_title
            figures = _figures(
                study.out / FIGURES,
                name,
                partial(plots.learning_curves, fractions, curve),
                label=f"Learning curves, {condition}: every metric by fraction of patients",
                caption="Mean over seeds, with 95 % intervals for new patients and new seeds. "
                "Methods at the same fraction are offset from each other.",
            )
            yield Part(name, f"Learning curves, {condition}", figures)


def _figures(
    folder: Path, name: str, draw: Callable[[int], list[Drawing]], *, label: str, caption: str
) -> list[Figure]:
    """Write a figure in both widths as SVG and PDF; return the wide one for the report.

    Args:
        folder: Where to write.
        name: Start of the file names.
        draw: Draws the figure in a width in mm, on one page or more.
        label: Sentence for those who cannot see the figure.
        caption: Text below the last page.
    """
    shown = []
    for width in (plots.ONE_COLUMN, plots.TWO_COLUMNS):
        for number, drawing in enumerate(draw(width), start=1):
            file = folder / "-".join([name, f"{width}mm", *([str(number)] if number > 1 else [])])
            svg = to_svg(drawing, label)
            write_text(file.with_suffix(".svg"), svg)
            write_bytes(file.with_suffix(".pdf"), to_pdf(drawing))
            if width == plots.TWO_COLUMNS:
                shown.append(Figure(svg, "", wide=True))
    return [*shown[:-1], *(replace(figure, caption=caption) for figure in shown[-1:])]


def _lead(study: Study, results: Sequence[Section], unfinished: Mapping[str, str]) -> list[Block]:
    if not results:
        return [Text("No run is finished yet.", "lead")]
    methods = count(len(study.methods), "method")
    lead: list[Block] = [
        Text(f"{methods}, compared with {results[0].display(study.reference)}.", "lead"),
        Text(seeds_note(results[0])),
    ]
    if unfinished:
        runs = f"{count(len(unfinished), 'run')} of {len(study.runs)}"
        lead.append(Text("", label=f"{runs} not finished and missing from these results:"))
        lead.append(Bullets([f"{name}: {reason}" for name, reason in unfinished.items()]))
    return lead


def _part(section: Section, folder: Path) -> Part:
    name = file_name(section)
    write_tables(section, folder / TABLES)
    blocks = [block for grid in grids(section) for block in _grid(grid)]
    reference = section.display(section.reference)
    if len(section.methods) > 1:
        blocks += _figures(
            folder / FIGURES,
            f"{name}-differences",
            partial(plots.differences, section),
            label=f"Differences from {reference} with 95 % intervals",
            caption=f"Difference from {reference}, with 95 % intervals. Better and worse: "
            "significantly so after Holm's correction.",
        )
    blocks += _figures(
        folder / FIGURES,
        f"{name}-ranks",
        partial(plots.critical_differences, section),
        label="Critical difference diagrams: average ranks of the methods",
        caption="Average ranks over independent runs, 1 is best. Nemenyi's test finds no "
        "difference between methods under one bar.",
    )
    return Part(name, section.title, blocks)


def _grid(grid: Grid) -> list[Block]:
    tables = [
        Table(grid.title, part.head, part.rows, words=part.words, even=True, marks=part.marks)
        for part in pages(grid)
    ]
    return [Heading(grid.title), *tables, Text(grid.note, "soft")]


def _how(study: Study) -> Part:
    rows = {
        "Study file": study.path.name,
        "Runs": str(len(study.runs)),
        "Seeds": ", ".join(map(str, study.file.seeds)),
        "Cohorts": "one per seed" if study.file.cohort_per_seed else "the same for all seeds",
        "Resamples": f"jackknife of patients, in at most {study.file.resamples} groups",
    }
    if study.file.folds is not None:
        rows["Folds"] = ", ".join(map(str, study.file.folds)) + " (pooled for each seed)"
    table = Table("Study", ("Setting", "Value"), list(rows.items()), words=True)
    return Part("how", "Design of the study", [table])
