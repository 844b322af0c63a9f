import csv
import io
import json
import math
import re
import shutil
import subprocess

import pytest

from agfnet.study import plots
from agfnet.study.results import Cell, Section
from agfnet.study.tables import as_csv, as_json, escape, grids, latex, markdown, verdicts

METHODS = ("AGFnet", "late_fusion & co", "100% | $x$")


METRICS = ("macro_auc", "nll")
ALL = (*METRICS, "accuracy", "balanced_accuracy", "ece", "aurc", "brier")


def _section(p: float = 0.01, seeds: int = 3, metrics: tuple[str, ...] = METRICS) -> Section:
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
        for number, method in enumerate(METHODS)
        for metric in metrics
    }
    return Section(
        setting="half",
        table="test",
        reference="AGFnet",
        methods=METHODS,
        metrics=metrics,
        cells=cells,
        friedman=dict.fromkeys(metrics, 0.03) | {"nll": math.nan},
        runs=9,
        patients=40,
        cases=60,
    )


def test_verdicts_know_the_better_direction():
    auc, nll = verdicts(_section())
    assert auc.startswith("Mean AUC: worse than AGFnet: late_fusion & co, 100% | $x$")
    assert "better than AGFnet" in nll
    assert all("no significant difference" in sentence for sentence in verdicts(_section(p=0.2)))


def test_latex_holds_no_letter_that_it_would_read_as_a_command():
    text = latex(grids(_section()), "half-test")
    assert r"late\_fusion \& co" in text
    assert r"100\% | \$x\$" in text
    body = re.sub(r"\\label\{[^}]*\}", "", text)
    assert not re.search(r"(?<!\\)[_#%](?! |R|N)", body.split("graphicx}.", 1)[1])
    assert all(ord(letter) < 128 for letter in text)
    plain = text.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    for row in re.findall(r"\\midrule\n(.*?)\n\\bottomrule", text, flags=re.DOTALL):
        for line in row.split("\n\\addlinespace\n"):
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("metrics", [METRICS, ALL], ids=["few", "many"])
def test_latex_is_set_within_the_text_of_a_paper(metrics, tmp_path):
    (tmp_path / "half-test.tex").write_text(latex(grids(_section(metrics=metrics)), "half-test"))
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}\input{half-test}\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode("latin-1")
    assert b"Overfull" not in done.stdout  # hbox or vbox
    assert (tmp_path / "paper.pdf").is_file()


def test_every_special_letter_is_escaped():
    assert escape(r"\a~b^{c}<d>") == (
        r"\textbackslash{}a\textasciitilde{}b\textasciicircum{}\{c\}\textless{}d\textgreater{}"
    )
    assert escape("-0.5 to +0.1, x-2") == "$-$0.5 to +0.1, x-2"


def test_markdown_keeps_its_columns():
    text = markdown("x", grids(_section()), verdicts(_section()))
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
    assert "not for networks trained with other seeds" in grids(_section(seeds=1))[0].note


@pytest.mark.parametrize("draw", [plots.differences, plots.critical_differences])
def test_figures_name_every_method(draw):
    text = draw(_section())
    assert 'role="img"' in text
    assert "late_fusion &amp; co" in text
    assert draw(_section()) == text


def test_curves_and_history():
    drawn = plots.learning_curves({"half": 0.5}, [_section()])
    assert "50 %" in drawn
    assert "AGFnet" in plots.search_history({"AGFnet": [0.5, math.nan, 0.4]}, "nll")


def test_two_methods_have_no_critical_difference():
    section = _section()
    few = Section(**{**section.__dict__, "methods": METHODS[:2]})
    assert plots.critical_differences(few) is None
