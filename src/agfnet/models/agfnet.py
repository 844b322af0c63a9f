"""AGFnet: attention-guided local learning, then global learning, on one backbone per modality.

Paper: Xiao et al., "Attention-Guided Learning With Feature Reconstruction for Skin Lesion Diagnosis
Using Clinical and Ultrasound Images", IEEE TMI 44(1):543-555, 2025, doi 10.1109/TMI.2024.3450682.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agfnet.models.attention import CrossAttention
from agfnet.models.backbone import Backbones
from agfnet.models.context import pooled_shapes
from agfnet.models.decoder import Decoder
from agfnet.models.global_learning import GlobalLearning
from agfnet.models.local_learning import LocalLayer, LocalLearning
from agfnet.models.multi_scale import CoarsestScale, MultiScale
from agfnet.models.network import Calls, Network, grids_of, local_attention_map
from agfnet.models.tokenizer import Tokenizer, split_scales
from agfnet.types import AttentionMap, Features, Output, Shapes


class AGFNet(Network):
    """The network for any number M >= 1 of modalities. No part knows which modality it serves.

    Args:
        backbones: one per modality, or one that all of them share.
        tokenizers: one per modality; feature maps to tokens and guides.
        local_learning: ALL, attention of the tokens to local contexts.
        multi_scale: ALL, the path from fine to coarse of each modality, or its coarsest scale.
        global_learning: AGL, which fuses the modalities and enhances the features of each.
        heads: classification heads of the M modalities' last maps and, last, of the fused vector.
        average: average the logits of the heads; otherwise add them.
        decoder: reconstructs the tokens of a missing modality from the others; without it they are
            the learned token of an absent modality, updated by local learning.
    """

    def __init__(
        self,
        *,
        backbones: Backbones,
        tokenizers: Iterable[Tokenizer],
        local_learning: LocalLearning,
        multi_scale: MultiScale | CoarsestScale,
        global_learning: GlobalLearning,
        heads: Sequence[nn.Module],
        average: bool = True,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__(backbones=backbones)
        self.tokenizers = nn.ModuleList(tokenizers)
        self.local_learning = local_learning
        self.average = average
        self.decoder = decoder
        self.multi_scale = multi_scale
        self.global_learning = global_learning
        self.head = heads[-1]
        self.auxiliary = nn.ModuleList(heads[:-1])

    def forward(self, images: Sequence[Tensor], present: Tensor) -> Output:
        """Images per modality (B, 3, H, W) and present (B, M) to logits (B, C).

        Where `present` is False the image is ignored. Sizes may differ between modalities.
        """
        return self.forward_head(self.forward_features(images, present))

    def forward_features(self, images: Sequence[Tensor], present: Tensor) -> Features:
        """Backbones, tokenizers and the correlations of local learning."""
        maps = self.backbones(images, present)  # M x S x (B, C_s, H_s, W_s)
        tokenized = [
            tokenizer(maps[m], present[:, m]) for m, tokenizer in enumerate(self.tokenizers)
        ]
        tokens, guides, shapes = zip(*tokenized, strict=True)  # M x (B, N, d), M x (B, N)
        features = self.local_learning(
            Features(
                tokens=tokens,
                guides=guides,
                shapes=shapes,
                last_maps=tuple(
                    F.adaptive_avg_pool2d(scales[-1], shape[-1])
                    for scales, shape in zip(maps, shapes, strict=True)
                ),
                present=present,
            )
        )
        if self.decoder is None:
            return features
        absent = [~present[:, m, None].expand_as(guide) for m, guide in enumerate(guides)]
        return self.decoder(features, absent)

    def forward_head(self, features: Features) -> Output:
        """The paths of local learning, global learning, and the heads.

        The logits of the fused head and of the heads of the present modalities are averaged, or
        added.
        """
        vectors = [path.mean(dim=(2, 3)) for path in self.multi_scale(features)]  # M x (B, d)
        pooled = [feature.mean(dim=(2, 3)) for feature in features.last_maps]  # M x (B, C_m)
        fused, enhanced = self.global_learning(vectors, pooled)
        auxiliary = tuple(head(x) for head, x in zip(self.auxiliary, enhanced, strict=True))
        present = features.present.T[..., None]  # (M, B, 1)
        total = self.head(fused) + (torch.stack(auxiliary) * present).sum(dim=0)
        if self.average:
            total = total / (1 + present.sum(dim=0))
        return Output(logits=total, auxiliary=auxiliary)

    def recorded_modules(self) -> list[nn.Module]:
        """Tokenizers, layers of local learning, and all attention modules."""
        attention = [m for m in self.modules() if isinstance(m, CrossAttention)]
        return [*self.tokenizers, *self.local_learning, *attention]

    def guides(self, calls: Calls) -> tuple[tuple[Tensor, ...], ...]:
        """Guides of the tokenizers; none if the network has no guides."""
        if any(tokenizer.guide is None for tokenizer in self.tokenizers):
            return ()
        outputs = [calls.output(tokenizer) for tokenizer in self.tokenizers]
        return tuple(
            tuple(part[:, 0] for part in split_scales(guide.unsqueeze(-1), shapes))
            for _, guide, shapes in outputs
        )

    def token_shapes(self, calls: Calls) -> list[Shapes]:
        """Grids of the tokens of each modality."""
        return [calls.output(tokenizer)[2] for tokenizer in self.tokenizers]

    def local_attention(self, calls: Calls) -> Iterator[AttentionMap]:
        """Intra- and inter-modality attention of local learning."""
        shapes = self.token_shapes(calls)
        contexts = [pooled_shapes(shape, self.local_learning.grid) for shape in shapes]
        for m, layer in enumerate(cast(Iterable[LocalLayer], self.local_learning)):
            tokens = calls.inputs(layer)[0]
            others = [n for n in range(len(shapes)) if n != m]
            for module, layer_scale, keys in (
                (layer.intra, layer.layer_scale_intra, [m]),
                (layer.inter, layer.layer_scale_inter, others),
            ):
                if module is not None and layer_scale is not None:
                    grids = grids_of(keys, contexts)
                    yield local_attention_map(
                        module, calls, m, shapes[m], grids, tokens, layer_scale
                    )
