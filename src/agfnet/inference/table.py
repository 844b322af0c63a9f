"""Predictions for a cases table of any length: in order, in bounded memory, resumable.

The whole table is checked first. Lesions are then predicted in blocks that share no batch. A job
that resumes at a block therefore writes the same bytes as one that was never interrupted, and so
do the shards of a table, one after the other.
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
from agfnet.bundle import Bundle, BundleConfig
from agfnet.config import PredictConfig, parse_shard
from agfnet.data.streaming import count_cases, stream_cases
from agfnet.data.table import Case
from agfnet.data.write_table import check_name
from agfnet.errors import DataError, ImageError, RunError
from agfnet.files import check_outputs, sha256
from agfnet.inference.backends import network_file
from agfnet.inference.combinations import Images
from agfnet.inference.decisions_table import decision_columns, decision_rows
from agfnet.inference.diagnosis import Diagnosis, collect_predictions
from agfnet.inference.frames_table import companion_path, frame_header, frame_rows
from agfnet.inference.job import Job
from agfnet.inference.postprocessing import decide
from agfnet.inference.predictions import Predictions, prediction_header, prediction_rows
from agfnet.inference.predictor import Predictor

Progress = Callable[[int, int], None]
Answer = tuple[Case, Diagnosis | ImageError]

BLOCK = 64
"""Lesions per block."""
SAVE_INTERVAL_S = 5.0
"""Results are flushed to the disk at the end of a block, at most this often."""


@dataclass(frozen=True)
class TableFiles:
    """Paths of the tables."""

    predictions: Path
    frames: Path
    decisions: Path
    problems: Path
    """Lesions that were skipped; the file exists only if there are any."""


@dataclass(frozen=True)
class TableResult:
    """Files and counts of `predict_table`."""

    files: TableFiles
    lesions: int
    """All lesions, skipped ones included."""
    skipped: int
    """Lesions without a prediction."""
    resumed: int
    """Lesions that an earlier, interrupted job had finished."""


def predict_table(
    config: PredictConfig, predictor: Predictor, *, progress: Progress | None = None
) -> TableResult:
    """Predict every lesion of a table, or of one shard of it.

    Args:
        config: `cases`, `out`, `backend`, `shard` and `on_error`.
        predictor: the model, with that backend.
        progress: called with the number of finished lesions and of all lesions.

    Raises:
        ConfigError: `out` cannot be the path of the table.
        DataError: problems of the table, before the first prediction; or a file that cannot be
            written.
        ImageError: an image that cannot be read, with `on_error` "stop".
        RunError: the job was interrupted, or the files belong to another job.
    """
    table = Path(config.cases or "")
    bundle = predictor.bundle
    check_out(config.out)
    files = files_of(config)
    check_outputs(
        {
            "out": files.predictions,
            "out (frames)": files.frames,
            "out (decisions)": files.decisions,
        },
        [table],
    )
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
            predict_rows(job, files, table, rows, config, predictor, progress)
            if sha256(table) != digest:
                raise DataError(
                    f"{table}: changed during the prediction; delete {job.file} and run the"
                    " command again"
                )
            job.finish(without=() if job.skipped else (files.problems,))
    except KeyboardInterrupt as stop:
        raise RunError(
            f"interrupted after {job.done} of {len(rows)} lesions; run the same command to resume"
        ) from stop
    return TableResult(files, lesions=len(rows), skipped=job.skipped, resumed=resumed)


def check_out(out: str) -> None:
    """Raise ConfigError if a table cannot have this path, or would be taken for another format."""
    check_outputs({"out": out}, [])
    parquet = Path(out).suffix.lower() == ".parquet"
    check_name(out, "; --parquet writes Parquet next to it" if parquet else "")


def files_of(config: PredictConfig) -> TableFiles:
    """Return the paths of the tables; for a shard, `x_02-of-16.csv`, `x_02-of-16_frames.csv`."""
    out = Path(config.out)
    if config.shard is not None:
        i, n = parse_shard(config.shard, "shard")
        # padded, so that names sort in the order of the shards
        out = out.with_name(f"{out.stem}_{i:0{len(str(n))}d}-of-{n}{out.suffix}")
    return TableFiles(
        out, *(companion_path(out, name) for name in ("frames", "decisions", "problems"))
    )


def checked_rows(table: Path, config: PredictConfig, bundle: BundleConfig) -> range:
    """Check the whole table and return the range of its cases to predict.

    Only the images of these cases are checked: otherwise every shard would ask the file system of a
    cluster for all images.
    """
    modalities = tuple(bundle.modalities)
    stop = config.on_error == "stop"
    total = count_cases(
        table,
        modalities=modalities,
        labels=bundle.classes if bundle.labels is None else None,
        check_files=stop and config.shard is None,
    )
    rows = shard_rows(total, config.shard)
    if stop and config.shard is not None:
        deque(stream_cases(table, rows, modalities=modalities, check_files=True), maxlen=0)
    return rows


def shard_rows(total: int, shard: str | None) -> range:
    """Return the cases of shard i of n: whole blocks, one shard after the other."""
    if shard is None:
        return range(total)
    i, n = parse_shard(shard, "shard")
    blocks = -(-total // BLOCK)
    first, last = ((i - 1) * blocks // n, i * blocks // n)
    return range(min(total, first * BLOCK), min(total, last * BLOCK))


def headers(files: TableFiles, bundle: Bundle) -> dict[Path, Sequence[str]]:
    """Return the columns of every table."""
    classes = bundle.config.classes
    none = np.empty((0, len(classes)))
    decisions = decide(none, np.empty(0), bundle.calibration)
    empty = Predictions(
        classes=classes,
        lesion_id=(),
        patient_id=(),
        label=(),
        probabilities=none,
        **decisions,
        distances={name: np.empty(0) for name in bundle.calibration.familiarity or {}},
    )
    return {
        files.predictions: prediction_header(classes, bundle.config.groups),
        files.frames: frame_header(classes, tuple(bundle.config.modalities)),
        files.decisions: ["lesion_id", *decision_columns(empty)],
        files.problems: ["lesion_id", "row", "problem"],
    }


def model_hash(bundle: Bundle, network: str) -> str:
    """Return the SHA-256 of all files that decide a prediction; the card is not among them."""
    files = ("config.json", "calibration.json", network)
    return hashlib.sha256("".join(sha256(bundle.folder / f) for f in files).encode()).hexdigest()


def class_names(config: BundleConfig) -> dict[str, str]:
    """Return the class of each label that a table may have."""
    if isinstance(config.labels, dict):
        return {label: name for name, labels in config.labels.items() for label in labels}
    return {name: name for name in config.classes}


def predict_rows(
    job: Job,
    files: TableFiles,
    table: Path,
    rows: range,
    config: PredictConfig,
    predictor: Predictor,
    progress: Progress | None,
) -> None:
    """Predict the remaining cases of `rows`, block by block."""
    names = class_names(predictor.bundle.config)
    modalities = tuple(predictor.bundle.config.modalities)
    remaining = range(rows.start + job.done, rows.stop)
    cases = (
        replace(case, label=names.get(case.label, ""))  # other labels were left out of training
        for case in stream_cases(table, remaining, modalities=modalities)
    )
    done, skipped, saved = job.done, job.skipped, time.monotonic()

    def checked(answers: Iterable[Answer]) -> Iterator[Answer]:
        for number, (case, answer) in enumerate(answers, start=done + 1):
            if isinstance(answer, ImageError) and config.on_error == "stop":
                raise ImageError(
                    f"{table}:{case.row}: lesion {case.lesion_id!r}: {answer}. Fix the image and"
                    f" run the same command to resume after {job.done} of {len(rows)} lesions, or"
                    " skip such lesions with --on-error skip"
                )
            if progress is not None:
                progress(number, len(rows))
            yield case, answer

    if config.executor == "ray":
        from agfnet.inference.on_ray import ray_answers

        answers = checked(ray_answers(config, cases, block=BLOCK))
    else:
        answers = checked(stream_answers(predictor, cases))
    while block := list(islice(answers, BLOCK)):
        readable = [(case, answer) for case, answer in block if isinstance(answer, Diagnosis)]
        predictions = collect_predictions(
            [case for case, _ in readable],
            [diagnosis for _, diagnosis in readable],
            predictor.bundle.config,
        )
        job.add(files.predictions, prediction_rows(predictions))
        job.add(files.decisions, decision_rows(predictions))
        frames = (frame_rows(*row, modalities=modalities, folder=table.parent) for row in readable)
        job.add(files.frames, chain.from_iterable(frames))
        errors = ([case.lesion_id, case.row, e] for case, e in block if isinstance(e, ImageError))
        job.add(files.problems, errors)
        done, skipped = done + len(block), skipped + len(block) - len(readable)
        if done == len(rows) or time.monotonic() - saved > SAVE_INTERVAL_S:
            job.save(done=done, skipped=skipped)
            saved = time.monotonic()


def stream_answers(predictor: Predictor, cases: Iterable[Case]) -> Iterator[Answer]:
    """Yield every case with its diagnosis or error; holds only the cases in progress."""
    waiting: deque[Case] = deque()

    def images() -> Iterator[Images]:
        for case in cases:
            waiting.append(case)
            yield case.images

    for answer in predictor.stream_with_errors(images(), block=BLOCK):
        yield waiting.popleft(), answer
