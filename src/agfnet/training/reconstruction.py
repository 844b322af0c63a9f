"""FRL, feature reconstruction learning: hide what the decision rests on, rebuild it, decide again.

Paper: Xiao et al., IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682 (abstract): a
training strategy for "more discriminative features", that "corrects the focus of the network" and
raises "robustness and certainty". Our reading, in four steps:

1. the evidence of the fused prediction on each view (gradient x token, no gradient through it);
2. cells drawn with probability rising with their evidence, or one whole view, are hidden at all
   scales;
3. a light decoder rebuilds the hidden tokens from what remains of all views; the loss is the cosine
   distance to the original tokens;
4. the rebuilt features pass the same global learning and heads: cross-entropy, and agreement with
   the prediction from the original features.

The network itself is untouched: same parameters, same names, same inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.config import ReconstructionConfig
from agfnet.models.agfnet import AGFNet
from agfnet.models.decoder import Decoder
from agfnet.models.tokenizer import split_scales
from agfnet.training.losses import agreement, cosine_distance
from agfnet.training.supervised import SupervisedTask, choose_view, drop_modalities
from agfnet.types import Batch, Features, Shapes


class ReconstructionTask(nn.Module):
    """Supervised training with feature reconstruction on top.

    Args:
        supervised: the supervised task; its model must be an AGFNet.
        config: what is hidden and how the losses are weighted.
        decoder: rebuilds hidden tokens; learned with the network, and part of it only if the
            network rebuilds missing views with it.
    """

    def __init__(
        self, *, supervised: SupervisedTask, config: ReconstructionConfig, decoder: Decoder
    ) -> None:
        super().__init__()
        self.supervised = supervised
        self.config = config
        self.decoder = decoder

    @property
    def model(self) -> AGFNet:
        """The network that is trained."""
        return cast(AGFNet, self.supervised.model)

    def forward(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        config, task = self.config, self.supervised
        batch = drop_modalities(batch, task.modality_dropout)
        features = self.model.forward_features(batch.images, batch.present)
        output = self.model.forward_head(features)
        losses = task.losses(output, batch)

        chosen = output.logits.gather(1, batch.labels[:, None]).sum()
        hidden = hide(
            features,
            evidence(chosen, features),
            batch.present,
            share=config.mask_ratio,
            focus=config.attribution_power,
            whole=config.modality_mask_prob,
        )
        rebuilt = self.decoder(features, hidden)
        again = self.model.forward_head(rebuilt)

        losses["rebuild"] = torch.stack(
            [
                cosine_distance(new, old, mask)
                for mask, new, old in zip(hidden, rebuilt.tokens, features.tokens, strict=True)
            ]
        ).mean()
        losses["classify_rebuilt"] = task.cross_entropy(again.logits, batch.labels).mean()
        losses["agree"] = agreement(again.logits, output.logits)
        ramp = min(1.0, progress / config.warmup) if config.warmup > 0 else 1.0
        losses["loss"] = losses["loss"] + ramp * (
            config.reconstruction_weight * losses["rebuild"]
            + config.cross_entropy_weight * losses["classify_rebuilt"]
            + config.consistency_weight * losses["agree"]
        )
        return losses


def evidence(score: Tensor, features: Features) -> tuple[Tensor, ...]:
    """What each token adds to a score: the positive part of gradient x token, (B, N) per modality.

    Gradient x input (Shrikumar et al., 2017, arXiv:1704.02685), taken at the tokens; needs one
    backward pass through global learning and the head only.
    """
    gradients = torch.autograd.grad(score, features.tokens, retain_graph=True)
    return tuple(
        (gradient * token.detach()).sum(dim=-1).clamp_min(0)
        for gradient, token in zip(gradients, features.tokens, strict=True)
    )


def hide(
    features: Features,
    evidence: Sequence[Tensor],
    present: Tensor,
    *,
    share: float,
    focus: float,
    whole: float,
) -> tuple[Tensor, ...]:
    """Which tokens to hide, (B, N) bool per modality.

    A cell is a place of the coarsest map and all finer tokens at that place, so that no scale gives
    away what another hides. A case either loses one whole view (probability `whole`, never its only
    one), or `share` of the cells of every present view, drawn without replacement in proportion to
    evidence ** focus (Gumbel top-k; Kool et al., 2019, arXiv:1903.06059).
    """
    view = choose_view(present, whole)  # (B, M)
    cells = ~view.any(dim=1)  # (B,)
    return tuple(
        (draw_cells(e, shapes, share=share, focus=focus) & (cells & present[:, m])[:, None])
        | view[:, m, None]
        for m, (e, shapes) in enumerate(zip(evidence, features.shapes, strict=True))
    )


def draw_cells(evidence: Tensor, shapes: Shapes, *, share: float, focus: float) -> Tensor:
    """Draw cells by the evidence (B, N) of their tokens; the drawn tokens as (B, N) bool."""
    maps = split_scales(evidence.unsqueeze(-1), shapes)  # S x (B, 1, H_s, W_s)
    coarsest = shapes[-1]
    weight = torch.stack([F.adaptive_avg_pool2d(m, coarsest) for m in maps]).sum(dim=0).flatten(1)
    cells = weight.shape[1]
    weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-12) + 1 / cells
    gumbel = -torch.empty_like(weight).exponential_().clamp_min(1e-12).log()
    keep = max(1, cells - round(share * cells))
    order = (focus * weight.log() + gumbel).argsort(dim=1)
    drawn = torch.ones_like(weight).scatter_(1, order[:, :keep], 0).unflatten(1, (1, *coarsest))
    return torch.cat(
        [F.interpolate(drawn, size=shape, mode="nearest").flatten(1) for shape in shapes], dim=1
    ).bool()
