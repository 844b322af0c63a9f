"""Every example in a public docstring runs."""

from __future__ import annotations

import csv
import doctest
import shutil
import sys
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import agfnet
from agfnet.api import explanation, result, scores
from agfnet.data.table import read_cases

MODULES = sorted({*agfnet._MODULES.values(), "agfnet.api.explanation", "agfnet.api.scores"})
CLASSES = (
    agfnet.AGFNetClassifier,
    agfnet.Model,
    agfnet.Result,
    explanation.Explanation,
    result.Results,
    scores.Comparison,
    scores.Scores,
)
"""Public classes, with those of the results of public functions."""


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def names(evaluated: Path, cohort: Path, tmp_path: Path) -> dict[str, Any]:
    run = tmp_path / "first"
    other = tmp_path / "second"
    for folder in (run, other):
        shutil.copytree(evaluated, folder)
    images = read_cases(cohort, modalities=("clinical", "ultrasound")).cases[0].images
    with cohort.open(newline="") as file:
        rows = list(csv.DictReader(file))
    without = [{k: v for k, v in row.items() if k != "split"} for row in rows]
    unsplit = write(cohort.parent / "unsplit-doctest.csv", without)
    # without a test split, `train` ends before the evaluation, which takes longest
    cases = write(cohort.parent / "doctest.csv", [row for row in rows if row["split"] != "test"])
    return {
        "agfnet": agfnet,
        "run": run,
        "other": other,
        "photo": str(images["clinical"][0]),
        "scan": str(images["ultrasound"][0]),
        "folder": tmp_path,
        "cases": cases,
        "unsplit": unsplit,
    }


def examples(module: str) -> list[doctest.DocTest]:
    __import__(module)
    return [test for test in doctest.DocTestFinder().find(sys.modules[module]) if test.examples]


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_examples_run(module: str, names: dict[str, Any]) -> None:
    for test in examples(module):
        test.globs.update(names)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        output: list[str] = []
        runner.run(test, out=output.append)
        assert not runner.failures, "".join(output)


def test_every_public_name_has_an_example() -> None:
    for name, module in agfnet._MODULES.items():
        documented = {test.name.rpartition(".")[2] for test in examples(module)}
        assert name in documented, name


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_examples_of_a_class_use_all_of_it(kind: type) -> None:
    tests = examples(kind.__module__)
    source = "".join(example.source for test in tests for example in test.examples)
    members = (FunctionType, property, cached_property)
    names = {name for name, member in vars(kind).items() if isinstance(member, members)}
    public = {name for name in names if not name.startswith("_")}
    public -= {"to_frame"}  # needs pandas, which is in no extra
    assert not {name for name in public if f".{name}" not in source}
