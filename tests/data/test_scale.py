"""Tables as large as a country's."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from agfnet.data.table import read_cases
from agfnet.errors import DataError

MODALITIES = ("clinical", "ultrasound")


def write(path: Path, rows: int) -> Path:
    """A table with two lesions per patient, two frames per lesion and an attribute."""
    with path.open("w") as file:
        file.write("lesion_id,patient_id,label,clinical,ultrasound,split,age\n")
        for i in range(rows):
            file.write(
                f"L{i:06d},P{i // 2:06d},{'abcdefg'[i % 7]},photos/{i}.jpg,"
                f"scans/{i}_0.png|scans/{i}_1.png,{('train', 'val', 'test')[i // 2 % 3]},{i % 90}\n"
            )
    return path


def peak(path: Path) -> int:
    """Most bytes at a time while a table is read."""
    tracemalloc.start()
    try:
        read_cases(path, modalities=MODALITIES, check_files=False)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_grows_with_the_rows_and_no_faster(tmp_path: Path):
    few, many = (peak(write(tmp_path / f"{rows}.csv", rows)) for rows in (2_000, 8_000))
    assert many < 4.5 * few
    assert many / 8_000 < 4_000


@pytest.mark.slow
def test_200_000_rows_are_checked_to_the_last(tmp_path: Path):
    path = write(tmp_path / "cases.csv", 200_000)
    with path.open("a") as file:
        file.write("L000000,P000000,A,photos/0.jpg,,val,1\n")
        file.write("L200001,P199999,a,,,train,1\n" * 30)
    with pytest.raises(DataError) as caught:
        read_cases(path, modalities=MODALITIES, check_files=False)
    lines = str(caught.value).splitlines()
    assert "200002 column lesion_id: 'L000000' is in row 2 too" in lines[0]
    assert "200002 column split: patient 'P000000' is in val here and in train" in lines[1]
    assert len(lines) == 21
    assert lines[-1] == "… and 42 more"
