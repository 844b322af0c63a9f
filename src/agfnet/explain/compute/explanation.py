"""Everything that is said about the answer for a case, before it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agfnet.explain.compute.attention_grid import FINEST, consulted, strengths
from agfnet.explain.compute.contributions import Contributions, contributions, without_region
from agfnet.explain.compute.images import PreparedImage, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.methods import METHODS
from agfnet.inference.decision import calibrated
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
ALL = -1  # in the place of a class: of a map that is the same for all
SIDE = 1024
Region = tuple[float, float, float, float]  # left, top, right, bottom, shares of the image


@dataclass(frozen=True, eq=False)
class Description:
    """One case, explained. Views are those that it has."""

    views: Mapping[str, PreparedImage]
    probabilities: Array  # (C,), calibrated
    classes: tuple[int, ...]  # those that are explained
    maps: Mapping[tuple[str, int], Mapping[str, Array]]
    """(method, class) to a map (size, size) per view; class ALL if it is the same for all."""
    attention: Mapping[tuple[str, str], Array]  # (asker, asked) to (g², g²); may be empty
    strengths: Mapping[tuple[str, bool], float]  # asker, and whether of itself
    modalities: Contributions | None
    hidden: Array | None  # probabilities (C,) without the chosen regions


def describe(
    predictor: Predictor,
    explainer: Explainer,
    cases: Sequence[Mapping[str, PreparedImage]],
    methods: Sequence[str],
    classes: Sequence[int] | None,
    regions: Mapping[str, Region],
) -> Iterator[Description]:
    """Explain a batch of cases; guide, queries, CAM and attention share one pass.

    Args:
        predictor: the network and its calibration.
        explainer: of the same network.
        cases: their images.
        methods: names of METHODS, `attention`, `modalities`.
        classes: to explain; the answer of each case if None.
        regions: what to cover, by modality; nothing is tried where empty.
    """
    bundle = predictor.bundle
    names = list(bundle.config.modalities)
    images, present = stack_images(cases, bundle.config)

    def answer(given: Sequence[Array], there: Array) -> Array:
        return calibrated(
            predictor.backend.logits(given, there).astype(np.float64), bundle.calibration
        )

    seen = explainer.look(images, present)
    logits = seen.logits.detach().float().cpu().numpy().astype(np.float64)
    probabilities = calibrated(logits, bundle.calibration)
    answers = probabilities.argmax(axis=1)
    asked = [answers] if classes is None else [np.full(len(cases), c) for c in classes]
    general = [name for name in METHODS if name in methods and not METHODS[name].by_class]
    single = [name for name in METHODS if name in methods and METHODS[name].by_class]
    shared = explainer.maps(general, images, present, answers, seen=seen)
    by_class = [explainer.maps(single, images, present, c, seen=seen) for c in asked]
    attention = {}
    if "attention" in methods:
        attention = consulted(seen.local, min(FINEST, bundle.config.model.fusion.grid))
    added = strengths(seen.local)
    for row, views in enumerate(cases):

        def of(parts: Sequence[Array], row: int = row) -> dict[str, Array]:
            return {
                name: part[row]
                for name, part in zip(names, parts, strict=True)
                if present[row, names.index(name)]
            }

        mine = [image[[row]] for image in images]
        squares = {
            names.index(name): views[name].geometry.to_square(rectangle(box)) > 0
            for name, box in regions.items()
            if name in views
        }
        yield Description(
            views=views,
            probabilities=probabilities[row],
            classes=tuple(int(c[row]) for c in asked),
            maps={(method, ALL): of(parts) for method, parts in shared.items()}
            | {
                (method, int(chosen[row])): of(parts)
                for chosen, maps in zip(asked, by_class, strict=True)
                for method, parts in maps.items()
            },
            attention={
                (names[m], names[n]): shares[row]
                for (m, n), shares in attention.items()
                if present[row, m] and present[row, n]
            },
            strengths={
                (names[m], own): float(values[row])
                for (m, own), values in added.items()
                if present[row, m]
            },
            modalities=contributions(answer, mine, present[row])
            if "modalities" in methods
            else None,
            hidden=without_region(answer, mine, present[row], squares) if squares else None,
        )


def rectangle(box: Region) -> Array:
    """A rectangle of an image, as a mask (SIDE, SIDE) of it: a square copy is fine enough."""
    left, top, right, bottom = box
    across, down = (np.arange(SIDE) + 0.5) / SIDE, (np.arange(SIDE) + 0.5) / SIDE
    inside = (across >= left) & (across <= right) & ((down >= top) & (down <= bottom))[:, None]
    return inside
