"""Supervised training: a task turns a batch into named losses, apart from the network."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.config import LossConfig
from agfnet.models.network import Network
from agfnet.training.attributes import AttributeHeads
from agfnet.training.losses import adjusted, focal_factor, ldam_margins, log_priors
from agfnet.training.processes import ALONE, World
from agfnet.types import Batch, Output


class SupervisedTask(nn.Module):
    """The loss of the prediction and of the auxiliary heads that the network has.

    Args:
        model: any network of the package.
        config: the loss and its weights.
        counts: training cases per class (C,), at least one each.
        modality_dropout: probability that one modality of a case is treated as missing.
        attributes: heads of attributes that the network also predicts.
    """

    class_weights: Tensor | None
    margins: Tensor | None
    offsets: Tensor | None

    def __init__(
        self,
        *,
        model: Network,
        config: LossConfig,
        counts: Tensor,
        modality_dropout: float,
        attributes: AttributeHeads | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.modality_dropout = modality_dropout
        self.attributes = attributes
        balanced = config.class_weights == "balanced"
        margins = ldam_margins(counts, config.ldam_margin) if config.kind == "ldam" else None
        offsets = config.logit_adjustment * log_priors(counts) if config.logit_adjustment else None
        for name, value in (
            ("class_weights", balanced_weights(counts) if balanced else None),
            ("margins", margins),
            ("offsets", offsets),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, batch: Batch, progress: float, world: World = ALONE) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        batch = drop_modalities(batch, self.modality_dropout)
        return self.losses(self.model(batch.images, batch.present), batch, world)

    def losses(self, output: Output, batch: Batch, world: World = ALONE) -> dict[str, Tensor]:
        """Mean loss of the prediction and of the auxiliary heads; `loss` is their weighted sum.

        The output must be the last one of the network, from which the attributes are predicted.
        """
        losses = {"cross_entropy": self.case_losses(output.logits, batch).mean()}
        total = losses["cross_entropy"]
        if output.auxiliary:
            heads = [self.case_losses(logits, batch) for logits in output.auxiliary]
            present = batch.present.T  # (M, B)
            total_loss = (torch.stack(heads) * present).sum()
            losses["auxiliary"] = world.mean(total_loss, present.sum(), len(batch.labels))
            total = total + self.config.auxiliary * losses["auxiliary"]
        if self.attributes is not None:
            losses["attributes"] = self.attributes.loss(batch, world)
            total = total + self.config.attribute_weight * losses["attributes"]
        return {"loss": total, **losses}

    def case_losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """Loss (B,) of logits (B, C); of a mixed case, that of both its labels by their shares."""
        loss = self.label_losses(logits, batch.labels)
        if batch.partner is None or batch.share is None:
            return loss
        return batch.share * loss + (1 - batch.share) * self.label_losses(logits, batch.partner)

    def label_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted loss (B,) of logits (B, C) and labels (B,).

        It is not divided by the sum of the weights: the weight of a case must not depend on the
        other cases of its batch. Logit adjustment (Menon et al., 2021, arXiv:2007.07314, equation
        10) adds the log frequencies of the classes in training only.
        """
        if self.offsets is not None:
            logits = logits + self.offsets
        loss = F.cross_entropy(
            adjusted(logits, labels, self.margins),
            labels,
            weight=self.class_weights,
            label_smoothing=self.config.label_smoothing,
            reduction="none",
        )
        if self.config.kind == "focal":
            loss = loss * focal_factor(logits, labels, self.config.focal_gamma)
        return loss


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


def balanced_weights(counts: Tensor) -> Tensor:
    """Weights (C,) inverse to the cases per class (C,), mean 1 over the cases."""
    return counts.sum() / (len(counts) * counts)
