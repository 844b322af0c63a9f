"""Comparison of two runs: their predictions, read and compared. Needs no network."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.config import CompareConfig
from agfnet.errors import ConfigError, DataError
from agfnet.evaluation.compare import Pair, compare, paired
from agfnet.files import read_record
from agfnet.inference.predictions import Predictions, read_predictions

MAX_CASES_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two compared runs."""

    config: CompareConfig
    names: tuple[str, str]  # of the runs
    pair: Pair
    results: dict[str, Any]  # content of compare.json

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        if self.config.out:
            return Path(self.config.out)
        return Path(self.config.run_a) / "comparison" / Path(self.config.run_b).resolve().name


def compare_runs(config: CompareConfig) -> Comparison:
    """Compare the predictions of two runs on the lesions that both have judged.

    Raises:
        ConfigError: `out` is a file, `cases` is none, or the two runs are one.
        DataError: a run has no such evaluation, or the two have no lesion in common.
    """
    runs = Path(config.run_a), Path(config.run_b)
    if config.out and Path(config.out).exists() and not Path(config.out).is_dir():
        raise ConfigError(f"out: {config.out} is a file; name a folder")
    if config.cases is not None and not Path(config.cases).is_file():
        raise ConfigError(f"cases: {config.cases}: no such file; name the table with the images")
    tables = [_read(run, config.name) for run in runs]
    if _file(runs[0], config.name).samefile(_file(runs[1], config.name)):
        raise ConfigError(
            f"run_b: {runs[1]} has the same predictions file as {runs[0]}, so every difference "
            "would be 0; name another run"
        )
    try:
        pair = paired(*tables)
    except DataError as error:
        files = " and ".join(str(_file(run, config.name)) for run in runs)
        raise DataError(f"{files}: {error}") from None
    if np.array_equal(pair.a.probabilities, pair.b.probabilities):
        logging.getLogger(__name__).warning(
            "%s and %s: all probabilities are equal, so every difference is 0; one may be a copy of"
            " the other",
            *runs,
        )
    names = (runs[0].resolve().name, runs[1].resolve().name)
    if names[0] == names[1]:
        names = (f"first {names[0]}", f"second {names[1]}")
    results = compare(pair, resamples=config.resamples, seed=config.seed)
    return Comparison(
        config=config,
        names=names,
        pair=pair,
        results={"a": str(runs[0]), "b": str(runs[1])}
        | results
        | {"warnings": unfair(runs, names, config.name)},
    )


def unfair(runs: tuple[Path, Path], names: tuple[str, str], name: str) -> list[str]:
    """Return the reasons why a difference may not be one of the networks.

    Args:
        runs: run folders.
        names: of the runs, for the texts.
        name: of the evaluations.
    """
    files = [_file(run, name).with_name("metrics.json") for run in runs]
    metrics = [read_record(file) if file.is_file() else {} for file in files]
    texts = []
    for run, content in zip(names, metrics, strict=True):
        overlap = content.get("training_overlap", {}).get("warning")
        texts += [f"{run}: {text}" for text in (overlap, *content.get("warnings", ())) if text]
    a, b = (content.get("table") for content in metrics)
    if a and b and a["sha256"] != b["sha256"]:
        texts.append(
            f"The runs were evaluated on different tables, or on one that changed in between "
            f"({a['path']} and {b['path']}): their images of a lesion may not be the same."
        )
    return texts


def disagreements(pair: Pair, max_cases: int = MAX_CASES_SHOWN) -> list[tuple[int, int]]:
    """Lesions that only one run classified correctly: that run (0 or 1), and the row.

    Half of the lesions are of each run, or more where the other run has fewer; the most confident
    mistakes come first.
    """
    tables = pair.a, pair.b
    right = [np.array(table.predicted) == np.array(table.label) for table in tables]
    sides = []
    for side, other in ((0, 1), (1, 0)):
        confidence = tables[other].probabilities.max(axis=1)
        rows = np.flatnonzero(right[side] & ~right[other])
        sides.append(rows[np.argsort(-confidence[rows], kind="stable")].tolist())
    room = [max(max_cases // 2, max_cases - len(rows)) for rows in reversed(sides)]
    return [
        (side, row)
        for side, (rows, count) in enumerate(zip(sides, room, strict=True))
        for row in rows[:count]
    ]


def _file(run: Path, name: str) -> Path:
    return run / "evaluation" / name / "predictions.csv"


def _read(run: Path, name: str) -> Predictions:
    path = _file(run, name)
    if not run.is_dir():
        raise DataError(f"{run}: no such folder; name a run, as in runs/NAME")
    if not path.is_file():
        others = sorted(file.parent.name for file in run.glob("evaluation/*/predictions.csv"))
        known = f"this run has {', '.join(others)}: choose one with --name, or " if others else ""
        raise DataError(
            f"{path}: no such file; {known}run `agfnet evaluate {run}` first, and name its result "
            "with --name"
        )
    return read_predictions(path)
