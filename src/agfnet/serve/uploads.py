"""Write a multipart body as files to a private folder, and check every limit while it arrives.

The parser of the web framework would write large parts to the folder for temporary files, and check
limits only at the end. File names and types that a client states are ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from agfnet.data.file_types import ZIP
from agfnet.serve.file_types import HEAD, describe_other, type_of
from agfnet.serve.request_error import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEGABYTE = 1 << 20
MAX_TEXT = 64 << 10
"""Bytes of a text field."""
_TABLES = {ZIP: "an Excel workbook or another zip file"}


@dataclass
class Received:
    """The content of a body."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    """By field, in the order of the body."""
    texts: dict[str, str] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The allowed content of a body."""

    types: Mapping[str, Collection[str | None]]
    """Allowed types of the files of each field, as from `type_of`; None is text."""
    files: int
    megabytes: int
    seconds: float


async def receive(request: Request, folder: Path, rules: Rules) -> Received:
    """Write the files of a request to a folder, under new names.

    Raises:
        RequestError: the body breaks a rule, cannot be parsed, or takes too long.
        ClientDisconnect: the client is gone.
    """
    parts = _Parts(folder, rules)
    try:
        async with asyncio.timeout(rules.seconds):
            try:
                _check_length(request, rules)
                parser = MultipartParser(_boundary(request), parts.callbacks())
                async for chunk in request.stream():
                    parts.take(len(chunk))
                    parser.write(chunk)
                parts.finish()
            except FormParserError:
                raise RequestError(
                    400, "bad_request", "the multipart body cannot be parsed"
                ) from None
            except OSError as error:
                raise RequestError(
                    503, "no_room", f"no room for the upload ({error.strerror})", retry_after=5
                ) from None
    except TimeoutError:
        raise RequestError(
            408,
            "upload_too_slow",
            f"the request did not arrive within {rules.seconds:g} seconds",
        ) from None
    finally:
        parts.close()
    return parts.received


def _boundary(request: Request) -> bytes:
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        text = f"the body has the Content-Encoding {coding[:20]}; send it without compression"
        raise RequestError(415, "not_multipart", text)
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RequestError(415, "not_multipart", "expected multipart/form-data with a boundary")
    return options[b"boundary"]


def _check_length(request: Request, rules: Rules) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > rules.megabytes * MEGABYTE:
        raise _too_large(rules)


def _too_large(rules: Rules) -> RequestError:
    return RequestError(413, "too_large", f"the request has more than {rules.megabytes} MB")


class _Parts:
    """Receives a body part by part."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.received = Received()
        self._folder = folder
        self._rules = rules
        self._ended = False
        self._count = self._next = 0
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._name = ""
        self._text: bytearray | None = None
        self._file: BinaryIO | None = None
        self._unnamed = False
        self._head = b""

    def callbacks(self) -> MultipartCallbacks:
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finished,
        }

    def take(self, size: int) -> None:
        """Count bytes that have arrived."""
        self.received.size += size
        if self.received.size > self._rules.megabytes * MEGABYTE:
            raise _too_large(self._rules)

    def finish(self) -> None:
        """Check that the body is complete."""
        if not self._ended:
            raise RequestError(
                400, "bad_request", "the multipart body ends before its last boundary"
            )

    def close(self) -> None:
        """Close a file that is still open."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._disposition = self._header = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or not name:
            raise RequestError(400, "bad_request", "a part of the body has no name")
        self._name, self._head, self._text = name, b"", None
        if b"filename" in options:
            self._unnamed = not options[b"filename"]
            self._begin_file()
        elif name != "options" or name in self.received.texts:
            raise RequestError(
                422, "invalid", "the one text field is 'options', once; files need a file name"
            )
        else:
            self._text = bytearray()

    def _begin_file(self) -> None:
        rules = self._rules
        if self._name not in rules.types:
            known = ", ".join(rules.types)
            raise RequestError(422, "invalid", f"unknown field of a file; there are {known}")
        self._count += 1
        if self._count > rules.files:
            raise RequestError(413, "too_many_files", f"there are more than {rules.files} files")
        self._next += 1
        path = self._folder / f"{self._next:05d}"
        self.received.files.setdefault(self._name, []).append(path)
        self._file = path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = data[start:end]
        if self._text is not None:
            self._text += part
            if len(self._text) > MAX_TEXT:
                raise RequestError(
                    413, "too_large", f"a text field has more than {MAX_TEXT >> 10} KB"
                )
        elif self._file is not None:
            if len(self._head) < HEAD:
                self._head += part[: HEAD - len(self._head)]
            self._file.write(part)

    def _end(self) -> None:
        if self._text is not None:
            self.received.texts[self._name] = self._text.decode("utf-8", "replace")
        elif self._file is not None:
            self._file.close()
            self._file = None
            if self._unnamed and not self._head:
                self._remove_empty_field()
            else:
                self._check_type()

    def _remove_empty_field(self) -> None:
        """Ignore the part that a form sends for a field without a chosen file."""
        paths = self.received.files[self._name]
        paths.pop().unlink()
        if not paths:
            del self.received.files[self._name]
        self._count -= 1

    def _check_type(self) -> None:
        number = len(self.received.files[self._name]) - 1
        types = self._rules.types[self._name]
        status, code = 415, "unsupported_type"
        if not self._head:
            status, code, what = 422, "unreadable_image", "is empty"
        elif type_of(self._head) in types:
            return
        elif None in types:
            kind = type_of(self._head) or ""
            what = f"is {_TABLES.get(kind, kind)}, not CSV; save the table as CSV UTF-8"
        else:
            what = describe_other(self._head, ", ".join(filter(None, types)))
        message = f"{self._name}, file {number}: {what}"
        raise RequestError(status, code, message, modality=self._name, file=number)

    def _finished(self) -> None:
        self._ended = True
