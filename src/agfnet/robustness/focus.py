"""Agreement of attribution maps with lesion masks, and their faithfulness: `focus.json`."""

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
from agfnet.inference.predictor import Predictor
from agfnet.metrics.bootstrap import bootstrap, to_json
from agfnet.metrics.metric import together, weighted_mean

Array = np.ndarray[Any, Any]
MEASURES = (
    "relevance_mass_accuracy",
    "lesion_area",
    "pointing_game",
    "deletion",
    "insertion",
)
BATCH = 16


def measure_focus(
    predictor: Predictor,
    cases: Sequence[Case],
    *,
    max_lesions: int,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any] | None:
    """Measure the attribution maps of a network against lesion masks, per modality.

    The first frame of each lesion is used, with the first mask. The maps are those of the predicted
    class, correct or not: |gradient x input| if the backend has gradients, otherwise occlusion.

    Args:
        predictor: the network.
        cases: of a table; those without a mask are left out.
        max_lesions: number of lesions to use, drawn at random if there are more.
        resamples: of patients, for the 95 % intervals.
        seed: of both draws.
        progress: called with the number of lesions done and the total.

    Returns:
        `method` of the maps, `n`, and per modality in `modalities` its `n` and the MEASURES
        (`lesion_area`, the fraction of the image that the mask covers, is what a map without
        information reaches as relevance mass accuracy); and `left_out`, why masks are missing. None
        if no lesion has a mask.

    Raises:
        ImageError: a file that cannot be read.
    """
    config = predictor.bundle.config
    masked = [case for case in cases if any(_has_mask(case, m) for m in config.modalities)]
    if not masked:
        return None
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.permutation(len(masked))[:max_lesions].tolist())
    lesions = [masked[row] for row in drawn]
    values = {
        name: {measure: np.full(len(lesions), math.nan) for measure in MEASURES}
        for name in config.modalities
    }
    misfits = 0
    for start in range(0, len(lesions), BATCH):
        batch = lesions[start : start + BATCH]
        loaded = [load_images(case.images, case.masks, config) for case in batch]
        misfits += sum(image.misfit for by_name in loaded for image in by_name.values())
        images, present = stack_images(loaded, config)
        masks = {
            (row, name): image.mask
            for row, by_name in enumerate(loaded)
            for name, image in by_name.items()
            if image.mask is not None
        }
        for row, name, measured in _measure(predictor, images, masks, present):
            for measure, value in measured.items():
                values[name][measure][start + row] = value
        if progress is not None:
            progress(start + len(batch), len(lesions))
    patients = [case.patient_id for case in lesions]
    modalities = {}
    for name, columns in values.items():
        means = together({measure: weighted_mean(column) for measure, column in columns.items()})
        intervals = bootstrap(patients, means, resamples=resamples, seed=seed)
        count = int(np.isfinite(columns["lesion_area"]).sum())
        modalities[name] = {"n": count} | to_json(intervals)
    return {
        "method": _method(predictor),
        "n": len(lesions),
        "modalities": modalities,
        "left_out": [f"{misfits} masks whose proportions differ from those of their image"]
        if misfits
        else [],
    }


def _method(predictor: Predictor) -> str:
    return "gradient x input" if hasattr(predictor.backend, "attributions") else "occlusion"


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
    predicted = backend.logits(images, present).argmax(axis=1)
    if hasattr(backend, "attributions"):
        maps = backend.attributions(images, present, predicted)
    else:
        maps = occlusion(backend.logits, images, present, predicted)
    names = list(predictor.bundle.config.modalities)
    for (row, name), mask in masks.items():
        m = names.index(name)
        score = scorer(backend.logits, images, present, row, m, int(predicted[row]))
        attribution, image = maps[m][row], images[m][row]
        values = (
            relevance_mass_accuracy(attribution, mask),
            float(mask.mean()),
            pointing(attribution, mask),
            area(deletion(image, attribution, score)),
            area(insertion(image, attribution, score)),
        )
        yield row, name, dict(zip(MEASURES, values, strict=True))
