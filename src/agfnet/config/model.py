"""Settings of networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agfnet.config.checks import check
from agfnet.errors import ConfigError

Method = Literal[
    "agfnet",
    "concatenation",
    "late_fusion",
    "addition",
    "low_rank",
    "mmtm",
    "metablock",
    "fusionm4net",
    "tformer",
    "cross_attention",
    "hccnn",
    "amfam",
]


@dataclass(frozen=True)
class BackboneConfig:
    """The feature extractor of each modality: any timm model that can return feature maps."""

    name: str = "resnet50"
    """Name of the timm model."""
    weights: str | None = None
    """Where its weights come from: unset for random, `timm` for the published pretrained weights
    (downloads them), or a local `.safetensors` file."""
    mean: tuple[float, float, float] | None = None
    """Mean per RGB channel, on a 0 to 1 scale, that the weights expect; timm's own if unset."""
    std: tuple[float, float, float] | None = None
    """Standard deviation per RGB channel that the weights expect; timm's own if unset."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments for `timm.create_model`, for example `{pad_type: same}`."""
    shared: bool = False
    """All modalities use one backbone, with the same weights."""
    frozen: bool = False
    """Leave its weights as they are, and learn the rest only: for few cases or few processors, with
    pretrained weights."""


@dataclass(frozen=True)
class FusionConfig:
    """Attention-guided local (ALL) and global (AGL) learning."""

    dim: int = 64
    """Width d of the tokens."""
    heads: int = 4
    """Attention heads; must divide `dim`."""
    grid: int = 7
    """Side g of the context grid: each scale of a view is summed up in g x g context tokens."""
    scales: int = 3
    """How many of the backbone's last feature maps to use, counted from the coarsest."""
    resolution: int = 16
    """Most places per side of a scale: a finer feature map is averaged in blocks until it fits, so
    that what fusion costs stays in proportion to the backbones for large images."""
    intra: bool = True
    """Local learning attends to the own view."""
    inter: bool = True
    """Local learning attends to the other views."""
    guide: bool = True
    """A learned guide says which places of a view count, in the contexts and in global learning;
    otherwise all count alike."""
    layers: int = 2
    """Layers of global learning; 0 averages the tokens instead."""
    reconstruct_missing: bool = False
    """The tokens of a missing view are rebuilt from the other views by the decoder of feature
    reconstruction, which then is part of the network; otherwise one learned token stands in."""

    def __post_init__(self) -> None:
        check(self, 1, 4096, "dim", "heads", "grid", "scales", "resolution")
        check(self, 0, 64, "layers")
        if self.dim % self.heads:
            raise ConfigError(f"dim: {self.dim} is no multiple of heads ({self.heads})")


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    method: Method = "agfnet"
    """How the views are fused; docs/baselines.md has the papers.
    `agfnet`: attention-guided local and global learning.
    `concatenation`: pooled features side by side (with one modality: the single-modality baseline).
    `late_fusion`: mean of the views' logits.
    `addition`: pooled features added.
    `low_rank`: products of pooled features (LMF).
    `mmtm`: channels gated by all views, stage by stage.
    `metablock`: features gated by the other views.
    `fusionm4net`: weighted mean of branches, weights searched on the validation split.
    `tformer`: window attention over all views, stage by stage.
    `cross_attention`: tokens of each view attend to those of the others.
    `hccnn`: a branch that mixes the views place by place (HcCNN, CAFNet).
    `amfam`: features that hide their view and rebuild the image (AMFAM)."""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    dropout: float = 0.1
    """Dropout before every classification head, and of what global learning adds."""

    def __post_init__(self) -> None:
        check(self, 0, 0.95, "dropout")
