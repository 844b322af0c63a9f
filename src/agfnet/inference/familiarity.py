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
    # one contiguous array per channel: numpy is slow along a last axis of three
    channels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)).astype(np.float32)
    channels /= 255
    red, green, blue = channels
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    warmth = red - blue
    hues = (warmth, warmth + 2 * (blue - green))
    grey = channels.sum(axis=0) / 3
    values = [
        *(channel.mean() for channel in channels),
        *(np.log(channel.std() + 0.01) for channel in channels),
        saturation.mean(),
        hues[0].mean(),
        # a few coloured pixels, such as callipers, must not weigh more than a whole picture
        *(np.log(np.abs(part - part.mean()).mean() + 0.1) for part in (saturation, *hues)),
    ]
    for _ in range(SCALES):
        for step in (grey[1:] - grey[:-1], grey[:, 1:] - grey[:, :-1]):
            mean = np.abs(step).mean() if step.size else np.float32(0)
            power = np.vdot(step, step) / step.size if step.size else np.float32(0)
            values += [np.log(mean + 1e-3), np.log(power / (mean + 1e-3) ** 2 + 0.1)]
        height, width = (max(1, side // 2) for side in grey.shape)
        if min(grey.shape) > 1:
            part = grey[: 2 * height, : 2 * width]
            rows = part[::2] + part[1::2]
            grey = (rows[:, ::2] + rows[:, 1::2]) / 4
    return np.array(values, dtype=np.float64)


def relative_distance(statistics: Array, model: Familiarity) -> float:
    """Return the distance of statistics (K,) relative to the threshold: above 1 is unfamiliar."""
    centred = statistics - np.array(model.mean)
    squared = float(centred @ np.array(model.precision) @ centred)
    return float(np.sqrt(max(squared, 0.0) / len(centred))) / model.threshold
