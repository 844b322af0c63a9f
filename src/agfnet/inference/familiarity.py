"""Resemblance of an image to the training images of its modality.

An image is described by statistics of its pixels: colour, contrast, and the mean and the sparsity
of its gradients at four scales. The Mahalanobis distance from the training images detects pictures
of another kind better than the features and the logits of a network, which learn to ignore
everything but the differences between classes (docs/decisions/024-familiar-images.md). It is the
same for every backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agfnet.bundle import Familiarity

Array = np.ndarray[Any, Any]
SCALES = 4
"""Scales of the gradients; each halves the image."""
FOREIGN = 2.0
"""Distance, relative to the threshold, from which on a picture is of another kind."""


def image_statistics(pixels: Array) -> Array:
    """Return the statistics (K,) of a prepared image (H, W, 3) uint8."""
    image = pixels.astype(np.float32) / 255
    red, green, blue = np.moveaxis(image, -1, 0)
    saturation = image.max(axis=-1) - image.min(axis=-1)
    hues = (red - blue, red - 2 * green + blue)
    values = [
        *image.mean(axis=(0, 1)),
        *np.log(image.std(axis=(0, 1)) + 0.01),
        saturation.mean(),
        hues[0].mean(),
        # a few coloured pixels, such as callipers, must not weigh more than a whole picture
        *(np.log(np.abs(part - part.mean()).mean() + 0.1) for part in (saturation, *hues)),
    ]
    grey = image.mean(axis=-1)
    for _ in range(SCALES):
        for axis in (0, 1):
            step = np.abs(np.diff(grey, axis=axis))
            mean = step.mean() if step.size else np.float32(0)
            sparsity = (step**2).mean() / (mean + 1e-3) ** 2 if step.size else np.float32(0)
            values += [np.log(mean + 1e-3), np.log(sparsity + 0.1)]
        height, width = (max(1, side // 2) for side in grey.shape)
        if min(grey.shape) > 1:
            grey = grey[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    return np.array(values, dtype=np.float64)


def relative_distance(statistics: Array, model: Familiarity) -> float:
    """Return the distance of statistics (K,) relative to the threshold: above 1 is unfamiliar."""
    centred = statistics - np.array(model.mean)
    squared = float(centred @ np.array(model.precision) @ centred)
    return float(np.sqrt(max(squared, 0.0) / len(centred))) / model.threshold
