"""One pass through every network, and what is left of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agfnet.explain.compute.attention_grid import attention_on_grid, overlaps, update_norms
from agfnet.explain.compute.recording import FUSED, Reading, head_weights, record, watching
from agfnet.models.attention import CrossAttention

from .networks import EVERY, SIZE, backend, inputs

every_network = pytest.mark.parametrize(("method", "modalities"), EVERY)


def seen(method: str, modalities: int, present: np.ndarray | None = None, **fusion: bool):
    made = backend(method, modalities, **fusion)
    images, there = inputs(2, modalities)
    there = there if present is None else present
    return made, record(made.model, made.tensors(images), torch.from_numpy(there))


@every_network
def test_every_network_leaves_maps_that_its_answer_rests_on(method: str, modalities: int) -> None:
    for shared in (False, True):
        made, found = seen(method, modalities, shared=shared)
        sides = [[feature.planes(feature.raw).shape for feature in view] for view in found.maps]
        assert sides == [[(2, c, s, s) for c, s in ((16, 8), (24, 4), (32, 2))]] * modalities
        raw = [feature.raw for view in found.maps for feature in view]
        gradients = torch.autograd.grad(found.logits[:, 0].sum(), raw)
        assert all(bool(gradient.any()) for gradient in gradients)
        assert not any(module._forward_hooks for module in made.model.modules())


def test_maps_in_either_layout_and_of_backbones_that_are_no_chain() -> None:
    for name, options, maps in (
        ("swin_tiny_patch4_window7_224", {"img_size": SIZE, "embed_dim": 12, "depths": [1] * 4,
                                          "num_heads": [1] * 4}, 3),
        ("vit_tiny_patch16_224", {"img_size": SIZE, "embed_dim": 12, "depth": 3,
                                  "num_heads": 2}, 3),
    ):  # fmt: skip
        made = backend("agfnet", 2, backbone=(name, options))
        images, there = inputs(1, 2)
        found = record(made.model, made.tensors(images), torch.from_numpy(there))
        for view in found.maps:
            assert len(view) == maps
            assert all(x.planes(x.raw).shape[2] == x.planes(x.raw).shape[3] <= 8 for x in view)


def test_what_is_not_there_is_not_made_up() -> None:
    for method in ("concatenation", "late_fusion", "mmtm", "tformer"):
        _, found = seen(method, 2)
        assert (found.guides, found.local, found.queries) == ((), (), ())
    _, found = seen("agfnet", 2, guide=False)
    assert found.guides == ()
    _, found = seen("agfnet", 2, intra=False, inter=False, layers=0)
    assert (found.local, found.queries) == ((), ())


@pytest.mark.parametrize("method", ["agfnet", "cross_attention", "hyper_branch"])
def test_weights_times_values_are_what_attention_gave(method: str) -> None:
    made = backend(method, 3)
    modules = [module for module in made.model.modules() if isinstance(module, CrossAttention)]
    images, present = inputs(2, 3)
    present[1, 2] = False
    with watching(modules) as calls, torch.no_grad():
        made.model(made.tensors(images), torch.from_numpy(present))
    for module in modules:
        (queries, context, *bias), output = calls.of(module)
        weights = head_weights(module, queries, context, *bias)
        values = module.split(module.key_value(context).chunk(2, dim=-1)[1])
        again = module.out((weights @ values).transpose(1, 2).flatten(2))
        torch.testing.assert_close(again, output, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_readings_say_who_asked_whom(modalities: int) -> None:
    _, found = seen("agfnet", modalities)
    shares = attention_on_grid(found.local, 3)
    views = range(modalities)
    assert set(shares) == {(m, n) for m in views for n in views}
    for m in views:
        np.testing.assert_allclose(shares[m, m].sum(axis=2), 1, atol=1e-5)
        others = sum(shares[m, n].sum(axis=2) for n in views if n != m)
        np.testing.assert_allclose(others, 1 if modalities > 1 else 0, atol=1e-5)
    assert set(update_norms(found.local)) == {
        (m, own) for m in views for own in (True, False) if own or modalities > 1
    }
    askers = {reading.asker for reading in found.queries}
    assert askers == {*views, FUSED}
    for reading in found.queries:
        parts = reading.weights.split([h * w for _, (h, w) in reading.asked], dim=2)
        given = [float(part.sum()) for part in parts]
        own = [view == reading.asker for view, _ in reading.asked]
        if reading.asker != FUSED:
            assert sum(g for g, mine in zip(given, own, strict=True) if not mine) == 0
        assert sum(given) == pytest.approx(2, abs=1e-4)  # a row per case


def reading(asking: tuple[int, int], asked: tuple[int, int], weights: Tensor) -> Reading:
    return Reading(0, ((0, asking),), ((1, asked),), weights[None], None)


def test_consultation_puts_weights_where_they_belong() -> None:
    weights = torch.zeros(16, 4)
    weights[:, 0] = 1.0  # all of a 4 x 4 map look at the upper left of 2 x 2
    weights[15] = torch.tensor([0.0, 0.0, 0.0, 1.0])  # but for the lower right
    shares = attention_on_grid([reading((4, 4), (2, 2), weights)], 4)[0, 1][0].reshape(4, 4, 4, 4)
    np.testing.assert_allclose(shares[0, 0, :2, :2], 0.25)  # spread over the cells that it covers
    assert shares[0, 0, 2:].sum() == shares[0, 0, :, 2:].sum() == 0
    np.testing.assert_allclose(shares[3, 3, 2:, 2:], 0.25)
    coarse = attention_on_grid([reading((4, 4), (2, 2), weights)], 2)[0, 1][0]
    np.testing.assert_allclose(coarse[3], [0.75, 0, 0, 0.25])  # mean of the four that ask


def test_overlaps_of_grids_that_do_not_fit() -> None:
    np.testing.assert_allclose(overlaps(2, 3), [[1, 0.5, 0], [0, 0.5, 1]])
    np.testing.assert_allclose(overlaps(7, 2).sum(axis=0), 1)


def test_a_strength_is_what_was_added() -> None:
    made = backend("agfnet", 2)
    for local in made.model.local_learning:
        with torch.no_grad():
            local.gain_inter.zero_()
    images, there = inputs(1, 2)
    found = update_norms(record(made.model, made.tensors(images), torch.from_numpy(there)).local)
    assert found[0, False] == 0
    assert found[0, True] > 0


def test_watching_ends_with_an_error_too() -> None:
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="stop"), watching([module]):
        raise ValueError("stop")
    assert not module._forward_hooks
