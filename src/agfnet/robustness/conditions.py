"""How a network bears images as they come in life: its answers when something is wrong with them.

Tried on the labelled lesions that have every view, so that every condition changes all of them and
is compared with the same lesions as they are. Each file is decoded once (a second time where its
image is lent to another lesion); memory holds the frames of one lesion and the images of a batch.
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
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor, frame_passes, stacked
from agfnet.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt, generator

MISSING, MISMATCHED, FRAMES_LOST = "missing", "mismatched", "frames_lost"
LOST = (0.2, 0.4, 0.6, 0.8, 0.9)  # share of the frames at each severity; one always stays
ALL_VIEWS = ""

Array = np.ndarray[Any, Any]
Making = Callable[[], Array]


class Condition(NamedTuple):
    """One way in which the images of a lesion may be wrong."""

    modality: str  # ALL_VIEWS for frames lost
    corruption: str  # of `CORRUPTIONS`, or one of the three above
    severity: int  # 1 to 5; 0 where there are no steps


CLEAN = Condition(ALL_VIEWS, "clean", 0)


class _Pass(NamedTuple):
    """One run of the network: for which lesion and condition, on what."""

    row: int
    condition: Condition
    images: Mapping[str, Making]  # without those that are missing


def complete(cases: Sequence[Case], modalities: Sequence[str]) -> list[Case]:
    """The labelled cases with images of every modality.

    Raises:
        DataError: there is none.
    """
    found = [case for case in cases if case.label and all(case.images[m] for m in modalities)]
    if not found:
        raise DataError(
            f"robustness: no labelled lesion has images of all of {', '.join(modalities)}; "
            "evaluate a table that has some, or leave --robustness out"
        )
    return found


def try_conditions(
    predictor: Predictor,
    cases: Sequence[Case],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Condition, Predictions]:
    """What a network answers under every condition, and as the images are (`CLEAN`, the first).

    Args:
        predictor: the network.
        cases: those of `complete`.
        seed: of the draw whose image is lent to which lesion.
        progress: told how many cases are done, of how many.

    Raises:
        ImageError: a file that cannot be read.
    """
    config = predictor.bundle.config
    logits: dict[Condition, list[list[Array]]] = {}
    work = (each for row in range(len(cases)) for each in _passes(predictor, cases, row, seed))
    with ThreadPoolExecutor(predictor.threads) as pool:
        while batch := list(islice(work, predictor.batch_size)):
            made = list(pool.map(_make, batch))
            found = predictor.backend.logits(*stacked(made, config))
            for each, row in zip(batch, found, strict=True):
                rows = logits.setdefault(each.condition, [[] for _ in cases])
                rows[each.row].append(row)
            if progress is not None:
                progress(batch[-1].row, len(cases))
    if any(len(rows) > 1 for rows in logits[CLEAN]):
        for severity in SEVERITIES:
            logits[Condition(ALL_VIEWS, FRAMES_LOST, severity)] = [
                [rows[frame] for frame in frames_left(len(rows), severity, case.lesion_id)]
                for rows, case in zip(logits[CLEAN], cases, strict=True)
            ]
    if progress is not None:
        progress(len(cases), len(cases))
    answers = {
        condition: [predictor.answer([], np.stack(each)) for each in rows]
        for condition, rows in logits.items()
        if all(rows)  # nobody could lend an image to a lesion whose patient is the only one
    }
    return {
        condition: Predictions(
            classes=config.classes,
            lesion_id=tuple(case.lesion_id for case in cases),
            patient_id=tuple(case.patient_id for case in cases),
            label=tuple(case.label for case in cases),
            probabilities=np.array([each.probabilities for each in said]),
            ood_score=np.array([each.ood_score for each in said]),
        )
        for condition, said in answers.items()
    }


def frames_left(count: int, severity: int, lesion_id: str) -> list[int]:
    """Which of so many frames are left at a severity; what one loses, the worse ones lose too."""
    kept = max(1, round((1 - LOST[severity - 1]) * count))
    order = generator(FRAMES_LOST, lesion_id).permutation(count)
    return sorted(int(frame) for frame in order[:kept])


def lender(cases: Sequence[Case], row: int, modality: str, seed: int) -> Case | None:
    """The lesion of another patient whose image is shown as this lesion's, if there is one."""
    others = [case for case in cases if case.patient_id != cases[row].patient_id]
    if not others:
        return None
    rng = generator(MISMATCHED, modality, str(seed), cases[row].lesion_id)
    return others[int(rng.integers(len(others)))]


def _passes(predictor: Predictor, cases: Sequence[Case], row: int, seed: int) -> Iterator[_Pass]:
    """Every pass of one lesion, under every condition."""
    case, modalities = cases[row], predictor.bundle.config.modalities
    passes = frame_passes({name: expand(case.images[name]) for name in modalities}, modalities)
    decoded: dict[tuple[str, Path], Image] = {}
    clean: dict[tuple[str, Path], Making] = {}
    for item in dict.fromkeys(item for one in passes for item in one.items()):
        decoded[item] = _read(predictor, *item)
        clean[item] = partial(_kept, _prepared(predictor, *item, decoded[item]))
    for one in passes:
        yield _Pass(row, CLEAN, {name: clean[name, path] for name, path in one.items()})
    for name, modality in modalities.items():
        lent = lender(cases, row, name, seed) if len(modalities) > 1 else None
        lent_frames = expand(lent.images[name]) if lent is not None else ()
        for number, one in enumerate(passes):
            rest = {other: clean[other, path] for other, path in one.items() if other != name}
            item = name, one[name]
            for corruption in CORRUPTIONS[modality.modality_type]:
                for severity in SEVERITIES:
                    wanted = Condition(name, corruption, severity)
                    key = f"{case.lesion_id}#{number}"
                    making = partial(_corrupted, predictor, item, decoded[item], wanted, key)
                    yield _Pass(row, wanted, rest | {name: making})
            if not rest:
                continue
            yield _Pass(row, Condition(name, MISSING, 0), rest)
            if lent_frames:
                other = lent_frames[number % len(lent_frames)]
                making = partial(_load, predictor, name, other)
                yield _Pass(row, Condition(name, MISMATCHED, 0), rest | {name: making})


def _make(one: _Pass) -> dict[str, Array]:
    return {name: make() for name, make in one.images.items()}


def _kept(prepared: Array) -> Array:
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
    predictor: Predictor, item: tuple[str, Path], image: Image, wanted: Condition, key: str
) -> Array:
    kind = predictor.bundle.config.modalities[wanted.modality].modality_type
    changed = corrupt(
        image.pixels, kind=kind, name=wanted.corruption, severity=wanted.severity, key=key
    )
    return _prepared(predictor, *item, replace(image, pixels=changed))
