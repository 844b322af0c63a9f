"""The one error that a client is told about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class RequestError(Exception):
    """Why a request is not answered.

    Nothing in it may come from a file's name or from what a file says about a person.
    """

    status: int
    code: str
    message: str
    modality: str | None = None
    file: int | None = None
    retry_after: int | None = None
    """Seconds after which it is worth trying again."""

    def reply(self) -> dict[str, Any]:
        """The `error` of the reply."""
        return {
            "code": self.code,
            "message": self.message,
            "modality": self.modality,
            "file": self.file,
        }
