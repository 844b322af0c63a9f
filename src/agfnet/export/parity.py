"""Whether a graph answers as the network does: on cases, and on the edges of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from agfnet.bundle import BundleConfig
from agfnet.export.graph import Deployed
from agfnet.inference.onnx_backend import OnnxBackend

Array = np.ndarray[Any, Any]
ROWS = 16  # per run of the network


@dataclass(frozen=True)
class Rows:
    """Rows for the network (see `agfnet.export.graph`)."""

    images: tuple[Array, ...]  # per modality (R, size, size, 3) uint8
    present: Array  # (R, M) bool
    case: Array  # (R,) int64


@dataclass(frozen=True)
class Parity:
    """Largest differences between torch and a graph; stored in the bundle."""

    rows: int
    probabilities: float
    logits: float


def edge_rows(config: BundleConfig) -> Rows:
    """Black, white, grey, noise and stripes, with every pattern of missing views."""
    side, views = config.size, len(config.modalities)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    stripes = np.where(np.arange(side)[:, None, None] % 2, noise * 0 + 255, 0).astype(np.uint8)
    plain = [np.full_like(noise, value) for value in (0, 128, 255)]
    patterns = list(product((True, False), repeat=views))
    pictures = [*plain, noise, stripes]
    rows = [(picture, pattern) for picture in pictures for pattern in patterns]
    pixels = np.stack([picture for picture, _ in rows])
    return Rows(
        images=(pixels,) * views,
        present=np.array([pattern for _, pattern in rows]),
        case=np.arange(len(rows)) // 3,  # three passes a case
    )


def compare(network: Deployed, graph: OnnxBackend, parts: Sequence[Rows]) -> Parity:
    """Run both on the same rows, in batches of sixteen and one by one."""
    probabilities, logits, count = 0.0, 0.0, 0
    for rows in parts:
        total = len(rows.case)
        steps = [slice(start, start + ROWS) for start in range(0, total, ROWS)]
        steps += [slice(row, row + 1) for row in range(min(total, ROWS))]
        for step in steps:
            images = [part[step] for part in rows.images]
            given = rows.present[step], rows.case[step]
            with torch.inference_mode():
                expected = network(
                    [torch.from_numpy(part) for part in images], *map(torch.from_numpy, given)
                )
            found = graph.run(["probabilities", "logits"], images, *given)
            probabilities = max(probabilities, distance(found[0], expected["probabilities"]))
            logits = max(logits, distance(found[1], expected["logits"]))
        count += total
    return Parity(rows=count, probabilities=probabilities, logits=logits)


def distance(found: Array, expected: torch.Tensor) -> float:
    """Largest absolute difference; infinite where one is not a number."""
    difference = np.abs(found - expected.numpy())
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))
