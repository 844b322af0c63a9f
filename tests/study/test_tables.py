import csv
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from agfnet.study.formats import as_csv, as_json, escape, latex, markdown, pages
from agfnet.study.tables import BEST, grids

from .sections import ALL, MANY, METHODS, METRICS, section


def test_the_matrix_knows_the_better_direction_and_says_what_is_inconclusive():
    matrix = grids(section())[0]
    assert matrix.title == "Comparison with AGFnet"
    assert [row[0] for row in matrix.rows] == ["Late fusion", METHODS[2]]
    assert matrix.rows[0][1:] == ("worse\n-0.100", "better\n-0.100")
    assert matrix.marks == {(0, 1): "worse", (0, 2): "better", (1, 1): "worse", (1, 2): "better"}
    assert grids(section(p=0.2))[0].rows[0][1] == "inconclusive\n-0.100"
    assert grids(section(p=math.nan))[0].rows[0][1] == "not tested\n-0.100"


def test_the_best_value_is_bold_in_each_direction():
    values = grids(section())[1]
    assert values.marks == {(0, 1): BEST, (2, 2): BEST}  # the highest AUC, the lowest NLL
    assert "**0.800 ± 0.010**" in markdown("x", [values])
    assert r"\textbf{0.800 $\pm$ 0.010}" in latex("x", [values], "x")


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_parts_of_a_table_hold_every_cell_once(count):
    table = grids(section(metrics=ALL[:count]))[1]
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
    renamed = replace(section(), names={"half": "half of the patients", "test": "Berlin"})
    assert renamed.title == "Half of the patients, Berlin"
    assert replace(renamed, names={}).title == "Half, test cases"
    assert replace(renamed, names={}, setting="").title == "Test cases"
    assert {row["method"] for row in as_json(section())["rows"]} == set(METHODS)


def test_latex_holds_no_letter_that_it_would_read_as_a_command():
    text = latex("half", grids(section()), "half-test")
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
    tables = grids(section(metrics=metrics, methods=methods))
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
    text = markdown("x", grids(section()))
    assert "Research use only" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_csv_and_json_hold_the_same_numbers():
    rows = list(csv.DictReader(io.StringIO(as_csv(section()))))
    found = json.loads(json.dumps(as_json(section()), allow_nan=False))
    assert len(rows) == len(found["rows"]) == 6
    for row, same in zip(rows, found["rows"], strict=True):
        assert float(row["value"]) == same["value"]
        assert (row["p"] or None) == (None if same["p"] is None else str(same["p"]))
    assert found["friedman_p"] == {"macro_auc": 0.03, "nll": None}


def test_one_seed_says_what_it_cannot_say():
    assert "not for networks trained with other seeds" in grids(section(seeds=1))[1].note
