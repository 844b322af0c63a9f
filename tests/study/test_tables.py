import csv
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from agfnet.study import plots
from agfnet.study.formats import as_csv, as_json, escape, latex, markdown, pages
from agfnet.study.results import Cell, Section
from agfnet.study.tables import BEST, grids

METHODS = ("AGFnet", "late_fusion & co", "100% | $x$")
MANY = ("AGFnet", *(f"without part number {number} of the method" for number in range(25)))
NAMES = {"late_fusion & co": "Late fusion"}


METRICS = ("macro_auc", "nll")
ALL = (*METRICS, "accuracy", "balanced_accuracy", "ece", "aurc", "brier")


def _section(
    p: float = 0.01,
    seeds: int = 3,
    metrics: tuple[str, ...] = METRICS,
    methods: tuple[str, ...] = METHODS,
) -> Section:
    cells = {
        (method, metric): Cell(
            method=method,
            metric=metric,
            seeds=seeds,
            value=0.8 - 0.1 * number,
            sd=0.01,
            low=0.7,
            high=0.9,
            rank=number + 1.0,
            difference=-0.1 * number if number else math.nan,
            difference_low=-0.2,
            difference_high=0.1,
            p=p if number else math.nan,
            p_holm=p if number else math.nan,
            p_networks=math.nan,
        )
        for number, method in enumerate(methods)
        for metric in metrics
    }
    return Section(
        setting="half",
        table="test",
        reference="AGFnet",
        methods=methods,
        metrics=metrics,
        cells=cells,
        friedman=dict.fromkeys(metrics, 0.03) | {"nll": math.nan},
        runs=9,
        patients=40,
        cases=60,
        names=NAMES,
    )


def test_the_matrix_knows_the_better_direction_and_says_what_is_inconclusive():
    matrix = grids(_section())[0]
    assert matrix.title == "Comparison with AGFnet"
    assert [row[0] for row in matrix.rows] == ["Late fusion", METHODS[2]]
    assert matrix.rows[0][1:] == ("worse\n-0.100", "better\n-0.100")
    assert matrix.marks == {(0, 1): "worse", (0, 2): "better", (1, 1): "worse", (1, 2): "better"}
    assert grids(_section(p=0.2))[0].rows[0][1] == "inconclusive\n-0.100"
    assert grids(_section(p=math.nan))[0].rows[0][1] == "not tested\n-0.100"


def test_the_best_value_is_bold_in_each_direction():
    values = grids(_section())[1]
    assert values.marks == {(0, 1): BEST, (2, 2): BEST}  # the highest AUC, the lowest NLL
    assert "**0.800 ± 0.010**" in markdown("x", [values])
    assert r"\textbf{0.800 $\pm$ 0.010}" in latex("x", [values], "x")


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_parts_of_a_table_hold_every_cell_once(count):
    table = grids(_section(metrics=ALL[:count]))[1]
    parts = pages(table)
    assert [name for part in parts for name in part.head[1:]] == list(table.head[1:])
    assert all(len(part.head) <= 4 for part in parts)
    for row, cells in enumerate(table.rows):
        assert [text for part in parts for text in part.rows[row][1:]] == list(cells[1:])
    for row, column in table.marks:
        part = next(part for part in parts if table.head[column] in part.head)
        assert part.marks[row, part.head.index(table.head[column])] == BEST
    assert sum(len(part.marks) for part in parts) == len(table.marks)
    assert [row for part in table.parts(9, 2) for row in part.rows] == list(table.rows)


def test_display_names_are_those_of_the_study_file():
    section = replace(_section(), names={"half": "half of the patients", "test": "Berlin"})
    assert section.title == "Half of the patients, Berlin"
    assert replace(section, names={}).title == "Half, test cases"
    assert replace(section, names={}, setting="").title == "Test cases"
    assert {row["method"] for row in as_json(_section())["rows"]} == set(METHODS)


def test_latex_holds_no_letter_that_it_would_read_as_a_command():
    text = latex("half", grids(_section()), "half-test")
    assert r"100\% \textbar{} \$x\$" in text
    body = re.sub(r"\\label\{[^}]*\}", "", text)
    assert not re.search(r"(?<!\\)[_#%](?! |R|N)", body.split("booktabs}.", 1)[1])
    assert all(ord(letter) < 128 for letter in text)
    plain = text.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    for rows in re.findall(r"\\midrule\n(.*?)\n\\bottomrule", text, flags=re.DOTALL):
        for line in rows.split("\n\\addlinespace[2pt]\n"):
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("metrics", [METRICS, ALL], ids=["few", "many"])
@pytest.mark.parametrize("methods", [METHODS, MANY], ids=["3", "26"])
def test_latex_is_set_within_the_text_of_a_paper(metrics, methods, tmp_path):
    tables = grids(_section(metrics=metrics, methods=methods))
    (tmp_path / "half-test.tex").write_text(latex("half", tables, "half-test"))
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{array,booktabs}"
        r"\begin{document}\input{half-test}\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode("latin-1")
    problems = [
        line
        for line in done.stdout.decode("latin-1").splitlines()
        if re.search("too (wide|high|large)", line)
    ]
    assert not problems, "\n".join(problems)  # overfull boxes, and floats too large for a page
    assert (tmp_path / "paper.pdf").is_file()


def test_every_special_letter_is_escaped():
    assert escape(r"\a~b^{c}<d>") == (
        r"\textbackslash{}a\textasciitilde{}b\textasciicircum{}\{c\}\textless{}d\textgreater{}"
    )
    assert escape("-0.5 to +0.1, x-2") == "$-$0.5 to +0.1, x-2"


def test_markdown_keeps_its_columns():
    text = markdown("x", grids(_section()))
    assert "Research use only" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_csv_and_json_hold_the_same_numbers():
    rows = list(csv.DictReader(io.StringIO(as_csv(_section()))))
    found = json.loads(json.dumps(as_json(_section()), allow_nan=False))
    assert len(rows) == len(found["rows"]) == 6
    for row, same in zip(rows, found["rows"], strict=True):
        assert float(row["value"]) == same["value"]
        assert (row["p"] or None) == (None if same["p"] is None else str(same["p"]))
    assert found["friedman_p"] == {"macro_auc": 0.03, "nll": None}


def test_one_seed_says_what_it_cannot_say():
    assert "not for networks trained with other seeds" in grids(_section(seeds=1))[1].note


@pytest.mark.parametrize("draw", [plots.differences, plots.critical_differences])
def test_figures_name_every_method(draw):
    text = draw(_section())
    assert 'role="img"' in text
    assert "Late fusion" in text
    assert "late_fusion" not in text
    assert draw(_section()) == text


def test_curves_and_history():
    drawn = plots.learning_curves({"half": 0.5}, [_section()])
    assert "50 %" in drawn
    assert "AGFnet" in plots.search_history({"AGFnet": [0.5, math.nan, 0.4]}, "nll")


def test_two_methods_have_no_critical_difference():
    section = _section()
    few = replace(section, methods=METHODS[:2])
    assert plots.critical_differences(few) is None
