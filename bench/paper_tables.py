"""Write tables and reports of studies without stored predictions again from their JSON.

    python bench/paper_tables.py

The predictions of this phantom study are not in the repository. Its JSON is sufficient:
each seed has a separate cohort, so that tests and intervals need only the values of the seeds. p
of a difference is Student's paired test over seeds, at least the p for the trained networks (in
these files from a permutation of patients), with Holm's adjustment; the interval of a value is
Student's on the logit scale. Ranks and Friedman's test are left out: they need eight runs.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from shutil import copy, copytree, rmtree
from typing import Any

from agfnet.metrics.paired import holm
from agfnet.metrics.seeds import Part, SeedMean
from agfnet.study.plan import Study, read_study
from agfnet.study.report import REPORT, TABLES, write_study
from agfnet.study.results import HIGHEST, Cell, Section

PAPER = Path(__file__).parents[1] / "paper"
STUDIES = ("robustness",)


def section(study: Study, content: dict[str, Any]) -> Section:
    """Return a section of a study from its JSON."""
    names = {field.name for field in fields(Cell)}
    rows = [
        Cell(**{n: math.nan if v is None else v for n, v in row.items() if n in names})
        for row in content["rows"]
    ]
    cells = {}
    for metric in study.file.metrics:
        column = [_present(cell) for cell in rows if cell.metric == metric]
        adjusted = holm([cell.p for cell in column])
        for cell, p in zip(column, adjusted, strict=True):
            cells[cell.method, metric] = replace(cell, p_holm=float(p))
    return Section(
        setting=content["setting"],
        table=content["table"],
        reference=study.reference,
        methods=study.methods,
        metrics=tuple(study.file.metrics),
        cells=cells,
        friedman={},
        runs=content["ranked_runs"],
        patients=content["patients"],
        cases=content["cases"],
        names=study.file.names,
    )


def _present(cell: Cell) -> Cell:
    """Return a cell with the statistics of the present program."""
    part = Part(cell.sd**2 / cell.seeds, cell.seeds - 1)
    mean = SeedMean(value=cell.value, seeds=cell.seeds, patients=part, bounds=((part,),))
    interval = mean.interval_in_range(high=HIGHEST.get(cell.metric, 1.0))
    p = max(cell.p, cell.p_networks) if math.isfinite(cell.p) else cell.p
    return replace(cell, low=interval.low, high=interval.high, p=p)


def main() -> None:
    """Write the tables of all studies."""
    for name in STUDIES:
        study = read_study(PAPER / f"{name}.yaml")
        assert study.file.cohort_per_seed, name
        folder = PAPER / "results" / name
        contents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        order = {setting: number for number, setting in enumerate(study.settings)}
        contents.sort(key=lambda each: (order[each["setting"]], each["table"] != "test"))
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary)
            shown = replace(study, file=replace(study.file, out=str(out)))
            write_study(shown, [section(study, each) for each in contents], {})
            rmtree(folder)
            copytree(out / TABLES, folder)
            copy(out / REPORT, folder / REPORT)
        print(f"{folder}: {len(contents)} tables")


if __name__ == "__main__":
    main()
