"""The shapes that travel between rooms. Imports no torch at run time.

Letters: B batch, M modalities, C classes, S scales, N tokens of one modality over all scales,
d embedding width, g context grid. Modalities are always ordered as in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shapes = tuple[tuple[int, int], ...]  # (H_s, W_s) per scale, finest first
Grid = tuple[int, tuple[int, int]]  # modality, and height and width of one of its grids of tokens


@dataclass(frozen=True)
class Batch:
    """One batch of cases, as the network reads it.

    Raises ValueError when the shapes contradict each other.
    """

    images: tuple[Tensor, ...]  # per modality (B, 3, H, W), float32, normalised; or (B, D), the
    # feature maps that a frozen backbone makes of them, in one row (see `agfnet.models.maps`)
    present: Tensor  # (B, M) bool; False where the case has no image of that modality
    labels: Tensor  # (B,) int64, index into the classes; -1 where unlabelled
    index: Tensor  # (B,) int64, position of the case in its dataset
    originals: tuple[Tensor, ...] = ()  # per modality (B, 3, H, W), for a task that needs images
    # where `images` holds maps
    partner: Tensor | None = None  # (B,) int64, label of the case that each one is mixed with
    share: Tensor | None = None  # (B,) 0 to 1, share of `labels` in a mixed case

    def __post_init__(self) -> None:
        size = self.labels.shape[0]
        if self.present.shape != (size, len(self.images)):
            raise ValueError(
                f"present is {tuple(self.present.shape)}, expected {(size, len(self.images))}"
            )
        for image in self.images:
            picture = image.ndim == 4 and image.shape[1] == 3
            if image.shape[0] != size or not (picture or image.ndim == 2):
                raise ValueError(
                    f"image is {tuple(image.shape)}, expected ({size}, 3, H, W) or ({size}, D)"
                )

    def to(self, device: torch.device, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return Batch(
            images=tuple(move(image) for image in self.images),
            present=move(self.present),
            labels=move(self.labels),
            index=move(self.index),
            originals=tuple(move(image) for image in self.originals),
            partner=None if self.partner is None else move(self.partner),
            share=None if self.share is None else move(self.share),
        )


class Features(NamedTuple):
    """Tokens, guides and last maps of all modalities: the input of the classifying part.

    The tokens of a modality are those of all its scales, finest first, one after the other:
    N is the sum of H_s * W_s, each map flattened row by row.
    """

    tokens: tuple[Tensor, ...]  # per modality (B, N, d)
    guides: tuple[Tensor, ...]  # per modality (B, N), in (0, 1)
    shapes: tuple[Shapes, ...]  # per modality
    last_maps: tuple[Tensor, ...]  # per modality (B, C_m, H_S, W_S), of the backbone
    present: Tensor  # (B, M) bool


class Output(NamedTuple):
    """Logits of a network. Every network of the package returns this type."""

    logits: Tensor  # (B, C), the prediction
    auxiliary: tuple[Tensor, ...] = ()  # further supervised logits (B, C), one per modality


class FeatureMap(NamedTuple):
    """A feature map of a backbone, in the layout that the network goes on with."""

    raw: Tensor
    channels_last: bool

    def channels_first(self, values: Tensor) -> Tensor:
        """Values of the raw layout as (B, C, H, W)."""
        return values.permute(0, 3, 1, 2) if self.channels_last else values


class AttentionMap(NamedTuple):
    """Attention weights, with the positions of their queries and keys."""

    query_modality: int
    query_grids: tuple[Grid, ...]  # of the Q queries, in order
    key_grids: tuple[Grid, ...]  # of the K keys, in order
    weights: Tensor  # (B, Q, K), mean over the heads; each row sums to 1
    update_norm: Tensor | None  # (B,), mean norm of a token's update relative to the token's norm


class Intermediates(NamedTuple):
    """Intermediate results of one forward pass, from which explanations are computed."""

    logits: Tensor  # (B, C)
    maps: tuple[tuple[FeatureMap, ...], ...]  # per modality, finest first
    guides: tuple[tuple[Tensor, ...], ...]  # per modality and scale (B, H_s, W_s); or empty
    local_attention: tuple[AttentionMap, ...]  # queries are tokens
    members: int = 1  # networks of an ensemble; maps and guides are those of one after the other
