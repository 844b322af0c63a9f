"""Shared by the importers: reading official files, writing the table, reporting."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from agfnet.data.problems import Problems
from agfnet.data.rows import Row, read_rows
from agfnet.data.same_files import first_of_same
from agfnet.data.table import Case, write_cases
from agfnet.importing.tree import listed

_COPY = re.compile(
    r"(?:[ _-]+(?:copy|kopie|copie|copia|копия|コピー)|[ _-]*的?副本)(?:[ _]*\d+|[ _]*\(\d+\))?$"
    r"|[ _]*\(\d+\)$|^(?:copy of|kopie von|copie de|copia d[ei]) ",
    re.IGNORECASE,
)
"""What browsers and file managers add to the name of a second copy."""


@dataclass(frozen=True)
class ImportReport:
    """Result of an importer."""

    table: Path
    modalities: tuple[str, ...]
    cases: int
    labels: dict[str, int]
    """Cases per label; empty for a part without ground truth."""
    notes: tuple[str, ...]
    """Remarks for the user about this data set."""


def read_official(path: Path, *columns: str) -> tuple[Iterator[Row], Problems]:
    """The rows of a published CSV file, which must have these columns.

    Raises:
        DataError: the file is missing, not CSV, or lacks a column.
    """
    problems = Problems(path)
    rows = read_rows(path, problems)
    for name in columns:
        if name not in rows.columns:
            problems.add("there is no such column; use the official file", row=1, column=name)
    problems.check()
    return rows.rows, problems


def find_file(folder: Path, name: str) -> Path | None:
    """Return a file of a folder with content; its name may differ by case or Unicode form.

    Links are followed; one that leads nowhere is no file.
    """
    path = folder / name
    if not path.is_file():
        entry = _names(path.parent).get(unicodedata.normalize("NFC", path.name).casefold())
        path = path.parent / entry if entry else path
    return path if path.is_file() and path.stat().st_size else None


@lru_cache(maxsize=1 << 14)
def _names(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names = (path.name for path in folder.iterdir())
    return {unicodedata.normalize("NFC", name).casefold(): name for name in names}


def without_copies(cases: Sequence[Case], root: Path) -> tuple[list[Case], list[str]]:
    """Leave out images that a lesion has twice, such as `clinical (1).png` of a second download.

    Only names of copies count, since the frames of a scan may be alike. Of files with the same
    content, the one with the shortest name stays. The mask of a copy goes with it.

    Args:
        cases: with the paths of their images.
        root: folder to which the paths of the note are relative.

    Returns:
        The cases, and a note on what was left out.
    """
    kept, copies = [], list[Path]()
    for case in cases:
        images, masks = dict(case.images), dict(case.masks)
        for name, paths in case.images.items():
            first = first_of_same(sorted(paths, key=lambda path: len(path.name)))
            rows = [
                row
                for row, path in enumerate(paths)
                if first[path] == path or _original(path) != _original(first[path])
            ]
            copies += [
                Path(os.path.relpath(path, root))
                for row, path in enumerate(paths)
                if row not in rows
            ]
            images[name] = tuple(paths[row] for row in rows)
            if len(masks.get(name, ())) == len(paths):
                masks[name] = tuple(masks[name][row] for row in rows)
        kept.append(replace(case, images=images, masks=masks))
    if not copies:
        return kept, []
    return kept, [listed(copies, "copies of another image of the same lesion, left out")]


def _original(path: Path) -> str:
    """Return the name of the file that a path is a copy of by its name, without the suffix."""
    return _COPY.sub("", path.stem).casefold()


def write_report(
    cases: Sequence[Case], out: Path, *, modalities: Sequence[str], notes: Sequence[str]
) -> ImportReport:
    """Write `cases.csv` into a folder.

    Raises:
        DataError: it exists already, or there are no cases.
    """
    table = out / "cases.csv"
    write_cases(cases, table, modalities=modalities)
    labels = Counter(case.label for case in cases if case.label)
    return ImportReport(
        table, tuple(modalities), len(cases), dict(sorted(labels.items())), tuple(notes)
    )
