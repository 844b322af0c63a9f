"""Checkpoint files of a run: the last two states of its training, and the one that is kept.

A checkpoint is written as a whole, under another name, and then renamed. It is a file of
`torch.save` whose SHA-256 is in the comment of the zip archive, so that it needs no second file
and other programs can read it. One that is cut off or changed is passed over: training repeats the
steps that are lost with it, with the same result.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from agfnet.errors import RunError
from agfnet.files import replacing
from agfnet.training.tasks import Task

FOLDER = "checkpoints"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
PROGRESS = "progress"
"""Key of the state of `agfnet.training.callbacks.Checkpoints` in a checkpoint."""
SEAL = b"sha256:"
END_OF_ZIP = b"PK\5\6"  # begins the last 22 bytes of an archive without a comment
LENGTH = 2  # bytes before the comment of a zip archive, which hold its length
BLOCK = 2**20


class CheckpointFiles(TorchCheckpointIO):
    """Writing and reading of checkpoints for Lightning."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write the last checkpoint of a run, and keep the one before it.

        Args:
            checkpoint: the state of the training.
            path: path of the last checkpoint.
            storage_options: True if it is also the one whose weights are kept, the best so far.

        Raises:
            OSError: it cannot be written, as on a full disk; the ones before it are intact.
        """
        last = Path(path)
        with replacing(last) as written:
            try:
                with written.open("wb") as file:
                    torch.save(checkpoint, file)
            except RuntimeError as error:  # of the writer of torch, for an error of the file
                raise OSError(errno.EIO, f"cannot be written ({error})", str(last)) from error
            seal(written)
            if storage_options:  # first, since a run continues after the last one
                with replacing(last.with_name(BEST)) as best:
                    link(written, best)
            if last.is_file():
                last.replace(last.with_name(PREVIOUS))

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            RunError: it is damaged.
        """
        return load_checkpoint(Path(path))


def find_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint of a run that is intact; None if training starts again.

    A state after the first epoch is of use only with the best checkpoint, to which it refers.
    """
    best = read(folder / FOLDER / BEST)
    for name in (LAST, PREVIOUS):
        state = read(folder / FOLDER / name)
        if state is not None and (best is not None or progress(state)["best_epoch"] is None):
            return folder / FOLDER / name
    if best is None:
        return None
    last = folder / FOLDER / LAST
    with replacing(last) as path:
        link(folder / FOLDER / BEST, path)
    return last


def read(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint; return None, with a warning, if it is damaged, or if there is none."""
    if not path.is_file():
        return None
    try:
        return load_checkpoint(path)
    except RunError as error:
        logging.getLogger(__name__).warning("%s; continuing from an earlier state", error)
        return None


def progress(state: dict[str, Any]) -> dict[str, Any]:
    """Return the best loss and epoch in a checkpoint, and whether training was over.

    Checkpoints of agfnet 0.1 have the loss elsewhere.
    """
    if PROGRESS in state:
        result: dict[str, Any] = state[PROGRESS]
        return result
    losses = [
        float(callback["best_model_score"])
        for callback in state.get("callbacks", {}).values()
        if callback.get("best_model_score") is not None
    ]
    return {"best": min(losses), "best_epoch": state["epoch"], "finished": False}


def load_best(folder: Path, task: Task) -> None:
    """Load the weights of the best checkpoint of a run into a task.

    Raises:
        RunError: the checkpoint cannot be read.
    """
    path = folder / FOLDER / BEST
    try:
        state = load_checkpoint(path)["state_dict"]
    except RunError as error:
        raise RunError(f"{error}; repeat its epochs with --resume") from error
    task.load_state_dict({name.removeprefix("task."): value for name, value in state.items()})


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, without unpickling anything but tensors and plain values.

    One of agfnet 0.1 has no SHA-256, and is read without the comparison.

    Raises:
        RunError: it is damaged.
    """
    try:
        if not is_intact(path):
            raise RunError(f"{path}: the checkpoint is damaged (it was cut off or changed)")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except Exception as error:  # torch raises many kinds, as the file is damaged
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise RunError(f"{path}: the checkpoint is damaged ({reason})") from error
    return checkpoint


def seal(path: Path) -> None:
    """Add the SHA-256 of a file of `torch.save` to it as a comment, and write it to the disk."""
    with path.open("r+b") as file:
        file.seek(-LENGTH, os.SEEK_END)
        end = file.tell()  # without the length of the comment, which is still 0
        comment = SEAL + digest(file, end).encode()
        file.seek(end)
        file.write(len(comment).to_bytes(LENGTH, "little") + comment)
        file.flush()
        os.fsync(file.fileno())


def is_intact(path: Path) -> bool:
    """Compare a checkpoint with the SHA-256 in it; True for one of agfnet 0.1, which has none."""
    size = len(SEAL) + 2 * hashlib.sha256().digest_size
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - size - LENGTH
        file.seek(max(0, end))
        tail = file.read()
        if tail[-len(END_OF_ZIP) - 18 :].startswith(END_OF_ZIP):
            return True
        return tail == size.to_bytes(LENGTH, "little") + SEAL + digest(file, end).encode()


def digest(file: IO[bytes], end: int) -> str:
    """Return the SHA-256 of the first bytes of a file, in hexadecimal."""
    result = hashlib.sha256()
    for block in blocks(file, end):
        result.update(block)
    return result.hexdigest()


def blocks(file: IO[bytes], end: int) -> Iterator[bytes]:
    """Yield the first bytes of a file in parts."""
    file.seek(0)
    while (rest := end - file.tell()) > 0 and (block := file.read(min(BLOCK, rest))):
        yield block


def link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
