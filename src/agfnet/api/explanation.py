"""The explanation of an answer, as files."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agfnet import NOTICE


@dataclass(frozen=True)
class Explanation:
    """The explanation of the answer for a lesion, or for the lesions of a table.

    Attributes:
        folder: Folder with the figures and `explanation.json`; of a table, with a folder for each
            lesion.

    Examples:
        >>> explanation = agfnet.load(run).explain(
        ...     clinical=photo, methods=["layercam"], out=folder / "maps"
        ... )
        >>> [figure.suffix for figure in explanation.figures][:1]
        ['.png']
        >>> "answer" in explanation.to_dict()
        True
    """

    folder: Path

    @property
    def figures(self) -> tuple[Path, ...]:
        """Figures of the maps and of the attention."""
        return tuple(sorted(self.folder.rglob("*.png")))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers; of a table, by the name of the lesion's folder."""
        file = self.folder / "explanation.json"
        if file.is_file():
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return content
        return {
            path.parent.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(self.folder.glob("*/explanation.json"))
        }

    def _repr_html_(self) -> str:
        from agfnet.pages.render import render

        figures = [base64.b64encode(path.read_bytes()).decode() for path in self.figures[:6]]
        return render("explanation.html.jinja", figures=figures, folder=self.folder)

    def __repr__(self) -> str:
        return f"<Explanation {self.folder}: {len(self.figures)} figures; {NOTICE}>"
