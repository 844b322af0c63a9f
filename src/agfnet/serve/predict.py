"""The prediction for a lesion, as the API returns it."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import Bundle, BundleConfig, SimilarIndex, read_bundle, read_similar
from agfnet.data.quality import by_hint
from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.inference.about import answer_warnings
from agfnet.inference.combinations import Decoded
from agfnet.inference.decisions_table import decision_rows
from agfnet.inference.diagnosis import Diagnosis, collect_predictions
from agfnet.inference.dicom_report import make_report
from agfnet.inference.frames_table import frame_rows
from agfnet.inference.leave_out import without_each
from agfnet.inference.percents import round_percent, whole_percents
from agfnet.inference.postprocessing import refer
from agfnet.inference.predictions import prediction_rows
from agfnet.inference.predictor import Predictor
from agfnet.inference.similar import lesion_features, similar_lesions
from agfnet.inference.wording import sentence, warning_sentences
from agfnet.serve.lesion import Lesion, error_context, load_uploads
from agfnet.serve.limits import Limits
from agfnet.serve.request_error import RequestError

Array = np.ndarray[Any, Any]


@cache
def similar_index(folder: Path) -> SimilarIndex | None:
    """Return the training lesions in a bundle; a worker reads them once."""
    return read_similar(read_bundle(folder))


def files_of(job: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the files of a job, by modality."""
    return {name: [Path(path) for path in paths] for name, paths in job["files"].items()}


