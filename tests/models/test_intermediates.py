"""Intermediate results of every network, from which explanations are computed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from agfnet.config import BackboneConfig, ModelConfig
from agfnet.models.attention import CrossAttention
from agfnet.models.build import METHODS, build
from agfnet.models.network import record_calls
from agfnet.types import Intermediates

from .test_networks import FUSION, PAIRS, everything, network, pictures

every_network = pytest.mark.parametrize(
    ("method", "modalities"),
    [(x, m) for x in METHODS for m in (1, 2, 3) if m > 1 or x not in PAIRS],
)


def intermediates(method: str, modalities: int, **fusion: Any) -> Intermediates:
    model = network(method, modalities, **fusion).eval()
    images = pictures(*[(64, 64)] * modalities, batch=2)
    return model.forward_intermediates(images, everything(2, modalities))


@pytest.mark.slow
@every_network
@pytest.mark.parametrize("shared", [False, True])
def test_logits_depend_on_every_map(method: str, modalities: int, shared: bool) -> None:
    model = network(method, modalities, shared=shared).eval()
    images = pictures(*[(64, 64)] * modalities, batch=2)
    hooks = [dict(module._forward_hooks) for module in model.modules()]
    result = model.forward_intermediates(images, everything(2, modalities))
    shapes = [[tuple(f.channels_first(f.raw).shape) for f in maps] for maps in result.maps]
    assert shapes == [[(2, c, s, s) for c, s in ((16, 8), (24, 4), (32, 2))]] * modalities
    raw = [feature.raw for maps in result.maps for feature in maps]
    gradients = torch.autograd.grad(result.logits[:, 0].sum(), raw)
    assert all(bool(gradient.any()) for gradient in gradients)
    assert [dict(module._forward_hooks) for module in model.modules()] == hooks


def test_maps_of_other_layouts_and_of_backbones_without_stages() -> None:
    swin = {"img_size": 64, "embed_dim": 12, "depths": [1] * 4, "num_heads": [1] * 4}
    vit = {"img_size": 64, "embed_dim": 12, "depth": 3, "num_heads": 2}
    for name, options in (("swin_tiny_patch4_window7_224", swin), ("vit_tiny_patch16_224", vit)):
        config = ModelConfig(backbone=BackboneConfig(name=name, options=options), fusion=FUSION)
        model = build(config, modalities=2, classes=5).eval()
        result = model.forward_intermediates(
            pictures((64, 64), (64, 64), batch=1), everything(1, 2)
        )
        for maps in result.maps:
            assert len(maps) == 3
            for feature in maps:
                height, width = feature.channels_first(feature.raw).shape[2:]
                assert height == width <= 8


def test_a_network_without_attention_has_none() -> None:
    for method in ("concatenation", "late_fusion", "mmtm", "tformer"):
        result = intermediates(method, 2)
        assert (result.guides, result.local_attention) == ((), ())
    assert intermediates("agfnet", 2, guide=False).guides == ()
    assert intermediates("agfnet", 2, intra=False, inter=False).local_attention == ()


@pytest.mark.parametrize("method", ["agfnet", "cross_attention", "hccnn"])
def test_weights_times_values_are_the_output_of_attention(method: str) -> None:
    model = network(method, 3).eval()
    modules = [module for module in model.modules() if isinstance(module, CrossAttention)]
    present = everything(2, 3)
    present[1, 2] = False
    with record_calls(modules) as calls, torch.no_grad():
        model(pictures(*[(64, 64)] * 3, batch=2), present)
    for module in modules:
        weights = module.attention_weights(*calls.inputs(module))
        context = calls.inputs(module)[1]
        values = module.split_heads(module.key_value(context).chunk(2, dim=-1)[1])
        output = module.out((weights @ values).transpose(1, 2).flatten(2))
        torch.testing.assert_close(output, calls.output(module), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_attention_maps_name_the_modalities_of_queries_and_keys(modalities: int) -> None:
    result = intermediates("agfnet", modalities)
    views = set(range(modalities))
    pairs = [(m.query_modality, {n for n, _ in m.key_grids}) for m in result.local_attention]
    others = [(m, views - {m}) for m in views if modalities > 1]
    assert sorted(pairs, key=str) == sorted([*((m, {m}) for m in views), *others], key=str)
    for attention in result.local_attention:
        assert attention.weights.shape[2] == sum(h * w for _, (h, w) in attention.key_grids)
        torch.testing.assert_close(
            attention.weights.sum(dim=2), torch.ones(attention.weights.shape[:2])
        )


def test_update_norm_is_the_norm_of_the_scaled_update() -> None:
    model = network("agfnet", 2).eval()
    for layer in model.local_learning:
        nn.init.zeros_(layer.layer_scale_inter)
    images = pictures((64, 64), (64, 64), batch=1)
    maps = model.forward_intermediates(images, everything(1, 2)).local_attention
    for attention in maps:
        to_itself = attention.key_grids[0][0] == attention.query_modality
        assert attention.update_norm is not None
        assert (attention.update_norm > 0) == to_itself


def test_hooks_are_removed_after_an_error() -> None:
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="stop"), record_calls([module]):
        raise ValueError("stop")
    assert not module._forward_hooks


def test_old_names_of_parameters_are_read() -> None:
    """Weights of agfnet 0.1 load into the networks of today."""
    old_names = {
        "cross_attention": ("tokens.0.absent", "asking.1.read.out.bias", "asking.0.norm.weight"),
        "hccnn": ("scales.0.attention.1.read.query.weight",),
        "tformer": ("stages.0.gain.0",),
    }
    changes = (
        ("tokenizers.", "tokens."),
        ("layer_scale", "gain"),
    )
    for method, names in old_names.items():
        model = network(method)
        old = {}
        for key, value in model.state_dict().items():
            name = key
            for new, before in changes:
                name = name.replace(new, before)
            if method == "cross_attention":
                name = name.replace("layers.", "asking.")
            part = name.split(".")
            attention = [i for i, word in enumerate(part) if word == "attention"]
            if attention and method != "tformer" and not part[attention[-1] + 1].isdigit():
                part[attention[-1]] = "read"
            old[".".join(part)] = torch.full_like(value, 2)
        assert set(names) <= set(old)
        wrapper = nn.ModuleDict({"model": model})  # as in a task or a checkpoint
        wrapper.load_state_dict({f"model.{name}": value for name, value in old.items()})
        assert all((value == 2).all() for value in model.state_dict().values())
