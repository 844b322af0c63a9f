"""A cases table that is too long to be held: checked as a whole first, then read case by case."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from agfnet.data.problems import Problems, StrPath
from agfnet.data.table import Case, iterate_cases


def count_cases(
    path: StrPath,
    *,
    modalities: Sequence[str],
    labels: Collection[str] | None = None,
    check_files: bool = True,
) -> int:
    """Check a table as `read_cases` does, and count its cases; memory holds hashes alone.

    Args:
        path: the CSV file.
        modalities: names of the image columns.
        labels: the labels that may occur; any if None. A case may always have none.
        check_files: also look that every image and mask file exists and is not empty.

    Raises:
        ConfigError, DataError: as `read_cases`; and a label that is not among `labels`.
    """
    problems, marks, count = Problems(path), _Marks(), 0

    def cases(*, compare: bool) -> Iterator[Case]:
        for case in iterate_cases(
            path, problems, modalities=modalities, check_files=check_files, compare=compare
        ):
            if labels is not None and case.label not in ("", *labels):
                problems.add(
                    f"{case.label!r} is not a class of this network ({', '.join(labels)}); "
                    "correct it, or leave the cell empty",
                    row=case.row,
                    column="label",
                )
            yield case

    for case in cases(compare=False):
        marks.add(case)
        count += 1
    if problems.problems or marks.contradict():
        problems = Problems(path)
        for _ in cases(compare=True):
            pass
        problems.check()
    return count


class _Marks:
    """Whether lesions repeat or patients are in two splits: by hashes, so that it may err.

    Two texts of one hash are taken for a contradiction, which a look at the texts then clears up.
    """

    def __init__(self) -> None:
        self._lesions, self._patients, self._places = array("q"), array("q"), array("q")

    def add(self, case: Case) -> None:
        self._lesions.append(hash(case.lesion_id))
        if case.split:
            self._patients.append(hash(case.patient_id))
            self._places.append(hash((case.patient_id, case.split)))

    def contradict(self) -> bool:
        lesions, patients, places = (
            len(np.unique(np.frombuffer(part, dtype=np.int64)))
            for part in (self._lesions, self._patients, self._places)
        )
        return lesions < len(self._lesions) or patients < places


def stream_cases(
    path: StrPath,
    rows: range,
    *,
    modalities: Sequence[str],
    check_files: bool = False,
) -> Iterator[Case]:
    """The cases of a table that `count_cases` has checked, one at a time.

    Args:
        path: the CSV file.
        rows: which of its cases, counted from 0.
        modalities: names of the image columns.
        check_files: also look that every image and mask file of these exists and is not empty.

    Raises:
        DataError: after the last case, problems of their files.
    """
    problems = Problems(path)
    yield from iterate_cases(
        path,
        problems,
        modalities=modalities,
        check_files=check_files,
        compare=False,
        start=rows.start,
        stop=rows.stop,
    )
    problems.check()
