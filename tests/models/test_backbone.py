from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from agfnet.errors import ConfigError
from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.pretrained import normalisation

OPTIONS = {"channels": [8, 16, 24, 32], "stem_width": 8}


def make(weights: str | None = None, name: str = "resnet10t") -> Backbone:
    return Backbone(name=name, scales=3, weights=weights, options=OPTIONS)


def test_maps_are_the_last_ones_finest_first() -> None:
    maps = make()(torch.zeros(2, 3, 96, 64))
    assert [tuple(m.shape) for m in maps] == [(2, 16, 12, 8), (2, 24, 6, 4), (2, 32, 3, 2)]
    assert make().channels == (16, 24, 32)


def test_channels_last_backbones_give_channels_first() -> None:
    swin = Backbone(
        name="swin_tiny_patch4_window7_224",
        scales=2,
        weights=None,
        options={"embed_dim": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)},
    )
    maps = swin(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape) for m in maps] == [(1, 48, 14, 14), (1, 96, 7, 7)]


def test_local_weights_are_loaded_whole(tmp_path: Path) -> None:
    source = timm.create_model("resnet10t", **OPTIONS)
    path = tmp_path / "weights.safetensors"
    save_file(source.state_dict(), path)
    loaded = make(str(path)).net.state_dict()
    assert loaded
    for name, value in loaded.items():
        torch.testing.assert_close(value, source.state_dict()[name])


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    state = timm.create_model("resnet10t", **OPTIONS).state_dict()
    state.pop("layer2.0.conv1.weight")
    path = tmp_path / "part.safetensors"
    save_file(state, path)
    with pytest.raises(ConfigError, match=r"1 of \d+ tensors .* 'layer2.0.conv1.weight'"):
        make(str(path))


