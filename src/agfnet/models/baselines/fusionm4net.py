"""FusionM4Net-style fusion: branches for the views and for their sum, decided by searched weights.

Paper: Tang, Yan, Nan, Xiang, Krammer and Lasser, "FusionM4Net: A multi-stage multi-modal learning
algorithm for multi-label skin lesion classification", Medical Image Analysis 76:102307, 2022,
doi 10.1016/j.media.2021.102307.

Faithful: the image stage of the paper, one branch per view and one on the sum of their features,
each supervised; the decision is a weighted mean of their predictions, with weights searched on the
validation split after training. Adapted: one diagnosis instead of several labels; LayerNorm instead
of batch normalisation; the views' branches are supervised with weight `loss.auxiliary`. The stage
that adds patient metadata is left out: there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.heads import Head
from agfnet.types import Batch, Output

LEAST = 1e-12  # probability, so that a logarithm stays finite


class FusionM4Net(nn.Module):
    """In training the branch of the sum answers, otherwise the weighted mean of all branches.

    A missing view adds nothing to the sum and has no say in the mean.

    Attributes:
        weights: (M+1,), of the views and of their sum; equal until `tune` is called. Part of the
            network's state.
    """

    weights: Tensor

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dropout: float,
        dim: int,
    ) -> None:
        super().__init__()
        self.backbones = Backbones(backbones, modalities=modalities)
        channels = self.backbones.channels
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Linear(c[-1], dim), nn.SiLU(), Head(dim=dim, classes=classes, dropout=dropout)
            )
            for c in (*channels, channels[0])
        )
        self.register_buffer("weights", torch.full((modalities + 1,), 1 / (modalities + 1)))

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        *views, fused = self.answers(images, present)
        if self.training:
            return Output(logits=fused, auxiliary=tuple(views))
        probabilities = torch.stack([*views, fused], dim=1).float().softmax(dim=-1)
        mixed = mix(probabilities, self.weights, present)
        return Output(logits=mixed.clamp_min(LEAST).log(), auxiliary=tuple(views))

    def answers(self, images: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Logits (B, C) of the views' branches and of the branch of their sum."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        inputs = [*pooled, torch.stack(pooled).sum(dim=0)]
        return [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]

    @torch.inference_mode()
    def tune(self, batches: Iterable[Batch]) -> None:
        """Search the weights on labelled validation cases."""
        self.eval()
        probabilities, present, labels = [], [], []
        for batch in batches:
            answers = self.answers(batch.images, batch.present)
            probabilities.append(torch.stack(answers, dim=1).softmax(dim=-1))
            present.append(batch.present)
            labels.append(batch.labels)
        self.weights.copy_(search(torch.cat(probabilities), torch.cat(present), torch.cat(labels)))


def mix(probabilities: Tensor, weights: Tensor, present: Tensor) -> Tensor:
    """Weighted mean (B, C) of the branches' probabilities (B, M+1, C), weights (M+1,).

    Branches of views that are not present (B, M) have no weight. Where no weight is left the
    branch of the sum decides, which keeps a trace of weight for that.
    """
    fused = (weights[-1:] + 1e-6).expand(present.shape[0], 1)
    heard = torch.cat([weights[:-1] * present, fused], dim=1)  # (B, M+1)
    return (probabilities * heard[..., None]).sum(dim=1) / heard.sum(dim=1, keepdim=True)


def search(probabilities: Tensor, present: Tensor, labels: Tensor, steps: int = 10) -> Tensor:
    """The weights (M+1,), multiples of 1 / steps, with which most cases are right.

    Of several, those that make the labels most likely.

    Args:
        probabilities: (N, M+1, C).
        present: (N, M).
        labels: (N,).
        steps: into how many parts the weight is shared out.
    """

    def worth(weights: Tensor) -> tuple[float, float]:
        mixed = mix(probabilities, weights, present)
        right = (mixed.argmax(dim=1) == labels).sum()
        likely = mixed.gather(1, labels[:, None]).clamp_min(LEAST).log().sum()
        return float(right), float(likely)

    candidates = (
        torch.tensor(parts, device=probabilities.device) / steps
        for parts in shares(probabilities.shape[1], steps)
    )
    return max(candidates, key=worth)


def shares(count: int, total: int) -> Iterator[tuple[int, ...]]:
    """All ways to share out a total among so many."""
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in shares(count - 1, total - first):
            yield (first, *rest)
