"""Feature maps to tokens, positions and guides."""

from __future__ import annotations

import pytest
import torch

from agfnet.models.tokenizer import PositionEmbedding, Tokenizer, pool_to_max_size

DIM = 8
SHAPES = ((4, 6), (2, 3))
COUNT = 4 * 6 + 2 * 3


def test_absent_view_gives_the_same_tokens_whatever_the_image() -> None:
    torch.manual_seed(0)
    layer = Tokenizer(channels=(3, 5), dim=DIM, grid=2, guided=True)
    present = torch.tensor([False, True])
    answers = [
        layer([torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)], present)[0] for _ in range(2)
    ]
    torch.testing.assert_close(answers[0][0], answers[1][0])
    assert not torch.allclose(answers[0][1], answers[1][1])


def test_guide_lies_between_zero_and_one() -> None:
    layer = Tokenizer(channels=(3, 5), dim=DIM, grid=2, guided=True)
    maps = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)]
    tokens, guide, shapes = layer(maps, torch.tensor([True, True]))
    assert shapes == SHAPES
    assert tokens.shape == (2, COUNT, DIM)
    assert guide.shape == (2, COUNT)
    assert ((guide > 0) & (guide < 1)).all()


def test_without_a_guide_all_tokens_count_alike() -> None:
    layer = Tokenizer(channels=(3,), dim=DIM, grid=2, guided=False)
    _, guide, _ = layer([torch.randn(2, 3, 4, 6)], torch.tensor([True, True]))
    assert (guide == 1).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((16, 16), (16, 16)), ((28, 28), (14, 14)), ((17, 5), (9, 3)), ((56, 42), (14, 11))],
)
def test_a_fine_map_is_averaged_in_blocks(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    feature = torch.randn(2, 3, *shape)
    found = pool_to_max_size(feature, 16)
    assert found.shape == (2, 3, *expected)
    if shape == expected:
        assert found is feature
    elif shape == (28, 28):
        torch.testing.assert_close(found[:, :, 1, 2], feature[:, :, 2:4, 4:6].mean(dim=(2, 3)))


def test_positions_interpolate() -> None:
    embed = PositionEmbedding(dim=DIM, grid=4, scales=1)
    exact = embed(((4, 4),)).unflatten(1, (4, 4))
    torch.testing.assert_close(exact[0, 1, 2], embed.position[0, :, 1, 2] + embed.scale[0])
    assert embed(((9, 5),)).shape == (1, 45, DIM)


@pytest.mark.parametrize("residual", [True, False])
def test_the_local_convolution_is_added_to_the_linear_tokens_or_replaces_them(
    residual: bool,
) -> None:
    torch.manual_seed(0)
    layer = Tokenizer(
        channels=(3,), dim=DIM, grid=2, guided=False, convolution=True, residual=residual
    )
    feature, present = torch.randn(2, 3, 4, 6), torch.tensor([True, True])
    found = layer([feature], present)[0] - layer.embed(((4, 6),))
    if residual:
        assert layer.neighbours is not None
        linear = layer.norm[0](layer.project[0](feature).flatten(2).mT)
        local = layer.neighbours[0](linear.mT.unflatten(2, (4, 6)))
        torch.testing.assert_close(found, linear + local.flatten(2).mT)
    else:
        torch.testing.assert_close(found, layer.project[0](feature).flatten(2).mT)