def predict(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Predict one lesion; the server completes the result to a `Prediction`."""
    started = time.perf_counter()
    files = files_of(job)
    config = predictor.bundle.config
    with error_context(files):
        lesion = load_uploads(
            files,
            job["frames"],
            job["crops"],
            limits=limits,
            modalities=list(config.modalities),
        )
        decoded: Decoded = {}
        answer = predictor.diagnose(lesion.images, decoded=decoded)
        without = without_each(predictor, lesion.images, decoded) if job["leave_out"] else []
        index = similar_index(predictor.bundle.folder) if job.get("similar") else None
        features = lesion_features(predictor, lesion.images, decoded) if index else None
    report = job.get("report", "none")
    return {
        **described(answer, predictor.bundle),
        "frames": [
            frame(lesion, images, row, config)
            for images, row in zip(answer.images, answer.frames, strict=True)
        ],
        "without": [
            {
                "modality": name,
                "image": choice(lesion, path),
                **class_probabilities(row, config),
            }
            for name, path, row in without
        ],
        "similar": None
        if index is None or features is None
        else [lesion._asdict() for lesion in similar_lesions(features, index)],
        "images": {name: list(map(asdict, infos)) for name, infos in lesion.files.items()},
        **({} if report == "none" else {"report": report_of(report, predictor, answer, files)}),
        "seconds": time.perf_counter() - started,
        "outcome": outcome(answer),
    }


def described(answer: Diagnosis, bundle: Bundle) -> dict[str, Any]:
    """Describe an answer: all of a `Prediction` but the images and the frames."""
    config, possible = bundle.config, answer.prediction_set
    classes, probabilities = config.classes, answer.probabilities
    order, numbers = np.argsort(-probabilities, kind="stable"), answer.percents
    missing = [name for name in config.modalities if not any(name in i for i in answer.images)]
    optional = missing if config.optional is None else config.optional
    return {
        "sentence": sentence(config.names, answer),
        "doubts": warning_sentences(config.names, answer),
        "warnings": answer_warnings(bundle, answer),
        "refer": refer(answer.abstain, answer.out_of_distribution),
        "groups": described_groups(answer, bundle),
        "predicted": classes[order[0]],
        "probabilities": [
            {
                "name": classes[c],
                "probability": float(probabilities[c]),
                "percent": numbers[c],
                "possible": None if possible is None else bool(possible[c]),
            }
            for c in order
        ],
        "prediction_set": None if possible is None else [classes[c] for c in order if possible[c]],
        "abstain": answer.abstain,
        "out_of_distribution": answer.out_of_distribution,
        "ood_score": answer.ood_score,
        "unfamiliar": list(answer.unfamiliar),
        "foreign": list(answer.foreign),
        "quality": [
            {"hint": hint, "modalities": names} for hint, names in by_hint(answer.quality).items()
        ],
        "missing": missing,
        "missing_untrained": not set(missing) <= set(optional),
    }


def described_groups(answer: Diagnosis, bundle: Bundle) -> list[dict[str, Any]]:
    """Describe the groups of an answer."""
    config, point = bundle.config, bundle.calibration.operating_point
    order, entries = np.argsort(-answer.probabilities, kind="stable"), []
    for group, members in zip(config.groups, config.group_numbers, strict=True):
        total = float(answer.probabilities[list(members)].sum())
        number = round_percent(total)
        entry = {
            "name": group,
            "probability": total,
            "percent": number,
            "percent_others": number - sum(answer.percents[c] for c in members),
            "classes": [config.classes[c] for c in order if c in members],
            "positive": answer.above_threshold if point and point.group == group else None,
        }
        entries.append(entry)
    return entries


def report_of(
    kind: str, predictor: Predictor, answer: Diagnosis, files: Mapping[str, Sequence[Path]]
) -> str:
    """Return a DICOM report of an answer, `anonymous` or `identified`, in base64.

    Raises:
        RequestError: the images are of several patients.
    """
    try:
        content = make_report(
            bundle=predictor.bundle,
            diagnosis=answer,
            sources=[path for paths in files.values() for path in paths],
            identifiers=kind == "identified",
        )
    except DataError as error:  # it names no file
        raise RequestError(422, "invalid", str(error)) from None
    return base64.b64encode(content).decode()


def outcome(answer: Diagnosis) -> str:
    """Return the value that the metrics count."""
    if answer.out_of_distribution:
        return "unfamiliar"
    return "abstained" if answer.abstain else "given"


def frame(
    lesion: Lesion, images: Mapping[str, Path], row: Array, config: BundleConfig
) -> dict[str, Any]:
    """Describe a frame combination, with its probabilities (C,)."""
    return {
        "images": {name: choice(lesion, path) for name, path in images.items()},
        **class_probabilities(row, config),
    }


def choice(lesion: Lesion, image: Path) -> dict[str, int]:
    """Return the file and the frame of an image."""
    file, frame = lesion.source[image]
    return {"file": file, "frame": frame}


def class_probabilities(row: Array, config: BundleConfig) -> dict[str, Any]:
    """Describe probabilities (C,)."""
    return {
        "predicted": config.classes[int(row.argmax())],
        "probabilities": by_class(row, config.classes),
        "percents": dict(
            zip(config.classes, whole_percents(row, config.group_numbers), strict=True)
        ),
    }


def by_class(row: Array, classes: Sequence[str]) -> dict[str, float]:
    """Return numbers (C,) by class name."""
    return dict(zip(classes, row.astype(np.float64).tolist(), strict=True))


def answer_case(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Return the rows of one lesion of a batch, by table."""
    files, config = files_of(job), predictor.bundle.config
    modalities = list(config.modalities)
    with error_context(files):
        lesion = load_uploads(files, {}, {}, limits=limits, modalities=modalities)
        answer = predictor.diagnose(lesion.images)
    images = {name: tuple(paths) for name, paths in files.items()}
    case = Case(job["lesion_id"], job["patient_id"], job["label"], images, {}, "", {}, 0)
    predictions = collect_predictions([case], [answer], config)
    rows = frame_rows(case, answer, modalities=modalities, folder=Path(job["folder"]))
    return {
        "predictions.csv": list(prediction_rows(predictions)),
        "decisions.csv": [list(row) for row in decision_rows(predictions)],
        "frames.csv": list(rows),
        "outcome": outcome(answer),
    }
