"""Time of the runs of a study: estimates from finished runs, and a limit for starting others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agfnet.study.executors.job import TIMING, read_time, state
from agfnet.study.plan import Run


@dataclass(kw_only=True)
class Schedule:
    """The runs to start, one after the other, as long as each can finish in time."""

    runs: Sequence[Run]
    """Runs to do, in their order."""
    study: Sequence[Run]
    """All runs of the study; the finished ones tell how long a run takes."""
    limit: float | None
    """Time from now, in seconds; unlimited if None."""
    not_started: list[Run] = field(default_factory=list)
    """Runs that would not have finished in time; complete after the last run was taken."""

    def __iter__(self) -> Iterator[Run]:
        """Return the runs to start; whether there is time for a run is decided when it is taken."""
        start = time.monotonic()
        for run in self.runs:
            if self.limit is not None:
                expected = expected_seconds(run, self.study) or 0.0
                if time.monotonic() - start + expected > self.limit:
                    self.not_started.append(run)
                    continue
            yield run


def expected_seconds(run: Run, study: Sequence[Run]) -> float | None:
    """Estimate the time of a run by the longest of the finished runs that are most like it.

    Returns:
        Seconds; None before any run is finished.
    """
    finished = [(other, s) for other in study if (s := seconds_of(other)) is not None]
    for alike in (
        lambda other: (other.method, other.setting) == (run.method, run.setting),
        lambda other: other.method == run.method,
        lambda _: True,
    ):
        if times := [seconds for other, seconds in finished if alike(other)]:
            return max(times)
    return None


def seconds_of(run: Run) -> float | None:
    """Return the time that a finished run took; None if it is not finished or has no record."""
    return read_time(run.folder / TIMING) if state(run) == "finished" else None


def remaining_seconds(study: Sequence[Run]) -> float | None:
    """Estimate the time of all runs that are not finished, one after the other."""
    times = [expected_seconds(run, study) for run in study if state(run) != "finished"]
    return None if None in times else sum(filter(None, times))
