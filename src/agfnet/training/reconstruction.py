"""FRL, feature reconstruction learning: mask what the prediction depends on, and reconstruct it.

Paper: Xiao et al., IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682 (abstract): a
training strategy for "more discriminative features", that "corrects the focus of the network" and
raises "robustness and certainty". Our reading, in five steps:

1. the attribution of the true class's fused logit to each token (gradient x token);
2. cells are masked at all scales, with a probability that rises with their attribution, or one
   whole modality is masked;
3. a light decoder reconstructs the masked tokens from the visible ones of all modalities; the loss
   is the cosine distance to the original tokens;
4. the reconstructed features pass the same global learning and heads: cross-entropy, and
   consistency with the prediction from the original features;
5. the guide learns the distribution of the attribution over the positions, so that the network
   knows at inference, without gradients, where its evidence lies.

The network itself is unchanged: same parameters, same names, same inference.
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
from agfnet.training.losses import consistency_loss, focus_loss, reconstruction_loss
from agfnet.training.processes import ALONE, World
from agfnet.training.supervised import SupervisedTask, draw_modality, drop_modalities
from agfnet.types import Batch, Features, Shapes


class ReconstructionTask(nn.Module):
    """Supervised training with feature reconstruction.

    Args:
        supervised: the supervised task; its model must be an AGFNet.
        config: what is masked, and the weights of the losses.
        decoder: reconstructs masked tokens; trained with the network, and part of it only if the
            network reconstructs missing modalities with it.
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

    def forward(self, batch: Batch, progress: float, world: World = ALONE) -> dict[str, Tensor]:
        """Named losses; `loss` is their weighted sum. `progress` is 0 to 1 over the training."""
        config, task = self.config, self.supervised
        batch = drop_modalities(batch, task.modality_dropout)
        features = self.model.forward_features(batch.images, batch.present)
        output = self.model.forward_head(features)
        losses = task.losses(output, batch, world)

        score = label_score(output.logits, batch)
        attribution = token_attribution(score, features)
        masks = draw_masks(
            features,
            attribution,
            batch.present,
            mask_ratio=config.mask_ratio,
            attribution_power=config.attribution_power,
            modality_mask_prob=config.modality_mask_prob,
        )
        reconstructed = mask_last_maps(self.decoder(features, masks), masks)
        second = self.model.forward_head(reconstructed)

        losses["reconstruction"] = torch.stack(
            [
                reconstruction_loss(tokens, target, mask, world)
                for mask, tokens, target in zip(
                    masks, reconstructed.tokens, features.tokens, strict=True
                )
            ]
        ).mean()
        losses["reconstructed_cross_entropy"] = task.case_losses(second.logits, batch).mean()
        losses["consistency"] = consistency_loss(second.logits, output.logits)
        losses["focus"] = torch.stack(
            [
                focus_loss(guide, target, batch.present[:, m], world)
                for m, shapes in enumerate(features.shapes)
                for guide, target in zip(
                    split_positions(features.guides[m], shapes),
                    split_positions(attribution[m], shapes),
                    strict=True,
                )
            ]
        ).mean()
        ramp = min(1.0, progress / config.warmup) if config.warmup > 0 else 1.0
        losses["loss"] = losses["loss"] + ramp * (
            config.reconstruction_weight * losses["reconstruction"]
            + config.cross_entropy_weight * losses["reconstructed_cross_entropy"]
            + config.consistency_weight * losses["consistency"]
            + config.focus_weight * losses["focus"]
        )
        return losses


