"""One pass through any network of the package, and what explanations need of it.

Nothing in a network changes: hooks watch its modules, and attention weights, which
`scaled_dot_product_attention` does not give, are computed again from the inputs of its modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from timm.models import FeatureDictNet
from torch import Tensor, nn

from agfnet.models.agfnet import AGFNet
from agfnet.models.attention import CrossAttention, Shapes
from agfnet.models.backbone import Backbone, Backbones, cut
from agfnet.models.baselines.amfam import Adversarial
from agfnet.models.baselines.cross_attention import Asking, TokenCrossAttention
from agfnet.models.baselines.hccnn import CoAttention, Fusion, HyperBranch
from agfnet.models.global_learning import GlobalLayer
from agfnet.models.local_learning import LocalLearning, Tokens

COARSE = 8  # least stride of the maps that are kept: finer ones hold edges, not findings
FUSED = -1  # asker of a fused query
Part = tuple[int, tuple[int, int]]  # modality, and height and width of a grid


class FeatureMap(NamedTuple):
    """One output of a backbone, in the layout that the network goes on with."""

    raw: Tensor
    channels_last: bool

    def planes(self, values: Tensor) -> Tensor:
        """Values of the raw layout as (B, C, H, W)."""
        return values.permute(0, 3, 1, 2) if self.channels_last else values


class Reading(NamedTuple):
    """What some places looked up elsewhere."""

    asker: int  # modality, or FUSED
    asking: tuple[Part, ...]  # where the Q queries lie, in order; none for a global query
    asked: tuple[Part, ...]  # where the K keys lie, in order
    weights: Tensor  # (B, Q, K), mean over the heads; each row sums to 1
    strength: Tensor | None  # (B,), mean length of what was added to a token, over its own


@dataclass(frozen=True)
class Record:
    """What one pass left."""

    logits: Tensor  # (B, C)
    maps: tuple[tuple[FeatureMap, ...], ...]  # per modality, finest first
    guides: tuple[tuple[Tensor, ...], ...]  # per modality and scale (B, H_s, W_s); or empty
    local: tuple[Reading, ...]  # places that asked places
    queries: tuple[Reading, ...]  # global queries that asked places


class Calls:
    """Inputs and outputs of modules, call by call."""

    def __init__(self) -> None:
        self.found: dict[nn.Module, list[tuple[tuple[Any, ...], Any]]] = {}

    def keep(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """The hook."""
        self.found.setdefault(module, []).append((inputs, output))

    def of(self, module: nn.Module, call: int = 0) -> tuple[tuple[Any, ...], Any]:
        """Inputs and output of one call of a module."""
        return self.found[module][call]


@contextmanager
def watching(modules: Sequence[nn.Module]) -> Iterator[Calls]:
    """Keep what these modules take and give while inside."""
    calls = Calls()
    handles = [module.register_forward_hook(calls.keep) for module in dict.fromkeys(modules)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def record(model: nn.Module, images: Sequence[Tensor], present: Tensor) -> Record:
    """Images per modality (B, 3, H, W) and present (B, M) through a network, with its graph."""
    backbones = cast(Backbones, model.backbones)
    stages = [stage_modules(backbones.part(m)) for m in range(len(images))]
    watched = [module for part in stages for module in part]
    watched += [m for m in model.modules() if isinstance(m, Tokens | CrossAttention)]
    watched += _parents(model)
    if isinstance(model, Adversarial):
        watched += list(model.attend)
    with watching(watched) as calls:
        logits = model(images, present).logits
    shared = len(backbones) == 1
    maps = tuple(
        tuple(
            found
            for module in part
            for found in _feature_maps(module, backbones.part(m), calls, m if shared else 0)
        )
        for m, part in enumerate(stages)
    )
    with torch.no_grad():
        return Record(
            logits=logits,
            maps=maps,
            guides=_guides(model, calls),
            local=tuple(_local(model, calls)),
            queries=tuple(_queries(model, calls)),
        )


def stage_modules(backbone: Backbone) -> list[nn.Module]:
    """What gives the maps of stride 8 and more, finest first: modules, or the backbone itself.

    A network that uses the last map only has the finer ones on its way.
    """
    net = cast(Any, backbone.net)
    if not cut(net):
        return [backbone]
    flat = isinstance(net, FeatureDictNet)
    modules = dict(net.named_modules())
    names = [item["module"] for item in net.feature_info.info if item["reduction"] >= COARSE]
    names = [name.replace(".", "_") if flat else name for name in names]
    return [modules[name] for name in names if name in modules] or [backbone]


def _feature_maps(
    module: nn.Module, backbone: Backbone, calls: Calls, call: int
) -> list[FeatureMap]:
    _, output = calls.of(module, call)
    if module is backbone:
        return [FeatureMap(feature, channels_last=False) for feature in output]
    return [FeatureMap(output, backbone.channels_last)]


def _guides(model: nn.Module, calls: Calls) -> tuple[tuple[Tensor, ...], ...]:
    """How much each place counts in the network's own eyes, 0 to 1."""
    if isinstance(model, Adversarial):
        return tuple((calls.of(attend)[1].sigmoid()[:, 0],) for attend in model.attend)
    tokens = [module for module in model.modules() if isinstance(module, Tokens)]
    if not tokens or any(module.guide is None for module in tokens):
        return ()
    found = []
    for module in tokens:
        _, guide, shapes = calls.of(module)[1]
        parts = guide.split([height * width for height, width in shapes], dim=1)
        found.append(tuple(p.unflatten(1, shape) for p, shape in zip(parts, shapes, strict=True)))
    return tuple(found)


