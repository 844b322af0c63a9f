"""AGFnet: attention-guided local learning, then global learning, on one backbone per modality.

Paper: Xiao et al., "Attention-Guided Learning With Feature Reconstruction for Skin Lesion Diagnosis
Using Clinical and Ultrasound Images", IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from agfnet.models.backbone import Backbone
from agfnet.models.global_learning import GlobalLearning
from agfnet.models.heads import Head
from agfnet.models.local_learning import LocalLearning, Tokens, contexts
from agfnet.types import Features, Output


class AGFNet(nn.Module):
    """The network for any number M >= 1 of modalities. No part knows which modality it serves.

    Args:
        backbones: one per modality, in the order of the images.
        dim: token width d.
        heads: attention heads; divides `dim`.
        grid: side g of the context grid.
        layers: layers of global learning.
        classes: number of classes C.
        dropout: before each classification head.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[Backbone],
        dim: int,
        heads: int,
        grid: int,
        layers: int,
        classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        views = len(backbones)
        self.grid = grid
        self.backbones = nn.ModuleList(backbones)
        self.tokens = nn.ModuleList(
            Tokens(channels=backbone.channels, dim=dim, grid=grid) for backbone in backbones
        )
        self.local_learning = nn.ModuleList(
            LocalLearning(dim=dim, heads=heads, inter=views > 1) for _ in range(views)
        )
        self.global_learning = GlobalLearning(modalities=views, dim=dim, heads=heads, layers=layers)
        self.head = Head(dim=dim, classes=classes, dropout=dropout)
        self.auxiliary = nn.ModuleList(
            Head(dim=dim, classes=classes, dropout=dropout) for _ in range(views)
        )

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C).

        Where `present` is False the image is ignored. Sizes may differ between modalities.
        """
        return self.decide(self.encode(images, present))

    def encode(self, images: Sequence[Tensor], present: Tensor) -> Features:
        """Backbones and local learning."""
        tokens, guides, shapes = [], [], []
        for m, image in enumerate(images):
            maps = self.backbones[m](image)  # S x (B, C_s, H_s, W_s)
            token, guide, shape = self.tokens[m](maps, present[:, m])
            tokens.append(token)  # (B, N, d)
            guides.append(guide)  # (B, N)
            shapes.append(shape)
        context = contexts(tokens, guides, shapes, self.grid)  # M x (B, S * g * g, d)
        learned = tuple(
            local(tokens[m], context[m], [*context[:m], *context[m + 1 :]])
            for m, local in enumerate(self.local_learning)
        )
        return Features(tokens=learned, guides=tuple(guides), shapes=tuple(shapes))

    def decide(self, features: Features) -> Output:
        """Global learning and the heads."""
        queries = self.global_learning(features.tokens, features.shapes)  # (B, M+1, d)
        return Output(
            logits=self.head(queries[:, -1]),
            auxiliary=tuple(head(queries[:, m]) for m, head in enumerate(self.auxiliary)),
        )
