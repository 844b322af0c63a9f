from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from agfnet.data.table import Case, read_cases
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.frames_table import companion_path, frames_table


def case(name: str) -> Case:
    return Case(name, name, "", {}, {}, "", {}, 2)


def diagnosis(images: list[dict[str, Path]]) -> Diagnosis:
    frames = np.random.default_rng(0).dirichlet(np.ones(2), len(images))
    return Diagnosis(probabilities=frames[0], frames=frames, images=tuple(images))


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ("predictions.csv", "frames.csv"),
        ("out/predictions.csv", "out/frames.csv"),
        ("x.csv", "x_frames.csv"),
        ("a/b", "a/b_frames.csv"),
    ],
)
def test_where_the_frames_go(predictions: str, expected: str):
    assert companion_path(predictions, "frames") == Path(expected)


def test_the_table(tmp_path: Path):
    photo, scan = tmp_path / "p" / "a.jpg", tmp_path / "s" / "b.dcm"
    answers = [
        diagnosis([{"x": photo, "y": scan.with_name(f"b.dcm#{n}")} for n in range(2)]),
        diagnosis([{"x": photo}]),
        diagnosis([{}]),
    ]
    path = tmp_path / "out" / "frames.csv"
    with frames_table(path, classes="ab", modalities=["x", "y"], folder=tmp_path) as write:
        for number, answer in enumerate(answers):
            write(case(f"L{number}"), answer)
        assert not path.exists()
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["lesion_id", "frame", "x", "y", "p_a", "p_b"]
    assert [row[:4] for row in rows[1:]] == [
        ["L0", "0", "p/a.jpg", "s/b.dcm#0"],
        ["L0", "1", "p/a.jpg", "s/b.dcm#1"],
        ["L1", "0", "p/a.jpg", ""],
        ["L2", "0", "", ""],
    ]
    np.testing.assert_array_equal(
        [[float(p) for p in row[4:]] for row in rows[1:3]], answers[0].frames
    )


def test_a_failure_leaves_no_table(tmp_path: Path):
    def fail() -> None:
        path = tmp_path / "frames.csv"
        with frames_table(path, classes="ab", modalities=["x"], folder=tmp_path) as write:
            write(case("L"), diagnosis([{}]))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_its_cells_can_stand_in_a_cases_table(tmp_path: Path):
    """A frame that stands out can be named as it is in a table."""
    (tmp_path / "b.dcm").write_bytes(b"x")
    (tmp_path / "cases.csv").write_text("lesion_id,us\nL,b.dcm#1|b.dcm#3\nM,b.dcm\n")
    first, _ = read_cases(tmp_path / "cases.csv", modalities=["us"])
    assert [path.name for path in first.images["us"]] == ["b.dcm#1", "b.dcm#3"]
