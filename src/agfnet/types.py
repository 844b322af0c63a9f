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


@dataclass(frozen=True)
class Batch:
    """One batch of cases, as the network reads it.

    Raises ValueError when the shapes contradict each other.
    """

    images: tuple[Tensor, ...]  # per modality (B, 3, H, W), float32, normalised
    present: Tensor  # (B, M) bool; False where the case has no image of that modality
    labels: Tensor  # (B,) int64, index into the classes; -1 where unlabelled
    index: Tensor  # (B,) int64, position of the case in its dataset

    def __post_init__(self) -> None:
        size = self.labels.shape[0]
        if self.present.shape != (size, len(self.images)):
            raise ValueError(
                f"present is {tuple(self.present.shape)}, expected {(size, len(self.images))}"
            )
        for image in self.images:
            if image.ndim != 4 or image.shape[0] != size or image.shape[1] != 3:
                raise ValueError(f"image is {tuple(image.shape)}, expected ({size}, 3, H, W)")

    def to(self, device: torch.device, non_blocking: bool = False) -> Batch:
        """The same batch on another device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        return Batch(
            images=tuple(move(image) for image in self.images),
            present=move(self.present),
            labels=move(self.labels),
            index=move(self.index),
        )


class Features(NamedTuple):
    """What local learning hands to global learning.

    The tokens of a modality are those of all its scales, finest first, one after the other:
    N is the sum of H_s * W_s, each map flattened row by row.
    """

    tokens: tuple[Tensor, ...]  # per modality (B, N, d)
    guides: tuple[Tensor, ...]  # per modality (B, N), in (0, 1)
    shapes: tuple[tuple[tuple[int, int], ...], ...]  # per modality and scale (H_s, W_s)


class Output(NamedTuple):
    """What a network answers. Every network of the package answers in this form."""

    logits: Tensor  # (B, C), the prediction
    auxiliary: tuple[Tensor, ...] = ()  # further supervised logits (B, C), one per modality
