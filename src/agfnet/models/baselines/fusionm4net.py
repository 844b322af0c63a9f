"""FusionM4Net-style fusion: weighted mean of branches for each modality and for their sum.

Paper: Tang, Yan, Nan, Xiang, Krammer and Lasser, "FusionM4Net: A multi-stage multi-modal learning
algorithm for multi-label skin lesion classification", Medical Image Analysis 76:102307, 2022,
doi 10.1016/j.media.2021.102307.

Faithful: the image stage of the paper, with one branch per modality and one for the sum of their
features, each supervised; the prediction is a weighted mean of the branches' predictions, with
weights searched on the validation split after training. Adapted: one diagnosis instead of several
labels; LayerNorm instead of batch normalisation; the branches of the modalities are supervised with
weight `loss.auxiliary`. The stage that adds patient metadata is left out, since there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from agfnet.models.backbone import Backbones
from agfnet.models.heads import Head
from agfnet.models.network import Network
from agfnet.types import Batch, Output

MIN_PROBABILITY = 1e-12  # so that a logarithm stays finite


class FusionM4Net(Network):
    """In training the branch of the sum is the output, otherwise the weighted mean of all branches.

    A missing modality adds nothing to the sum and is left out of the mean.

    Attributes:
        weights: (M+1,), of the modalities and of their sum; equal until `tune` is called. Part of
            the network's state.
    """

    weights: Tensor

    def __init__(self, *, backbones: Backbones, classes: int, dropout: float, dim: int) -> None:
        super().__init__(backbones=backbones)
        channels = backbones.channels
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Linear(c[-1], dim), nn.SiLU(), Head(dim=dim, classes=classes, dropout=dropout)
            )
            for c in (*channels, channels[0])
        )
        count = len(self.branches)
        self.register_buffer("weights", torch.full((count,), 1 / count))

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C)."""
        *modalities, fused = self.branch_logits(images, present)
        if self.training:
            return Output(logits=fused, auxiliary=tuple(modalities))
        branches = torch.stack([*modalities, fused], dim=1).float()  # (B, M+1, C)
        mean = weighted_mean(branches.softmax(dim=-1), self.weights, present)
        # A shift changes no probability: it keeps the energy, which a logarithm of them has lost.
        shift = weighted_mean(branches.logsumexp(dim=-1, keepdim=True), self.weights, present)
        logits = mean.clamp_min(MIN_PROBABILITY).log() + shift
        return Output(logits=logits, auxiliary=tuple(modalities))

    def branch_logits(self, images: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """Logits (B, C) of the branches of the modalities and of the branch of their sum."""
        pooled = self.backbones.pooled(images, present)  # M x (B, C_m)
        inputs = [*pooled, torch.stack(pooled).sum(dim=0)]
        return [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]

    @torch.inference_mode()
    def tune(self, batches: Iterable[Batch]) -> None:
        """Search the weights on labelled validation cases."""
        self.eval()
        probabilities, present, labels = [], [], []
        for batch in batches:
            logits = self.branch_logits(batch.images, batch.present)
            probabilities.append(torch.stack(logits, dim=1).softmax(dim=-1))
            present.append(batch.present)
            labels.append(batch.labels)
        self.weights.copy_(
            search_weights(torch.cat(probabilities), torch.cat(present), torch.cat(labels))
        )


def weighted_mean(values: Tensor, weights: Tensor, present: Tensor) -> Tensor:
    """Weighted mean (B, C) of the branches' values (B, M+1, C), weights (M+1,).

    Branches of modalities that are not present (B, M) have no weight. The branch of the sum has a
    small weight added, so that it decides where all other weights are zero.
    """
    fused = (weights[-1:] + 1e-6).expand(present.shape[0], 1)
    used = torch.cat([weights[:-1] * present, fused], dim=1)  # (B, M+1)
    return (values * used[..., None]).sum(dim=1) / used.sum(dim=1, keepdim=True)


def search_weights(
    probabilities: Tensor, present: Tensor, labels: Tensor, steps: int = 10
) -> Tensor:
    """Search the weights (M+1,), multiples of 1 / steps, with the most correct predictions.

    Of several, those with the largest likelihood of the labels.

    Args:
        probabilities: (N, M+1, C).
        present: (N, M).
        labels: (N,).
        steps: number of equal parts that the total weight is divided into.
    """

    def score(weights: Tensor) -> tuple[float, float]:
        mean = weighted_mean(probabilities, weights, present)
        correct = (mean.argmax(dim=1) == labels).sum()
        likelihood = mean.gather(1, labels[:, None]).clamp_min(MIN_PROBABILITY).log().sum()
        return float(correct), float(likelihood)

    candidates = (
        torch.tensor(parts, device=probabilities.device) / steps
        for parts in compositions(probabilities.shape[1], steps)
    )
    return max(candidates, key=score)


def compositions(count: int, total: int) -> Iterator[tuple[int, ...]]:
    """All tuples of `count` whole numbers, 0 or more, whose sum is `total`."""
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(count - 1, total - first):
            yield (first, *rest)
