"""Tables in memory, of pandas, of polars and of mappings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agfnet
from agfnet.api.tables import case_rows, is_missing, records, table_file
from agfnet.errors import ConfigError, DataError

ROWS = [{"lesion_id": "a", "clinical": "a.png"}, {"lesion_id": "b", "clinical": "b.png"}]
NAType = type("NAType", (), {})  # named as that of pandas


class PolarsFrame:
    """The part of a polars DataFrame that is used; its `to_dict` takes no positional argument."""

    columns = ("lesion_id", "clinical")

    def to_dict(self, *, as_series: bool = True) -> dict[str, Any]:
        raise AssertionError(as_series)

    def to_dicts(self) -> list[dict[str, Any]]:
        return ROWS


def test_rows_of_polars() -> None:
    assert [lesion for lesion, _ in case_rows(PolarsFrame(), ("clinical",))] == ["a", "b"]


def test_an_index_with_a_name_is_a_column() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS)
    assert records(frame) == ROWS
    assert records(frame.set_index("lesion_id")) == ROWS
    with pytest.raises(DataError, match="Series is no table"):
        records(frame.iloc[0])


def test_missing_values() -> None:
    assert all(map(is_missing, (None, float("nan"), NAType())))
    assert not any(map(is_missing, ("", 0, "nan", 1.5, [])))


def test_missing_values_of_other_types_of_number() -> None:
    assert all(map(is_missing, (np.float32("nan"), Decimal("nan"))))
    assert records([{"patient_id": np.float32(12), "depth": np.float32(2)}]) == [
        {"patient_id": 12, "depth": 2.0}
    ]


class TwoColumns:
    """A DataFrame of pandas with a column that occurs twice, of which it would drop one."""

    columns = ("clinical", "clinical")

    def to_dict(self, _: str) -> list[dict[str, Any]]:
        return [{"clinical": "b.png"}]


def test_a_column_that_occurs_twice_is_refused() -> None:
    with pytest.raises(DataError, match="two columns 'clinical'; keep one"):
        records(TwoColumns())


class Levels(tuple[Any, ...]):
    """The columns or the index of a DataFrame with several levels."""

    names = ("lesion_id", None, "visit")
    nlevels = 3


class Nested(TwoColumns):
    columns = Levels([("clinical", "", ""), ("ultrasound", "", "")])


class Indexed:
    columns = ("lesion_id", "clinical")
    index = Levels()

    def reset_index(self, *, level: list[int]) -> Indexed:
        assert level == [2]  # of a column that is there, and without a name, it cannot be one
        return self

    def to_dict(self, _: str) -> list[dict[str, Any]]:
        return ROWS


def test_columns_of_several_levels_are_refused_and_those_of_an_index_taken_once() -> None:
    with pytest.raises(DataError, match="have 3 levels; give each one name, for example"):
        records(Nested())
    assert records(Indexed()) == ROWS


def test_paths_of_several_files_frames_and_boxes_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    cells = ["a.png|b.png", "a.png#2", "b.png#xywh=0,0,20,20", "a.png|c.png", "He said. " * 60]
    path = Path(table_file([{"x": cell} for cell in cells], tmp_path / "runs" / "cases.csv"))
    assert path.read_text().splitlines()[1:] == [
        f"{tmp_path}/a.png|{tmp_path}/b.png",
        f"{tmp_path}/a.png#2",
        f'"{tmp_path}/b.png#xywh=0,0,20,20"',
        *cells[3:],
    ]


def test_a_data_frame_is_no_path() -> None:
    with pytest.raises(ConfigError, match=r"split: TwoColumns is no path; .* CSV file"):
        agfnet.split(TwoColumns(), "data.csv")  # type: ignore[arg-type]


def test_a_lesion_without_an_id_has_its_number() -> None:
    rows = [{"lesion_id": value} for value in (7.0, float("nan"), None, NAType(), "x")]
    assert [lesion for lesion, _ in case_rows(rows, ())] == ["7", "2", "3", "4", "x"]


def test_two_rows_of_one_lesion_are_refused() -> None:
    rows = [{"lesion_id": name, "clinical": "a.png"} for name in ("x", "y", "x")]
    with pytest.raises(DataError, match="row 3: lesion_id 'x' is that of row 1 as well"):
        list(case_rows(rows, ("clinical",)))


def test_a_column_of_another_name_is_no_missing_image() -> None:
    rows = [{"photo": "a.png", "ultrasound": "b.png"}]
    with pytest.raises(DataError, match="no column 'clinical'; there are 'photo', 'ultrasound'"):
        list(case_rows(rows, ("clinical", "ultrasound")))
    mixed = [{"clinical": "a.png"}, {"ultrasound": "b.png"}]
    assert len(list(case_rows(mixed, ("clinical", "ultrasound")))) == 2
    assert list(case_rows([], ("clinical",))) == []


def test_ids_and_folds_are_written_as_whole_numbers(tmp_path: Path) -> None:
    rows = [{"lesion_id": "a", "patient_id": 12.0, "fold": 1.0, "depth": 2.0, "site": NAType()}]
    path = Path(table_file(rows, tmp_path / "cases.csv"))
    assert path.read_text().splitlines()[1] == "a,12,1,2.0,"
