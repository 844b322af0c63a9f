"""Lock files: one process at a time, and dead ones are recognised."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agfnet import locks
from agfnet.errors import RunError
from agfnet.locks import locked


def test_a_lock_names_its_process_and_how_to_take_it_over(tmp_path: Path) -> None:
    file = tmp_path / "run" / ".lock"
    expected = rf"process {os.getpid()} on .*, last sign of life [01] s ago.*, delete it"
    with (
        locked([file], cure="delete it"),
        pytest.raises(RunError, match=expected.replace(", last", r" is at work here \(last")),
        locked([file], cure="delete it"),
    ):
        pass
    assert not file.exists()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from agfnet.locks import locked\n"
        "with locked([Path(sys.argv[1])], cure=''): os.kill(os.getpid(), signal.SIGKILL)"
    )
    file = tmp_path / "x.lock"
    done = subprocess.run([sys.executable, "-c", code, str(file)], check=False)
    assert done.returncode == -9
    assert file.exists()
    with locked([file], cure=""):
        pass


def test_the_lock_of_another_machine_is_taken_over_by_force_only(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    file.write_text("17\nelsewhere\n")
    os.utime(file, (0, time.time() - 7200))
    with (
        pytest.raises(RunError, match=r"process 17 on elsewhere .*2\.0 h ago"),
        locked([file], cure="", wait=0),
    ):
        pass
    with locked([file], cure="", force=True):
        assert file.read_text().startswith(f"{os.getpid()}\n")


def test_a_lock_shows_that_its_process_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PULSE", 0.01)
    file = tmp_path / ".lock"
    with locked([file], cure=""):
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 30
        while file.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
