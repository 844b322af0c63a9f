"""A case and a table of cases."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.paths import named_frame

SPLITS = ("train", "val", "test")
JOIN = "|"
"""Separator of several paths in one cell."""
COLUMNS = ("lesion_id", "patient_id", "label", "split")


def cell_paths(cell: str) -> tuple[Path, ...]:
    """Return the paths that a cell of images names, as they are written there."""
    return tuple(Path(part) for part in cell.split(JOIN) if part)


@dataclass(frozen=True)
class Case:
    """One lesion."""

    lesion_id: str
    patient_id: str
    """Equal to `lesion_id` where the table names no patient."""
    label: str
    """Empty when unlabelled."""
    images: dict[str, tuple[Path, ...]]
    """Absolute paths per modality, with their boxes (see `agfnet.data.paths`); an empty tuple where
    the modality is missing."""
    masks: dict[str, tuple[Path, ...]]
    """Absolute paths of lesion masks; only modalities that have some."""
    split: str
    """`train`, `val`, `test`, or empty."""
    attributes: dict[str, str]
    """Every other column."""
    row: int
    """Line of the table that the case begins on; the header is line 1."""


@dataclass(frozen=True)
class CasesTable:
    """A cases table that has been read and checked."""

    path: Path
    modalities: tuple[str, ...]
    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)


def mask_column(modality: str) -> str:
    """Return the name of the column with the masks of a modality."""
    return f"{modality}_mask"


def box_column(modality: str) -> str:
    """Return the name of the column with the boxes of the images of a modality."""
    return f"{modality}_box"


def relative_to(folder: Path) -> Callable[[Path], str]:
    """Return a function that makes paths relative to a folder, with / between folders.

    Where a path leaves the folder, `..` counts from the folder that a symbolic link leads to, as
    it does for the operating system.
    """
    real = os.path.realpath(folder)

    def relative(path: Path) -> str:
        start = folder if path.is_relative_to(folder) else real
        return os.path.relpath(path, start).replace(os.sep, "/")

    return relative


def cases_hash(table: CasesTable) -> str:
    """Return the SHA-256 of the ids, labels, splits, image paths and file sizes, in their order.

    Paths count relative to the table, so that a moved folder keeps its hash.
    """
    relative = relative_to(table.path.parent)
    digest = hashlib.sha256("\0".join(table.modalities).encode())
    for case in table:
        fields = [case.lesion_id, case.patient_id, case.label, case.split]
        for name in table.modalities:
            for path in case.images[name]:
                file, _ = named_frame(path)
                size = file.stat().st_size if file.exists() else -1
                fields += [name, relative(path), str(size)]
        digest.update("\0".join(fields).encode() + b"\n")
    return digest.hexdigest()
