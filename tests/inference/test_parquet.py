"""Predictions as Parquet."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from agfnet.cli import main
from agfnet.inference.parquet import write_parquet

parquet = pytest.importorskip("pyarrow.parquet")


def test_types_and_values(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text(
        "lesion_id,label,p_a,p_b,set_a,ood_score,abstain\n007,,0.25,0.75,1,,0\n8,a,1,0,0,2.5,1\n",
        encoding="utf-8",
    )
    path = write_parquet(table)
    assert path == tmp_path / "x.parquet"
    assert parquet.read_table(path).to_pylist() == [
        {"lesion_id": "007", "label": "", "p_a": 0.25, "p_b": 0.75, "set_a": 1}
        | {"ood_score": None, "abstain": 0},
        {"lesion_id": "8", "label": "a", "p_a": 1.0, "p_b": 0.0, "set_a": 0}
        | {"ood_score": 2.5, "abstain": 1},
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.csv", "x.parquet"]


@pytest.mark.slow
def test_predict_writes_all_tables(trained: Path, cohort: Path, tmp_path: Path) -> None:
    rows = cohort.read_text(encoding="utf-8").splitlines()[:4]
    table = cohort.with_name("three.csv")
    table.write_text("\n".join(rows), encoding="utf-8")
    out = tmp_path / "predictions.csv"
    arguments = ["predict", str(trained), "--cases", str(table), "--out", str(out)]
    assert main([*arguments, "--parquet", "true"]) == 0
    for name in ("predictions", "frames", "decisions"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            expected = list(csv.DictReader(file))
        found = parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()
        assert len(found) == len(expected) > 0
        for row, cells in zip(found, expected, strict=True):
            for column, cell in cells.items():
                value = row[column]
                assert value == (cell if isinstance(value, str) else float(cell) if cell else None)


def test_without_pyarrow(
    trained: Path, cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arguments = ["predict", str(trained), "--cases", str(cohort), "--parquet", "true"]
    assert main(arguments) == 2
    assert "pip install 'agfnet[parquet]'" in capsys.readouterr().err
