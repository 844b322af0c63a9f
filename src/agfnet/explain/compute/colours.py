"""Colours and opacity of attribution maps, in numpy: the server runs without matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
VIRIDIS = (
    "440154 471365 482475 463480 414487 3b528b 355f8d 2f6c8e 2a788e 25848e 21918c "
    "1e9c89 22a884 2fb47c 44bf70 5ec962 7ad151 9bd93c bddf26 dfe318 fde725"
)
"""Viridis in steps of 5 %: perceptually uniform and safe for colour-blind readers; neither skin nor
ultrasound has these colours."""
LOW = 0.25
"""Fraction of the highest attribution below which nothing is drawn."""


def colour_map(level: Array) -> Array:
    """Return the colours (..., 3), from 0 to 1, of levels (...) from 0 to 1."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()]) / 255
    position = level * (len(stops) - 1)
    return np.stack([np.interp(position, range(len(stops)), c) for c in stops.T], axis=-1)


def cover(level: Array) -> Array:
    """Return the opacity from 0 to 1 of levels from 0 to 1: none below `LOW`."""
    return np.clip((level - LOW) / (1 - LOW), 0, 1)
