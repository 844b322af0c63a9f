"""Export of a study as a folder for a paper: Table 1, methods, results, figures, checklists."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from agfnet import NOTICE
from agfnet.config import EvaluateConfig
from agfnet.evaluation.inputs import read_inputs
from agfnet.files import write_text
from agfnet.report.checklists import CHECKLISTS, Item
from agfnet.report.description import data_facts, model_facts
from agfnet.study.characteristics import Cohort, characteristics, read_cohort
from agfnet.study.executors.job import state
from agfnet.study.formats import escape, file_name, latex, markdown
from agfnet.study.methods_text import methods_text
from agfnet.study.plan import Study
from agfnet.study.report import FIGURES, TABLES
from agfnet.study.results import Section
from agfnet.study.tables import Grid, metric_title

AUTHORS = "To be answered by the authors."
README = """# {title}: material for a paper

> {notice}

| file | content |
|---|---|
| `paper.tex` | all of it in one document; compile it with `pdflatex paper.tex` |
| `table1.*` | patients and lesions by class, with age, sex and site |
| `methods.*` | data, training, statistics and software in sentences |
| `tables/` | results in LaTeX (needs array and booktabs), Markdown, CSV and JSON |
| `figures/` | figures as PDF and SVG, 88 and 180 mm wide |
| `checklists.*` | items of CLAIM and TRIPOD+AI that the study answers, and those for the authors |

