"""The plugin by which `make quick` runs tests: the results are those of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "conftest.py": """
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

def note(text):
    with (FOLDER / "notes").open("a") as file:
        file.write(f"{os.getpid()} {text}\\n")

@pytest.fixture(scope="session")
def server():
    note("begin")
    yield
    note("end")
""",
    "test_a.py": """
import pytest
from conftest import note

@pytest.mark.parametrize("number", range(100))
def test_many(number, server, tmp_path, capfd):
    note(f"many {number}")
    (tmp_path / "file").write_text("")
    print(number)
    assert capfd.readouterr().out == f"{number}\\n"
""",
    "test_b.py": """
import pytest
from conftest import note

@pytest.mark.xdist_group("together")
def test_first():
    note("together")

def test_wrong():
    print("what it printed")
    assert 1 == 2

@pytest.mark.skip(reason="not now")
def test_skipped():
    pass
""",
    "test_c.py": """
import pytest
from conftest import note

@pytest.mark.xdist_group("together")
def test_second():
    note("together")
""",
}


def run(folder: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "forked", "-p", "no:cacheprovider", *options]
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = xdist_group\n")
    return tmp_path


def test_every_test_runs_once_in_one_of_the_processes(tests: Path) -> None:
    code, output = run(tests, "--processes", "2", "-rs")
    assert code == 1
    assert "1 failed, 102 passed, 1 skipped" in output
    assert "assert 1 == 2" in output
    assert "what it printed" in output
    assert "not now" in output
    notes = [line.split(" ", 1) for line in (tests / "notes").read_text().splitlines()]
    texts = [text for _, text in notes]
    assert sorted(t for t in texts if t.startswith("many")) == sorted(
        f"many {number}" for number in range(100)
    )
    assert texts.count("begin") == texts.count("end") == len({p for p, t in notes if t == "end"})
    assert len({process for process, text in notes if text == "together"}) == 1
    assert len({process for process, _ in notes}) == 2


def test_it_stops_at_the_first_failure_if_that_is_asked_for(tests: Path) -> None:
    code, output = run(tests, "--processes", "2", "-x")
    assert code == 1
    assert "stopping after 1 failures" in output
    texts = [line.split(" ", 1)[1] for line in (tests / "notes").read_text().splitlines()]
    assert texts.count("begin") == texts.count("end")


def test_a_process_that_dies_is_a_failure(tests: Path) -> None:
    (tests / "test_d.py").write_text("import os\n\ndef test_death():\n    os._exit(0)\n")
    code, output = run(tests, "--processes", "2")
    assert code == 1
    assert "a process died in test_d.py::test_death" in output
