"""Freed memory is kept during a training, and given back afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

from agfnet import allocation
from agfnet.allocation import keep_freed_memory
from agfnet.config import DataConfig, TrainConfig
from agfnet.training import fit as training

glibc = pytest.mark.skipif(allocation._library() is None, reason="the C library is not glibc")

COUNT_FAULTS = """
import resource, torch
from agfnet.allocation import keep_freed_memory
from agfnet.config import DataConfig, TrainConfig
from agfnet.training import fit as training

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(12):
        torch.ones(100 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

before = faults()
with keep_freed_memory():
    faults()
    with keep_freed_memory():
        kept = faults()
    still_kept, held = faults(), resident()
given_back = held - resident()
print(before, kept, still_kept, faults(), given_back)
"""


@glibc
def test_pages_of_freed_tensors_are_used_again_and_given_back_at_the_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True
    )
    before, kept, still_kept, after, given_back = map(int, done.stdout.split())
    assert before > 1000
    assert kept < before / 2
    assert still_kept < before / 2
    assert after > 1000
    assert given_back > 90  # megabytes


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "_library", lambda: None)
    with keep_freed_memory():
        pass
    assert allocation._users == 0


def test_an_error_ends_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), keep_freed_memory():
        (tmp_path / "missing").read_bytes()
    assert allocation._users == 0


def test_a_training_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    users = []
    monkeypatch.setattr(training, "read_table", lambda data: None)
    monkeypatch.setattr(training, "begin_run", lambda *arguments: True)
    monkeypatch.setattr(
        training, "train_run", lambda *arguments, **names: users.append(allocation._users)
    )
    training.fit(TrainConfig(data=DataConfig(cases="cases.csv")))
    assert users == [1]
    assert allocation._users == 0
