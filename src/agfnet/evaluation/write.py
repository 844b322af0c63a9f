"""The files of an evaluation. metrics.json appears last, so that it says that all are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agfnet.card import refresh_card
from agfnet.evaluation.evaluate import FILES
from agfnet.evaluation.run import FOCUS, Evaluation
from agfnet.explain.compute.sanity_json import SANITY
from agfnet.files import write_json, write_text
from agfnet.inference.decisions_table import write_decisions
from agfnet.inference.frames_table import frames_table
from agfnet.inference.predictions import write_predictions
from agfnet.robustness.scores import ROBUSTNESS

LAST = "metrics.json"
WRITTEN = ("predictions.csv", "decisions.csv", "frames.csv", *FILES, ROBUSTNESS, FOCUS)
REPORT = "report.html"


def write_evaluation(evaluation: Evaluation, *, report: str) -> Path:
    """Write predictions.csv, decisions.csv, frames.csv, the JSON files and report.html.

    Every file is first written in full next to the old ones. Whatever stops the command, the same
    command finishes it: until then there is no metrics.json, or the one of before with its files.

    Returns:
        The folder of the results.
    """
    inputs, folder = evaluation.inputs, evaluation.inputs.folder
    with new_folder(folder / ".new") as new:
        write_predictions(evaluation.predictions, new / "predictions.csv")
        write_decisions(evaluation.predictions, new / "predictions.csv")
        with frames_table(
            new / "frames.csv",
            classes=inputs.predictor.bundle.config.classes,
            modalities=inputs.table.modalities,
            folder=inputs.table.path.parent,
        ) as write:
            for case, diagnosis in zip(inputs.cases, evaluation.diagnoses, strict=True):
                write(case, diagnosis)
        for name, content in evaluation.results.items():
            if name != SANITY:  # lies in the run itself
                write_json(new / name, content)
        write_text(new / REPORT, report)
        (folder / LAST).unlink(missing_ok=True)
        for name in (*WRITTEN, REPORT):
            if name == LAST:
                continue
            if (new / name).is_file():
                (new / name).replace(folder / name)
            else:  # of an earlier evaluation with other settings
                (folder / name).unlink(missing_ok=True)
        refresh_card(inputs.config.run, {inputs.name: evaluation.metrics})
        (new / LAST).replace(folder / LAST)
    return folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is removed in the end, also that of a process that was killed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
