"""Predictions without one of several images of a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agfnet.data.frames import expand
from agfnet.inference.combinations import Combination, Decoded, frame_combinations
from agfnet.inference.postprocessing import calibrated, log_softmax
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
MAX_COMBINATIONS = 32
"""Forward passes for one case: with more images, one of them hardly changes the result."""


class LeftOut(NamedTuple):
    """The prediction without an image."""

    modality: str
    image: Path
    probabilities: Array  # (C,), calibrated


def without_each(
    predictor: Predictor, images: Mapping[str, Sequence[Path]], decoded: Decoded | None = None
) -> list[LeftOut]:
    """Predict a case again without each image in turn, for modalities that have several.

    The other images are combined as if the image had not been given. Each frame combination is
    predicted once, although many of these cases have it.

    Args:
        predictor: the network.
        images: image files per modality; of files with several frames, each frame is an image.
        decoded: images that `Predictor.diagnose` has decoded.

    Returns:
        Empty if no modality has several images, or if more than `MAX_COMBINATIONS` forward passes
        would be needed.

    Raises:
        ImageError: a file cannot be read.
    """
    names = list(predictor.bundle.config.modalities)
    frames = {name: expand(images.get(name, ())) for name in names}
    left_out = [
        (name, k) for name in names if len(frames[name]) > 1 for k in range(len(frames[name]))
    ]
    combined = [
        frame_combinations({**frames, name: frames[name][:k] + frames[name][k + 1 :]}, names)
        for name, k in left_out
    ]
    different = {tuple(item.items()): item for items in combined for item in items}
    if not different or len(different) > MAX_COMBINATIONS:
        return []
    rows = dict(
        zip(
            different,
            combination_logits(predictor, list(different.values()), decoded or {}),
            strict=True,
        )
    )
    calibration = predictor.bundle.calibration
    results = []
    for (name, k), items in zip(left_out, combined, strict=True):
        logits = np.stack([rows[tuple(item.items())] for item in items]).astype(np.float64)
        mean = log_softmax(logits).mean(axis=0)
        results.append(LeftOut(name, frames[name][k], calibrated(mean, calibration)))
    return results


def combination_logits(
    predictor: Predictor, images: Sequence[dict[str, Path]], known: Decoded
) -> Array:
    """Return the logits (N, C) of N frame combinations; an image of several is decoded once."""
    with ThreadPoolExecutor(predictor.threads) as pool:
        files = dict.fromkeys(file for item in images for file in item.items())
        decoded = {file: known.get(file) or pool.submit(predictor.examine, file) for file in files}
        batch = [
            Combination(item, last=True, decoded={file[0]: decoded[file] for file in item.items()})
            for item in images
        ]
    size = predictor.batch_size
    parts = [predictor.logits_of(batch[k : k + size]) for k in range(0, len(batch), size)]
    return np.concatenate(parts)
