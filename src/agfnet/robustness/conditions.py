"""Predictions under corrupted, missing and mismatched images.

Evaluated on the labelled lesions that have images of every modality, so that every condition
changes all of them and is compared with the same lesions unchanged. Each file is decoded once (a
second time where its image replaces that of another lesion); memory holds the frames of one lesion
and the images of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agfnet.data.frames import expand
from agfnet.data.preprocess import prepare_image, read_for
from agfnet.data.readers import Image
from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.inference.combinations import frame_combinations, stack_images
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt, generator

MISSING, MISMATCHED, FRAMES_LOST = "missing", "mismatched", "frames_lost"
LOST_FRACTIONS = (0.2, 0.4, 0.6, 0.8, 0.9)  # of the frames at each severity; one is always kept
ALL_VIEWS = ""

Array = np.ndarray[Any, Any]
MakeImage = Callable[[], Array]
Distances = list[tuple[str, float]]  # modality and distance of an image


class Condition(NamedTuple):
    """One way in which the images of a lesion are degraded."""

    modality: str  # ALL_VIEWS for lost frames
    corruption: str  # one of `CORRUPTIONS`, or one of the three above
    severity: int  # 1 to 5; 0 where there are no levels


CLEAN = Condition(ALL_VIEWS, "clean", 0)


class _Input(NamedTuple):
    """One input of the network: images of a lesion under a condition."""

    row: int
    condition: Condition
    images: Mapping[str, MakeImage]  # without the missing ones


def complete(cases: Sequence[Case], modalities: Sequence[str]) -> list[Case]:
    """Return the labelled cases with images of every modality.

    Raises:
        DataError: there is none.
    """
    kept = [case for case in cases if case.label and all(case.images[m] for m in modalities)]
    if not kept:
        raise DataError(
            f"robustness: no labelled lesion has images of all of {', '.join(modalities)}; "
            "evaluate a table that has some, or leave --robustness out"
        )
    return kept


def predict_conditions(
    predictor: Predictor,
    cases: Sequence[Case],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Condition, Predictions]:
    """Predict all cases unchanged (`CLEAN`, the first) and under every condition.

    Args:
        predictor: the network.
        cases: result of `complete`.
        seed: of the draw of mismatched images.
        progress: called with the number of cases done and the total.

    Raises:
        ImageError: a file that cannot be read.
    """
    config = predictor.bundle.config
    measured: dict[Condition, list[list[tuple[Array, Distances]]]] = {}
    inputs = (each for row in range(len(cases)) for each in _inputs(predictor, cases, row, seed))
    with ThreadPoolExecutor(predictor.threads) as pool:
        while batch := list(islice(inputs, predictor.batch_size)):
            images = list(pool.map(_make_images, batch))
            outputs = predictor.backend.logits(*stack_images(images, config))
            for each, output, pixels in zip(batch, outputs, images, strict=True):
                frames = measured.setdefault(each.condition, [[] for _ in cases])
                frames[each.row].append((output, distances_of(predictor, pixels)))
            if progress is not None:
                progress(batch[-1].row, len(cases))
    if any(len(frames) > 1 for frames in measured[CLEAN]):
        for severity in SEVERITIES:
            measured[Condition(ALL_VIEWS, FRAMES_LOST, severity)] = [
                [frames[index] for index in kept_frames(len(frames), severity, case.lesion_id)]
                for frames, case in zip(measured[CLEAN], cases, strict=True)
            ]
    if progress is not None:
        progress(len(cases), len(cases))
    diagnoses = {
        condition: [diagnose(predictor, frames) for frames in lesions]
        for condition, lesions in measured.items()
        if all(lesions)  # a single patient has no mismatched images
    }
    return {
        condition: Predictions(
            classes=config.classes,
            lesion_id=tuple(case.lesion_id for case in cases),
            patient_id=tuple(case.patient_id for case in cases),
            label=tuple(case.label for case in cases),
            probabilities=np.array([each.probabilities for each in rows]),
            ood_score=np.array([each.ood_score for each in rows]),
        )
        for condition, rows in diagnoses.items()
    }


def distances_of(predictor: Predictor, images: Mapping[str, Array]) -> Distances:
    """Return modality and distance of prepared images, where they are known."""
    known = [(name, predictor.distance(name, pixels)) for name, pixels in images.items()]
    return [(name, distance) for name, distance in known if distance is not None]


def diagnose(predictor: Predictor, frames: Sequence[tuple[Array, Distances]]) -> Diagnosis:
    """Return the diagnosis of a lesion from logits (C,) and distances of its frames."""
    distances = [each for _, known in frames for each in known]
    return predictor.diagnosis_of([], np.stack([logits for logits, _ in frames]), distances)


def kept_frames(count: int, severity: int, lesion_id: str) -> list[int]:
    """Indices of the frames that are kept at a severity; higher severities keep a subset."""
    kept = max(1, round((1 - LOST_FRACTIONS[severity - 1]) * count))
    order = generator(FRAMES_LOST, lesion_id).permutation(count)
    return sorted(int(frame) for frame in order[:kept])


def mismatched_case(cases: Sequence[Case], row: int, modality: str, seed: int) -> Case | None:
    """Return the lesion of another patient whose images replace this lesion's; None without one."""
    others = [case for case in cases if case.patient_id != cases[row].patient_id]
    if not others:
        return None
    rng = generator(MISMATCHED, modality, str(seed), cases[row].lesion_id)
    return others[int(rng.integers(len(others)))]


