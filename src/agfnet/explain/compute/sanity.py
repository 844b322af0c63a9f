"""Sanity checks of the attribution maps of a network.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: some maps show the image whatever
the network has learned. Maps are compared on one coarse grid, so that the resolution of a method
does not matter, and by ranks, so that its scale does not matter. The thresholds are our own choice.
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
from agfnet.explain.compute.measures import cells, relevance_mass_accuracy
from agfnet.explain.compute.order import GRID, order_areas, order_gains, random_orders
from agfnet.inference.torch_backend import TorchBackend

Array = np.ndarray[Any, Any]
Maps = Mapping[str, Sequence[Array]]

SAME = 0.5  # rank correlation from which two maps count as the same: r² = a quarter
NOISE = 0.02  # standard deviation of the noise, fraction of full scale
TILES = 4  # per side
BATCH = 16
RESAMPLES = 1000


def check_methods(
    explainer: Explainer,
    cases: Sequence[Mapping[str, PreparedImage]],
    patients: Sequence[str],
    methods: Sequence[str],
    config: BundleConfig,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Check the maps that explain the answers for some cases.

    Args:
        explainer: of the network.
        cases: their images.
        patients: the patient of each case.
        methods: names of METHODS; methods that the network does not support are left out.
        config: of the bundle.
        seed: of everything random.
        progress: called with the number of steps that are done, and of all steps.

    Returns:
        Per method `failed`, names of CHECKS; `parameter_randomisation`, `heads` (all weights but
        those of the backbones shuffled), `tiles` and `noise`, mean rank correlations with the true
        maps; `order`, the mean of insertion minus deletion area, less that of a random order, as
        `{value, low, high}` with its 95 % bootstrap interval over patients (None with a single
        patient); `deletion` and `insertion`; and per modality `relevance_mass_accuracy`, the
        fraction of the attribution in the lesion masks, and `lesion_area`, the fraction of the
        image that they cover, which judge the network and not the method.
    """
    rng = np.random.default_rng(seed)
    images, present = stack_images(cases, config)
    answers = _batched(
        lambda at: explainer.backend.logits([x[at] for x in images], present[at]), len(present)
    ).argmax(axis=1)
    maps: dict[str, dict[str, list[Array]]] = {}
    for name, network, inputs in (
        ("true", explainer, images),
        ("parameter_randomisation", _shuffled(explainer, seed), images),
        ("heads", _shuffled(explainer, seed, backbones=False), images),
        ("tiles", explainer, [_tiled(image, rng) for image in images]),
        ("noise", explainer, [_noisy(image, rng) for image in images]),
    ):
        maps[name] = _maps(network, methods, inputs, present, answers)
        if progress is not None:
            progress(len(maps), 6)
    true = maps.pop("true")
    chance = order_areas(
        explainer.backend.logits, random_orders(images, rng), images, present, answers
    )
    results = {}
    for method, parts in true.items():
        pooled = [np.stack([cells(single, GRID) for single in part]) for part in parts]
        row: dict[str, Any] = {
            name: _mean_correlation(pooled, other[method], present) for name, other in maps.items()
        }
        curves = order_areas(explainer.backend.logits, pooled, images, present, answers)
        row |= {"deletion": float(curves[..., 0].mean()), "insertion": float(curves[..., 1].mean())}
        gains = order_gains(curves, chance)
        row["order"] = _interval(gains, patients, rng)
        row |= _mask_agreement(parts, cases, config)
        results[method] = row | {"failed": _failed(row)}
    if progress is not None:
        progress(6, 6)
    return results


def _failed(row: Mapping[str, Any]) -> list[str]:
    """Names of the CHECKS that a method failed."""
    verdicts = {
        "parameter_randomisation": row["parameter_randomisation"] >= SAME,
        "tiles": row["tiles"] >= SAME,
        "noise": row["noise"] < SAME,
        "order": row["order"]["low"] is None or row["order"]["low"] <= 0,
    }
    return [name for name, failed in verdicts.items() if failed]


def _shuffled(explainer: Explainer, seed: int, *, backbones: bool = True) -> Explainer:
    return Explainer(backend=shuffled(explainer.backend, seed, backbones=backbones))


def shuffled(backend: TorchBackend, seed: int, *, backbones: bool = True) -> TorchBackend:
    """Return the same network with the entries of every weight tensor in random order.

    The magnitudes stay, so that activations keep their scale; what was learned is lost.

    Args:
        backend: left as it is.
        seed: of the order.
        backbones: shuffle the backbones as well, and not only the layers after them.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = copy.copy(backend)
    changed.model = copy.deepcopy(backend.model)
    with torch.no_grad():
        for name, weight in changed.model.named_parameters():
            if backbones or ".backbones." not in f".{name}":
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
    """Images (B, H, W, 3) with shuffled tiles, none of which keeps its position."""
    side = images.shape[1] // TILES
    changed = images.copy()
    for image, before in zip(changed, images, strict=True):
        ring = rng.permutation(TILES * TILES)
        for target, source in zip(ring, np.roll(ring, 1), strict=True):
            (y, x), (v, u) = (
                (side * (tile // TILES), side * (tile % TILES)) for tile in (target, source)
            )
            image[y : y + side, x : x + side] = before[v : v + side, u : u + side]
    return changed


def _noisy(images: Array, rng: np.random.Generator) -> Array:
    noise = 255 * NOISE * rng.standard_normal(images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def _mean_correlation(pooled: Sequence[Array], other: Sequence[Array], present: Array) -> float:
    """Mean rank correlation of maps (B, g, g) and (B, H, W) over the present modalities."""
    return float(
        np.mean(
            [
                correlation(pooled[m][row], cells(other[m][row], GRID))
                for row, m in np.argwhere(present)
            ]
        )
    )


def correlation(a: Array, b: Array) -> float:
    """Spearman's rank correlation of two maps; 0 if one of them is constant."""
    first, second = (rankdata(values.ravel()) - (values.size + 1) / 2 for values in (a, b))
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale else 0.0


def _interval(
    values: Array, patients: Sequence[str], rng: np.random.Generator
) -> dict[str, float | None]:
    """Mean of values (B,) and its interval, for which patients with all their lesions are drawn."""
    names, index = np.unique(patients, return_inverse=True)
    low = high = None  # unknown with one patient
    if len(names) > 1:
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
        weights = drawn[:, index]  # (RESAMPLES, B)
        means = weights @ values / weights.sum(axis=1)
        low, high = map(float, np.quantile(means, [0.025, 0.975]))
    return {"value": float(values.mean()), "low": low, "high": high}


def _mask_agreement(
    parts: Sequence[Array], cases: Sequence[Mapping[str, PreparedImage]], config: BundleConfig
) -> dict[str, dict[str, float]]:
    """`relevance_mass_accuracy` and `lesion_area` by modality, where there are masks."""
    accuracy: dict[str, float] = {}
    lesion_area: dict[str, float] = {}
    for part, name in zip(parts, config.modalities, strict=True):
        pairs = [
            (relevance_mass_accuracy(part[row], image.mask), float(image.mask.mean()))
            for row, case in enumerate(cases)
            if (image := case.get(name)) is not None and image.mask is not None
        ]
        known = [pair for pair in pairs if not np.isnan(pair[0])]
        if known:
            accuracy[name], lesion_area[name] = np.mean(known, axis=0).tolist()
    return {"relevance_mass_accuracy": accuracy, "lesion_area": lesion_area}
