"""The results of `agfnet explain --sanity`, as they are kept in sanity.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agfnet.bundle import Bundle
from agfnet.files import sha256

SANITY = "sanity.json"
OLD_NAMES = {"weights": "parameter_randomisation"}  # of checks, before version 0.2


def read_sanity(folder: str | Path, bundle: Bundle) -> dict[str, Any] | None:
    """Read the results for exactly these weights; None if the folder holds none."""
    path = Path(folder) / SANITY
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if results["weights"] != sha256(bundle.weights):
            return None
        for row in results["methods"].values():
            for old, new in OLD_NAMES.items():
                if old in row:
                    row[new] = row.pop(old)
                row["failed"] = [new if name == old else name for name in row["failed"]]
    except (OSError, ValueError, KeyError):
        return None
    return results
