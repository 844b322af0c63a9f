"""Checkpoints of a run: the one from which training continues, and the best one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from agfnet.errors import RunError
from agfnet.training.tasks import Task

FOLDER = "checkpoints"
LAST, BEST = "last.ckpt", "best.ckpt"


def find_checkpoint(folder: Path) -> Path | None:
    """Return the newest readable checkpoint of a run; None if training starts with epoch 0.

    A checkpoint can be empty or cut off after a power failure. Training repeats the epochs that
    are lost with it, with the same result.
    """
    for path in (folder / FOLDER / LAST, folder / FOLDER / BEST):
        if path.is_file():
            try:
                load_checkpoint(path)
            except RunError as error:
                logging.getLogger(__name__).warning("%s; continuing from an earlier epoch", error)
            else:
                return path
    return None


def load_best(folder: Path, task: Task) -> None:
    """Load the weights of the best checkpoint of a run into a task.

    Raises:
        RunError: the checkpoint cannot be read.
    """
    path = folder / FOLDER / BEST
    try:
        state = load_checkpoint(path)["state_dict"]
    except RunError as error:
        raise RunError(f"{error}; delete {folder} and train again") from error
    task.load_state_dict({name.removeprefix("task."): value for name, value in state.items()})


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RunError: it is damaged.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, as the file is damaged
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise RunError(f"{path}: the checkpoint is damaged ({reason})") from error
    return checkpoint
