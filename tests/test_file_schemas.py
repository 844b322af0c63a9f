"""The files that agfnet writes fit their JSON Schemas."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import agfnet
from agfnet.check.run import check_cases
from agfnet.cli import main
from agfnet.config import CheckConfig, CompareConfig
from agfnet.data.table import read_cases
from agfnet.evaluation.compare_runs import compare_runs
from agfnet.file_schemas import FILES, json_schema

ROOT = Path(__file__).parents[1]


def validate(file: str, content: Any) -> None:
    Draft202012Validator(json_schema(file)).validate(json.loads(json.dumps(content)))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES)
def test_schemas_are_schemas_and_printed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Draft202012Validator.check_schema(json_schema(file))
    assert main(["schema", file]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema(file)


def test_files_of_a_run(trained: Path) -> None:
    files = ("bundle/config.json", "bundle/calibration.json", "environment.json", "warnings.json")
    for file in files:
        validate(file, read(trained / file))


def test_files_of_an_evaluation(evaluated: Path) -> None:
    validate("bundle/evaluations.json", read(evaluated / "bundle" / "evaluations.json"))
    for file in ("metrics.json", "classes.json", "subgroups.json", "focus.json"):
        validate(file, read(evaluated / "evaluation" / "test" / file))


def test_comparison_check_answer_and_study(evaluated: Path, cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(evaluated / "evaluation", tmp_path / "evaluation")
    config = CompareConfig(run_a=str(evaluated), run_b=str(tmp_path), resamples=10)
    validate("compare.json", compare_runs(config).results)
    validate("findings.json", check_cases(CheckConfig(cases=str(cohort), workers=0)).as_json())
    images = read_cases(cohort, modalities=("clinical", "ultrasound")).cases[0].images
    answer = agfnet.load(evaluated).predict(clinical=images["clinical"][0])
    validate("answer.json", answer.to_dict())
    validate("study.json", read(ROOT / "paper" / "results" / "comparison" / "test.json"))


def test_a_wrong_file_is_refused(evaluated: Path) -> None:
    metrics = read(evaluated / "evaluation" / "test" / "metrics.json")
    for wrong in ({**metrics, "n": "many"}, {**metrics, "accuracy": {"value": 1}}):
        with pytest.raises(ValidationError):
            validate("metrics.json", wrong)


NOT_READ_BY_OTHERS = {
    "mlflow.json",  # the id of the run there, for --resume
    "agfnet_answer.json",  # the reply of the server, which /openapi.json describes
    "openapi.json",
    "batch.json",  # state of a batch of the server
    "timing.json",  # of an unfinished study
    "metadata.json",  # of a MONAI bundle, by the specification of MONAI
    *("config.json", "calibration.json", "evaluations.json", "export.json"),  # of a bundle
}


def test_every_json_file_has_a_schema() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("src/**/*.py"))
    names = set(re.findall(r"""["']([a-z_]+\.json)["']""", text))
    assert names - set(FILES) - NOT_READ_BY_OTHERS == set()


def test_unknown_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "metric.json"]) == 2
    assert "did you mean 'metrics.json'" in capsys.readouterr().err
    assert main(["schema"]) == 0
    assert capsys.readouterr().out.split() == list(FILES)
