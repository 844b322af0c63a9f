"""A cases table that is too long for memory: checked as a whole first, then read case by case."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from agfnet.data.problems import Problems, StrPath
from agfnet.data.spelling import patient_key
from agfnet.data.table import Case, iterate_cases


def count_cases(
    path: StrPath,
    *,
    modalities: Sequence[str],
    labels: Collection[str] | None = None,
    check_files: bool = True,
) -> int:
    """Check a table as `read_cases` does, without masks, and count its cases.

    Memory holds hashes only.

    Args:
        path: the CSV file.
        modalities: names of the image columns.
        labels: the allowed labels; any if None. A case may always have none.
        check_files: also check that every image file exists and is not empty.

    Raises:
        ConfigError, DataError: as `read_cases`; and a label that is not among `labels`.
    """
    problems, hashes, count = Problems(path), _Hashes(), 0

    def cases(*, compare: bool) -> Iterator[Case]:
        for case in iterate_cases(
            path,
            problems,
            modalities=modalities,
            check_files=check_files,
            masks=False,
            compare=compare,
        ):
            check_label(case, labels, problems)
            yield case

    for case in cases(compare=False):
        hashes.add(case)
        count += 1
    if problems.problems or hashes.contradict():
        problems = Problems(path)
        for _ in cases(compare=True):
            pass
        problems.check()
    return count


def check_label(case: Case, labels: Collection[str] | None, problems: Problems) -> None:
    """Add a problem if the label of a case is not among the allowed ones; None allows any."""
    if labels is not None and case.label not in ("", *labels):
        problems.add(
            f"{case.label!r} is not a class of this network ({', '.join(labels)}); "
            "correct it, or leave the cell empty",
            row=case.row,
            column="label",
        )


class _Hashes:
    """Hashes that show whether lesions may be repeated or patients in two splits.

    Two texts of one hash look like a contradiction; comparing the texts then decides.
    """

    def __init__(self) -> None:
        self._lesions, self._patients, self._splits = array("q"), array("q"), array("q")

    def add(self, case: Case) -> None:
        self._lesions.append(hash(case.lesion_id))
        if case.split:
            patient = patient_key(case.patient_id)
            self._patients.append(hash(patient))
            self._splits.append(hash((patient, case.split)))

    def contradict(self) -> bool:
        lesions, patients, splits = (
            len(np.unique(np.frombuffer(part, dtype=np.int64)))
            for part in (self._lesions, self._patients, self._splits)
        )
        return lesions < len(self._lesions) or patients < splits


def stream_cases(
    path: StrPath,
    rows: range,
    *,
    modalities: Sequence[str],
    check_files: bool = False,
) -> Iterator[Case]:
    """Yield the cases of a table that `count_cases` has checked, one at a time, without masks.

    Args:
        path: the CSV file.
        rows: positions of the cases to yield, counted from 0.
        modalities: names of the image columns.
        check_files: also check that their image files exist and are not empty.

    Raises:
        DataError: after the last case, problems of their files.
    """
    problems = Problems(path)
    yield from iterate_cases(
        path,
        problems,
        modalities=modalities,
        check_files=check_files,
        masks=False,
        compare=False,
        start=rows.start,
        stop=rows.stop,
    )
    problems.check()