def _parents(model: nn.Module) -> list[nn.Module]:
    """The modules to whose first input the answers of local attention are added."""
    if isinstance(model, AGFNet):
        return list(model.local_learning)
    if isinstance(model, TokenCrossAttention):
        return list(model.asking)
    if isinstance(model, HyperBranch):
        scales = cast(Iterable[Fusion], model.scales)
        return [attention for scale in scales for attention in scale.attention]
    return []


def _local(model: nn.Module, calls: Calls) -> Iterator[Reading]:
    if isinstance(model, AGFNet):
        shapes = _token_shapes(model.tokens, calls)
        grids = [_context_shapes(shape, model.grid) for shape in shapes]
        for m, learning in enumerate(cast(Iterable[LocalLearning], model.local_learning)):
            others = [n for n in range(len(shapes)) if n != m]
            tokens = calls.of(learning)[0][0]
            for module, gain, asked in (
                (learning.intra, learning.gain_intra, [m]),
                (learning.inter, learning.gain_inter, others),
            ):
                if module is not None and gain is not None:
                    yield _reading(module, calls, m, shapes[m], _parts(asked, grids), tokens, gain)
    elif isinstance(model, TokenCrossAttention):
        shapes = _token_shapes(model.tokens, calls)
        for m, asking in enumerate(cast(Iterable[Asking], model.asking)):
            others = [n for n in range(len(shapes)) if n != m]
            tokens = calls.of(asking)[0][0]
            yield _reading(asking.read, calls, m, shapes[m], _parts(others, shapes), tokens)
    elif isinstance(model, HyperBranch):
        for scale in cast(Iterable[Fusion], model.scales):
            attentions = cast(list[CoAttention], list(scale.attention))
            maps = [calls.of(attention)[0][0] for attention in attentions]
            shapes = [((int(x.shape[2]), int(x.shape[3])),) for x in maps]
            grids = [_context_shapes(shape, scale.grid) for shape in shapes]
            for m, attention in enumerate(attentions):
                others = [n for n in range(len(shapes)) if n != m]
                parts, tokens = _parts(others, grids), maps[m].flatten(2).mT
                yield _reading(attention.read, calls, m, shapes[m], parts, tokens)


def _queries(model: nn.Module, calls: Calls) -> Iterator[Reading]:
    if not isinstance(model, AGFNet):
        return
    shapes = _token_shapes(model.tokens, calls)
    parts = _parts(range(len(shapes)), shapes)
    for layer in cast(Iterable[GlobalLayer], model.global_learning.layers):
        weights = attention_weights(layer.read, *calls.of(layer.read)[0])  # (B, M+1, sum N)
        for asker in (*range(len(shapes)), FUSED):
            yield Reading(asker, (), parts, weights[:, [asker]], None)


def _reading(
    module: CrossAttention,
    calls: Calls,
    asker: int,
    shapes: Shapes,
    asked: tuple[Part, ...],
    tokens: Tensor,
    gain: Tensor | float = 1.0,
) -> Reading:
    inputs, output = calls.of(module)
    added = (gain * output).norm(dim=-1) / tokens.norm(dim=-1).clamp_min(1e-6)  # (B, N)
    weights = attention_weights(module, *inputs)
    asking = tuple((asker, shape) for shape in shapes)
    return Reading(asker, asking, asked, weights, added.mean(dim=1))


def attention_weights(
    module: CrossAttention, queries: Tensor, context: Tensor, bias: Tensor | None = None
) -> Tensor:
    """The weights (B, Q, K) with which a module mixes its values, mean over the heads."""
    return head_weights(module, queries, context, bias).mean(dim=1)


def head_weights(
    module: CrossAttention, queries: Tensor, context: Tensor, bias: Tensor | None = None
) -> Tensor:
    """The weights (B, heads, Q, K) with which every head mixes its values."""
    q = module.split(module.query(queries))
    k = module.split(module.key_value(context).chunk(2, dim=-1)[0])
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if bias is not None:
        scores = scores + bias.unsqueeze(1)
    return scores.softmax(dim=-1)


def _token_shapes(modules: nn.ModuleList, calls: Calls) -> list[Shapes]:
    return [calls.of(module)[1][2] for module in modules]


def _context_shapes(shapes: Shapes, grid: int) -> Shapes:
    """The grids that `pool_context` makes of maps."""
    return tuple((min(grid, height), min(grid, width)) for height, width in shapes)


def _parts(views: Sequence[int] | range, shapes: Sequence[Shapes]) -> tuple[Part, ...]:
    return tuple((n, shape) for n in views for shape in shapes[n])
