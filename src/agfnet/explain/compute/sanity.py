"""Whether the maps of a network can be believed: each method put to the test on it.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: some maps show the image whatever
the network has learned. Maps are compared on one coarse grid, so that no method gains by the
fineness of its maps, and by ranks, so that none gains by its scale. The limits are our own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from agfnet.bundle import BundleConfig
from agfnet.explain.compute.images import PreparedImage, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.measures import area, cells, deletion, insertion, inside, scorer
from agfnet.inference.torch_backend import TorchBackend

Array = np.ndarray[Any, Any]
Maps = Mapping[str, Sequence[Array]]

SAME = 0.5  # rank correlation from which two maps show the same: a quarter of the variance of ranks
NOISE = 0.02  # standard deviation of the noise, share of full scale
TILES = 4  # per side
GRID = 8  # cells per side on which maps are compared
BATCH = 16
RESAMPLES = 1000


def check_methods(
    explainer: Explainer,
    cases: Sequence[Mapping[str, PreparedImage]],
    methods: Sequence[str],
    config: BundleConfig,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Put the maps of the answers for some cases to the test.

    Args:
        explainer: of the network.
        cases: their images.
        methods: names of METHODS; those that the network cannot have are left out.
        config: of the bundle.
        seed: of everything random.
        progress: told how many of the steps are done.

    Returns:
        Per method `failed`, names of CHECKS; `weights`, `heads` (all but the backbones shuffled),
        `tiles` and `noise`, mean rank correlations with the true maps; `order`, the mean of
        insertion less deletion area over what a random order gives, as `{value, low, high}` with
        its 95 % bootstrap interval; `deletion` and `insertion`; and per modality `inside`, the
        share of the evidence in the lesion masks, and `lesion`, that of their area, which judge
        the network and not the method.
    """
    rng = np.random.default_rng(seed)
    images, present = stack_images(cases, config)
    answers = _batched(
        lambda at: explainer.backend.logits([x[at] for x in images], present[at]), len(present)
    ).argmax(axis=1)
    steps = 6
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    def drawn(by: Explainer, given: Sequence[Array]) -> dict[str, list[Array]]:
        found = _maps(by, methods, given, present, answers)
        step()
        return found

    maps = drawn(explainer, images)
    others = {
        "weights": drawn(Explainer(backend=shuffled(explainer.backend, seed)), images),
        "heads": drawn(
            Explainer(backend=shuffled(explainer.backend, seed, backbones=False)), images
        ),
        "tiles": drawn(explainer, [_tiled(image, rng) for image in images]),
        "noise": drawn(explainer, [_noisy(image, rng) for image in images]),
    }
    chance = _orders(
        explainer,
        [
            rng.permuted(
                np.broadcast_to(np.arange(GRID**2), (len(present), GRID**2)), axis=1
            ).reshape(-1, GRID, GRID)
            for _ in images
        ],
        images,
        present,
        answers,
    )
    found: dict[str, dict[str, Any]] = {}
    for method, parts in maps.items():
        pooled = [np.stack([cells(one, GRID) for one in part]) for part in parts]
        row: dict[str, Any] = {
            name: _likeness(pooled, other[method], present) for name, other in others.items()
        }
        curves = _orders(explainer, pooled, images, present, answers)
        row |= {"deletion": float(curves[..., 0].mean()), "insertion": float(curves[..., 1].mean())}
        gains = np.diff(curves, axis=-1)[..., 0] - np.diff(chance, axis=-1)[..., 0]  # (B,)
        row["order"] = _interval(gains, rng)
        row |= _agreement(parts, cases, config)
        row["failed"] = [
            name
            for name, failed in {
                "weights": row["weights"] >= SAME,
                "tiles": row["tiles"] >= SAME,
                "noise": row["noise"] < SAME,
                "order": row["order"]["low"] <= 0,
            }.items()
            if failed
        ]
        found[method] = row
    step()
    return found


