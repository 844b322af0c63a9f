"""A command that is killed at any file operation is finished by giving it again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agfnet.bundle import read_bundle
from agfnet.config import EvaluateConfig
from agfnet.evaluation import calibrate
from agfnet.evaluation.run import evaluate_run
from agfnet.evaluation.write import write_evaluation

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}


class Killed(BaseException):
    """The process is gone: nothing that it would still do happens."""


class Killer:
    """Count changes of files below a folder and refuse all after the first few."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.count = self.allowed = 0
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is None:
            return
        writes = event == "open" and int(arguments[2] or 0) & WRITING
        if (event in CHANGES or writes) and str(arguments[0]).startswith(self.folder):
            self.count += 1
            if self.count > self.allowed:
                raise Killed

    @contextmanager
    def killing(self, folder: Path, allowed: int) -> Iterator[None]:
        self.folder, self.count, self.allowed = str(folder), 0, allowed
        try:
            yield
        finally:
            self.folder = None


KILLER = Killer()  # an audit hook cannot be taken off again


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stop_everywhere(
    run: Path, work: Path, command: Callable[[Path], object], check: Callable[[Path], object]
) -> int:
    """Kill the command before each of its changes, check, and finish it; returns their number."""
    whole = Path(shutil.copytree(run, work / "whole"))
    command(whole)
    expected = content(whole)
    changes = 0
    while True:
        stopped = Path(shutil.copytree(run, work / "stopped"))
        try:
            with KILLER.killing(stopped, changes):
                command(stopped)
        except Killed:
            check(stopped)
            command(stopped)
        else:
            assert content(stopped) == expected
            return changes
        assert content(stopped) == expected, f"killed before change {changes + 1}"
        shutil.rmtree(stopped)
        changes += 1


@pytest.mark.slow
def test_an_evaluation_is_finished_by_the_same_command(trained: Path, tmp_path: Path) -> None:
    first = evaluate_run(EvaluateConfig(run=str(trained), resamples=5))
    new = evaluate_run(EvaluateConfig(run=str(trained), resamples=5, seed=1, max_focus_lesions=0))
    run = Path(shutil.copytree(trained, tmp_path / "run"))

    def into(folder: Path, evaluation):
        """The evaluation, as if of a run that lies elsewhere."""
        config = EvaluateConfig(run=str(folder), resamples=5)
        inputs = evaluation.inputs
        object.__setattr__(inputs, "config", config)
        return write_evaluation(evaluation, report="page")

    into(run, first)
    old = content(run / "evaluation" / "test")

    def check(folder: Path) -> None:
        """While metrics.json is there, all files belong to it."""
        files = content(folder / "evaluation" / "test")
        if "metrics.json" in files:
            visible = {n: b for n, b in files.items() if not n.startswith(".")}
            assert files["metrics.json"] != old["metrics.json"] or visible == old

    changes = stop_everywhere(run, tmp_path, lambda folder: into(folder, new), check)
    assert changes > 20


@pytest.mark.slow
def test_a_calibration_is_finished_by_the_same_command(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compute predictions and statistics once: they change no file."""
    functions = ("member_tables", "training_statistics", "predict_untrained", "observe")
    for name in ("TorchBackend", *functions):
        monkeypatch.setattr(calibrate, name, computed_once(getattr(calibrate, name)))
    without = shutil.ignore_patterns("checkpoints")
    run = Path(shutil.copytree(trained, tmp_path / "run", ignore=without))
    (run / "validation.csv").unlink()
    changes = stop_everywhere(run, tmp_path, calibrate.calibrate_run, read_bundle)
    assert changes > 20


def computed_once(function: Callable[..., object]) -> Callable[..., object]:
    """The function, which returns the result of its first call from then on."""
    results: list[object] = []

    def once(*arguments: object, **options: object) -> object:
        if not results:
            results.append(function(*arguments, **options))
        return results[0]

    return once
