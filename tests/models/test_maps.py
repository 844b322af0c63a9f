from __future__ import annotations

import pytest
import torch

from agfnet.config import BackboneConfig
from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.maps import BLOCK, MapLayout, backbone_digest, layout_of, packed_maps

OPTIONS = {"channels": [8, 16, 24, 32], "stem_width": 8}
CONFIG = BackboneConfig(name="resnet10t", options=OPTIONS)
COUNT = 2 * BLOCK + 5


def make(scales: int = 3, *, seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(name="resnet10t", scales=scales, weights=None, options=OPTIONS, frozen=True)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(COUNT, 3, 48, 48, generator=torch.Generator().manual_seed(1))


def test_packed_maps_are_the_maps(images: torch.Tensor) -> None:
    backbone = make()
    layout = layout_of(backbone, images[:1])
    assert layout == MapLayout(((16, 6, 6), (24, 3, 3), (32, 2, 2)))
    rows = packed_maps(backbone, images, layout)
    assert rows.shape == (COUNT, layout.width)
    with torch.no_grad():
        maps = backbone(images)
    for unpacked, feature in zip(layout.unpack(rows), maps, strict=True):
        torch.testing.assert_close(unpacked, feature, rtol=1e-4, atol=1e-5)


def test_the_maps_of_an_image_do_not_depend_on_its_batch(images: torch.Tensor) -> None:
    backbone = make()
    layout = layout_of(backbone, images[:1])
    rows = packed_maps(backbone, images, layout)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(2))
    assert torch.equal(packed_maps(backbone, images[order], layout), rows[order])
    assert torch.equal(packed_maps(backbone, images[7:10], layout), rows[7:10])
    assert packed_maps(backbone, images[:0], layout).shape == (0, layout.width)


def test_a_backbone_of_fewer_maps_reads_the_last_ones(images: torch.Tensor) -> None:
    whole, last = make(3), make(1)
    rows = packed_maps(whole, images, layout_of(whole, images[:1]))
    layout = layout_of(last, images[:1])
    assert torch.equal(layout.unpack(rows)[0], layout.unpack(packed_maps(last, images, layout))[0])


def test_backbones_take_maps_instead_of_images(images: torch.Tensor) -> None:
    parts = [make(seed=0), make(seed=1)]
    backbones = Backbones(parts, modalities=2)
    backbones.accept_maps(48)
    rows = [
        packed_maps(part, images, layout)
        for part, layout in zip(parts, backbones.layouts, strict=True)
    ]
    present = torch.ones(COUNT, 2, dtype=torch.bool)
    with torch.no_grad():
        mixed = backbones([rows[0], images], present)
        plain = backbones([images, images], present)
        stages = backbones.forward_stages([rows[0], images], present, lambda stage, maps: maps)
    for m in range(2):
        for feature, other in zip(mixed[m], plain[m], strict=True):
            torch.testing.assert_close(feature, other, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(stages[m], plain[m][-1], rtol=1e-4, atol=1e-5)


def test_maps_of_images_are_rounded_in_training_only(images: torch.Tensor) -> None:
    backbones = Backbones([make()], modalities=1)
    backbones.accept_maps(48, rounding=torch.float16)
    present = torch.ones(COUNT, 1, dtype=torch.bool)
    present[3] = False
    exact = packed_maps(backbones.part(0), images, backbones.layouts[0]) * present
    for training, expected in ((True, exact.half()), (False, exact)):
        backbones.train(training)
        (maps,) = backbones([images], present)
        for feature, other in zip(maps, backbones.layouts[0].unpack(expected), strict=True):
            assert torch.equal(feature, other)
    assert not torch.equal(exact.half().float(), exact)


def test_the_digest_covers_weights_options_and_scales() -> None:
    digests = {
        backbone_digest(CONFIG, make(), 3),
        backbone_digest(CONFIG, make(seed=1), 3),
        backbone_digest(CONFIG, make(), 2),
        backbone_digest(BackboneConfig(name="resnet10t"), make(), 3),
        backbone_digest(BackboneConfig(name="resnet18", options=OPTIONS), make(), 3),
    }
    assert len(digests) == 5
    assert backbone_digest(CONFIG, make(scales=1), 3) in digests  # as of a method with one map
