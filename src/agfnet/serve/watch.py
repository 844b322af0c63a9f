"""A watched folder: each folder in it with the images of a lesion gets its answer, once."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agfnet import NOTICE, __version__
from agfnet.config import ServeConfig
from agfnet.errors import ConfigError
from agfnet.files import write_bytes, write_json
from agfnet.serve.file_types import HEAD, IMAGES, type_of
from agfnet.serve.monitoring import log
from agfnet.serve.pool import Pool
from agfnet.serve.request_error import RequestError
from agfnet.serve.schemas import PredictOptions

ANSWER, REPORT = "agfnet_answer.json", "agfnet_answer.dcm"
POLL_S = 1.0
RANK = 1
"""After the requests for single lesions, before batches."""
_LOCK = ".agfnet.lock"
State = dict[Path, tuple[int, int]]
"""Size and time of change of each file."""


class Watcher:
    """Answers the lesions of a folder.

    Args:
        config: `watch` and the settings that begin with it.
        modalities: the modalities of the model.
        pool: the workers.

    Raises:
        ConfigError: the folder does not exist, cannot be written, or has another watcher.
    """

    def __init__(self, *, config: ServeConfig, modalities: Sequence[str], pool: Pool) -> None:
        self.folder = Path(config.watch or "")
        self._settle_s = config.watch_settle_s
        self._report = config.watch_report
        self._modalities = modalities
        self._pool = pool
        self._seen: dict[Path, tuple[State, float]] = {}
        self._loose = 0
        if not self.folder.is_dir():
            raise ConfigError(f"watch: {self.folder} is not a folder; create it first")
        try:
            self._lock = FileLock(self.folder / _LOCK)
            self._lock.acquire(timeout=0)
        except Timeout:
            text = f"watch: {self.folder}: another server watches it; choose another folder"
            raise ConfigError(text) from None
        except OSError as error:
            text = f"watch: {self.folder}: cannot be written ({error.strerror})"
            raise ConfigError(text) from error

    async def run(self) -> None:
        """Look for lesions until it is cancelled."""
        while True:
            try:
                for folder in await asyncio.to_thread(self.complete):
                    await self.answer(folder)
            except OSError as error:  # such as a share that is gone for a moment
                log("watch", level=logging.WARNING, fault=type(error).__name__)
            await asyncio.sleep(POLL_S)

    def close(self) -> None:
        """Leave the folder to the next server."""
        self._lock.release()

    def complete(self) -> list[Path]:
        """Return the folders without an answer whose files have not changed for a while."""
        now = time.monotonic()
        before, self._seen, ready = self._seen, {}, []
        entries = [path for path in sorted(self.folder.iterdir()) if path.name[0] != "."]
        self._warn_of_files(sum(path.is_file() for path in entries))
        for folder in entries:
            if folder.is_symlink() or not folder.is_dir():
                continue
            if (folder / ANSWER).exists():
                continue
            state = state_of(folder)
            known, since = before.get(folder, ({}, now))
            if state != known:
                since = now
            self._seen[folder] = (state, since)
            if state and now - since >= self._settle_s:
                ready.append(folder)
        return ready

    def _warn_of_files(self, count: int) -> None:
        """Report files that lie directly in the watched folder: they belong to no lesion."""
        if count and count != self._loose:
            log("watch_files_without_folder", level=logging.WARNING, files=count)
        self._loose = count

    async def answer(self, folder: Path) -> None:
        """Answer one lesion; the answer is written last, and as a whole."""
        state, _ = self._seen[folder]
        try:
            files = assign(folder, state, self._modalities)
            paths = {name: [str(path) for path in images] for name, images in files.items()}
            options = PredictOptions().model_dump(by_alias=True)  # of a request without any
            job = {"kind": "predict", "files": paths, **options, "report": self._report}
            reply = await self._pool.run(job, rank=RANK, wait_s=None)
        except RequestError as error:
            files, reply = {}, {"error": error.reply()}
        if await asyncio.to_thread(state_of, folder) != state:
            return  # a file has changed meanwhile: it is answered when all are complete
        names = {
            name: [path.relative_to(folder).as_posix() for path in images]
            for name, images in files.items()
        }
        head = {"notice": NOTICE, "agfnet": __version__, "lesion": folder.name, "files": names}
        await asyncio.to_thread(write_answer, folder, {**head, **reply})
        log("watch", outcome="failed" if "error" in reply else "answered")


def write_answer(folder: Path, answer: Mapping[str, Any]) -> None:
    """Write the report, if there is one, and then the answer."""
    content = dict(answer)
    if report := content.pop("report", None):
        write_bytes(folder / REPORT, base64.b64decode(report))
    write_json(folder / ANSWER, content)


def state_of(folder: Path) -> State:
    """Return the size and the time of change of each file of a lesion."""
    state = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.name != REPORT and path.is_file() and not path.is_symlink():
            status = path.stat()
            state[path] = (status.st_size, status.st_mtime_ns)
    return state


def assign(
    folder: Path, files: Sequence[Path] | State, modalities: Sequence[str]
) -> dict[str, list[Path]]:
    """Return the images of each modality: those in a folder of its name, or named like it.

    Raises:
        RequestError: an image belongs to no modality, or there is none.
    """
    images: dict[str, list[Path]] = {}
    for path in files:
        name = path.relative_to(folder).parts[0].lower()
        # the longest name first: `ultrasound_doppler.png` is not of `ultrasound`
        order = sorted(modalities, key=len, reverse=True)
        modality = next((each for each in order if name.startswith(each.lower())), None)
        if modality is not None:
            images.setdefault(modality, []).append(path)
        elif is_image(path):
            known = " or ".join(modalities)
            text = (
                f"{path.name}: of no modality; begin its name, or that of its folder, with {known}"
            )
            raise RequestError(422, "invalid", text)
    if not images:
        raise RequestError(422, "invalid", f"no image of any of the modalities {modalities}")
    return images


def is_image(path: Path) -> bool:
    """Return True if the content of a file is that of an image."""
    with path.open("rb") as file:
        return type_of(file.read(HEAD)) in IMAGES
