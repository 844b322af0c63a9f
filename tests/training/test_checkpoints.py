"""Checkpoint files: damage is detected, and there is always one to continue from."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from random import Random

import pytest
import torch

from agfnet.errors import RunError
from agfnet.training.checkpoints import (
    FOLDER,
    CheckpointFiles,
    find_checkpoint,
    load_best,
    load_checkpoint,
)

from ..interruption import interruptions
from .ramp import RampTask


def state(epoch: int, best_epoch: int | None) -> dict[str, object]:
    progress = {"best": 1.0, "best_epoch": best_epoch, "finished": False}
    return {"epoch": epoch, "state_dict": {"w": torch.full((999,), epoch)}, "progress": progress}


def write(folder: Path, epoch: int, *, best: bool = False, best_epoch: int | None = None) -> None:
    path = folder / FOLDER / "last.ckpt"
    best_epoch = epoch if best else best_epoch
    CheckpointFiles().save_checkpoint(state(epoch, best_epoch), path, storage_options=best)


def epochs(folder: Path) -> dict[str, int]:
    paths = (folder / FOLDER).iterdir()
    return {path.name: load_checkpoint(path)["epoch"] for path in paths}


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 0, best=True)
    for epoch in (1, 2, 3):
        write(tmp_path, epoch, best_epoch=0)
    assert epochs(tmp_path) == {"last.ckpt": 3, "previous.ckpt": 2, "best.ckpt": 0}
    last = tmp_path / FOLDER / "last.ckpt"
    assert torch.load(last, weights_only=True)["epoch"] == 3  # a plain file of torch.save


def test_any_damage_is_detected(tmp_path: Path) -> None:
    """Also of single bits, most of which `torch.load` does not notice."""
    write(tmp_path, 0)
    path = tmp_path / FOLDER / "last.ckpt"
    content = path.read_bytes()
    rng = Random(0)
    unnoticed = 0
    for _ in range(100):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"last\.ckpt: the checkpoint is damaged"):
            load_checkpoint(path)
        try:
            torch.load(path, weights_only=True)
            unnoticed += 1
        except Exception:
            pass
    assert unnoticed > 20
    for length in (0, 10, len(content) // 2, len(content) - 80, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"last\.ckpt: the checkpoint is damaged"):
            load_checkpoint(path)


def test_damaged_ones_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_checkpoint(tmp_path) is None
    write(tmp_path, 0, best=True)
    write(tmp_path, 1, best_epoch=0)
    write(tmp_path, 2, best_epoch=0)
    for name, expected in (("last", 1), ("previous", 0), ("best", None)):
        path = tmp_path / FOLDER / f"{name}.ckpt"
        path.write_bytes(path.read_bytes()[:-100])
        found = find_checkpoint(tmp_path)
        assert (None if found is None else load_checkpoint(found)["epoch"]) == expected
        assert f"{name}.ckpt: the checkpoint is damaged" in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)
    with pytest.raises(RunError, match=r"best\.ckpt: .* damaged .*; .* --resume"):
        load_best(tmp_path, RampTask())  # type: ignore[arg-type]


def test_later_states_need_the_best_checkpoint(tmp_path: Path) -> None:
    """A run that continued without it would end with the best of the later epochs only."""
    write(tmp_path, 0)
    write(tmp_path, 0, best=True)
    (tmp_path / FOLDER / "best.ckpt").unlink()
    found = find_checkpoint(tmp_path)
    assert found is not None
    assert found.name == "previous.ckpt"


@pytest.mark.parametrize("best", [True, False])
def test_a_power_cut_at_any_moment_leaves_a_checkpoint(tmp_path: Path, best: bool) -> None:
    """And never a last one whose best epoch is not kept."""
    for number, interruption in enumerate(interruptions(tmp_path)):
        folder = tmp_path / str(number)
        write(folder, 0, best=True)
        write(folder, 1, best_epoch=0)
        with interruption:
            write(folder, 2, best=best, best_epoch=0)
        found = find_checkpoint(folder)
        assert found is not None
        kept = load_checkpoint(found)
        assert kept["epoch"] in (1, 2)
        if best and kept["epoch"] == 2:
            assert epochs_of_best(folder) == 2
    assert number >= 3


def epochs_of_best(folder: Path) -> int:
    return int(load_checkpoint(folder / FOLDER / "best.ckpt")["epoch"])


def test_a_full_disk_leaves_the_checkpoints(tmp_path: Path) -> None:
    write(tmp_path, 0, best=True)
    write(tmp_path, 1, best_epoch=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))  # bytes of a file
    try:
        with pytest.raises(OSError, match=r"File too large|cannot be written"):
            write(tmp_path, 2, best_epoch=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert epochs(tmp_path) == {"last.ckpt": 1, "previous.ckpt": 0, "best.ckpt": 0}


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch trapped",)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "trapped").exists()
