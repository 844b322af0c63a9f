"""New names from a secret key: the same for the same key, and without it not to be undone."""

from __future__ import annotations

import csv
import hmac
import io
import secrets
from pathlib import Path
from typing import Literal

from agfnet.errors import ConfigError

Kind = Literal["lesion", "patient", "directory", "file"]
SHORTEST_KEY = 16  # bytes; what is shorter can be guessed


class Names:
    """Names by keyed hash (HMAC-SHA256), and a record of those given.

    Args:
        key: the secret; see `read_key` and `new_key`.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given: dict[tuple[str, str], str] = {}

    def name(self, kind: Kind, original: str) -> str:
        """A letter for the kind and 80 bits of the hash, such as `L3f06…`."""
        return self._give(kind, original, kind[0].upper() + self._hash(kind, original)[:10].hex())

    def uid(self, original: str) -> str:
        """A valid DICOM UID (2.25 and 128 bits of the hash), so that series stay together."""
        number = int.from_bytes(self._hash("uid", original)[:16])
        return self._give("uid", original, f"2.25.{number}")

    def mapping(self) -> str:
        """All names given so far, as CSV: kind, original, new."""
        file = io.StringIO(newline="")
        rows = [(kind, original, new) for (kind, original), new in self._given.items()]
        csv.writer(file, lineterminator="\n").writerows([("kind", "original", "new"), *rows])
        return file.getvalue()

    def _give(self, kind: str, original: str, new: str) -> str:
        return self._given.setdefault((kind, original), new)

    def _hash(self, kind: str, original: str) -> bytes:
        return hmac.digest(
            self._key, f"{kind}\0{original}".encode(errors="surrogateescape"), "sha256"
        )


def new_key() -> bytes:
    """A key that nobody can guess, as it is written to a file."""
    return secrets.token_hex(32).encode()


def read_key(path: Path) -> bytes:
    """A key as `new_key` makes it, or any other secret text.

    Raises:
        ConfigError: there is no such file, or too little in it.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"key_file: {path} cannot be read: {error.strerror}") from None
    if len(key) < SHORTEST_KEY:
        raise ConfigError(
            f"key_file: {path} holds {len(key)} bytes; expected {SHORTEST_KEY} or more"
        )
    return key
