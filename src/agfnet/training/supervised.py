"""Supervised training: a task turns a batch into named losses, apart from the network."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.config import LossConfig
from agfnet.models.network import Network
from agfnet.types import Batch, Output


class SupervisedTask(nn.Module):
    """Cross-entropy of the prediction and of the auxiliary heads that the network has.

    Args:
        model: any network of the package.
        config: weights of the loss.
        class_weights: (C,) or None.
        modality_dropout: probability that one modality of a case is treated as missing.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        model: Network,
        config: LossConfig,
        class_weights: Tensor | None,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.modality_dropout = modality_dropout
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        batch = drop_modalities(batch, self.modality_dropout)
        return self.losses(self.model(batch.images, batch.present), batch)

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Mean cross-entropy of the prediction and of the auxiliary heads; `loss` is their sum."""
        losses = {"cross_entropy": self.cross_entropy(output.logits, batch.labels).mean()}
        total = losses["cross_entropy"]
        if output.auxiliary:
            heads = [self.cross_entropy(logits, batch.labels) for logits in output.auxiliary]
            present = batch.present.T  # (M, B)
            losses["auxiliary"] = (torch.stack(heads) * present).sum() / present.sum().clamp_min(1)
            total = total + self.config.auxiliary * losses["auxiliary"]
        return {"loss": total, **losses}

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross-entropy (B,) of logits (B, C) and labels (B,).

        It is not divided by the sum of the weights: the weight of a case must not depend on the
        other cases of its batch.
        """
        return F.cross_entropy(
            logits,
            labels,
            weight=self.class_weights,
            label_smoothing=self.config.label_smoothing,
            reduction="none",
        )


def drop_modalities(batch: Batch, probability: float) -> Batch:
    """Mark one modality of a case as missing with this probability, but never its only one."""
    if probability == 0:
        return batch
    return replace(batch, present=batch.present & ~draw_modality(batch.present, probability))


def draw_modality(present: Tensor, probability: float) -> Tensor:
    """Draw one present modality (B, M) for a fraction of the cases that have two or more."""
    scores = torch.rand_like(present, dtype=torch.float32).masked_fill(~present, -1)
    drawn = torch.zeros_like(present).scatter_(1, scores.argmax(dim=1, keepdim=True), True)
    selected = torch.rand(len(present), device=present.device) < probability
    return drawn & (selected & (present.sum(dim=1) > 1))[:, None]


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights (C,) inverse to the frequency of each class in labels (B,), mean 1 over the cases."""
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    return len(labels) / (classes * counts)
