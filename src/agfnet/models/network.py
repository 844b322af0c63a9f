"""The base class of all networks, with access to intermediate results for explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from agfnet.models.attention import CrossAttention
from agfnet.models.backbone import Backbones
from agfnet.types import AttentionMap, FeatureMap, Grid, Intermediates, Shapes


class Calls:
    """Inputs and outputs of modules, call by call."""

    def __init__(self) -> None:
        self.calls: dict[nn.Module, list[tuple[tuple[Any, ...], Any]]] = {}

    def record(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Forward hook that keeps a call."""
        self.calls.setdefault(module, []).append((inputs, output))

    def inputs(self, module: nn.Module, call: int = 0) -> tuple[Any, ...]:
        """Return the positional inputs of one call of a module."""
        return self.calls[module][call][0]

    def output(self, module: nn.Module, call: int = 0) -> Any:
        """Return the output of one call of a module."""
        return self.calls[module][call][1]


@contextmanager
def record_calls(modules: Iterable[nn.Module]) -> Iterator[Calls]:
    """Keep the inputs and outputs of these modules within the context."""
    calls = Calls()
    handles = [module.register_forward_hook(calls.record) for module in dict.fromkeys(modules)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


class Network(nn.Module):
    """A network with one backbone per modality.

    A subclass calls its modules as usual. If it has attention or guides, it overrides the last
    four methods, which read them from recorded calls of its modules.
    """

    def __init__(self, *, backbones: Backbones) -> None:
        super().__init__()
        self.backbones = backbones

    def forward_intermediates(self, images: Sequence[Tensor], present: Tensor) -> Intermediates:
        """Images per modality (B, 3, H, W) and present (B, M) to intermediate results.

        Logits and feature maps keep their graph, so that gradients can be computed.
        """
        stages = [self.backbones.part(m).map_modules() for m in range(len(images))]
        modules = [module for part in stages for module in part]
        with record_calls([*modules, *self.recorded_modules()]) as calls:
            logits = self(images, present).logits
        shared = len(self.backbones) == 1
        maps = tuple(
            tuple(
                feature
                for module in part
                for feature in self.feature_maps(m, calls.output(module, m if shared else 0))
            )
            for m, part in enumerate(stages)
        )
        with torch.no_grad():
            return Intermediates(
                logits=logits,
                maps=maps,
                guides=self.guides(calls),
                local_attention=tuple(self.local_attention(calls)),
            )

    def feature_maps(self, modality: int, output: Any) -> list[FeatureMap]:
        """Feature maps in the output of a module of a backbone, or of the backbone itself."""
        if isinstance(output, tuple):
            return [FeatureMap(feature, channels_last=False) for feature in output]
        return [FeatureMap(output, self.backbones.part(modality).channels_last)]

    def recorded_modules(self) -> list[nn.Module]:
        """Modules whose calls the methods below read."""
        return []

    def guides(self, calls: Calls) -> tuple[tuple[Tensor, ...], ...]:
        """Weights of the positions, 0 to 1, per modality and scale (B, H_s, W_s)."""
        return ()

    def local_attention(self, calls: Calls) -> Iterator[AttentionMap]:
        """Attention of the tokens of each modality."""
        return iter(())


def local_attention_map(
    module: CrossAttention,
    calls: Calls,
    modality: int,
    shapes: Shapes,
    key_grids: tuple[Grid, ...],
    tokens: Tensor,
    layer_scale: Tensor | float = 1.0,
) -> AttentionMap:
    """Attention map of a recorded module.

    Args:
        module: the attention module.
        calls: the recorded calls.
        modality: modality of the queries.
        shapes: grids of the queries.
        key_grids: grids of the keys.
        tokens: (B, N, d), to which the scaled output of the module is added.
        layer_scale: scale of the output.
    """
    update = layer_scale * calls.output(module)
    update_norm = (update.norm(dim=-1) / tokens.norm(dim=-1).clamp_min(1e-6)).mean(dim=1)
    weights = module.attention_weights(*calls.inputs(module)).mean(dim=1)
    grids = tuple((modality, shape) for shape in shapes)
    return AttentionMap(modality, grids, key_grids, weights, update_norm)


def grids_of(modalities: Iterable[int], shapes: Sequence[Shapes]) -> tuple[Grid, ...]:
    """Grids of several modalities, in order."""
    return tuple((m, shape) for m in modalities for shape in shapes[m])
