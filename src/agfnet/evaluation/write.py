"""The files of an evaluation. metrics.json appears last, so that it says that all are there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from agfnet.card import refresh_card
from agfnet.data.table import SPLITS
from agfnet.evaluation.evaluate import FILES
from agfnet.evaluation.inputs import EvaluationInputs
from agfnet.evaluation.run import FOCUS, Evaluation
from agfnet.explain.compute.sanity_json import SANITY
from agfnet.files import read_record, sha256, write_json, write_text
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

    Results of another table of the same file name are kept in a folder with a number.

    Returns:
        The folder of the results.
    """
    inputs, folder = evaluation.inputs, evaluation.inputs.folder
    if inputs.config.name is None and (former := keep_other_results(inputs)) is not None:
        text = "%s had the results of another table of this name; they are in %s now"
        logging.getLogger(__name__).warning(text, folder, former)
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


def keep_other_results(inputs: EvaluationInputs) -> Path | None:
    """Rename the folder if it has the results of another table; return where they are now.

    Every hospital has a `cases.csv`, and `test.csv` would replace the test of the run itself.
    """
    folder, table = inputs.folder, inputs.table.path
    if not (folder / LAST).is_file():
        return None
    known = read_record(folder / LAST).get("table")
    if known is None:  # of a version that did not record it; a split is of the table of the run
        other = inputs.config.cases is not None and folder.name in SPLITS
    else:
        other = known["path"] != str(table.resolve()) and known["sha256"] != sha256(table)
    if not other:
        return None
    free = (folder.with_name(f"{folder.name}-{number}") for number in count(1))
    former = next(path for path in free if not path.exists())
    return folder.rename(former)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is removed in the end, also that of a process that was killed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
