"""Write the tables, figures and report of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agfnet.files import write_text
from agfnet.pages.blocks import Block, Figure, Heading, Table, Text, page
from agfnet.pages.blocks import Section as Part
from agfnet.study import plots
from agfnet.study.formats import file_name, pages, write_tables
from agfnet.study.plan import Study
from agfnet.study.results import Progress, Section, sections
from agfnet.study.settings import slug
from agfnet.study.tables import Grid, grids, seeds_note

REPORT = "report.html"
TABLES = "tables"


def write_study(
    study: Study, unfinished: Sequence[str], *, progress: Progress | None = None
) -> Path:
    """Write `tables/` and `report.html` in the study's folder, from the finished runs.

    Args:
        study: The study.
        unfinished: Names of the runs that are missing from the results.
        progress: Called with the number of finished tables and their total.

    Returns:
        Path of the report.
    """
    folder = study.out / TABLES
    results = [section for section in sections(study, progress=progress) if section.cells]
    parts = [_part(section, folder) for section in results]
    for name, drawn in learning_curves(study, results).items():
        write_text(folder / f"{name}.svg", drawn)
        caption = "Mean over seeds; bands are 95 % intervals over new patients and new seeds."
        parts.insert(0, Part(name, "Learning curves", [Figure(drawn, caption, wide=True)]))
    parts.append(_how(study))
    path = study.out / REPORT
    write_text(path, page(study.title, _lead(study, results, unfinished), parts))
    return path


def learning_curves(study: Study, results: Sequence[Section]) -> dict[str, str]:
    """Draw learning curves, by file name, if settings differ in the fraction of patients."""
    fractions = {
        setting: float(change.get("data.train_fraction") or 1.0)
        for setting, change in study.file.settings.items()
        if set(change) <= {"data.train_fraction"}
    }
    drawn = {}
    for name in dict.fromkeys(section.table for section in results):
        curve = [s for s in results if s.table == name and s.setting in fractions]
        if len({fractions[section.setting] for section in curve}) > 1:
            drawn[f"learning-curves-{slug(name)}"] = plots.learning_curves(fractions, curve)
    return drawn


def _lead(study: Study, results: Sequence[Section], unfinished: Sequence[str]) -> list[Block]:
    if not results:
        return [Text("No run is finished yet.", "lead")]
    methods = _count(len(study.methods), "method")
    lead: list[Block] = [
        Text(f"{methods}, compared with {results[0].display(study.reference)}.", "lead"),
        Text(seeds_note(results[0])),
    ]
    if unfinished:
        count = f"{_count(len(unfinished), 'run')} of {len(study.runs)}"
        label = f"{count} not finished and missing from these results:"
        lead.append(Text(", ".join(unfinished), label=label))
    return lead


def _part(section: Section, folder: Path) -> Part:
    name = file_name(section)
    write_tables(section, folder)
    blocks = [block for grid in grids(section) for block in _grid(grid)]
    if len(section.methods) > 1:
        drawn = plots.differences(section)
        write_text(folder / f"{name}-differences.svg", drawn)
        caption = (
            f"Difference from {section.display(section.reference)}, 95 % intervals. Triangles: "
            "significantly better or worse after Holm's correction; grey dots: inconclusive; grey "
            "squares: practically the same."
        )
        blocks.append(Figure(drawn, caption, wide=len(section.metrics) > 2))
    if ranks := plots.critical_differences(section):
        write_text(folder / f"{name}-ranks.svg", ranks)
        caption = (
            "Average ranks over independent runs, 1 is best. Nemenyi's test finds no difference "
            "between methods under one bar."
        )
        blocks.append(Figure(ranks, caption))
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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
