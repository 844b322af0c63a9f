"""ALL: the path from fine to coarse of each modality."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from agfnet.models.multi_scale import CoarsestScale, FineToCoarse, MultiScale, token_maps
from agfnet.types import Features

SHAPES = (((4, 6), (2, 3)), ((5, 5), (2, 2)), ((4, 4), (2, 2)))


def features(modalities: int) -> Features:
    generator = torch.Generator().manual_seed(1)
    counts = [sum(h * w for h, w in shapes) for shapes in SHAPES[:modalities]]
    return Features(
        tokens=tuple(torch.randn(2, n, 8, generator=generator) for n in counts),
        guides=tuple(torch.rand(2, n, generator=generator) for n in counts),
        shapes=SHAPES[:modalities],
        last_maps=tuple(torch.zeros(2, 3, *shapes[-1]) for shapes in SHAPES[:modalities]),
        present=torch.ones(2, modalities, dtype=torch.bool),
    )


@pytest.mark.parametrize("residual", [True, False])
def test_a_path_goes_from_fine_to_coarse_and_its_channels_are_gated(residual: bool) -> None:
    torch.manual_seed(0)
    path = FineToCoarse(dim=8, scales=2, others=1, residual=residual)
    fine, coarse = token_maps(features(1))[0]
    others = [torch.randn(2, 8), torch.randn(2, 8)]
    steps = zip(path.convolutions, path.norms, path.gates, others, strict=True)
    (conv_0, norm_0, gate_0, other_0), (conv_1, norm_1, gate_1, other_1) = steps
    first = norm_0(conv_0(fine)) * 2 * gate_0(other_0).sigmoid()[..., None, None]
    finer = F.adaptive_avg_pool2d(F.gelu(first) + residual * fine, (2, 3))
    second = norm_1(conv_1(torch.cat([coarse, finer], dim=1)))
    expected = F.gelu(second * 2 * gate_1(other_1).sigmoid()[..., None, None])
    expected = expected + residual * (coarse + finer)
    torch.testing.assert_close(path([fine, coarse], others), expected)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_each_modality_ends_in_a_map_of_its_coarsest_scale(modalities: int) -> None:
    torch.manual_seed(0)
    maps = MultiScale(modalities=modalities, dim=8, scales=2)(features(modalities))
    assert [tuple(m.shape) for m in maps] == [(2, 8, *s[-1]) for s in SHAPES[:modalities]]


def test_positions_are_not_matched_across_modalities() -> None:
    """Another order of the other modality's positions changes nothing."""
    torch.manual_seed(0)
    model, before = MultiScale(modalities=2, dim=8, scales=2), features(2)
    order = torch.cat([torch.randperm(25), 25 + torch.randperm(4)])  # within each scale
    after = before._replace(tokens=(before.tokens[0], before.tokens[1][:, order]))
    torch.testing.assert_close(model(before)[0], model(after)[0])
    changed = before._replace(tokens=(before.tokens[0], 2 * before.tokens[1]))
    assert not torch.allclose(model(before)[0], model(changed)[0])


def test_without_the_path_the_coarsest_scale_remains() -> None:
    found = features(2)
    for feature, maps in zip(CoarsestScale()(found), token_maps(found), strict=True):
        assert feature is not None
        torch.testing.assert_close(feature, maps[-1])
