"""The training lesions that a network takes to be most similar to a lesion.

A bundle may hold the features of training lesions, those from which the network classifies, with
their diagnoses and ids (`calibration.similar`). The distance is that of the cosine, after the mean
of these features is subtracted: 0 is the same direction, 1 none in common, 2 the opposite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agfnet.bundle import SimilarIndex
from agfnet.data.frames import expand
from agfnet.inference.combinations import Decoded, frame_combinations, stack_images
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
SHOWN = 5
MAX_COMBINATIONS = 16
"""Frame combinations of a lesion whose features are averaged."""


class SimilarLesion(NamedTuple):
    """A training lesion."""

    lesion_id: str
    label: str
    distance: float


def lesion_features(
    predictor: Predictor, images: Mapping[str, Sequence[Path]], decoded: Decoded | None = None
) -> Array | None:
    """Return the mean features (D,) of a lesion; None if the network or its graph offers none.

    Args:
        predictor: the network.
        images: image files per modality.
        decoded: images that `Predictor.diagnose` has decoded.

    Raises:
        ImageError: a file cannot be read.
    """
    names = list(predictor.bundle.config.modalities)
    frames = {name: expand(images.get(name, ())) for name in names}
    combinations = frame_combinations(frames, names)[:MAX_COMBINATIONS]
    files = dict.fromkeys(file for item in combinations for file in item.items())
    known = decoded or {}
    pixels = {
        file: known[file].result().pixels if file in known else predictor.prepare(file)
        for file in files
    }
    batch = [{name: pixels[name, path] for name, path in item.items()} for item in combinations]
    features = predictor.backend.embed(*stack_images(batch, predictor.bundle.config))
    return None if features is None else features.mean(axis=0)


def similar_lesions(
    features: Array, index: SimilarIndex, count: int = SHOWN
) -> list[SimilarLesion]:
    """Return the nearest training lesions, the nearest first.

    Args:
        features: of a lesion (D,).
        index: of the bundle.
        count: the most lesions to return.
    """
    known = index.features.astype(np.float32)
    mean = known.mean(axis=0)
    known, query = known - mean, features.astype(np.float32) - mean
    lengths = np.linalg.norm(known, axis=1) * np.linalg.norm(query)
    distances = 1 - (known @ query) / np.maximum(lengths, 1e-12)
    order = np.argsort(distances, kind="stable")[:count]
    return [
        SimilarLesion(index.lesion_ids[row], index.labels[row], max(0.0, float(distances[row])))
        for row in order
    ]
