"""Results of one table are not replaced by those of another of the same file name."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from agfnet.evaluation.inputs import EvaluationInputs
from agfnet.evaluation.write import keep_other_results
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


def kept(folder: Path, path: Path, *, named: bool = True) -> Path | None:
    """Evaluate a table, named in the command or that of the run, with results in the folder."""
    settings = SimpleNamespace(cases=str(path) if named else None)
    inputs = SimpleNamespace(folder=folder, table=SimpleNamespace(path=path), config=settings)
    return keep_other_results(cast(EvaluationInputs, inputs))


def test_a_table_of_another_hospital_replaces_nothing(tmp_path: Path) -> None:
    first = table(tmp_path / "a", "cases.csv")
    second = table(tmp_path / "b", "cases.csv", "other")
    folder = results(tmp_path / "run", "cases", first)
    first.write_text("corrected")
    assert kept(folder, first) is None
    assert kept(folder.with_name("new"), second) is None
    former = kept(folder, second)
    assert former == folder.with_name("cases-1")
    assert (former / "metrics.json").is_file()
    assert not folder.exists()


def test_a_table_that_has_moved_is_the_same(tmp_path: Path) -> None:
    first = table(tmp_path / "a", "cases.csv")
    folder = results(tmp_path / "run", "cases", first)
    assert kept(folder, table(tmp_path / "b", "cases.csv", first.read_text())) is None


def test_a_table_called_test_is_not_the_test_of_the_run(tmp_path: Path) -> None:
    other = table(tmp_path / "b", "test.csv")
    # results of an earlier version do not name their table
    assert kept(results(tmp_path / "run", "hospital", None), other) is None
    folder = results(tmp_path / "run", "test", None)
    assert kept(folder, other, named=False) is None
    assert kept(folder, other) == folder.with_name("test-1")
    back = results(tmp_path / "run", "test", other)
    own = table(tmp_path / "a", "data.csv", "of the run")
    assert kept(back, own, named=False) == folder.with_name("test-2")
