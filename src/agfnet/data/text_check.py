"""A check that a table is UTF-8 text, which names any other type of file."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO

from agfnet.data.file_types import SAVE_AS, WORKBOOK, ZIP, cure_of_table, name_of_type
from agfnet.data.problems import Problems

CHUNK = 1 << 20
_UNICODE = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Encodings by the mark at the beginning of a text; that of UTF-32 begins as that of UTF-16."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def check_text(path: Path, problems: Problems) -> None:
    """Check that a file is UTF-8 text throughout.

    Raises:
        DataError: it is missing, or something else, which the message names.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise problems.stop("is a pipe or a device, which can be read once only; save it first")
        with path.open("rb") as file:
            _check_bytes(file, problems)
    except FileNotFoundError:
        raise problems.stop("no such file; expected a CSV file") from None
    except IsADirectoryError:
        raise problems.stop("is a folder; expected a CSV file") from None
    except OSError as error:
        raise problems.stop(f"cannot be read: {error.strerror}") from None


def _check_bytes(file: BinaryIO, problems: Problems) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, chunk = 1, file.read(CHUNK)
    _check_type(file, chunk, problems)
    while chunk:
        if (nul := chunk.find(b"\0")) >= 0:
            line += chunk.count(b"\n", 0, nul)
            message = f"contains a NUL byte, so it is damaged or not text; {SAVE_AS}"
            raise problems.stop(message, row=line)
        try:
            following = file.read(CHUNK)
            decoder.decode(chunk, final=not following)
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            raise problems.stop(f"is not UTF-8 text; {SAVE_AS}", row=line) from None
        line += chunk.count(b"\n")
        chunk = following


def _check_type(file: BinaryIO, chunk: bytes, problems: Problems) -> None:
    """Raise an error about a file of another type."""
    encoding = encoding_by_mark(chunk) or ("UTF-16" if utf16_without_mark(chunk) else "")
    if encoding:
        raise problems.stop(f"is {encoding} text; {SAVE_AS}")
    name = name_of_type(chunk)
    if name == ZIP:
        raise problems.stop(f"is an Excel workbook or another zip file, not CSV; {SAVE_AS}")
    if name == WORKBOOK and is_encrypted(chunk + file.read()):
        raise problems.stop(f"is a workbook with a password; without it, {SAVE_AS}")
    if name:
        raise problems.stop(f"is {name}, not CSV; {cure_of_table(name)}")


def encoding_by_mark(content: bytes) -> str:
    """Return the encoding of a text that begins with a mark of UTF-16 or UTF-32; else nothing."""
    return next((name for mark, name in _UNICODE.items() if content.startswith(mark)), "")


def utf16_without_mark(content: bytes) -> str:
    """Return the encoding of UTF-16 text without a mark at its beginning; else nothing.

    The right order of bytes has line ends, and the other one has none.
    """
    if b"\0" not in content:
        return ""
    options = []
    for encoding in ("utf-16-le", "utf-16-be"):
        text = content[: len(content) // 2 * 2].decode(encoding, "replace")
        if "\n" in text and "\0" not in text and text.count("\ufffd") <= 1:  # cut in a pair
            options.append(encoding)
    return options[0] if len(options) == 1 else ""


def is_encrypted(content: bytes) -> bool:
    """Return whether a workbook of the type of Excel 97 is a new one with a password."""
    return _ENCRYPTED in content
