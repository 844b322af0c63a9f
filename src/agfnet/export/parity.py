"""Comparison of a graph with the predictor: on cases, and on edge cases of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from agfnet.bundle import Bundle, BundleConfig
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend

Array = np.ndarray[Any, Any]
BATCH_SIZE = 16


@dataclass(frozen=True)
class Rows:
    """Rows for the network (see `agfnet.export.graph`)."""

    images: tuple[Array, ...]  # per modality (R, size, size, 3) uint8
    present: Array  # (R, M) bool
    case: Array  # (R,) int64


@dataclass(frozen=True)
class Parity:
    """Maximum differences between torch and a graph; stored in the bundle."""

    rows: int
    probabilities: float
    logits: float


def reference(bundle: Bundle) -> Predictor:
    """Return the predictor that a graph must agree with: the bundle in torch, on the CPU."""
    backend = TorchBackend(bundle=bundle)
    backend.device = torch.device("cpu")
    backend.model.cpu()
    return Predictor(bundle=bundle, backend=backend)


def edge_rows(config: BundleConfig) -> Rows:
    """Black, white, grey, noise and stripes, with every pattern of missing modalities."""
    side, modalities = config.size, len(config.modalities)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    stripes = np.where(np.arange(side)[:, None, None] % 2, noise * 0 + 255, 0).astype(np.uint8)
    plain = [np.full_like(noise, value) for value in (0, 128, 255)]
    patterns = list(product((True, False), repeat=modalities))
    rows = [(image, pattern) for image in (*plain, noise, stripes) for pattern in patterns]
    pixels = np.stack([image for image, _ in rows])
    return Rows(
        images=(pixels,) * modalities,
        present=np.array([pattern for _, pattern in rows]),
        case=np.arange(len(rows)) // 3,  # three frames per case
    )


def compare(predictor: Predictor, graph: OnnxBackend, parts: Sequence[Rows]) -> Parity:
    """Compare a graph with the predictor on rows, in batches of sixteen and one by one."""
    probabilities, logits, count = 0.0, 0.0, 0
    for rows in parts:
        total = len(rows.case)
        steps = [slice(start, start + BATCH_SIZE) for start in range(0, total, BATCH_SIZE)]
        steps += [slice(row, row + 1) for row in range(min(total, BATCH_SIZE))]
        for step in steps:
            images = [part[step] for part in rows.images]
            present, case = rows.present[step], rows.case[step]
            of_graph = graph.run(["probabilities", "logits"], images, present, case)
            raw = predictor.backend.logits(images, present)
            answers = {c: predictor.diagnosis_of([], raw[case == c]).probabilities for c in case}
            expected = np.stack([answers[c] for c in case])
            probabilities = max(probabilities, difference(of_graph[0], expected))
            logits = max(logits, difference(of_graph[1], raw))
        count += total
    return Parity(rows=count, probabilities=probabilities, logits=logits)


def difference(values: Array, expected: Array) -> float:
    """Return the maximum absolute difference; infinite if one is not a number."""
    return float(np.nan_to_num(np.abs(values - expected), nan=np.inf).max(initial=0.0))