Made by `agfnet study {file} --export`, from {finished} of {runs} runs. Read every
sentence before you use it: the program knows the settings and the records, not your study.
Letters of non-Latin scripts need another LaTeX engine (XeLaTeX or LuaLaTeX) and a font for them.
"""
PREAMBLE = r"""% NOTICE
\documentclass[a4paper]{article}
\usepackage[margin=15mm]{geometry}
\usepackage{array,booktabs,graphicx}
\title{TITLE}
\author{}
\begin{document}
\maketitle
"""


def write_paper(study: Study, results: Sequence[Section], folder: Path) -> Path:
    """Write the folder; its tables and figures are those of the study's folder.

    Args:
        study: The study.
        results: Sections whose tables and figures `write_study` has written.
        folder: Where to write; files of the same names are replaced.

    Returns:
        The folder.

    Raises:
        DataError: The cases table has problems.
    """
    cohort = read_cohort(study)
    table = characteristics(cohort)
    methods = methods_text(study, cohort, results)
    for name in (TABLES, FIGURES):
        for file in sorted((study.out / name).glob("*")):
            if not file.name.startswith("."):
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name / file.name)
    write_text(folder / "table1.md", markdown(study.title, [table]))
    write_text(folder / "table1.tex", latex(study.title, [table], "characteristics"))
    write_text(folder / "table1.csv", _grid_csv(table))
    write_text(folder / "methods.md", f"# Methods\n\n> {NOTICE}\n\n" + "\n\n".join(methods) + "\n")
    write_text(folder / "methods.tex", "\n\n".join(map(escape, methods)) + "\n")
    answers = study_facts(study, cohort, results)
    write_text(folder / "checklists.md", checklists_markdown(answers))
    write_text(folder / "checklists.csv", checklists_csv(answers))
    write_text(folder / "paper.tex", _document(study, results, folder))
    finished = sum(state(run) == "finished" for run in study.runs)
    text = README.format(
        title=study.title,
        notice=NOTICE,
        file=study.path.name,
        finished=finished,
        runs=len(study.runs),
    )
    write_text(folder / "README.md", text)
    return folder


def _grid_csv(table: Grid) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.head)
    writer.writerows([cell.replace("\n", "; ") for cell in row] for row in table.rows)
    return text.getvalue()


def _document(study: Study, results: Sequence[Section], folder: Path) -> str:
    """Return the LaTeX document that shows everything."""
    parts = [PREAMBLE.replace("NOTICE", NOTICE).replace("TITLE", escape(study.title))]
    parts.append(f"\\begin{{center}}\\textbf{{{escape(NOTICE)}}}\\end{{center}}\n")
    parts.append("\\section{Methods}\n\\input{methods}\n\\input{table1}\n\\clearpage")
    curves = sorted((folder / FIGURES).glob("learning-curves-*-180mm*.pdf"))
    parts += [_figure(file, "Learning curves: mean over seeds, 95 % intervals.") for file in curves]
    parts += ["\\clearpage"] if curves else []
    for section in results:
        name = file_name(section)
        parts.append(f"\\section{{{escape(section.title)}}}\n\\input{{{TABLES}/{name}}}")
        reference = section.display(section.reference)
        for kind, caption in (
            ("differences", f"Differences from {reference} with 95 % intervals: {section.title}."),
            ("ranks", f"Average ranks with critical differences: {section.title}."),
        ):
            files = sorted((folder / FIGURES).glob(f"{name}-{kind}-180mm*.pdf"))
            parts += [_figure(file, caption) for file in files]
        parts.append("\\clearpage")
    return "\n\n".join([*parts, "\\end{document}"]) + "\n"


def _figure(file: Path, caption: str) -> str:
    return (
        "\\begin{figure}[htbp]\n\\centering\n"
        f"\\includegraphics{{{FIGURES}/{file.name}}}\n\\caption{{{escape(caption)}}}\n\\end{{figure}}"
    )


def study_facts(study: Study, cohort: Cohort, results: Sequence[Section]) -> dict[str, str]:
    """Return answers by the names that `report.checklists` uses, as far as a study has them."""
    facts: dict[str, str] = {}
    run = next(
        (r for r in study.runs if r.method == study.reference and state(r) == "finished"), None
    )
    if run is not None:
        inputs = read_inputs(EvaluateConfig(run=str(run.folder)))
        facts = data_facts(inputs) | model_facts(inputs)
    seeds = ", ".join(map(str, study.file.seeds))
    tested = "; ".join(f"{s.title}: {s.cases} lesions of {s.patients} patients" for s in results)
    metrics = ", ".join(map(metric_title, study.file.metrics))
    facts |= {
        "data": f"{_source(study, cohort)}: {len(cohort.cases)} lesions of {cohort.patients} "
        "patients. The authors must state where and when the data were collected.",
        "sample": f"{len(cohort.cases)} lesions of {cohort.patients} patients (Table 1). The "
        "sample size was not calculated.",
        "selection_of_data": f"{cohort.excluded} lesions without a label or of other classes were "
        "left out.",
        "patients": "Table 1.",
        "flow": f"Table 1; tested on {tested}.",
        "initialisation": f"{len(study.file.seeds)} random seeds for each method: {seeds}.",
        "ensemble": "None; results are means over networks with different seeds.",
        "metrics": f"{metrics}.",
        "uncertainty": "95 % intervals for new patients and new seeds (methods).",
        "analysis": "Comparison of methods on the same cases and seeds, with p adjusted for the "
        "number of methods (methods).",
        "performance": "Tables of results, with intervals.",
        "parts": "The test split; the validation split selected the epoch.",
    }
    facts.pop("limitations", None)
    if study.file.folds is not None:
        facts["partition"] = f"Cross-validation, folds {', '.join(map(str, study.file.folds))}."
    if study.file.evaluate:
        names = ", ".join(study.file.names.get(name, name) for name in study.file.evaluate)
        facts["external"] = f"Further tables: {names}. The authors must state their origin."
    else:
        facts["external"] = "None: the test cases are other patients of the same table."
    return facts


def _source(study: Study, cohort: Cohort) -> str:
    if study.file.cohort is not None:
        return f"Synthetic (phantom, {len(cohort.tables)} cohorts)"
    return ", ".join(Path(path).name for path in cohort.tables)


def _answer(item: Item, facts: dict[str, str]) -> str:
    return facts.get(item.fact, AUTHORS)


def checklists_markdown(facts: dict[str, str]) -> str:
    """Format the answers as one table for each checklist."""
    parts = [
        "# Reporting checklists",
        f"> {NOTICE}",
        "Answers of the study itself, often only in part: the checklists ask for more. The titles "
        "are shortened; read the items where they were published.",
    ]
    for items, source in CHECKLISTS.values():
        rows = [(f"{item.number} {item.title}", _answer(item, facts)) for item in items]
        lines = [f"| {title} | {answer.replace('|', chr(92) + '|')} |" for title, answer in rows]
        parts += [f"## {source}", "\n".join(["| item | answer |", "|---|---|", *lines])]
    return "\n\n".join(parts) + "\n"


def checklists_csv(facts: dict[str, str]) -> str:
    """Format the answers as CSV; `answered` is `no` where only the authors can answer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["checklist", "item", "title", "answered", "answer"])
    for name, (items, _) in CHECKLISTS.items():
        for item in items:
            answered = "in part" if item.fact in facts else "no"
            writer.writerow([name, item.number, item.title, answered, _answer(item, facts)])
    return text.getvalue()
