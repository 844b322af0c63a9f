"""Several trained networks as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from agfnet.models.network import Network
from agfnet.types import Intermediates, Output

T = TypeVar("T")


class Ensemble(nn.Module):
    """The mean over networks of their calibrated log-probabilities.

    This is the geometric mean of their probabilities, as over the frames of a lesion.

    Args:
        members: the networks, for the same modalities and classes.
        classes: number C of classes.
    """

    scale: Tensor  # (N, C), factors of the log-probabilities of each member
    bias: Tensor  # (N, C), added to them after `scale`

    def __init__(self, *, members: Sequence[Network], classes: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("scale", torch.ones(len(members), classes))
        self.register_buffer("bias", torch.zeros(len(members), classes))
        self.active = tuple(range(len(members)))
        """Members that take part, for cases that the others were trained on."""

    def networks(self) -> list[Network]:
        """Return the members that take part."""
        return [self.members[i] for i in self.active]  # type: ignore[misc]

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        return Output(self.mean([each(images, present).logits for each in self.networks()]))

    def mean(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the mean (B, C) of the logits (B, C) of the members that take part."""
        rows = [
            self.scale[i] * part.log_softmax(dim=1) + self.bias[i]
            for i, part in zip(self.active, logits, strict=True)
        ]
        return torch.stack(rows).mean(dim=0)

    def forward_intermediates(self, images: Sequence[Tensor], present: Tensor) -> Intermediates:
        """Return the intermediate results of all members, one after the other."""
        parts = [each.forward_intermediates(images, present) for each in self.networks()]
        return Intermediates(
            logits=self.mean([part.logits for part in parts]),
            maps=joined([part.maps for part in parts]),
            guides=joined([part.guides for part in parts]),
            local_attention=tuple(each for part in parts for each in part.local_attention),
            members=len(parts),
        )


def joined(parts: Sequence[tuple[tuple[T, ...], ...]]) -> tuple[tuple[T, ...], ...]:
    """Join values per modality of several networks to one tuple per modality."""
    return tuple(
        tuple(value for values in modality for value in values)
        for modality in zip(*parts, strict=True)
    )
