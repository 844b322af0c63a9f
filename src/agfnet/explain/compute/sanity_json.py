"""What the sanity checks of `agfnet explain --sanity` found out about a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agfnet.bundle import Bundle, sha256

SANITY = "sanity.json"


def read_sanity(folder: str | Path, bundle: Bundle) -> dict[str, Any] | None:
    """What `--sanity` found out about exactly these weights, if it lies in this folder."""
    path = Path(folder) / SANITY
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {"weights", "methods"} <= set(found) and found["weights"] == sha256(bundle.weights):
            return found
    except (OSError, ValueError):
        pass
    return None
