"""Focus of a run, on the lesions of a table that have masks: `focus.json`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import softmax

from agfnet.config import ModalityConfig
from agfnet.data.cases import Case
from agfnet.data.frames import expand
from agfnet.data.preprocess import prepare_image, read_for
from agfnet.data.readers import Image, read_image
from agfnet.evaluation.evaluate import plain
from agfnet.evaluation.evidence import occlusion
from agfnet.evaluation.focus import area, deletion, insertion, inside, pointing
from agfnet.evaluation.metrics import Floats, Metric
from agfnet.evaluation.statistics import patient_bootstrap
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
MEASURES = ("inside", "lesion", "pointing", "deletion", "insertion")
BATCH = 16


def measure_focus(
    predictor: Predictor,
    cases: Sequence[Case],
    *,
    most: int,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any] | None:
    """Where the evidence for the answers lies, per modality, with patient-bootstrap intervals.

    Of each lesion the first frame is taken, with the first mask. The evidence is that for the
    answer, right or wrong: |gradient x input| where the backend has gradients, else occlusion.

    Args:
        predictor: the network.
        cases: of a table; those without a mask are left out.
        most: lesions to look at, drawn where there are more.
        resamples: of patients.
        seed: of both draws.
        progress: told how many lesions are done, of how many.

    Returns:
        `evidence` (its method), `n`, and per modality in `modalities` its `n` and the measures
        `inside`, `lesion` (the share of the image that the mask covers: what chance would give),
        `pointing`, `deletion`, `insertion`; and `left_out`, why modalities or lesions are not
        there. None where no lesion has a mask.

    Raises:
        ImageError: a file that cannot be read.
    """
    config = predictor.bundle.config
    moved = {m: why for m, modality in config.modalities.items() if (why := _moves(modality))}
    usable = [m for m in config.modalities if m not in moved]
    masked = [case for case in cases if any(_has_mask(case, m) for m in usable)]
    if not masked:
        return None
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.permutation(len(masked))[:most].tolist())
    chosen = [masked[row] for row in drawn]
    values = {name: {measure: [math.nan] * len(chosen) for measure in MEASURES} for name in usable}
    misfits = 0
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        images, masks, present, unfit = _load(predictor, part, usable)
        misfits += unfit
        for row, name, found in _measure(predictor, images, masks, present):
            for measure, value in found.items():
                values[name][measure][start + row] = value
        if progress is not None:
            progress(start + len(part), len(chosen))
    table = _table(chosen, config.classes)
    left_out = [f"{name}: {why}" for name, why in moved.items()]
    if misfits:
        left_out.append(f"{misfits} masks that do not have the proportions of their image")
    return {
        "evidence": _method(predictor),
        "n": len(chosen),
        "modalities": {
            name: {"n": int(np.isfinite(found["lesion"]).sum())}
            | _intervals(found, table, resamples, seed)
            for name, found in values.items()
        },
        "left_out": left_out,
    }


def _method(predictor: Predictor) -> str:
    return "gradient x input" if hasattr(predictor.backend, "evidence") else "occlusion"


def _moves(modality: ModalityConfig) -> str:
    """Why a mask cannot follow its image through the preparation; empty if it can."""
    if modality.crop_field:
        return "crop_field finds the field in the image, and a mask cannot follow"
    if modality.skin != "keep":
        return "the skin line is moved, and a mask cannot follow"
    return ""


def _has_mask(case: Case, name: str) -> bool:
    return bool(case.images[name] and case.masks.get(name))


def _load(
    predictor: Predictor, cases: Sequence[Case], usable: Sequence[str]
) -> tuple[list[Array], dict[tuple[int, str], Array], Array, int]:
    """Images per modality (B, H, W, 3), masks (H, W) by row and modality, present, misfits."""
    config = predictor.bundle.config
    size, modalities = config.size, config.modalities
    images = [np.zeros((len(cases), size, size, 3), dtype=np.uint8) for _ in modalities]
    masks: dict[tuple[int, str], Array] = {}
    misfits = 0
    for row, case in enumerate(cases):
        for m, (name, modality) in enumerate(modalities.items()):
            if not case.images[name]:
                continue
            path = expand(case.images[name][:1])[0]
            image = read_for(path, size=size, modality=modality)
            pixels = prepare_image(image, name=str(path), size=size, modality=modality)
            images[m][row] = pixels
            if name not in usable or not case.masks.get(name):
                continue
            outline = read_image(expand(case.masks[name][:1])[0])
            if _fits(outline, image):
                plain = replace(modality, remove_marks=False)
                same = replace(image, pixels=outline.pixels)
                mask = prepare_image(same, name=str(path), size=size, modality=plain)
                masks[row, name] = mask[..., 0] / 255
            else:
                misfits += 1
    present = np.array([[bool(case.images[name]) for name in modalities] for case in cases])
    return images, masks, present, misfits


def _fits(mask: Image, image: Image) -> bool:
    (height, width), (rows, columns) = mask.pixels.shape[:2], image.pixels.shape[:2]
    return abs(height * columns - width * rows) <= 0.02 * width * rows


def _measure(
    predictor: Predictor,
    images: Sequence[Array],
    masks: dict[tuple[int, str], Array],
    present: Array,
) -> Iterable[tuple[int, str, dict[str, float]]]:
    """Row, modality and measures of every mask of a batch."""
    backend = predictor.backend
    answers = backend.logits(images, present).argmax(axis=1)
    if hasattr(backend, "evidence"):
        maps = backend.evidence(images, present, answers)
    else:
        maps = occlusion(backend.logits, images, present, answers)
    names = list(predictor.bundle.config.modalities)
    for (row, name), mask in masks.items():
        m = names.index(name)

        def score(changed: Array, row: int = row, m: int = m) -> Array:
            others = [np.repeat(part[row : row + 1], len(changed), axis=0) for part in images]
            logits = backend.logits(
                [*others[:m], changed, *others[m + 1 :]],
                np.repeat(present[row : row + 1], len(changed), axis=0),
            )
            shares: Array = softmax(logits.astype(np.float64), axis=1)[:, answers[row]]
            return shares

        evidence, image = maps[m][row], images[m][row]
        yield (
            row,
            name,
            {
                "inside": inside(evidence, mask),
                "lesion": float(mask.mean()),
                "pointing": pointing(evidence, mask),
                "deletion": area(deletion(image, evidence, score)),
                "insertion": area(insertion(image, evidence, score)),
            },
        )


def _table(cases: Sequence[Case], classes: tuple[str, ...]) -> Predictions:
    """The patients of the lesions, in the form that the bootstrap reads."""
    probabilities = np.full((len(cases), len(classes)), 1 / len(classes))
    return Predictions(
        classes=classes,
        lesion_id=tuple(case.lesion_id for case in cases),
        patient_id=tuple(case.patient_id for case in cases),
        label=(classes[0],) * len(cases),  # so that no lesion is left out
        probabilities=probabilities,
    )


def _intervals(
    found: dict[str, list[float]], table: Predictions, resamples: int, seed: int
) -> dict[str, Any]:
    metrics = {measure: _mean(np.array(values)) for measure, values in found.items()}
    intervals: dict[str, Any] = plain(
        patient_bootstrap(table, metrics, resamples=resamples, seed=seed)
    )
    return intervals


def _mean(values: Floats) -> Metric:
    """Mean of the finite values, as a metric of whatever table has a row for each."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def weighted(weights: Floats) -> float:
        total = float(weights @ known)
        return float(weights @ filled) / total if total else math.nan

    return Metric(lambda *_: weighted)
