"""Unpack a zip archive from a client, and check every limit while it is unpacked."""

from __future__ import annotations

import unicodedata
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from agfnet.data.file_types import ZIP
from agfnet.serve.file_types import HEAD, type_of
from agfnet.serve.limits import Limits
from agfnet.serve.request_error import RequestError

CHUNK = 1 << 16
MAX_NAME = 512
"""Characters of a path."""
MAX_DEPTH = 16
"""Folders within folders."""
MAX_RATIO = 200
"""Size of a file to its compressed size; small files may have any ratio."""
SMALL = 1 << 20
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".ods")
_UTF8, _ENCRYPTED = 0x800, 1  # flags of a member


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """Unpack a zip archive; the limits count what it contains, not what its headers state.

    Links become plain files with the path of their target. Folders, and the files that operating
    systems add to archives, are skipped. Names are in composed Unicode (NFC).

    Raises:
        RequestError: the archive is damaged or encrypted, exceeds a limit, contains another
            archive, or a path that leads out of the folder.
    """
    remaining = limits.batch_unpacked_mb << 20
    try:
        with zipfile.ZipFile(archive) as opened:
            if len(opened.infolist()) > limits.batch_files:
                raise _too_large("too_many_files", f"more than {limits.batch_files} files")
            for member in opened.infolist():
                if not member.is_dir() and not _is_system_file(member.filename):
                    remaining -= _extract(opened, member, folder, remaining)
    except RequestError:
        raise
    except OSError as error:
        text = f"no room for the files ({error.strerror})"
        raise RequestError(503, "no_room", text, retry_after=60) from None
    except Exception:  # the reader raises anything on damaged archives
        text = "the zip archive is damaged; create it again"
        raise RequestError(400, "bad_request", text) from None


def path_in(name: str) -> PurePosixPath:
    """Return the path under which a member is unpacked."""
    return PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))


def _name_of(member: zipfile.ZipInfo) -> str:
    """Return the name of a member; some programs write UTF-8 without its flag."""
    if not member.flag_bits & _UTF8:
        with suppress(UnicodeError):
            return member.filename.encode("cp437").decode("utf-8")
    return member.filename


def _is_system_file(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1] in (".DS_Store", "Thumbs.db"))


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, remaining: int) -> int:
    """Write a member; return its size in bytes."""
    name = _name_of(member)
    if member.flag_bits & _ENCRYPTED:
        raise _invalid(name, "is encrypted; send an archive without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _invalid(name, "has an unusual compression; use deflate")
    target = _target(name, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, target.open("xb") as file:
        head, size = _copy(source, file, member.compress_size, remaining)
    if type_of(head) == ZIP:
        if target.suffix.lower() in WORKBOOKS:
            raise _invalid(name, "is a workbook; leave it out, and send the table as CSV UTF-8")
        raise _invalid(name, "is a zip archive itself; unpack it first")
    return size


def _target(name: str, folder: Path) -> Path:
    path = path_in(name)
    if path.is_absolute() or ".." in path.parts or ":" in name or not path.parts:
        raise _invalid(name, "leads out of the archive; use plain relative paths")
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise _invalid(name, "has a control character in its name; rename it")
    if len(name) > MAX_NAME or len(path.parts) > MAX_DEPTH:
        limits = f"{MAX_NAME} characters or {MAX_DEPTH} folders"
        raise _invalid(name, f"has a path of more than {limits}; shorten it")
    target = folder / path
    if target.exists():
        raise _invalid(name, "is in the archive twice; rename one of them")
    return target


def _copy(
    source: IO[bytes], target: BinaryIO, compressed: int, remaining: int
) -> tuple[bytes, int]:
    """Copy a file; return its first bytes and its size."""
    head, size = b"", 0
    while chunk := source.read(CHUNK):
        head = head or chunk[:HEAD]
        size += len(chunk)
        if size > remaining:
            raise _too_large("too_large", "more bytes than allowed")
        if size > SMALL and size > MAX_RATIO * compressed:
            raise _too_large("too_large", f"a file that grows more than {MAX_RATIO} times")
        target.write(chunk)
    return head, size


def _invalid(name: str, problem: str) -> RequestError:
    return RequestError(422, "invalid", f"the zip archive: {name[:MAX_NAME]!r} {problem}")


def _too_large(code: str, content: str) -> RequestError:
    return RequestError(413, code, f"the zip archive contains {content}")
