"""The mechanism of every baseline, against loops and hand-calculated cases.

What must hold for every network is in test_networks.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention
from agfnet.models.backbone import Backbone, Backbones, pool
from agfnet.models.baselines.addition import Addition
from agfnet.models.baselines.amfam import AMFAM
from agfnet.models.baselines.concatenation import Concatenation
from agfnet.models.baselines.cross_attention import TokenCrossAttention
from agfnet.models.baselines.fusionm4net import (
    FusionM4Net,
    compositions,
    search_weights,
    weighted_mean,
)
from agfnet.models.baselines.hccnn import HcCNN, Mixing
from agfnet.models.baselines.late_fusion import LateFusion, mean_logits
from agfnet.models.baselines.low_rank import LowRank
from agfnet.models.baselines.metablock import MetaBlock
from agfnet.models.baselines.mmtm import MMTM, Transfer
from agfnet.models.baselines.tformer import TFormer, WindowLayer, unwindows, windows
from agfnet.types import Batch

OPTIONS = {"channels": [8, 16, 24, 32], "stem_width": 8}
CLASSES = 4


def backbones(modalities: int = 2, scales: int = 1) -> Backbones:
    torch.manual_seed(0)
    parts = [
        Backbone(name="resnet10t", scales=scales, weights=None, options=OPTIONS)
        for _ in range(modalities)
    ]
    return Backbones(parts, modalities=modalities)


def pictures(modalities: int = 2, batch: int = 3) -> tuple[Tensor, ...]:
    return tuple(torch.randn(batch, 3, 64, 64) for _ in range(modalities))


def test_mean_of_the_logits_that_are_there() -> None:
    first, second = torch.tensor([[1.0, 3.0]] * 3), torch.tensor([[5.0, -1.0]] * 3)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    expected = torch.tensor([[3.0, 1.0], [1.0, 3.0], [5.0, -1.0]])
    torch.testing.assert_close(mean_logits([first, second], present), expected)


def test_late_fusion_says_what_its_only_view_says() -> None:
    model = LateFusion(backbones=backbones(), classes=CLASSES, dropout=0.0).eval()
    output = model(pictures(), torch.tensor([[True, False]] * 3))
    torch.testing.assert_close(output.logits, output.auxiliary[0])
    assert len(output.auxiliary) == 2


def test_addition_adds_present_views_only() -> None:
    model = Addition(backbones=backbones(), classes=CLASSES, dropout=0.0, dim=8)
    model = model.eval()
    images, present = pictures(), torch.tensor([[True, True], [True, False], [False, True]])
    photo, scan = (maps[-1].mean(dim=(2, 3)) for maps in model.backbones(images, present))
    photo, scan = model.project[0](photo), model.project[1](scan)
    total = torch.stack([photo[0] + scan[0], photo[1], scan[2]])
    torch.testing.assert_close(model(images, present).logits, model.head(total))


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_low_rank_is_a_weight_tensor_times_the_outer_product(modalities: int) -> None:
    dim, rank = 3, 2
    model = LowRank(
        backbones=backbones(modalities),
        classes=CLASSES,
        dropout=0.0,
        dim=dim,
        rank=rank,
    )
    vectors = [torch.randn(5, dim) for _ in range(modalities)]
    factors = [  # per view (rank, output, input and the appended 1)
        torch.cat([f.weight, f.bias[:, None]], dim=1).unflatten(0, (rank, dim))
        for f in model.factors
    ]
    expected = torch.zeros(5, dim)
    for case, out in itertools.product(range(5), range(dim)):
        tensor, weight = torch.ones(()), torch.zeros([dim + 1] * modalities)
        for vector in vectors:
            tensor = tensor[..., None] * torch.cat([vector[case], torch.ones(1)])
        for r in range(rank):
            part = torch.ones(())
            for factor in factors:
                part = part[..., None] * factor[r, out]
            weight = weight + part
        expected[case, out] = (weight * tensor).sum()
    torch.testing.assert_close(model.fuse(vectors), expected)


def test_low_rank_without_a_view_is_the_product_with_its_one() -> None:
    model = LowRank(backbones=backbones(), classes=CLASSES, dropout=0.0, dim=6)
    model = model.eval()
    images, present = pictures(), torch.tensor([[True, False]] * 3)
    photo = model.project[0](model.backbones(images, present)[0][-1].mean(dim=(2, 3)))
    expected = (model.factors[0](photo) * model.factors[1].bias).unflatten(1, (4, 6)).sum(dim=1)
    torch.testing.assert_close(model(images, present).logits, model.head(expected))


@torch.inference_mode()
def test_mmtm_gates() -> None:
    torch.manual_seed(0)
    transfer = Transfer(channels=(4, 8), ratio=4)
    maps = [torch.randn(2, 4, 5, 3), torch.randn(2, 8, 2, 2)]
    present = torch.tensor([[True, True], [True, False]])
    gated = transfer(maps, present)
    for case in range(2):
        squeezed = [maps[0][case].mean(dim=(1, 2)), maps[1][case].mean(dim=(1, 2))]
        if case == 1:
            squeezed[1] = torch.zeros(8)
        weight, bias = transfer.squeeze.weight, transfer.squeeze.bias
        assert weight.shape == (3, 12)
        joint = [
            max(0.0, float(row @ torch.cat(squeezed) + b))
            for row, b in zip(weight, bias, strict=True)
        ]
        for view, feature in enumerate(maps):
            excite = transfer.excite[view]
            for channel in range(feature.shape[1]):
                score = float(excite.weight[channel] @ torch.tensor(joint) + excite.bias[channel])
                gate = 2 / (1 + math.exp(-score))
                torch.testing.assert_close(
                    gated[view][case, channel], feature[case, channel] * gate
                )


def test_mmtm_feeds_the_gated_maps_to_the_next_stage() -> None:
    parts = backbones(scales=3)
    model = MMTM(backbones=parts, classes=CLASSES, dropout=0.0).eval()
    assert [transfer.squeeze.in_features for transfer in model.transfers] == [32, 48, 64]
    present = torch.ones(3, 2, dtype=torch.bool)
    images = pictures()
    maps = list(images)
    for first, second, transfer in zip(
        parts.part(0).stages(), parts.part(1).stages(), model.transfers, strict=True
    ):
        maps = transfer([first(maps[0])[0], second(maps[1])[0]], present)
    logits = [head(x) for head, x in zip(model.heads, pool(maps, present), strict=True)]
    torch.testing.assert_close(model(images, present).logits, (logits[0] + logits[1]) / 2)


@pytest.mark.parametrize("method", [MMTM, TFormer])
def test_a_backbone_that_is_no_chain_is_fused_at_its_last_map(method: type[nn.Module]) -> None:
    options = {"img_size": 64, "embed_dim": 24, "depth": 3, "num_heads": 2}
    vit = [
        Backbone(name="vit_tiny_patch16_224", scales=3, weights=None, options=options)
        for _ in range(2)
    ]
    parts = Backbones(vit, modalities=2)
    settings = {} if method is MMTM else {"dim": 8, "heads": 2, "grid": 2}
    model = method(backbones=parts, classes=CLASSES, dropout=0.0, **settings)
    model(pictures(), torch.ones(3, 2, dtype=torch.bool)).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


@torch.inference_mode()
def test_metablock_formula() -> None:
    torch.manual_seed(0)
    block = MetaBlock(channels=3, dim=5)
    feature, other = torch.randn(2, 3, 4, 2), torch.randn(2, 5)
    found = block(feature, other)
    for case, c, y, x in itertools.product(range(2), range(3), range(4), range(2)):
        scale, shift = float(block.scale(other[case])[c]), float(block.shift(other[case])[c])
        inner = math.tanh(float(feature[case, c, y, x]) * scale) + shift
        assert float(found[case, c, y, x]) == pytest.approx(1 / (1 + math.exp(-inner)), abs=1e-6)


def test_mixed_probabilities_leave_out_missing_views() -> None:
    probabilities = torch.tensor([[[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]]] * 3)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    found = weighted_mean(probabilities, torch.tensor([0.5, 0.25, 0.25]), present)
    expected = torch.tensor([0.675, (0.45 + 0.15) / 0.75, 0.45])
    torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=0)
    only_first = weighted_mean(probabilities, torch.tensor([1.0, 0.0, 0.0]), present)
    torch.testing.assert_close(only_first[2], probabilities[2, 2])  # the sum decides instead


def test_shares_are_all_ways_once() -> None:
    found = list(compositions(3, 10))
    assert len(found) == len(set(found)) == 66
    assert all(sum(parts) == 10 for parts in found)


def test_weight_search_finds_the_planted_best() -> None:
    """Each view is sure of its half of the cases and a little wrong elsewhere, one a bit more."""
    labels = torch.arange(40) % 2
    right, wrong = torch.eye(2)[labels], torch.eye(2)[1 - labels]
    half = (torch.arange(40) < 20)[:, None]
    first = torch.where(half, 0.9 * right + 0.1 * wrong, 0.45 * right + 0.55 * wrong)
    second = torch.where(half, 0.3 * right + 0.7 * wrong, 0.7 * right + 0.3 * wrong)
    fused = wrong
    probabilities = torch.stack([first, second, fused], dim=1)
    present = torch.ones(40, 2, dtype=torch.bool)
    weights = search_weights(probabilities, present, labels)
    # right everywhere needs 0.9 a + 0.3 b and 0.45 a + 0.7 b above one half, and nothing of fused
    a, b, c = weights.tolist()
    assert c == 0
    assert a + b == pytest.approx(1)
    assert 0.9 * a + 0.3 * b > 0.5
    assert 0.45 * a + 0.7 * b > 0.5

    def likelihood(weight: float) -> float:
        return math.log(0.9 * weight + 0.3 * (1 - weight)) + math.log(
            0.45 * weight + 0.7 * (1 - weight)
        )

    best = max((0.4, 0.5, 0.6, 0.7), key=likelihood)
    assert a == pytest.approx(best)


def batches(labels: Sequence[int]) -> list[Batch]:
    count = len(labels)
    return [
        Batch(
            images=pictures(batch=count),
            present=torch.ones(count, 2, dtype=torch.bool),
            labels=torch.tensor(labels),
            index=torch.arange(count),
        )
        for _ in range(2)
    ]


def test_the_mean_of_branches_keeps_their_energy() -> None:
    model = FusionM4Net(backbones=backbones(), classes=CLASSES, dropout=0.5, dim=8).eval()
    present = torch.ones(3, 2, dtype=torch.bool)
    images = pictures()
    logits = model(images, present).logits
    branches = torch.stack(model.branch_logits(images, present), dim=1)
    probabilities = branches.softmax(dim=2).mean(dim=1)
    torch.testing.assert_close(logits.softmax(dim=1), probabilities, atol=1e-5, rtol=0)
    energy = branches.logsumexp(dim=2).mean(dim=1)
    torch.testing.assert_close(logits.logsumexp(dim=1), energy, atol=1e-4, rtol=0)
    assert energy.std() > 1e-3  # normalised logits would all have energy 0


def test_tuned_weights_are_part_of_the_state_and_decide() -> None:
    model = FusionM4Net(backbones=backbones(), classes=CLASSES, dropout=0.5, dim=8)
    model.branches[1][-1][-1].bias.data[2] = 50.0  # the second view always says 2
    model.train().tune(batches([2, 2, 2]))
    assert model.state_dict()["weights"].tolist() == [0.0, 1.0, 0.0]
    images, present = pictures(), torch.ones(3, 2, dtype=torch.bool)
    output = model.eval()(images, present)
    torch.testing.assert_close(
        output.logits.softmax(dim=1), output.auxiliary[1].softmax(dim=1), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        output.logits.logsumexp(dim=1), output.auxiliary[1].logsumexp(dim=1), atol=1e-4, rtol=0
    )
    assert model.train()(images, present).logits.argmax(dim=1).tolist() != [2, 2, 2]


@pytest.mark.parametrize(("size", "shift"), [((7, 7), 0), ((5, 9), 0), ((8, 13), 2), ((3, 2), 3)])
def test_windows_and_back(size: tuple[int, int], shift: int) -> None:
    maps = torch.randn(2, 3, *size)
    parts = windows(maps, 4, shift)
    rows, columns = (-(-(side + shift) // 4) for side in size)
    assert parts.shape == (2, rows * columns, 16, 3)
    torch.testing.assert_close(unwindows(parts, size, 4, shift), maps)


@pytest.mark.parametrize("shift", [0, 1])
def test_window_attention_is_attention_within_the_window(shift: int) -> None:
    torch.manual_seed(0)
    dim, side, (height, width) = 4, 3, (5, 4)
    layer = WindowLayer(dim=dim, heads=1, side=side, shift=shift)
    own, other = torch.randn(2, dim, height, width), torch.randn(2, dim, 2 * height, 2 * width)
    present = torch.tensor([[True], [False]])
    found = layer(own, [other], present)
    resized = torch.nn.functional.avg_pool2d(other, 2)
    for case, y, x in itertools.product(range(2), range(height), range(width)):
        token = own[case, :, y, x]
        keys = [
            view[case, :, v, u]
            for view in ([own, resized] if present[case, 0] else [own])
            for v, u in itertools.product(range(height), range(width))
            if (v + shift) // side == (y + shift) // side
            and (u + shift) // side == (x + shift) // side
        ]
        token = token + attended(layer.attention, layer.norm(token), layer.norm(torch.stack(keys)))
        token = token + layer.feed_forward(token)
        torch.testing.assert_close(found[case, :, y, x], token)


def attended(attention: CrossAttention, query: Tensor, keys: Tensor) -> Tensor:
    """One query (d,) over keys (K, d), one head."""
    key, value = attention.key_value(keys).chunk(2, dim=1)
    scores = key @ attention.query(query) / math.sqrt(len(query))
    return attention.out(scores.softmax(dim=0) @ value)


def test_tokens_ask_those_of_the_other_views_only() -> None:
    model = TokenCrossAttention(
        backbones=backbones(), classes=CLASSES, dropout=0.0, dim=4, heads=1, grid=2
    ).eval()
    images, present = pictures(batch=1), torch.ones(1, 2, dtype=torch.bool)
    tokens = [
        model.tokenizers[m](maps[-1:], present[:, m])[0][0]
        for m, maps in enumerate(model.backbones(images, present))
    ]  # M x (N, d)
    means = []
    for layer, own, other in zip(model.layers, tokens, reversed(tokens), strict=True):
        rows = [
            own[n] + attended(layer.attention, layer.norm(own[n]), other) for n in range(len(own))
        ]
        means.append(torch.stack([row + layer.feed_forward(row) for row in rows]).mean(dim=0))
    expected = model.head(torch.cat(means)[None])
    torch.testing.assert_close(model(images, present).logits, expected)


@torch.inference_mode()
def test_views_are_mixed_at_each_place() -> None:
    torch.manual_seed(0)
    mixing = Mixing(modalities=2, dim=3)
    maps = [torch.randn(2, 3, 2, 2) for _ in range(2)]
    found = mixing(maps, torch.tensor([[True, True], [False, True]]))
    for y, x in itertools.product(range(2), range(2)):
        places = [feature[0, :, y, x] for feature in maps]
        scores = [
            float(score.weight.flatten() @ place + score.bias)
            for score, place in zip(mixing.score, places, strict=True)
        ]
        ratio = 1 / (1 + math.exp(scores[1] - scores[0]))
        torch.testing.assert_close(found[0, :, y, x], ratio * places[0] + (1 - ratio) * places[1])
    torch.testing.assert_close(found[1], maps[1][1])


def test_hyper_branch_carries_finer_scales_to_the_coarser() -> None:
    model = HcCNN(
        backbones=backbones(scales=3),
        classes=CLASSES,
        dropout=0.0,
        dim=8,
        heads=2,
        grid=2,
    ).eval()
    images, present = pictures(), torch.ones(3, 2, dtype=torch.bool)
    before = model(images, present)
    model.scales[0].merge[0].weight.data.mul_(-1)  # the finest scale of the hyper-branch alone
    after = model(images, present)
    for view in range(2):
        torch.testing.assert_close(before.auxiliary[view], after.auxiliary[view])
    assert not torch.allclose(before.logits, after.logits)


def test_attention_of_the_adversarial_network_weighs_places() -> None:
    model = AMFAM(backbones=backbones(), classes=CLASSES, dropout=0.0, dim=5)
    images, present = pictures(), torch.ones(3, 2, dtype=torch.bool)
    found = model.eval().forward_features(images, present)
    for m, maps in enumerate(model.backbones(images, present)):
        weights = model.attend[m](maps[-1]).sigmoid()  # (B, 1, H, W)
        projected = model.project[m](maps[-1])
        total = torch.zeros(3, 5)
        for y, x in itertools.product(*(range(side) for side in maps[-1].shape[2:])):
            total += projected[:, :, y, x] * weights[:, :, y, x]
        torch.testing.assert_close(found.vectors[:, m], total / weights.sum(dim=(2, 3)))


@torch.inference_mode()
def test_the_hidden_layer_of_a_concatenation_lies_between_features_and_logits() -> None:
    model = Concatenation(backbones=backbones(), classes=CLASSES, dropout=0.2, dim=6).eval()
    norm, _, first, _, _, last = model.head
    present, images = torch.ones(3, 2, dtype=torch.bool), pictures()
    features = norm(torch.cat(model.backbones.pooled(images, present), dim=1))
    assert first.out_features == 6
    expected = last(nn.functional.gelu(first(features)))
    torch.testing.assert_close(model(images, present).logits, expected)