def test_only_safetensors_are_read(tmp_path: Path) -> None:
    pickle = tmp_path / "weights.pth"
    pickle.write_bytes(b"x")
    disguised = tmp_path / "weights.safetensors"
    torch.save({"a": torch.zeros(1)}, disguised)
    for path, message in [
        (pickle, "only .safetensors"),
        (disguised, "not a readable safetensors"),
        (tmp_path / "none.safetensors", "no such file"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make(str(path))


def test_normalisation_is_the_weights_own() -> None:
    assert normalisation("resnet50", None, None)[0] == (0.485, 0.456, 0.406)
    assert normalisation("resnet50", (0.5, 0.5, 0.5), None)[0] == (0.5, 0.5, 0.5)
    assert normalisation("vit_base_patch16_224", None, None)[1] == (0.5, 0.5, 0.5)


def test_blank_images_do_not_enter_the_batch_statistics() -> None:
    present = torch.tensor([[True], [False], [True]])
    images = torch.randn(3, 3, 64, 64)
    images[1] = 0
    with_blank, without = (Backbones([make()], modalities=1).train() for _ in range(2))
    without.load_state_dict(with_blank.state_dict())
    (maps,) = with_blank([images], present)
    (expected,) = without([images[[0, 2]]], present[[0, 2]])
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found[[0, 2]], wanted)
        assert not found[1].any()
    for name, value in without.state_dict().items():
        torch.testing.assert_close(with_blank.state_dict()[name], value)


def test_a_batch_without_the_view_still_trains() -> None:
    (maps,) = Backbones([make()], modalities=1).train()(
        [torch.zeros(2, 3, 64, 64)], torch.zeros(2, 1, dtype=torch.bool)
    )
    assert maps[-1].shape == (2, 32, 2, 2)


def test_a_frozen_backbone_learns_nothing_and_keeps_its_statistics() -> None:
    backbone = Backbone(name="resnet10t", scales=3, weights=None, options=OPTIONS, frozen=True)
    network = Backbones([backbone], modalities=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.randn(3, 3, 64, 64, requires_grad=True)
    maps = network([image], torch.ones(3, 1, dtype=torch.bool))[0]
    maps[-1].sum().backward()
    assert image.grad is not None  # what views exchange between stages still learns
    assert all(parameter.grad is None for parameter in network.parameters())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_modalities_may_share_a_backbone() -> None:
    shared = Backbones([make()], modalities=2).eval()
    image = torch.randn(1, 3, 64, 64)
    first, second = shared([image, image], torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(first[-1], second[-1])
    assert len(shared) == 1
    assert len(shared.channels) == 2
    with pytest.raises(ValueError, match="2 backbones for 3"):
        Backbones([make(), make()], modalities=3)


@pytest.mark.parametrize(
    ("name", "options", "stages"),
    [
        ("resnet10t", OPTIONS, 3),
        ("convnext_atto", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, 3),
        ("mobilenetv3_small_050", {}, 3),
        ("mobilenetv2_035", {}, 3),
        (
            "swin_tiny_patch4_window7_224",
            {
                "img_size": 64,
                "embed_dim": 8,
                "depths": (1, 1, 1, 1),
                "num_heads": (1, 1, 2, 2),
                "strict_img_size": False,
            },
            3,
        ),
        ("vit_tiny_patch16_224", {"img_size": 64, "embed_dim": 24, "depth": 3, "num_heads": 2}, 1),
    ],
)
def test_stages_make_the_maps_of_the_whole_network(
    name: str, options: dict[str, Any], stages: int
) -> None:
    backbone = Backbone(name=name, scales=3, weights=None, options=options).eval()
    image = torch.randn(2, 3, 64, 64)
    feature, found = image, []
    for stage in backbone.stages():
        (feature,) = stage(feature)
        found.append(feature)
    assert len(found) == stages
    for one, other in zip(found, backbone(image)[-stages:], strict=True):
        torch.testing.assert_close(one, other)


def test_stages_that_hand_on_several_maps_are_refused() -> None:
    first = Backbone(name="selecsls42", scales=3, weights=None, options={}).stages()[0]
    with pytest.raises(ConfigError, match="several maps from stage to stage"):
        first(torch.randn(1, 3, 64, 64))


def test_views_in_step_exchange_after_each_stage() -> None:
    pair = Backbones([make(), make()], modalities=2).eval()
    images = [torch.randn(2, 3, 64, 64), torch.randn(2, 3, 96, 64)]
    present = torch.ones(2, 2, dtype=torch.bool)
    seen: list[tuple[int, tuple[int, ...]]] = []

    def look(stage: int, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        seen.extend((stage, tuple(x.shape[1:])) for x in maps)
        return maps

    for alone, together in zip(
        pair(images, present), pair.forward_stages(images, present, look), strict=True
    ):
        torch.testing.assert_close(alone[-1], together)
    assert seen == [
        (0, (16, 8, 8)),
        (0, (16, 12, 8)),
        (1, (24, 4, 4)),
        (1, (24, 6, 4)),
        (2, (32, 2, 2)),
        (2, (32, 3, 2)),
    ]
    assert pair.stage_channels() == [(16, 16), (24, 24), (32, 32)]


def test_blank_images_do_not_enter_the_batch_statistics_in_step() -> None:
    present = torch.tensor([[True], [False], [True]])
    images = torch.randn(3, 3, 64, 64)
    whole, stepped = (Backbones([make()], modalities=1).train() for _ in range(2))
    stepped.load_state_dict(whole.state_dict())
    (maps,) = whole([images], present)
    (last,) = stepped.forward_stages([images], present, lambda stage, maps: maps)
    torch.testing.assert_close(maps[-1], last)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(stepped.state_dict()[name], value)


def test_a_missing_modality_leaves_the_statistics_of_its_backbone() -> None:
    """Blank images of a whole batch must not enter batch normalisation."""
    network = Backbones([make()], modalities=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    (maps,) = network([torch.zeros(2, 3, 64, 64)], torch.zeros(2, 1, dtype=torch.bool))
    assert not any(feature.any() for feature in maps)
    maps[-1].sum().backward()
    assert all(not p.grad.any() for p in network.parameters() if p.grad is not None)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("batch", [1, 3])
def test_a_single_image_with_maps_of_one_position_trains(batch: int) -> None:
    """A batch of one, and the only present image of a batch, at 32 px."""
    present = torch.zeros(batch, 1, dtype=torch.bool)
    present[0] = True
    network = Backbones([make()], modalities=1).train()
    (maps,) = network([torch.randn(batch, 3, 32, 32)], present)
    assert maps[-1].shape == (batch, 32, 1, 1)
    maps[-1].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert all(module.training for module in network.modules())
    (together,) = network([torch.randn(2, 3, 32, 32)], torch.ones(2, 1, dtype=torch.bool))
    assert together[-1].shape == (2, 32, 1, 1)
