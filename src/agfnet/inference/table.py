"""Diagnoses for a cases table of any length: in order, in bounded memory, resumed after any stop.

The table is checked as a whole first. Lesions are then answered in blocks that share no batch, so
that a job that goes on at the beginning of a block gives the same bytes as one that was never
stopped, and so do shares of the table, put one after the other.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from agfnet import __version__
from agfnet.bundle import Bundle, BundleConfig, sha256
from agfnet.config import PredictConfig, parse_shard
from agfnet.data.streaming import count_cases, stream_cases
from agfnet.data.table import Case
from agfnet.errors import DataError, ImageError, RunError
from agfnet.inference.decisions_table import decision_columns, decision_rows
from agfnet.inference.frames_table import beside, frame_header, frame_rows
from agfnet.inference.job import Job
from agfnet.inference.postprocessing import decide
from agfnet.inference.predictions import Predictions, prediction_header, prediction_rows
from agfnet.inference.predictor import Diagnosis, Images, Predictor, network_file, together

Progress = Callable[[int, int], None]
Answer = tuple[Case, Diagnosis | ImageError]

BLOCK = 64
"""Lesions that share no batch with others."""
INTERVAL = 5.0
"""Seconds after which what was answered is brought to the disk, at the end of a block."""


@dataclass(frozen=True)
class Files:
    """The tables that are written."""

    predictions: Path
    frames: Path
    decisions: Path
    problems: Path
    """Lesions that were skipped; not there if none was."""


@dataclass(frozen=True)
class Answered:
    """What `answer_table` did."""

    files: Files
    lesions: int
    """Lesions dealt with, in all."""
    skipped: int
    """Those of them that have no answer."""
    resumed: int
    """Those of them that an earlier job had dealt with."""


def answer_table(
    config: PredictConfig, predictor: Predictor, *, progress: Progress | None = None
) -> Answered:
    """Diagnose every lesion of a table, or of a share of it.

    Args:
        config: `cases`, `out`, `backend`, `shard` and `on_error`.
        predictor: the model, with that backend.
        progress: told how many lesions are done, and how many there are.

    Raises:
        DataError: problems of the table, before anything is answered; or a file that cannot be
            written.
        ImageError: an image that cannot be read, if that is to stop the job.
        RunError: it was stopped, or the files are those of another job.
    """
    table = Path(config.cases or "")
    bundle = predictor.bundle
    files = files_of(config)
    rows = checked_rows(table, config, bundle.config)
    digest = sha256(table)
    job = Job(
        file=files.predictions.with_name(files.predictions.name + ".job"),
        headers=headers(files, bundle),
        identity={
            "table": digest,
            "model": model_hash(bundle, network_file(bundle, config.backend)),
            "shard": config.shard,
            "version of agfnet": __version__,
        },
    )
    try:
        with job:
            resumed = job.done
            answer_rows(job, files, table, rows, config, predictor, progress)
            if sha256(table) != digest:
                raise DataError(
                    f"{table}: was changed while it was being read; delete {job.file} and start"
                    " anew"
                )
            job.finish(without=() if job.skipped else (files.problems,))
    except KeyboardInterrupt as stop:
        raise RunError(
            f"stopped after {job.done} of {len(rows)} lesions; the same command goes on from there"
        ) from stop
    return Answered(files, lesions=len(rows), skipped=job.skipped, resumed=resumed)


def files_of(config: PredictConfig) -> Files:
    """Where the tables go; of a share, `x_02-of-16.csv` and `x_02-of-16_frames.csv`."""
    out = Path(config.out)
    if config.shard is not None:
        i, n = parse_shard(config.shard, "shard")
        # names sort as the shares do
        out = out.with_name(f"{out.stem}_{i:0{len(str(n))}d}-of-{n}{out.suffix}")
    return Files(out, *(beside(out, name) for name in ("frames", "decisions", "problems")))


def checked_rows(table: Path, config: PredictConfig, bundle: BundleConfig) -> range:
    """Which cases of a table are to be answered, after a look at all of it.

    Images are looked for only where they are needed: a cluster's file system would otherwise be
    asked for all of them once per share.
    """
    modalities = tuple(bundle.modalities)
    stop = config.on_error == "stop"
    total = count_cases(
        table,
        modalities=modalities,
        labels=bundle.classes if bundle.labels is None else None,
        check_files=stop and config.shard is None,
    )
    rows = share(total, config.shard)
    if stop and config.shard is not None:
        deque(stream_cases(table, rows, modalities=modalities, check_files=True), maxlen=0)
    return rows


def share(total: int, shard: str | None) -> range:
    """The cases of the i-th of n shares of a table: whole blocks, one share after the other."""
    if shard is None:
        return range(total)
    i, n = parse_shard(shard, "shard")
    blocks = -(-total // BLOCK)
    first, last = (part * blocks // n for part in (i - 1, i))
    return range(min(total, first * BLOCK), min(total, last * BLOCK))


def headers(files: Files, bundle: Bundle) -> dict[Path, Sequence[str]]:
    """Columns of the tables."""
    classes = bundle.config.classes
    none = np.empty((0, len(classes)))
    decided = decide(none, np.empty(0), bundle.calibration)
    nothing = Predictions(
        classes=classes, lesion_id=(), patient_id=(), label=(), probabilities=none, **decided
    )
    return {
        files.predictions: prediction_header(classes),
        files.frames: frame_header(classes, tuple(bundle.config.modalities)),
        files.decisions: ["lesion_id", *decision_columns(nothing)],
        files.problems: ["lesion_id", "row", "problem"],
    }


def model_hash(bundle: Bundle, network: str) -> str:
    """SHA-256 of all that decides an answer; not of the card, which may be written again."""
    files = ("config.json", "calibration.json", network)
    return hashlib.sha256("".join(sha256(bundle.folder / f) for f in files).encode()).hexdigest()


def class_names(config: BundleConfig) -> dict[str, str]:
    """The class that each label of a table belongs to."""
    if isinstance(config.labels, dict):
        return {label: name for name, labels in config.labels.items() for label in labels}
    return {name: name for name in config.classes}


def answer_rows(
    job: Job,
    files: Files,
    table: Path,
    rows: range,
    config: PredictConfig,
    predictor: Predictor,
    progress: Progress | None,
) -> None:
    """Answer what is left of some cases of a table, block by block."""
    names = class_names(predictor.bundle.config)
    modalities = tuple(predictor.bundle.config.modalities)
    left = range(rows.start + job.done, rows.stop)
    cases = (
        replace(case, label=names.get(case.label, ""))  # other labels were left out of training
        for case in stream_cases(table, left, modalities=modalities)
    )
    done, skipped, kept = job.done, job.skipped, time.monotonic()

    def watched(answers: Iterable[Answer]) -> Iterator[Answer]:
        for number, (case, answer) in enumerate(answers, start=done + 1):
            if isinstance(answer, ImageError) and config.on_error == "stop":
                raise ImageError(
                    f"{table}:{case.row}: lesion {case.lesion_id!r}: {answer}. Mended, the same"
                    f" command goes on after {job.done} of {len(rows)} lesions; --on_error skip"
                    " leaves such lesions out"
                )
            if progress is not None:
                progress(number, len(rows))
            yield case, answer

    answers = watched(answered(predictor, cases))
    while block := list(islice(answers, BLOCK)):
        sound = [(case, said) for case, said in block if isinstance(said, Diagnosis)]
        made = together(
            [case for case, _ in sound],
            [said for _, said in sound],
            predictor.bundle.config.classes,
        )
        job.add(files.predictions, prediction_rows(made))
        job.add(files.decisions, decision_rows(made))
        frames = (frame_rows(*one, modalities=modalities, folder=table.parent) for one in sound)
        job.add(files.frames, chain.from_iterable(frames))
        faults = ([c.lesion_id, c.row, said] for c, said in block if isinstance(said, ImageError))
        job.add(files.problems, faults)
        done, skipped = done + len(block), skipped + len(block) - len(sound)
        if done == len(rows) or time.monotonic() - kept > INTERVAL:
            job.keep(done=done, skipped=skipped)
            kept = time.monotonic()


def answered(predictor: Predictor, cases: Iterable[Case]) -> Iterator[Answer]:
    """Every case with its answer; holds only those that are under way."""
    waiting: deque[Case] = deque()

    def images() -> Iterator[Images]:
        for case in cases:
            waiting.append(case)
            yield case.images

    for answer in predictor.attempt(images(), block=BLOCK):
        yield waiting.popleft(), answer
