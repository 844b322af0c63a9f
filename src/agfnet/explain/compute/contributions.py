"""Contribution of each modality, and of any image region, to the answer, found by removing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np

from agfnet.explain.compute.occlusion import mean_colour

Array = np.ndarray[Any, Any]
Answer = Callable[[Sequence[Array], Array], Array]  # images, present (B, M) to probabilities (B, C)


@dataclass(frozen=True)
class Contributions:
    """Contribution of each modality to the answer."""

    shapley: Array  # (M, C), points of probability; 0 where the modality is missing
    answers: Mapping[frozenset[int], Array]  # present modalities to probabilities (C,)


def contributions(answer: Answer, images: Sequence[Array], present: Array) -> Contributions:
    """Shapley values of the modalities of one case, exact over all subsets of them.

    The value of a subset is the probability of a class when these modalities are present and the
    others are missing; the contributions sum to the answer minus the one without any image.
    Shapley, "A value for n-person games", 1953.

    Args:
        answer: the network.
        images: per modality (1, H, W, 3).
        present: (M,).
    """
    count = len(images)
    available = np.flatnonzero(present).tolist()
    subsets = [frozenset(s) for k in range(len(available) + 1) for s in combinations(available, k)]
    masks = np.array([[m in subset for m in range(count)] for subset in subsets])
    rows = answer([np.repeat(image, len(subsets), axis=0) for image in images], masks)
    answers = dict(zip(subsets, rows, strict=True))
    shapley = np.zeros((count, rows.shape[1]))
    for m in available:
        for subset in (s for s in subsets if m not in s):
            before, after = len(subset), len(available) - len(subset) - 1
            weight = factorial(before) * factorial(after) / factorial(len(available))
            shapley[m] += weight * (answers[subset | {m}] - answers[subset])
    return Contributions(shapley, answers)


def without_region(
    answer: Answer, images: Sequence[Array], present: Array, regions: Mapping[int, Array]
) -> Array:
    """Return the probabilities (C,) of one case with image regions covered by the mean colour.

    Args:
        answer: the network.
        images: per modality (1, H, W, 3).
        present: (M,).
        regions: modality to the covered pixels (H, W), bool.
    """
    changed = [image.copy() for image in images]
    for m, region in regions.items():
        changed[m][0][region] = mean_colour(images[m][0])
    return answer(changed, present[None])[0]
