"""What must always hold for every network of the package."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import nn

from agfnet.config import BackboneConfig, FusionConfig, Method, ModelConfig
from agfnet.errors import ConfigError
from agfnet.models.build import METHODS, build

TINY = BackboneConfig(
    name="resnet10t",
    # timm starts the last norm of each block at zero, which would stop the first gradient
    options={"channels": [8, 16, 24, 32], "stem_width": 8, "zero_init_last": False},
)
FUSION = FusionConfig(dim=16, heads=2, grid=3)
SWITCHES: list[dict[str, Any]] = [
    {"intra": False},
    {"inter": False},
    {"intra": False, "inter": False},
    {"guide": False},
    {"scales": 1},
    {"resolution": 2},
    {"convolution": False},
    {"residual": False},
    {"multi_scale": False},
    {"correlation": False},
    {"enhance": False},
    {"average": False},
    {"reconstruct_missing": True},
    {"shared": True},
]

PAIRS = ("metablock", "cross_attention", "hccnn", "amfam")  # fuse two views or more
every_method = pytest.mark.parametrize("method", METHODS)
every_count = pytest.mark.parametrize("modalities", [1, 2, 3])
every_method_and_count = pytest.mark.parametrize(
    ("method", "modalities"),
    [(x, m) for x in METHODS for m in (1, 2, 3) if m > 1 or x not in PAIRS],
)


def network(
    method: str = "agfnet",
    modalities: int = 2,
    *,
    shared: bool = False,
    seed: int = 0,
    **fusion: Any,
) -> nn.Module:
    torch.manual_seed(seed)
    config = ModelConfig(
        method=method,  # type: ignore[arg-type]
        backbone=replace(TINY, shared=shared),
        fusion=replace(FUSION, **fusion),
    )
    return build(config, modalities=modalities, classes=5)


def pictures(*sizes: tuple[int, int], batch: int = 3, seed: int = 1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 3, *size, generator=generator) for size in sizes)


def everything(batch: int, modalities: int) -> torch.Tensor:
    return torch.ones(batch, modalities, dtype=torch.bool)


def test_every_method_has_a_name_in_the_settings() -> None:
    assert get_args(Method) == tuple(METHODS)


@pytest.mark.parametrize("method", PAIRS)
def test_one_view_cannot_be_fused_with_others(method: str) -> None:
    with pytest.raises(
        ConfigError,
        match=f"{method} needs at least 2 .*use concatenation",
    ):
        network(method, 1)


@pytest.mark.slow
@every_method_and_count
def test_one_prediction_does_not_depend_on_its_batch(method: str, modalities: int) -> None:
    model = network(method, modalities).eval()
    images = pictures(*[(64, 64)] * modalities, batch=4)
    present = everything(4, modalities)
    present[1, 0] = modalities == 1
    together = model(images, present).logits
    alone = torch.cat(
        [model([x[i : i + 1] for x in images], present[i : i + 1]).logits for i in range(4)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@every_method
@pytest.mark.parametrize("sizes", [((97, 131), (640, 480)), ((64, 64), (65, 200))])
def test_any_image_size(method: str, sizes: tuple[tuple[int, int], ...]) -> None:
    model = network(method).eval()
    output = model(pictures(*sizes, batch=2), everything(2, 2))
    assert output.logits.shape == (2, 5)
    assert output.logits.isfinite().all()


@every_method
def test_views_may_share_a_backbone(method: str) -> None:
    own, shared = network(method).eval(), network(method, shared=True).eval()
    assert shared(pictures((64, 64), (96, 64)), everything(3, 2)).logits.isfinite().all()
    assert len(own.backbones) == 2
    assert len(shared.backbones) == 1


def assert_learns(model: nn.Module, modalities: int, *, present: torch.Tensor) -> None:
    output = model.train()(pictures(*[(97, 131)] * modalities, batch=len(present)), present)
    loss = sum(logits.square().sum() for logits in (output.logits, *output.auxiliary))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # what stands in for missing views can only learn where some are missing
        if not present.all() or not ("absent" in name or "decoder" in name):
            assert parameter.grad.any(), name


@pytest.mark.slow
@every_method_and_count
def test_every_parameter_learns_from_a_batch_of_one(method: str, modalities: int) -> None:
    assert_learns(network(method, modalities), modalities, present=everything(1, modalities))


@every_method
def test_a_batch_of_one_trains_with_maps_of_one_position(method: str) -> None:
    model = network(method).train()
    present = torch.tensor([[True, method not in PAIRS]])
    output = model(pictures((32, 32), (32, 32), batch=1), present)
    output.logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
@every_count
def test_every_parameter_learns_whatever_is_switched(
    modalities: int, switch: dict[str, Any]
) -> None:
    present = everything(4, modalities)
    if modalities > 1:
        present[range(modalities), range(modalities)] = False
    assert_learns(network("agfnet", modalities, **switch), modalities, present=present)


@every_method
def test_missing_view_is_ignored(method: str) -> None:
    model = network(method).eval()
    photo, scan = pictures((64, 64), (64, 64))
    present = everything(3, 2)
    present[:, 1] = False
    with_noise = model((photo, scan), present).logits
    without = model((photo, torch.zeros_like(scan)), present).logits
    torch.testing.assert_close(with_noise, without)
    assert not torch.allclose(with_noise, model((photo, scan), everything(3, 2)).logits)


@every_method
def test_bf16_agrees_with_fp32(method: str) -> None:
    model = network(method).eval()
    images = pictures((64, 64), (64, 64))
    exact = model(images, everything(3, 2)).logits.softmax(dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(images, everything(3, 2)).logits.float().softmax(dim=1)
    torch.testing.assert_close(exact, rough, atol=0.03, rtol=0)


@every_method
def test_bf16_trains_with_finite_gradients(method: str) -> None:
    model = network(method).train()
    present = everything(3, 2)
    present[0, 1] = present[1, 0] = False
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(pictures((64, 64), (97, 64)), present)
    output.logits.float().square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@every_method
def test_its_state_makes_the_same_network(method: str) -> None:
    model, other = network(method).eval(), network(method, seed=5).eval()
    images = pictures((64, 64), (64, 64))
    assert not torch.allclose(
        model(images, everything(3, 2)).logits, other(images, everything(3, 2)).logits
    )
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        model(images, everything(3, 2)).logits, other(images, everything(3, 2)).logits
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "rebuild"), [*((method, False) for method in METHODS), ("agfnet", True)]
)
def test_exports_with_a_dynamic_batch(method: str, rebuild: bool) -> None:
    model = network(method, reconstruct_missing=rebuild).eval()
    images = pictures((64, 64), (96, 64), batch=3)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        model,
        (images, everything(3, 2)),
        dynamic_shapes=(({0: batch}, {0: batch}), {0: batch}),
    )
    other = pictures((64, 64), (96, 64), batch=5, seed=2)
    present = everything(5, 2)
    present[2, 1] = present[3, 0] = False
    torch.testing.assert_close(
        exported.module()(other, present).logits,
        model(other, present).logits,
        atol=1e-5,
        rtol=1e-5,
    )


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="not a multiple of heads"):
        network(dim=15)


def test_unknown_backbone_is_named_with_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"no model 'resnet5'.*resnet50"):
        build(ModelConfig(backbone=BackboneConfig(name="resnet5")), modalities=1, classes=2)


def test_too_many_scales_are_refused() -> None:
    with pytest.raises(ConfigError, match="feature maps"):
        network(scales=9)


@pytest.mark.parametrize("average", [False, True])
def test_agfnet_adds_or_averages_the_heads_of_what_is_present(average: bool) -> None:
    model = network(average=average).eval()
    present = torch.tensor([[True, True], [True, False]])
    fused: list[torch.Tensor] = []
    handle = model.head.register_forward_hook(lambda *call: fused.append(call[2]))  # type: ignore[union-attr, operator]
    with torch.no_grad():
        output = model(pictures((64, 64), (64, 64), batch=2), present)
    handle.remove()
    photo, scan = output.auxiliary
    sums = fused[0][0] + photo[0] + scan[0], fused[0][1] + photo[1]
    counts = (3, 2) if average else (1, 1)
    for logits, total, count in zip(output.logits, sums, counts, strict=True):
        torch.testing.assert_close(logits, total / count)
