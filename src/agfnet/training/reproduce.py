"""A run that is trained again from its record: versions that differ, and the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from agfnet.errors import RunError

WEIGHTS = "bundle/model.safetensors"


def weights_difference(run: Path, again: Path) -> float:
    """Return the largest difference of a weight of two runs; 0 if all are equal to the last bit.

    Raises:
        RunError: they are not the same network.
    """
    before, after = load_file(run / WEIGHTS), load_file(again / WEIGHTS)
    if {n: w.shape for n, w in before.items()} != {n: w.shape for n, w in after.items()}:
        raise RunError(f"{run}, {again}: are not the same network")
    return max(
        float(np.abs(before[name].astype(np.float64) - after[name].astype(np.float64)).max())
        for name in before
        if before[name].size
    )
