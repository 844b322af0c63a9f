"""One pass over all image files of a table, each decoded once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agfnet.check.images import THUMB, Facts, Fault, Role, look
from agfnet.data.folds import FOLD
from agfnet.data.table import Case
from agfnet.parallel import ordered_map, usable_cores

BATCH = 32
"""Files that a worker reads at a time."""
MIN_FILES = 400
"""Number of files below which starting workers takes longer than reading."""
Seen = tuple[Facts, NDArray[np.uint8]] | Fault | None
"""What `look` returns."""


@dataclass(frozen=True, slots=True)
class Use:
    """An image or a mask as one cell of the table names it."""

    case: Case
    column: str
    path: Path
    facts: Facts
    number: int
    """Of the file, in the order of the pass."""

    def across(self, other: Use) -> str:
        """Return the split or fold of another use if it differs from that of this one; or empty."""
        this_part, other_part = (
            each.case.split or each.case.attributes.get(FOLD, "") for each in (self, other)
        )
        differ = this_part and other_part and this_part != other_part
        return other_part if differ else ""


@dataclass(frozen=True)
class Survey:
    """Properties of all files."""

    facts: dict[Path, Facts | Fault]
    """What each file holds, or why it could not be read; none of missing and empty files."""
    numbers: dict[Path, int]
    thumbs: NDArray[np.uint8]
    """(n, THUMB, THUMB), by number; in a temporary file and not in memory."""


def survey(
    roles: Mapping[Path, Role],
    *,
    workers: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Read every file once.

    Args:
        roles: the files, and the role of each.
        workers: processes that read; 0 reads in this one, None takes one per core.
        progress: called with files done and files in all.
    """
    numbers = {path: number for number, path in enumerate(roles)}
    with tempfile.TemporaryFile() as file:  # gone when the array is
        thumbs = np.memmap(file, dtype=np.uint8, shape=(max(1, len(roles)), THUMB, THUMB))
    facts: dict[Path, Facts | Fault] = {}
    jobs = list(roles.items())
    workers = usable_cores() if workers is None else workers
    batches = (jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH))
    workers = workers if len(jobs) > MIN_FILES else 0
    with closing(ordered_map(_look_at, batches, workers=workers)) as answers:
        done = 0
        for batch, results in answers:
            for (path, _), result in zip(batch, results, strict=True):
                if isinstance(result, tuple):
                    facts[path], thumbs[numbers[path]] = result
                elif result is not None:
                    facts[path] = result
            done += len(batch)
            if progress is not None:
                progress(done, len(jobs))
    return Survey(facts, numbers, thumbs)


Job = tuple[Path, Role]


def _look_at(jobs: list[Job]) -> list[Seen]:
    return [look(path, role) for path, role in jobs]
