"""Tables, images and run folders in an object store, such as `s3://bucket/data.csv`, by fsspec.

A command works on local copies, in a folder that is kept: what it reads is copied before it starts,
and what it writes is copied back when it ends, also by an error or a signal. A file whose size and
checksum or time have not changed is not copied again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from agfnet.errors import ConfigError, DataError
from agfnet.files import write_json

T = TypeVar("T")
TABLES = ("cases",)
"""Settings that name a table, which is copied with its images."""
INPUTS = ("model", "run", "bundle", "run_a", "run_b")
"""Settings that name a folder to read, and to which a command may add files."""
OUTPUTS = ("runs", "out")
"""Settings that name a file or folder to write."""
STATES = ".remote.json"
"""File of a local copy: the state of each file in the object store when it was copied."""


def is_remote(path: object) -> bool:
    """Check that a setting is the address of a file or folder in an object store."""
    return isinstance(path, str) and "://" in path


def copies_folder() -> Path:
    """Return the folder of local copies: `AGFNET_REMOTE_DIR`, or one in the user's cache."""
    return Path(os.environ.get("AGFNET_REMOTE_DIR") or Path.home() / ".cache/agfnet/remote")


@contextmanager
def local_copies(settings: T, report: Callable[[str], object]) -> Iterator[T]:
    """Yield settings with local copies in the place of addresses, and copy back what is written.

    Args:
        settings: of a command.
        report: called with a line when files were copied back.

    Raises:
        ConfigError: fsspec, or its driver for an address, is not installed.
        DataError: an address cannot be read or written.
    """
    with ExitStack() as copies:
        yield with_copies(settings, copies, report, name=getattr(settings, "name", ""))


def with_copies(settings: T, copies: ExitStack, report: Callable[[str], object], *, name: str) -> T:
    """Return settings with local copies in the place of addresses."""
    assert is_dataclass(settings)
    changed: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            changed[field.name] = with_copies(value, copies, report, name=name)
        elif is_remote(value) and field.name in (*TABLES, *INPUTS, *OUTPUTS):
            copy = Copy(value, report)
            if field.name in TABLES:
                copy.read_table()
            elif field.name == "runs":
                copies.enter_context(copy.written(name))
            elif field.name == "out":
                copies.enter_context(copy.written_next_to())
            else:
                copies.enter_context(copy.written(""))
            changed[field.name] = str(copy.path)
    return replace(settings, **changed) if changed else settings  # type: ignore[type-var]


class Copy:
    """The local copy of an address.

    Args:
        url: address of a file or folder.
        report: called with a line when files were copied back.

    Raises:
        ConfigError: fsspec, or its driver for the address, is not installed.
    """

    def __init__(self, url: str, report: Callable[[str], object]) -> None:
        try:
            from fsspec.core import url_to_fs

            self.system, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{url}: {error}; pip install 'agfnet[cloud]'") from error
        self.url, self.report = url, report
        self.root = PurePosixPath(root)
        digest = hashlib.sha256(str(self.root.parent).encode()).hexdigest()[:16]
        self.folder = copies_folder() / digest  # of the parent, so that relative paths stay
        self.path = self.folder / self.root.name

    def read_table(self) -> None:
        """Copy a table and all files that its rows name.

        Raises:
            DataError: one cannot be read.
        """
        self.read([self.root.name])
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            cells = {cell for row in csv.reader(file) for cell in row}
        names = {part.split("#")[0].strip() for cell in cells for part in cell.split("|")}
        self.read([name for name in sorted(names) if "." in name and self.state(name) is not None])

    def state(self, name: str) -> str | None:
        """Return what changes when a file changes; None if there is no such file."""
        try:
            info = self.system.info(self.address(name))
        except (OSError, ValueError):
            return None
        if info["type"] != "file":
            return None
        marks = (info.get(key) for key in ("size", "ETag", "etag", "md5Hash", "mtime", "created"))
        return " ".join(str(mark) for mark in marks if mark is not None)

    def read(self, names: list[str]) -> None:
        """Copy files that have changed; names are relative to the parent of the address.

        Raises:
            DataError: one cannot be read.
        """
        states = self.states()
        for name in names:
            state = self.state(name)
            if state is None:
                raise DataError(f"{self.url}: {name} does not exist, or cannot be read")
            path = self.local(name)
            if states.get(name) != state or not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                self.system.get_file(self.address(name), str(path))
                states[name] = state
        write_json(self.folder / STATES, states)

    @contextmanager
    def written(self, part: str) -> Iterator[None]:
        """Copy a folder in a block: from the address at its begin, and back at its end.

        Args:
            part: folder in the address that is copied; all of it if empty.
        """
        base = self.root / part
        files = self.system.find(str(base)) if self.system.exists(str(base)) else []
        self.read([str(PurePosixPath(file).relative_to(self.root.parent)) for file in files])
        with self.copied_back(self.path / part):
            yield

    @contextmanager
    def written_next_to(self) -> Iterator[None]:
        """Copy the files of a folder that change in a block to the address of their folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.copied_back(self.folder):
            yield

    @contextmanager
    def copied_back(self, folder: Path) -> Iterator[None]:
        """Copy the files in a folder that change in a block to the object store."""
        before = changes(folder)
        try:
            yield
        finally:
            states, count = self.states(), 0
            for path, change in changes(folder).items():
                name = path.relative_to(self.folder).as_posix()
                if before.get(path) != change:
                    self.system.makedirs(str(PurePosixPath(self.address(name)).parent), True)
                    self.system.put_file(str(path), self.address(name))
                    states[name] = self.state(name) or ""
                    count += 1
            for path in before:
                if not path.exists():
                    self.system.rm_file(self.address(path.relative_to(self.folder).as_posix()))
            write_json(self.folder / STATES, states)
            if count:
                self.report(f"Copied {count} files to {self.url}")

    def address(self, name: str) -> str:
        """Return the address of a name that is relative to the parent of the address."""
        return str(self.root.parent / name)

    def local(self, name: str) -> Path:
        """Return the path of the local copy of a name.

        Raises:
            DataError: it is outside the folder of local copies.
        """
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise DataError(f"{self.url}: {name} is outside the folder of the table")
        return path

    def states(self) -> dict[str, str]:
        """Return the states of the files that were copied."""
        file = self.folder / STATES
        states: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
        return states


def changes(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of change of the files in a folder, without hidden ones."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    }
