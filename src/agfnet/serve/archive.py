"""A zip from a stranger as files in a folder, with every limit kept while it is unpacked."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from agfnet.serve.file_types import HEAD, ZIP, kind_of
from agfnet.serve.request_error import RequestError

CHUNK = 1 << 16
NAME = 512
"""Most characters of a path in a zip."""
DEPTH = 16
"""Most folders within folders."""
MAX_RATIO = 200
"""Times that a larger file may grow when it is unpacked."""
SMALL = 1 << 20
"""Bytes up to which a file may grow by any ratio: small files compress as they like."""


@dataclass
class Allowance:
    """What is left of the limits, over a zip and the zips in it."""

    files: int
    bytes: int
    ratio: float
    nesting: int


def unpack(archive: Path, folder: Path, left: Allowance) -> None:
    """Unpack a zip, by what it holds and not by what it says of itself.

    Links become plain files with the path that they lead to. Folders and the notes that one
    system leaves behind in a zip are passed over.

    Raises:
        RequestError: it is damaged, encrypted, breaks a limit, or leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            if len(opened.infolist()) > left.files:
                raise RequestError(413, "too_many_files", "the zip holds too many files")
            for member in opened.infolist():
                if not member.is_dir() and not _is_note(member.filename):
                    _take(opened, member, folder, left)
    except RequestError:
        raise
    except OSError as error:
        raise RequestError(
            503, "no_room", f"no room for the files ({error.strerror})", retry_after=60
        ) from None
    except Exception:  # the reader raises anything on damaged zips
        raise RequestError(400, "bad_request", "the zip is damaged; pack it again") from None


def _is_note(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1] in (".DS_Store", "Thumbs.db"))


def _take(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, left: Allowance) -> None:
    left.files -= 1
    if left.files < 0:
        raise RequestError(413, "too_many_files", "the zip holds too many files")
    if member.flag_bits & 1:
        raise RequestError(422, "invalid", "the zip is encrypted; send one that is not")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RequestError(422, "invalid", "the zip is packed in an unusual way; use deflate")
    target = _place(member.filename, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, target.open("xb") as file:
        head = _copy(source, file, member.compress_size, left)
    if kind_of(head) == ZIP:
        if left.nesting < 1:
            raise RequestError(413, "too_many_files", "the zip holds a zip; unpack that one first")
        left.nesting -= 1
        inner = target.with_name(f".{target.name}")
        target.rename(inner)
        unpack(inner, target.with_suffix(""), left)
        inner.unlink()
        left.nesting += 1


def _place(name: str, folder: Path) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    bad = path.is_absolute() or ".." in parts or ":" in name or not parts
    if bad or len(name) > NAME or len(parts) > DEPTH or not name.isprintable():
        raise RequestError(
            422, "invalid", "the zip holds a path that is not usable; use plain relative ones"
        )
    target = folder.joinpath(*parts)
    if target.exists():
        raise RequestError(422, "invalid", "the zip holds two files of one name")
    return target


def _copy(source: IO[bytes], target: BinaryIO, packed: int, left: Allowance) -> bytes:
    head, size = b"", 0
    while chunk := source.read(CHUNK):
        head = head or chunk[:HEAD]
        size += len(chunk)
        left.bytes -= len(chunk)
        if left.bytes < 0:
            raise RequestError(413, "too_large", "the zip unpacks to more than is allowed")
        if size > SMALL and size > left.ratio * packed:
            raise RequestError(413, "too_large", "a file in the zip unpacks to suspiciously much")
        target.write(chunk)
    return head
