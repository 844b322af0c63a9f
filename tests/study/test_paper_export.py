"""The folder for a paper, from a study that trains."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess

import pytest

from agfnet.cli import main
from agfnet.config import StudyConfig
from agfnet.errors import ConfigError
from agfnet.report.checklists import CHECKLISTS
from agfnet.study.methods_text import methods_text


@pytest.mark.slow
def test_a_study_is_exported_for_a_paper(study_file, tmp_path, capsys):
    path = study_file(
        seeds=[0],
        methods={"AGFnet": {"optim.epochs": 1}, "late": {"model.method": "late_fusion"}},
        names={"late": "Late fusion_of & all"},
        title="Two methods, 100 %",
        scoring={"max_focus_lesions": 0, "resamples": 20},
    )
    folder = tmp_path / "material"
    assert main(["study", str(path), "--export", str(folder)]) == 0
    assert f"For a paper: {folder}" in capsys.readouterr().out.replace("\n", "")
    texts = {
        file.name: file.read_text()
        for file in folder.rglob("*")
        if file.suffix in (".md", ".tex", ".csv")
    }
    for name in ("README.md", "table1.md", "methods.md", "checklists.md", "paper.tex"):
        assert "Research use only" in texts[name], name
    assert "2 of 2 runs" in texts["README.md"].replace("\n", " ")
    methods = texts["methods.md"]
    assert "The study includes 40 lesions" in methods
    assert "1 random seed each (0), 2 networks" in methods
    assert "Late fusion_of & all differs from the reference in " in methods
    assert 'model.method = "late_fusion"' in methods
    assert "optim.epochs = 2" in methods
    assert "no p values are given, since they need 3 networks" in methods
    assert re.search(r"torch \d.*Training and evaluation of 2 networks took \d+ ", methods)
    rows = list(csv.DictReader(texts["checklists.csv"].splitlines()))
    assert len(rows) == sum(len(items) for items, _ in CHECKLISTS.values())
    answers = {(row["checklist"], row["item"]): row for row in rows}
    assert "40 lesions" in answers["CLAIM", "19"]["answer"]
    assert answers["CLAIM", "42"]["answered"] == "no"
    figures = {file.name for file in (folder / "figures").iterdir()}
    assert {"test-differences-88mm.pdf", "test-differences-180mm.svg"} <= figures
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: paper.tex was not compiled")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    shown = done.stdout.decode("latin-1")
    assert done.returncode == 0, shown
    assert not re.search(r"too (wide|high|large)", shown), shown


def test_a_shard_exports_nothing():
    with pytest.raises(ConfigError, match="export: needs all runs"):
        StudyConfig(file="x", export="y", shard="1/2")


def test_the_statistics_are_those_of_the_design(study_file):
    from agfnet.study.characteristics import Cohort
    from agfnet.study.plan import read_study

    nothing = Cohort(cases=(), classes=("a",), modalities=("m",), excluded=0, tables=())

    def text(part=2, **changes):
        return methods_text(read_study(study_file(**changes)), nothing, [])[part]

    own = {"cohort": None, "base": {"data.cases": "cases.csv"}, "seeds": [0, 1, 2]}
    assert "adjusted for 1 comparison (Holm)" in text(**own)
    assert "Banerjee" in text(**own)
    assert "Nadeau" in text(**own, folds=[0, 1])
    assert "Nadeau" not in text(**own)
    assert "Student's over seeds" in text(cohort_per_seed=True, seeds=[0, 1, 2])
    for changes in (own, {"cohort_per_seed": True, "seeds": [0, 1, 2]}):
        assert "Neither intervals nor p are smaller than those of a jackknife" in text(**changes)
    assert "these trained networks" in text(seeds=[0])
    assert "no p values" in text(seeds=[0, 1])
    assert "compared" not in text(methods=["AGFnet"])
    calibration = own | {"base": {"data.cases": "cases.csv", "calibration.scaling": "none"}}
    assert "were calibrated on the validation split (temperature scaling)." in text(1, **own)
    assert "and probabilities were not scaled." in text(1, **calibration)
    calibration["base"]["calibration.logit_adjustment"] = 1
    assert "were not scaled, with logit adjustment of strength 1." in text(1, **calibration)
