"""Feature maps of a frozen backbone in one row per image, as they are kept on disk."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.config import BackboneConfig

BLOCK = 16
"""Images per forward pass, a fast number on CPUs. A convolution rounds differently in batches of
another size: with blocks of one size, the maps of an image are the same to the last bit in
whichever batch it is."""


@dataclass(frozen=True)
class MapLayout:
    """Shapes of the feature maps of an image."""

    shapes: tuple[tuple[int, ...], ...]  # S x (C_s, H_s, W_s), finest first

    @property
    def width(self) -> int:
        """Number D of values in all maps of an image."""
        return sum(map(math.prod, self.shapes))

    def pack(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps S x (B, C_s, H_s, W_s) to rows (B, D)."""
        return torch.cat([feature.flatten(1) for feature in maps], dim=1)

    def unpack(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows (B, D) to maps S x (B, C_s, H_s, W_s), float32.

        Rows may begin with further maps, of finer scales, that the network does not use.
        """
        parts = rows[:, -self.width :].float().split([math.prod(s) for s in self.shapes], dim=1)
        return tuple(
            part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)
        )


def layout_of(backbone: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor) -> MapLayout:
    """Return the layout of the maps of an image (1, 3, H, W)."""
    with torch.no_grad():
        return MapLayout(tuple(tuple(feature.shape[1:]) for feature in backbone(image)))


@torch.no_grad()
def packed_maps(
    backbone: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, layout: MapLayout
) -> Tensor:
    """Images (R, 3, H, W) to the rows (R, D) float32 of their maps, computed block by block."""
    rows = [images.new_zeros(0, layout.width)]
    with torch.autocast(images.device.type, enabled=False):
        for block in images.split(BLOCK):
            filled = F.pad(block, (0, 0, 0, 0, 0, 0, 0, BLOCK - len(block)))
            rows.append(layout.pack(backbone(filled))[: len(block)])
    return torch.cat(rows)


def backbone_digest(config: BackboneConfig, backbone: nn.Module, scales: int) -> bytes:
    """Return a digest of all that decides the maps of an image.

    Args:
        config: name and options of the network.
        backbone: its weights.
        scales: number of maps.
    """
    options = json.dumps(config.options, sort_keys=True, default=str)
    versions = [version(name) for name in ("torch", "timm")]
    settings = (config.name, options, scales, BLOCK, versions)
    digest = hashlib.blake2b(repr(settings).encode())
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.digest()
