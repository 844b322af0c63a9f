"""Results of one table are not replaced by those of another of the same file name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agfnet.errors import ConfigError
from agfnet.evaluation.inputs import check_implied_name
from agfnet.files import sha256


def table(folder: Path, name: str, text: str = "lesion_id") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def results(run: Path, name: str, evaluated: Path | None) -> Path:
    folder = run / "evaluation" / name
    folder.mkdir(parents=True)
    content: dict[str, object] = {"n": 0}
    if evaluated:
        content["table"] = {"path": str(evaluated.resolve()), "sha256": sha256(evaluated)}
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def test_a_table_of_another_hospital_replaces_nothing(tmp_path: Path) -> None:
    first = table(tmp_path / "a", "cases.csv")
    second = table(tmp_path / "b", "cases.csv", "other")
    folder = results(tmp_path / "run", "cases", first)
    with pytest.raises(ConfigError, match=r"results of another table .*a/cases.csv.*--name"):
        check_implied_name(folder, second)
    first.write_text("corrected")
    check_implied_name(folder, first)
    check_implied_name(folder.with_name("new"), second)


def test_a_table_that_has_moved_is_the_same(tmp_path: Path) -> None:
    first = table(tmp_path / "a", "cases.csv")
    folder = results(tmp_path / "run", "cases", first)
    check_implied_name(folder, table(tmp_path / "b", "cases.csv", first.read_text()))


def test_a_table_called_test_is_not_the_test_of_the_run(tmp_path: Path) -> None:
    other = table(tmp_path / "b", "test.csv")
    with pytest.raises(ConfigError, match="the table of the run"):
        check_implied_name(results(tmp_path / "run", "test", None), other)
    # results of an earlier version do not name their table
    check_implied_name(results(tmp_path / "run", "hospital", None), other)