def _inputs(predictor: Predictor, cases: Sequence[Case], row: int, seed: int) -> Iterator[_Input]:
    """Every input of one lesion, under every condition."""
    case, modalities = cases[row], predictor.bundle.config.modalities
    combinations = frame_combinations(
        {name: expand(case.images[name]) for name in modalities}, modalities
    )
    decoded: dict[tuple[str, Path], Image] = {}
    clean: dict[tuple[str, Path], MakeImage] = {}
    for item in dict.fromkeys(item for frames in combinations for item in frames.items()):
        decoded[item] = _read(predictor, *item)
        clean[item] = partial(_unchanged, _prepared(predictor, *item, decoded[item]))
    for frames in combinations:
        yield _Input(row, CLEAN, {name: clean[name, path] for name, path in frames.items()})
    for name, modality in modalities.items():
        other = mismatched_case(cases, row, name, seed) if len(modalities) > 1 else None
        other_frames = expand(other.images[name]) if other is not None else ()
        for number, frames in enumerate(combinations):
            rest = {m: clean[m, path] for m, path in frames.items() if m != name}
            item = name, frames[name]
            for corruption in CORRUPTIONS[modality.modality_type]:
                for severity in SEVERITIES:
                    condition = Condition(name, corruption, severity)
                    key = f"{case.lesion_id}#{number}"
                    make = partial(_corrupted, predictor, item, decoded[item], condition, key)
                    yield _Input(row, condition, rest | {name: make})
            if not rest:
                continue
            yield _Input(row, Condition(name, MISSING, 0), rest)
            if other_frames:
                make = partial(_load, predictor, name, other_frames[number % len(other_frames)])
                yield _Input(row, Condition(name, MISMATCHED, 0), rest | {name: make})


def _make_images(inputs: _Input) -> dict[str, Array]:
    return {name: make() for name, make in inputs.images.items()}


def _unchanged(prepared: Array) -> Array:
    return prepared


def _read(predictor: Predictor, name: str, path: Path) -> Image:
    config = predictor.bundle.config
    return read_for(path, size=config.size, modality=config.modalities[name])


def _prepared(predictor: Predictor, name: str, path: Path, image: Image) -> Array:
    config = predictor.bundle.config
    modality = config.modalities[name]
    return prepare_image(image, name=str(path), size=config.size, modality=modality)


def _load(predictor: Predictor, name: str, path: Path) -> Array:
    return _prepared(predictor, name, path, _read(predictor, name, path))


def _corrupted(
    predictor: Predictor, item: tuple[str, Path], image: Image, condition: Condition, key: str
) -> Array:
    modality_type = predictor.bundle.config.modalities[condition.modality].modality_type
    changed = corrupt(
        image.pixels,
        modality_type=modality_type,
        name=condition.corruption,
        severity=condition.severity,
        key=key,
    )
    return _prepared(predictor, *item, replace(image, pixels=changed))
