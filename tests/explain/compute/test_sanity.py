"""Methods whose worth is known, put to the test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from agfnet.explain.compute import sanity
from agfnet.explain.compute.sanity import _interval, check_methods, correlation, shuffled

from .networks import SIZE, backend

TRAINED, SHUFFLED = 230.0, 120.0


def liked(images: np.ndarray, brightness: float) -> np.ndarray:
    """How near each pixel (B, H, W) is to the brightness that a network looks for."""
    return np.maximum(1 - abs(images.mean(axis=3) - brightness) / 100, 0)


class Known:
    """A network of one view that looks for a brightness, wherever it is.

    Methods: `good` shows where it found that; `edges` shows the image alone; `centre` is always the
    same; `random` changes with everything.
    """

    def __init__(self, *, backend: Any) -> None:
        self.backend = backend

    def maps(
        self, methods: list[str], images: list[np.ndarray], present: np.ndarray, classes: np.ndarray
    ) -> dict[str, list[np.ndarray]]:
        middle = np.hypot(*(np.indices((SIZE, SIZE)) - SIZE / 2))
        found = {
            "good": liked(images[0], self.backend.brightness),
            "edges": images[0].mean(axis=3),
            "centre": np.broadcast_to(100 - middle, images[0].shape[:3]),
            "random": np.stack(
                [
                    np.random.default_rng(int(x.sum())).uniform(size=x.shape)
                    for x in images[0][..., 0]
                ]
            ),
        }
        return {method: [found[method].astype(np.float32)] for method in methods}


def known_backend(brightness: float) -> Any:
    def logits(images: list[np.ndarray], present: np.ndarray) -> np.ndarray:
        shown = 5 * liked(images[0], brightness).mean(axis=(1, 2))
        return np.stack([shown, np.zeros(len(shown))], axis=1)

    return SimpleNamespace(logits=logits, brightness=brightness)


def blobs(count: int) -> list[dict[str, Any]]:
    """Squares of any brightness all over each image, and a mask over its left half."""
    rng = np.random.default_rng(1)
    mask = np.zeros((SIZE, SIZE))
    mask[:, : SIZE // 2] = 1
    cases = []
    for _ in range(count):
        cells = rng.integers(100, 255, (8, 8))
        pixels = np.kron(cells, np.ones((8, 8))).astype(np.uint8)
        cases.append({"clinical": SimpleNamespace(square=np.stack([pixels] * 3, 2), mask=mask)})
    return cases


def test_good_maps_pass_and_bad_ones_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity, "Explainer", Known)
    monkeypatch.setattr(sanity, "shuffled", lambda *_, **__: known_backend(SHUFFLED))
    config: Any = SimpleNamespace(size=SIZE, modalities={"clinical": None})
    explainer: Any = Known(backend=known_backend(TRAINED))
    reported = []
    found = check_methods(
        explainer,
        blobs(20),
        [f"P{row}" for row in range(20)],
        ["good", "edges", "centre", "random"],
        config,
        seed=0,
        progress=lambda done, total: reported.append((done, total)),
    )
    assert found["good"]["failed"] == []
    assert "parameter_randomisation" in found["edges"]["failed"]
    assert "tiles" not in found["edges"]["failed"]
    assert {"parameter_randomisation", "tiles"} <= set(found["centre"]["failed"])
    assert {"noise", "order"} <= set(found["random"]["failed"])
    assert found["good"]["order"]["value"] > found["edges"]["order"]["value"]
    assert found["centre"]["relevance_mass_accuracy"]["clinical"] == pytest.approx(0.5, abs=0.02)
    assert found["centre"]["lesion_area"]["clinical"] == 0.5
    assert reported[-1][0] == reported[-1][1]


def test_shuffling_keeps_sizes_and_leaves_the_network_alone() -> None:
    made = backend()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    all_of_it, heads = shuffled(made, 0), shuffled(made, 0, backbones=False)
    for name, weight in made.model.named_parameters():
        assert torch.equal(weight, before[name])
        for other, changes in ((all_of_it, True), (heads, not name.startswith("backbones."))):
            found = dict(other.model.named_parameters())[name]
            torch.testing.assert_close(found.flatten().sort()[0], weight.flatten().sort()[0])
            if len(weight.flatten().unique()) > 8:
                assert torch.equal(found, weight) != changes


def test_correlation_of_ranks() -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(size=(8, 8))
    assert correlation(one, np.exp(9 * one)) == pytest.approx(1)
    assert correlation(one, -one) == pytest.approx(-1)
    assert correlation(one, np.ones((8, 8))) == 0
    assert abs(correlation(one, rng.uniform(size=(8, 8)))) < 0.4


def test_tiles_all_move() -> None:
    pixels = np.arange(16).repeat(3).reshape(1, 4, 4, 3).astype(np.uint8)
    moved = sanity._tiled(pixels, np.random.default_rng(0))
    assert sorted(moved[0, ..., 0].ravel().tolist()) == list(range(16))
    assert (moved != pixels).all()


def test_the_interval_draws_patients_with_all_their_lesions() -> None:
    """Ten equal lesions of a patient say no more than one of them."""
    values = np.random.default_rng(0).normal(size=12)
    apart = _interval(values, [f"P{row}" for row in range(12)], np.random.default_rng(1))
    repeated = _interval(
        np.repeat(values, 10), [f"P{row // 10}" for row in range(120)], np.random.default_rng(1)
    )
    assert repeated == pytest.approx(apart)
    assert apart["low"] < values.mean() < apart["high"]
    alone = _interval(values, ["P0"] * 12, np.random.default_rng(1))
    assert (alone["low"], alone["high"]) == (None, None)
