"""New names by a secret key: the same key gives the same names, and only it can undo them."""

from __future__ import annotations

import csv
import hmac
import io
import re
import secrets
from pathlib import Path
from typing import Literal

from agfnet.errors import ConfigError

Kind = Literal["lesion", "patient", "directory", "file"]
MIN_KEY_BYTES = 16  # a shorter key can be guessed
_DATE = re.compile(r"19\d\d(?:0[1-9]|1[0-2])[0-3]\d")
"""Digits that `agfnet check` may take for a birth date: one code in about 7,000 contains them."""


class Names:
    """Names by keyed hash (HMAC-SHA256), with a record of them.

    Args:
        key: the secret; see `read_key` and `new_key`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names: dict[tuple[str, str], str] = {}

    def name(self, kind: Kind, original: str) -> str:
        """Return a letter for the kind of name and 80 bits of the hash, such as `L3f06…`."""
        code = self._hash(kind, original)[:10].hex()
        while _DATE.search(code):
            code = self._hash(kind, f"{original}\0{code}")[:10].hex()
        return self._record(kind, original, kind[0].upper() + code)

    def uid(self, original: str) -> str:
        """Return a valid DICOM UID (2.25 and 128 bits of the hash); series stay together."""
        number = int.from_bytes(self._hash("uid", original)[:16])
        return self._record("uid", original, f"2.25.{number}")

    def mapping(self) -> str:
        """Return all names so far as CSV with the columns kind, original and new."""
        file = io.StringIO(newline="")
        rows = [(kind, original, new) for (kind, original), new in self._names.items()]
        csv.writer(file, lineterminator="\n").writerows([("kind", "original", "new"), *rows])
        return file.getvalue()

    def _record(self, kind: str, original: str, new: str) -> str:
        return self._names.setdefault((kind, original), new)

    def _hash(self, kind: str, original: str) -> bytes:
        return hmac.digest(
            self._key, f"{kind}\0{original}".encode(errors="surrogateescape"), "sha256"
        )


def new_key() -> bytes:
    """Return a random key as it is written to a file."""
    return secrets.token_hex(32).encode()


def read_key(path: Path) -> bytes:
    """Read a key as `new_key` makes it, or any other secret text.

    Raises:
        ConfigError: there is no such file, or the key in it is too short.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"key_file: {path} cannot be read: {error.strerror}") from None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(
            f"key_file: {path} holds {len(key)} bytes; expected {MIN_KEY_BYTES} or more"
        )
    return key
