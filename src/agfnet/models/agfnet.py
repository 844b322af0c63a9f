"""AGFnet: attention-guided local learning, then global learning, on one backbone per modality.

Paper: Xiao et al., "Attention-Guided Learning With Feature Reconstruction for Skin Lesion Diagnosis
Using Clinical and Ultrasound Images", IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from agfnet.models.backbone import Backbone, Backbones
from agfnet.models.decoder import Decoder
from agfnet.models.global_learning import GlobalLearning
from agfnet.models.heads import Head
from agfnet.models.local_learning import LocalLearning, Tokens, at_most, contexts
from agfnet.types import Features, Output


class AGFNet(nn.Module):
    """The network for any number M >= 1 of modalities. No part knows which modality it serves.

    Args:
        backbones: one per modality, in the order of the images, or one that all of them share.
        modalities: number M of modalities.
        classes: number C of classes.
        dim: token width d.
        heads: attention heads; divides `dim`.
        grid: side g of the context grid.
        resolution: most places per side of a scale.
        intra: local learning attends to the own view.
        inter: local learning attends to the other views (with two or more).
        guided: a guide says which tokens count; otherwise all count alike.
        layers: layers of global learning; 0 averages the tokens.
        dropout: before each classification head, and of what global learning adds.
        exchange: how much the exchange between views in global learning counts at the start.
        decoder: rebuilds the tokens of a missing view from the others; without it they stay the
            learned token of an absent view, made aware of the other views by local learning.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        modalities: int,
        classes: int,
        dim: int,
        heads: int,
        grid: int,
        resolution: int,
        intra: bool,
        inter: bool,
        guided: bool,
        layers: int,
        dropout: float,
        exchange: float,
        decoder: Decoder | None,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.resolution = resolution
        self.backbones = Backbones(backbones, modalities=modalities)
        self.tokens = nn.ModuleList(
            Tokens(channels=channels, dim=dim, grid=grid, guided=guided)
            for channels in self.backbones.channels
        )
        self.local_learning = nn.ModuleList(
            LocalLearning(dim=dim, heads=heads, intra=intra, inter=inter and modalities > 1)
            for _ in range(modalities)
        )
        self.decoder = decoder
        self.global_learning = GlobalLearning(
            modalities=modalities,
            dim=dim,
            heads=heads,
            layers=layers,
            dropout=dropout,
            exchange=exchange,
        )
        self.head = Head(dim=dim, classes=classes, dropout=dropout)
        self.auxiliary = nn.ModuleList(
            Head(dim=dim, classes=classes, dropout=dropout) for _ in range(modalities)
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C).

        Where `present` is False the image is ignored. Sizes may differ between modalities.
        """
        return self.decide(self.encode(images, present))

    def encode(self, images: Sequence[Tensor], present: Tensor) -> Features:
        """Backbones and local learning."""
        tokens, guides, shapes = [], [], []
        for m, maps in enumerate(self.backbones(images, present)):  # S x (B, C_s, H_s, W_s)
            maps = [at_most(feature, self.resolution) for feature in maps]
            token, guide, shape = self.tokens[m](maps, present[:, m])
            tokens.append(token)  # (B, N, d)
            guides.append(guide)  # (B, N)
            shapes.append(shape)
        context = contexts(tokens, guides, shapes, self.grid)  # M x (B, L, d)
        learned = tuple(
            local(tokens[m], context[m], [*context[:m], *context[m + 1 :]])
            for m, local in enumerate(self.local_learning)
        )
        features = Features(tokens=learned, guides=tuple(guides), shapes=tuple(shapes))
        if self.decoder is None:
            return features
        absent = [~present[:, m, None].expand_as(guide) for m, guide in enumerate(guides)]
        return features._replace(tokens=self.decoder(features, absent))

    def decide(self, features: Features) -> Output:
        """Global learning and the heads."""
        queries = self.global_learning(features)  # (B, M+1, d)
        return Output(
            logits=self.head(queries[:, -1]),
            auxiliary=tuple(head(queries[:, m]) for m, head in enumerate(self.auxiliary)),
        )
