"""The error that is sent to a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class RequestError(Exception):
    """The reason why a request is refused.

    The message never contains what a file says about a person, and names a file only in a batch,
    where the client has named it in its table.
    """

    status: int
    code: str
    message: str
    modality: str | None = None
    file: int | None = None
    retry_after: int | None = None
    """Seconds after which the client may try again."""

    def reply(self) -> dict[str, Any]:
        """Return the `error` of the reply."""
        return {
            "code": self.code,
            "message": self.message,
            "modality": self.modality,
            "file": self.file,
        }
