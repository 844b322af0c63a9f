"""Flips of prepared images over which a prediction is averaged."""

from __future__ import annotations

from collections.abc import Iterable

from agfnet.bundle import Bundle
from agfnet.config import ModalityType

Axes = tuple[int, ...]  # flipped axes of images (B, H, W, 3)
HEIGHT, WIDTH = 1, 2
FLIPS: dict[ModalityType, tuple[Axes, ...]] = {
    "photo": ((), (WIDTH,), (HEIGHT,), (HEIGHT, WIDTH)),
    "ultrasound": ((), (WIDTH,)),
}
"""Flips that a type allows: depth points down in an ultrasound, and it is never turned over."""


def flip_passes(types: Iterable[ModalityType]) -> tuple[tuple[Axes, ...], ...]:
    """Return the flipped axes of each modality, for each forward pass; the first has none.

    The modality with the most flips sets the number of passes; another one repeats its flips in
    turn. With a photograph there are four passes, with ultrasound alone two.

    Args:
        types: type of each modality, in order.
    """
    allowed = [FLIPS[kind] for kind in types]
    count = max(map(len, allowed))
    return tuple(tuple(flips[i % len(flips)] for flips in allowed) for i in range(count))


def passes_of(bundle: Bundle) -> tuple[tuple[Axes, ...], ...]:
    """Return the flipped axes of the forward passes of a bundle; one pass without flips."""
    modalities = bundle.config.modalities.values()
    if not bundle.calibration.flips:
        return (((),) * len(modalities),)
    return flip_passes(modality.modality_type for modality in modalities)
