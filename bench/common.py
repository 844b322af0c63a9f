"""Shared parts of the benchmarks: options, rounds, rows, table and JSON."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agfnet.config import PhantomConfig
from agfnet.files import write_json
from agfnet.phantom.cohort import make_cohort
from agfnet.terminal import show_table

PAUSE = 0.05  # seconds
TESTED = 600  # lesions
Row = dict[str, Any]


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the command line with `--json`."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    return parser


def row(
    name: str,
    metric: str,
    value: float,
    baseline: float | None = None,
    *,
    ratio: float | None = None,
    **details: Any,
) -> Row:
    """Return a row of the result; the ratio is value / baseline unless given."""
    if ratio is None and baseline:
        ratio = value / baseline
    return {
        "name": name,
        "metric": metric,
        "value": value,
        "baseline": baseline,
        "ratio": ratio,
    } | details


def finish(rows: Sequence[Row], arguments: argparse.Namespace, title: str = "") -> None:
    """Print the rows as a table, and write them to `--json`."""
    columns = ["name", "metric", "value", "baseline", "ratio"]
    intervals = any("low" in each for each in rows)
    show_table(
        [*columns, *(["95 % interval"] if intervals else [])],
        [
            [*(_text(each[c]) for c in columns), *([_interval(each)] if intervals else [])]
            for each in rows
        ],
        title,
    )
    if arguments.json:
        write_json(arguments.json, rows)


def drawn_cohort(folder: Path, lesions: int, *, preset: Any, seed: int = 0) -> Path:
    """Return the table of a phantom cohort, which is made unless it is there.

    It has this number of lesions for training (80 %) and validation, and 600 more for the test.
    """
    table = folder / "cases.csv"
    if not table.is_file():
        total = lesions + TESTED
        split = (0.8 * lesions / total, 0.2 * lesions / total, TESTED / total)
        config = PhantomConfig(
            out=str(folder), lesions=total, preset=preset, seed=seed, split=split
        )
        make_cohort(config)
    return table


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a function that measures the seconds of one call of `work`.

    The pause before a call lets idle threads of other libraries, which wait actively, fall asleep.
    """

    def measure() -> float:
        time.sleep(PAUSE)
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return measure


def in_rounds(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every measure once per round; the first round is a warm-up and is not returned.

    A slow moment of the machine then affects all measures alike.
    """
    values: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            value = measure()
            if number:
                values[name].append(value)
    return values


def rows_against(
    values: Mapping[str, Sequence[float]], baseline: str, title: str, metric: str
) -> list[Row]:
    """Return a row per measure: medians of it and of the baseline, and of the rounds' ratios."""
    base = values[baseline]
    return [
        row(
            f"{title}, {name}",
            metric,
            statistics.median(of_rounds),
            statistics.median(base),
            ratio=median_ratio(of_rounds, base),
        )
        for name, of_rounds in values.items()
    ]


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over rounds of value / base."""
    return statistics.median(a / b for a, b in zip(values, base, strict=True))


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _interval(each: Row) -> str:
    return f"{each['low']:.3f} to {each['high']:.3f}" if "low" in each else ""