def shuffled(backend: TorchBackend, seed: int, *, backbones: bool = True) -> TorchBackend:
    """The same network with the entries of every weight tensor in random order.

    Their sizes stay what they were, so that activations keep their scale; what was learned is gone.

    Args:
        backend: left as it is.
        seed: of the order.
        backbones: shuffle them as well, and not only what is behind them.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = copy.copy(backend)
    changed.model = copy.deepcopy(backend.model)
    with torch.no_grad():
        for name, weight in changed.model.named_parameters():
            if backbones or not name.startswith("backbones."):
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
    return changed


def _batched(run: Callable[[slice], Array], count: int) -> Array:
    return np.concatenate([run(slice(i, i + BATCH)) for i in range(0, count, BATCH)])


def _maps(
    explainer: Explainer,
    methods: Sequence[str],
    images: Sequence[Array],
    present: Array,
    classes: Array,
) -> dict[str, list[Array]]:
    batches = [
        explainer.maps(
            methods,
            [x[i : i + BATCH] for x in images],
            present[i : i + BATCH],
            classes[i : i + BATCH],
        )
        for i in range(0, len(present), BATCH)
    ]
    return {
        method: [np.concatenate(parts) for parts in zip(*(b[method] for b in batches), strict=True)]
        for method in batches[0]
    }


def _tiled(images: Array, rng: np.random.Generator) -> Array:
    """Images (B, H, W, 3) with their tiles in an order in which none stays."""
    side = images.shape[1] // TILES
    changed = images.copy()
    for image, before in zip(changed, images, strict=True):
        ring = rng.permutation(TILES * TILES)
        for place, source in zip(ring, np.roll(ring, 1), strict=True):
            (y, x), (v, u) = (
                (side * (tile // TILES), side * (tile % TILES)) for tile in (place, source)
            )
            image[y : y + side, x : x + side] = before[v : v + side, u : u + side]
    return changed


def _noisy(images: Array, rng: np.random.Generator) -> Array:
    noise = 255 * NOISE * rng.standard_normal(images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def _likeness(pooled: Sequence[Array], other: Sequence[Array], present: Array) -> float:
    """Mean rank correlation of maps (B, g, g) with others (B, H, W), where a view is there."""
    return float(
        np.mean(
            [
                correlation(pooled[m][row], cells(other[m][row], GRID))
                for row, m in np.argwhere(present)
            ]
        )
    )


def correlation(one: Array, other: Array) -> float:
    """Spearman's rank correlation of two maps; 0 if one of them says the same everywhere."""
    first, second = (rankdata(values.ravel()) - (values.size + 1) / 2 for values in (one, other))
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale else 0.0


def _orders(
    explainer: Explainer,
    pooled: Sequence[Array],
    images: Sequence[Array],
    present: Array,
    classes: Array,
) -> Array:
    """Deletion and insertion area (B, 2) of maps (B, g, g), mean over the views of a case."""
    found = np.full((*present.shape, 2), np.nan)
    size = images[0].shape[1]
    near = np.arange(size) * GRID // size
    for row, m in np.argwhere(present):
        score = scorer(explainer.backend.logits, images, present, row, m, int(classes[row]))
        evidence = pooled[m][row][np.ix_(near, near)]
        for k, curve in enumerate((deletion, insertion)):
            found[row, m, k] = area(curve(images[m][row], evidence, score))
    areas: Array = np.nanmean(found, axis=1)
    return areas


def _interval(values: Array, rng: np.random.Generator) -> dict[str, float]:
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def _agreement(
    parts: Sequence[Array], cases: Sequence[Mapping[str, PreparedImage]], config: BundleConfig
) -> dict[str, dict[str, float]]:
    """`inside` and `lesion` by modality, where there are masks and evidence."""
    found: dict[str, dict[str, float]] = {"inside": {}, "lesion": {}}
    for part, name in zip(parts, config.modalities, strict=True):
        pairs = [
            (inside(part[row], view.mask), float(view.mask.mean()))
            for row, views in enumerate(cases)
            if (view := views.get(name)) is not None and view.mask is not None
        ]
        known = [pair for pair in pairs if not np.isnan(pair[0])]
        if known:
            found["inside"][name], found["lesion"][name] = np.mean(known, axis=0).tolist()
    return found
