"""A prediction that is killed at any file operation is finished by the same command."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.bundle import read_bundle
from agfnet.config import PredictConfig
from agfnet.inference import job, table
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
CHANGES = {"os.rename", "os.remove", "os.truncate", "os.mkdir", "os.link"}


class Killed(BaseException):
    """The process is dead: nothing that comes after it does anything."""


class Killer:
    """Refuses every change below a folder from the n-th on, as after a kill."""

    def __init__(self) -> None:
        self.folder = ""
        self.remaining: int | None = None
        sys.addaudithook(self.audit)

    def count(self) -> None:
        if self.remaining is not None:
            self.remaining -= 1
            if self.remaining < 0:
                raise Killed

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.remaining is None:
            return
        changes = event in CHANGES or (event == "open" and str(arguments[1])[:1] in "wax")
        if changes and str(arguments[0]).startswith(self.folder):
            self.count()


KILLER = Killer()


class Colours:
    """A network that answers by the mean colours."""

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        means = [image.mean(axis=(1, 2)) / 64 for image in images]
        return np.hstack([*means, np.full((len(present), 1), len(present) / 10)])


@pytest.mark.slow
def test_every_stop_is_finished_by_the_same_command(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BLOCK", 2)
    monkeypatch.setattr(table, "SAVE_INTERVAL_S", 0)
    append = job._append

    def append_in_two(file: Any, rows: job.Rows) -> None:
        """A write is a change, too; a kill may come in the middle of it."""
        start = file.tell()
        append(file, rows)
        end = file.tell()
        if end > start:
            file.truncate((start + end) // 2)
            KILLER.count()
            file.truncate(start)
            file.seek(start)
            append(file, rows)

    cases = tmp_path / "cases.csv"
    with cases.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "patient_id", "label", "clinical", "ultrasound"])
        for number in range(5):
            pixels = np.full((16, 16, 3), 50 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
            writer.writerow([f"L{number}", f"P{number}", "", f"{number}.png", ""])
        writer.writerow(["L5", "P5", "", "damaged.png", ""])
    (tmp_path / "damaged.png").write_bytes(b"no image")
    predictor = Predictor(bundle=read_bundle(trained), backend=Colours(), batch_size=2)

    def predict(folder: Path) -> dict[str, bytes]:
        config = PredictConfig(
            model=str(trained),
            cases=str(cases),
            out=str(folder / "predictions.csv"),
            on_error="skip",
        )
        table.predict_table(config, predictor)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    expected = predict(tmp_path / "undisturbed")
    assert set(expected) == {"predictions.csv", "frames.csv", "decisions.csv", "problems.csv"}
    # as a list, because rows are written twice
    monkeypatch.setattr(job, "_append", lambda file, rows: append_in_two(file, list(rows)))
    stops = 0
    for stop in range(1000):
        folder = tmp_path / str(stop)
        KILLER.folder, KILLER.remaining = str(folder), stop
        try:
            predict(folder)
            break
        except Killed:
            stops += 1
        finally:
            KILLER.remaining = None
        before = {path.name: path.read_bytes() for path in folder.iterdir()} if stop else {}
        for name in expected.keys() & before.keys():  # a table that has its name is complete
            assert before[name] == expected[name]
        result = predict(folder)
        assert {name: result.get(name) for name in expected} == expected, stop
        assert not [name for name in result if name.endswith((".part", ".job"))]
    assert stops > 30
