"""Several networks as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from agfnet.config import BackboneConfig, FusionConfig, ModelConfig
from agfnet.models.build import build, build_ensemble
from agfnet.models.ensemble import Ensemble

CONFIG = ModelConfig(
    backbone=BackboneConfig(
        name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
    ),
    fusion=FusionConfig(dim=16, heads=2, grid=2),
)


def networks(method: str = "agfnet") -> tuple[Ensemble, list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(0)
    config = replace(CONFIG, method=method)
    ensemble = build_ensemble(config, members=2, modalities=2, classes=3).eval()
    images = [torch.randn(2, 3, 64, 64) for _ in range(2)]
    return ensemble, images, torch.tensor([[True, True], [True, False]])


def test_logits_are_the_mean_of_scaled_log_probabilities() -> None:
    ensemble, images, present = networks()
    ensemble.scale.copy_(torch.rand(2, 3))
    ensemble.bias.copy_(torch.rand(2, 3))
    with torch.no_grad():
        parts = [each(images, present).logits.log_softmax(1) for each in ensemble.networks()]
        expected = sum(ensemble.scale[i] * parts[i] + ensemble.bias[i] for i in (0, 1)) / 2
        torch.testing.assert_close(ensemble(images, present).logits, expected)
        ensemble.active = (1,)
        alone = ensemble(images, present).logits
    torch.testing.assert_close(alone, ensemble.scale[1] * parts[1] + ensemble.bias[1])


def test_weights_of_the_members_keep_their_names() -> None:
    ensemble, images, present = networks()
    single = build(CONFIG, modalities=2, classes=3).eval()
    prefix = "members.1."
    state = ensemble.state_dict()
    single.load_state_dict(
        {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
    )
    with torch.no_grad():
        logits = ensemble.networks()[1](images, present).logits
        torch.testing.assert_close(single(images, present).logits, logits)


@pytest.mark.parametrize("method", ["agfnet", "concatenation"])
def test_intermediates_are_those_of_all_members(method: str) -> None:
    ensemble, images, present = networks(method)
    both = ensemble.forward_intermediates(images, present)
    parts = [each.forward_intermediates(images, present) for each in ensemble.networks()]
    assert both.members == 2
    torch.testing.assert_close(both.logits, ensemble(images, present).logits)
    for m, maps in enumerate(both.maps):
        scales = len(parts[0].maps[m])
        assert len(maps) == 2 * scales
        torch.testing.assert_close(maps[scales].raw, parts[1].maps[m][0].raw)
    assert len(both.local_attention) == 2 * len(parts[0].local_attention)
    assert [len(guides) for guides in both.guides] == [2 * len(g) for g in parts[0].guides]
