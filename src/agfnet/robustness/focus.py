"""Focus of a run, on the lesions of a table that have masks: `focus.json`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from agfnet.data.table import Case
from agfnet.explain.compute.images import load_images, stack_images
from agfnet.explain.compute.measures import (
    area,
    deletion,
    insertion,
    pointing,
    relevance_mass_accuracy,
    scorer,
)
from agfnet.explain.compute.occlusion import occlusion
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.metrics.bootstrap import patient_bootstrap, plain
from agfnet.metrics.summary import Floats, Metric

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
        `pointing`, `deletion`, `insertion`; and `left_out`, why masks are not there. None where no
        lesion has a mask.

    Raises:
        ImageError: a file that cannot be read.
    """
    config = predictor.bundle.config
    masked = [case for case in cases if any(_has_mask(case, m) for m in config.modalities)]
    if not masked:
        return None
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.permutation(len(masked))[:most].tolist())
    chosen = [masked[row] for row in drawn]
    values = {
        name: {measure: [math.nan] * len(chosen) for measure in MEASURES}
        for name in config.modalities
    }
    misfits = 0
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        loaded = [load_images(case.images, case.masks, config) for case in part]
        misfits += sum(view.misfit for views in loaded for view in views.values())
        images, present = stack_images(loaded, config)
        masks = {
            (row, name): view.mask
            for row, views in enumerate(loaded)
            for name, view in views.items()
            if view.mask is not None
        }
        for row, name, found in _measure(predictor, images, masks, present):
            for measure, value in found.items():
                values[name][measure][start + row] = value
        if progress is not None:
            progress(start + len(part), len(chosen))
    table = _table(chosen, config.classes)
    return {
        "evidence": _method(predictor),
        "n": len(chosen),
        "modalities": {
            name: {"n": int(np.isfinite(found["lesion"]).sum())}
            | _intervals(found, table, resamples, seed)
            for name, found in values.items()
        },
        "left_out": [f"{misfits} masks that do not have the proportions of their image"]
        if misfits
        else [],
    }


def _method(predictor: Predictor) -> str:
    return "gradient x input" if hasattr(predictor.backend, "evidence") else "occlusion"


def _has_mask(case: Case, name: str) -> bool:
    return bool(case.images[name] and case.masks.get(name))


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

        score = scorer(backend.logits, images, present, row, m, int(answers[row]))
        evidence, image = maps[m][row], images[m][row]
        yield (
            row,
            name,
            {
                "inside": relevance_mass_accuracy(evidence, mask),
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