def mask_last_maps(features: Features, masks: Sequence[Tensor]) -> Features:
    """Hide the masked positions of the last maps, which bypass the tokens.

    The other positions are scaled so that the mean of a map is the mean over them. A modality that
    is masked as a whole counts as missing here.
    """
    maps, visible = [], []
    for feature, mask, shapes in zip(features.last_maps, masks, features.shapes, strict=True):
        keep = ~split_scales(mask.unsqueeze(-1), shapes)[-1]  # (B, 1, H_S, W_S)
        share = keep.to(feature.dtype).mean(dim=(2, 3), keepdim=True)
        maps.append(feature * keep / share.clamp_min(1 / keep[0].numel()))
        visible.append(keep.flatten(1).any(dim=1))
    return features._replace(
        last_maps=tuple(maps), present=features.present & torch.stack(visible, dim=1)
    )


def label_score(logits: Tensor, batch: Batch) -> Tensor:
    """Sum over cases of the logits (B, C) of their labels; of both, by share, of mixed cases."""
    score = logits.gather(1, batch.labels[:, None])
    if batch.partner is None or batch.share is None:
        return score.sum()
    partner = logits.gather(1, batch.partner[:, None])
    share = batch.share[:, None]
    return (share * score + (1 - share) * partner).sum()


def token_attribution(score: Tensor, features: Features) -> tuple[Tensor, ...]:
    """Attribution of a score to each token: positive part of gradient x token, M x (B, N).

    Gradient x input (Shrikumar et al., 2017, arXiv:1704.02685), taken at the tokens. It needs a
    backward pass through global learning and the head only, and carries no gradient.
    """
    gradients = torch.autograd.grad(score, features.tokens, retain_graph=True)
    return tuple(
        (gradient * token.detach()).sum(dim=-1).clamp_min(0)
        for gradient, token in zip(gradients, features.tokens, strict=True)
    )


def split_positions(values: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
    """Split values (B, N) of all scales into one (B, H_s * W_s) per scale."""
    return values.split([height * width for height, width in shapes], dim=1)


def draw_masks(
    features: Features,
    attribution: Sequence[Tensor],
    present: Tensor,
    *,
    mask_ratio: float,
    attribution_power: float,
    modality_mask_prob: float,
) -> tuple[Tensor, ...]:
    """Draw the tokens to mask, (B, N) bool per modality.

    A cell is a position of the coarsest map with all finer tokens at that position, so that no
    scale shows what another one masks. With probability `modality_mask_prob` a case loses one whole
    modality, never its only one. Otherwise it loses the fraction `mask_ratio` of the cells of every
    present modality, drawn without replacement in proportion to attribution ** attribution_power
    (Gumbel top-k; Kool et al., 2019, arXiv:1903.06059).
    """
    whole = draw_modality(present, modality_mask_prob)  # (B, M)
    cells = ~whole.any(dim=1)  # (B,)
    return tuple(
        (
            draw_cells(a, shapes, mask_ratio=mask_ratio, attribution_power=attribution_power)
            & (cells & present[:, m])[:, None]
        )
        | whole[:, m, None]
        for m, (a, shapes) in enumerate(zip(attribution, features.shapes, strict=True))
    )


def draw_cells(
    attribution: Tensor, shapes: Shapes, *, mask_ratio: float, attribution_power: float
) -> Tensor:
    """Draw cells by the attribution (B, N) of their tokens; return their tokens as (B, N) bool."""
    maps = split_scales(attribution.unsqueeze(-1), shapes)  # S x (B, 1, H_s, W_s)
    coarsest = shapes[-1]
    weight = torch.stack([F.adaptive_avg_pool2d(m, coarsest) for m in maps]).sum(dim=0).flatten(1)
    cells = weight.shape[1]
    weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-12) + 1 / cells
    gumbel = -torch.empty_like(weight).exponential_().clamp_min(1e-12).log()
    visible = max(1, cells - round(mask_ratio * cells))
    order = (attribution_power * weight.log() + gumbel).argsort(dim=1)
    drawn = torch.ones_like(weight).scatter_(1, order[:, :visible], 0)
    drawn = drawn.unflatten(1, (1, *coarsest))
    return torch.cat(
        [F.interpolate(drawn, size=shape, mode="nearest").flatten(1) for shape in shapes], dim=1
    ).bool()
