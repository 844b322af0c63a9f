"""The error that is sent to a client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from agfnet.translation import file_problem, in_all_languages

OF_A_FILE = ("unreadable_image", "unsupported_type")
"""Codes whose message continues a sentence that begins with a file."""


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
            "sentences": self.sentences(),
        }

    def sentences(self) -> dict[str, str]:
        """Write the message about one file as a sentence in each language that has it."""
        if self.code not in OF_A_FILE or self.modality is None or self.file is None:
            return {}
        label = rf"{re.escape(self.modality)}, file {self.file}(?:, frame \d+)?: "
        problem = re.sub(f"^{label}", "", self.message)
        return in_all_languages(partial(file_problem, problem))
