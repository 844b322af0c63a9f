"""The pooled last map of each modality's backbone, computed along with a network's logits."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from agfnet.models.backbone import pool
from agfnet.models.network import Network, record_calls


def forward_pooled(
    model: Network, images: Sequence[Tensor], present: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return logits (B, C) and the pooled last maps (B, C_m) per modality, zeros where missing.

    Networks that fuse inside their backbones do not compute these maps, which depend on one
    modality alone; their backbones are then run once more.
    """
    with record_calls([model.backbones]) as calls:
        logits = model(images, present).logits
        if not calls.calls:
            return logits, model.backbones.pooled(images, present)
    maps = [scales[-1] for scales in calls.output(model.backbones)]
    return logits, pool(maps, present)
