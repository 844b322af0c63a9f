"""The number of threads of commands on a machine with other work."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from agfnet import threads
from agfnet.cli.commands.train import threads_before
from agfnet.cli.threads import choose_threads
from agfnet.files import write_json
from agfnet.threads import Times, cpu_times, free_cores, use_free_cores


@pytest.fixture(autouse=True)
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads on four cores, as many as PyTorch takes, and the number of before afterwards."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr("agfnet.cli.threads.usable_cores", lambda: 4)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def busy(monkeypatch: pytest.MonkeyPatch, others: float, own: float = 1.0) -> None:
    """Let other processes use this number of cores."""
    monkeypatch.setattr(threads, "START", Times(100.0, 50.0, 2.0))
    now = Times(102.0, 50.0 + 2 * (others + own), 2.0 + 2 * own)
    monkeypatch.setattr(threads, "cpu_times", lambda: now)


@pytest.mark.parametrize(("others", "free"), [(0, 4), (0.4, 4), (1, 3), (2.6, 1), (4, 1), (9, 1)])
def test_the_cores_of_other_processes_are_not_free(
    monkeypatch: pytest.MonkeyPatch, others: float, free: int
) -> None:
    busy(monkeypatch, others)
    assert free_cores() == free
    assert use_free_cores() == torch.get_num_threads() == free


def test_a_limit_of_a_container_holds_on_an_idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 0)
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    assert use_free_cores() == 2


def test_a_number_that_was_set_or_recorded_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 3)
    assert use_free_cores(2) == torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(3)
    assert use_free_cores() is None
    assert torch.get_num_threads() == 3


def test_where_the_system_does_not_tell_all_cores_are_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "STAT", tmp_path / "none")
    assert cpu_times() is None
    assert free_cores() == 4
    monkeypatch.setattr(threads, "START", None)
    assert free_cores() == 4


def test_times_are_those_of_the_usable_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    # user, nice, system, idle, waiting for a disk, interrupts (two), stolen, guests (two)
    stat.write_text("cpu 9 9\ncpu0 100 20 30 999 999 4 5 6 77 77\ncpu7 1 1 1 1 1 1 1 1\nctxt 1\n")
    monkeypatch.setattr(threads, "STAT", stat)
    monkeypatch.setattr(threads.os, "sysconf", lambda _: 100)
    times = cpu_times()
    assert times is not None
    assert times.all == pytest.approx(1.65)


def test_this_system_tells() -> None:
    if threads.STAT.is_file():
        times = cpu_times()
        assert times is not None
        assert times.all >= 0
    assert 1 <= free_cores() <= 4


def test_a_command_says_that_cores_are_busy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    busy(monkeypatch, 3)
    choose_threads()
    assert "Computing on 1 of 4 cores" in capsys.readouterr().out
    busy(monkeypatch, 0)
    torch.set_num_threads(4)
    choose_threads()
    choose_threads(1)
    assert capsys.readouterr().out == ""


def test_a_continued_training_takes_the_threads_it_had(tmp_path: Path) -> None:
    command = SimpleNamespace(runs=str(tmp_path), name="run", resume=True, reproduce=None)
    assert threads_before(command) is None  # it has not begun
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "environment.json", {"threads": 3})
    assert threads_before(command) == 3
    again = SimpleNamespace(
        runs=str(tmp_path), name="again", resume=False, reproduce=str(tmp_path / "run")
    )
    assert threads_before(again) == 3
