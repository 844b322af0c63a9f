"""Safe writing: after an interruption there are the old files or the new ones, never a mixture.

`replacing` does this for one file. `staged_files` does it for several files of a folder that has
SHA256SUMS: they are written to a hidden folder, renaming it commits the change, and `finish_change`
moves them into place, if necessary in a later process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agfnet.errors import BundleError, ConfigError, RunError

SUMS = "SHA256SUMS"
SUM = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9_-][A-Za-z0-9._-]*)")
TEMPORARY = re.compile(r"\..+\.\d+")  # as `replacing` names them
STAGING, CHANGE = ".staging", ".change"
"""Folders of a change, before and after it is committed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; its file replaces `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _naming(path, temporary):
        temporary.unlink(missing_ok=True)  # of a killed process with the same id; it may be a link
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Let errors of the operating system name a file that is written, not its temporary one.

    A full disk is noticed when a file is closed, by an error that names none.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder next to a new one that takes its name on success and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process with the same id
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_outputs(outputs: Mapping[str, Path | str | None], inputs: Iterable[Path | str]) -> None:
    """Check that a command overwrites no folder, no device, and not what it reads.

    Args:
        outputs: setting to the file that it names, if any.
        inputs: files that the command reads.

    Raises:
        ConfigError: an output is one of the inputs, under whichever path, or no regular file.
    """
    read = [path for path in map(Path, inputs) if path.exists()]
    for setting, output in outputs.items():
        if output and Path(output).exists() and not Path(output).is_file():
            kind = "a folder" if Path(output).is_dir() else "a device or a pipe"
            raise ConfigError(f"{setting}: {output} is {kind}; name a file")
        if output and Path(output).exists():
            for path in read:
                if path.samefile(output):
                    raise ConfigError(
                        f"{setting}: {output} is read by this command and would be overwritten; "
                        "name another file"
                    )


def remove_temporary(folder: Path, *, deep: bool = True) -> None:
    """Remove the temporary files that a killed process has left in a folder.

    Args:
        folder: the folder.
        deep: also in the folders within.
    """
    for path in folder.rglob(".*") if deep else folder.glob(".*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def read_record(path: Path, kind: type = dict) -> Any:
    """Read a JSON file of a run.

    Args:
        path: of the file.
        kind: that its content must have.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"no {kind.__name__}")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path.parent}: no readable {path.name}; expected a run folder runs/NAME as it was"
            " written: copy the whole folder again"
        ) from error
    return content


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file as a whole."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: object) -> None:
    """Write readable JSON as a whole.

    Raises:
        ValueError: The content has a NaN or an infinity.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def staged_files(folder: Path, *, drop: Collection[str] = ()) -> Iterator[Path]:
    """Change several files of a folder with SHA256SUMS as a whole.

    Args:
        folder: The folder, which may be new.
        drop: Names of files to remove, unless they are written again.

    Yields:
        A folder for the new files. They take effect when the block ends without an error;
        otherwise the folder stays as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finish_change(folder)
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    with _naming(folder, staging):
        staging.mkdir()
        yield staging
        sums = read_sums(folder) if (folder / SUMS).is_file() else sums_of(folder)
        write_sums(staging, {n: s for n, s in sums.items() if n not in drop} | sums_of(staging))
    staging.replace(folder / CHANGE)  # commits the change
    finish_change(folder)


def finish_change(folder: Path) -> None:
    """Complete a change that was committed and then interrupted."""
    change = folder / CHANGE
    if (change / SUMS).is_file():
        for path in visible_files(change):
            path.replace(folder / path.name)
        before = read_sums(folder) if (folder / SUMS).is_file() else {}
        for name in before.keys() - read_sums(change).keys():
            (folder / name).unlink(missing_ok=True)
        (change / SUMS).replace(folder / SUMS)
    shutil.rmtree(change, ignore_errors=True)


def visible_files(folder: Path) -> list[Path]:
    """Return the files of a folder, without SHA256SUMS and hidden files."""
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and path.name != SUMS and not path.name.startswith(".")
    ]


def sums_of(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file of a folder, by name."""
    return {path.name: sha256(path) for path in visible_files(folder)}


def seal(folder: Path) -> None:
    """Write SHA256SUMS of all files of a folder."""
    write_sums(folder, sums_of(folder))


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    """Write SHA256SUMS, in the format of `sha256sum`."""
    write_text(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


def read_sums(folder: Path) -> dict[str, str]:
    """Read the SHA-256 of the files of a folder, by name.

    Raises:
        BundleError: No SHA256SUMS, or a line of it has another format.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder}: no readable {SUMS}; copy the whole folder again") from error
    sums = {}
    for number, line in enumerate(lines, start=1):
        match = SUM.fullmatch(line)
        if match is None:
            raise BundleError(
                f"{folder / SUMS}:{number}: {line[:80]!r}; expected a SHA-256 and the plain name of"
                " a file in this folder"
            )
        sums[match[2]] = match[1]
    return sums


def verify(folder: Path) -> tuple[str, ...]:
    """Compare every file that SHA256SUMS lists with its SHA-256; return the names.

    Raises:
        BundleError: A file is missing, changed, a link, or named by a path; or there are no sums.
    """
    sums = read_sums(folder)
    for name, digest in sums.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{folder}: no {name}, or it is a link; copy the whole folder again")
        if sha256(path) != digest:
            raise BundleError(
                f"{path}: is not the file that was written (its SHA-256 differs); copy the whole"
                " folder again"
            )
    return tuple(sums)
