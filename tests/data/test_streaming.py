from __future__ import annotations

import os
from pathlib import Path

import pytest

from agfnet.data.problems import Problems
from agfnet.data.rows import read_rows
from agfnet.data.streaming import count_cases, stream_cases
from agfnet.data.table import Case, iterate_cases, read_cases
from agfnet.data.text_check import CHUNK
from agfnet.errors import DataError

HEADER = "lesion_id,patient_id,label,split,clinical\n"


def table(folder: Path, *rows: str) -> Path:
    (folder / "a.jpg").write_bytes(b"x")
    path = folder / "cases.csv"
    path.write_text(HEADER + "".join(row + "\n" for row in rows))
    return path


def same_problems(path: Path) -> str:
    """What both readers say."""
    texts = []
    for read in (read_cases, count_cases):
        with pytest.raises(DataError) as error:
            read(path, modalities=["clinical"])  # type: ignore[operator]
        texts.append(str(error.value))
    assert texts[0] == texts[1]
    return texts[0]


def test_a_sound_table_is_counted_and_read_in_parts(tmp_path: Path) -> None:
    path = table(tmp_path, *(f"L{i},P{i // 2},naevus,train,a.jpg" for i in range(9)))
    assert count_cases(path, modalities=["clinical"]) == 9
    whole = read_cases(path, modalities=["clinical"]).cases
    parts = (range(4), range(4, 4), range(4, 9))
    joined = [case for part in parts for case in stream_cases(path, part, modalities=["clinical"])]
    assert tuple(joined) == whole


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["L1,P,a,,a.jpg", "L2,P,a,,a.jpg", "L1,P,a,,a.jpg"], "'L1' is in row 2 too"),
        (["L1,P,a,train,a.jpg", "L2,P,a,test,a.jpg"], "all lesions of a patient"),
        (["L1,P,a,,a.jpg", "L2,P,A,,a.jpg"], "another spelling"),
        (["L1,P,a,,a.jpg", "L2,P,a,,gone.jpg", "L1,P,a,,"], "'gone.jpg' cannot be found"),
        (["L1,P,a,,a.jpg,b.jpg"], "has 6 cells"),
        ([], "has no rows"),
    ],
)
def test_the_same_problems_are_found(tmp_path: Path, rows: list[str], expected: str) -> None:
    assert expected in same_problems(table(tmp_path, *rows))


def test_masks_are_not_read(tmp_path: Path) -> None:
    """A prediction does not use them: a table may come without its masks."""
    path = table(tmp_path, "L1,P,a,,a.jpg")
    path.write_text(
        path.read_text().replace("clinical", "clinical,clinical_mask")[:-1] + ",m.png\n"
    )
    with pytest.raises(DataError, match=r"m\.png"):
        read_cases(path, modalities=["clinical"])
    assert count_cases(path, modalities=["clinical"]) == 1
    (case,) = stream_cases(path, range(1), modalities=["clinical"], check_files=True)
    assert (case.masks, case.attributes) == ({}, {})


def test_two_ids_of_one_hash_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agfnet.data.streaming.hash", lambda _: 1, raising=False)
    path = table(tmp_path, "L1,P,a,train,a.jpg", "L2,Q,a,val,a.jpg")
    assert count_cases(path, modalities=["clinical"]) == 2


def test_a_label_that_the_network_does_not_know(tmp_path: Path) -> None:
    path = table(tmp_path, "L1,P,a,,a.jpg", "L2,Q,,,a.jpg", "L3,Q,wart,,a.jpg")
    with pytest.raises(DataError, match="4 column label: 'wart' is not a class of this network"):
        count_cases(path, modalities=["clinical"], labels=["a", "b"])
    assert count_cases(path, modalities=["clinical"]) == 3


def test_files_are_looked_for_where_they_are_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, "L1,P,a,,gone.jpg", "L2,Q,,,a.jpg")
    assert count_cases(path, modalities=["clinical"], check_files=False) == 2
    options = {"modalities": ["clinical"], "check_files": True}
    assert len(list(stream_cases(path, range(1, 2), **options))) == 1  # type: ignore[arg-type]
    with pytest.raises(DataError, match="cannot be found"):
        list(stream_cases(path, range(1), **options))  # type: ignore[arg-type]


def test_no_case_is_held(tmp_path: Path) -> None:
    """Each case is made when it is asked for: a break in the middle has read no further."""
    path = table(tmp_path, "L1,P,a,,a.jpg", "L2,P,a,,gone.jpg")
    problems = Problems(path)
    cases = iterate_cases(path, problems, modalities=["clinical"], check_files=True)
    assert isinstance(next(cases), Case)
    assert not problems.problems
    assert next(cases).lesion_id == "L2"
    assert len(problems.problems) == 1


@pytest.mark.parametrize("fault", [b"\xff", b"\0"])
def test_damage_behind_the_first_megabyte_is_placed(tmp_path: Path, fault: bytes) -> None:
    path = tmp_path / "cases.csv"
    line = b"L" * 998 + b"\n"
    count = CHUNK // len(line) + 2
    path.write_bytes(b"lesion_id\n" + line * count + b"x" + fault + b"\n" + line)
    with pytest.raises(DataError, match=rf"cases\.csv:{count + 2}: "):
        read_rows(path, Problems(path))


def test_a_letter_may_lie_across_two_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    head = b"lesion_id\n"
    path.write_bytes(head + b"L" * (CHUNK - len(head) - 1) + "ä\n".encode())
    rows = read_rows(path, Problems(path))
    assert rows.columns == ("lesion_id",)
    with pytest.raises(DataError, match="field larger"):  # and no cell takes all memory
        list(rows.rows)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="can be read once only"):
        read_cases(tmp_path / "pipe", modalities=["clinical"])
