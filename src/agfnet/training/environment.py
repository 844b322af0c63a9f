"""The environment of a run: versions, device, seed and data, for repeating it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from agfnet import __version__
from agfnet.data.case import JOIN, relative_to
from agfnet.data.table import CasesTable, cases_hash
from agfnet.files import read_record

ENVIRONMENT = "environment.json"
COMPARED = ("agfnet", "git", "python", "platform", "device", "threads")


def environment(seed: int, table: CasesTable) -> dict[str, Any]:
    """Return what is needed to repeat the run: versions, device, seed and data."""
    packages = ("torch", "torchvision", "timm", "lightning", "numpy", "pillow", "scipy")
    return {
        "agfnet": __version__,
        "git": git_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
        "seed": seed,
        "data_sha256": cases_hash(table),
        "table": describe_table(table),
    }


def git_version() -> str | None:
    """Return the commit of the source code; None without git or outside a repository."""
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return git.stdout.strip() or None


def read_environment(run: Path) -> dict[str, Any]:
    """Read the environment of a run.

    Raises:
        RunError: it has none.
    """
    content: dict[str, Any] = read_record(run / ENVIRONMENT)
    return content


def differing_versions(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Return what differs between two environments: its name, its value before, and now."""
    old, new = (
        {name: record.get(name) for name in COMPARED} | dict(record["packages"])
        for record in (before, now)
    )
    return [
        (name, str(old.get(name)), str(new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def describe_table(table: CasesTable) -> dict[str, Any]:
    """Return the number of lesions and a digest of each column that training depends on."""
    columns = {
        name: [getattr(case, name) for case in table]
        for name in ("lesion_id", "patient_id", "label", "split")
    }
    relative = relative_to(table.path.parent)
    for name in table.modalities:
        columns[name] = [JOIN.join(map(relative, case.images[name])) for case in table]
    return {
        "lesions": len(table.cases),
        "columns": {
            name: hashlib.sha256("\0".join(cells).encode()).hexdigest()[:16]
            for name, cells in columns.items()
        },
    }
