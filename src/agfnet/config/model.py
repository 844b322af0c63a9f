"""Settings of networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from agfnet.config.ranges import Range, Settings
from agfnet.errors import ConfigError

Method = Literal[
    "agfnet",
    "concatenation",
    "concatenation_hidden",
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
Size = Annotated[int, Range(1, 4096)]


@dataclass(frozen=True)
class BackboneConfig(Settings):
    """Feature extractor of each modality: any timm model that returns feature maps."""

    name: str = "resnet50"
    """Name of the timm model."""
    weights: str | None = None
    """Initial weights: `random` (as if unset), `timm` for the published pretrained weights (from
    the folder `AGFNET_WEIGHTS_DIR`, an installed package, or a download, which is announced), a
    local `.safetensors` file, or a run folder of agfnet with the same backbone, whose modalities
    are matched by name or type; several run folders are joined by `|`."""
    mean: tuple[float, float, float] | None = None
    """Mean per RGB channel, 0 to 1, that the weights expect. The mean of timm if unset."""
    std: tuple[float, float, float] | None = None
    """Standard deviation per RGB channel that the weights expect. That of timm if unset."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `timm.create_model`, as in `{pad_type: same}`."""
    shared: bool = False
    """Use one backbone with the same weights for all modalities."""
    frozen: bool = False
    """Do not train the backbone. For few cases or little compute, with pretrained weights."""


@dataclass(frozen=True)
class FusionConfig(Settings):
    """Attention-guided local learning (ALL) and global learning (AGL)."""

    dim: Size = 64
    """Width d of the tokens."""
    heads: Size = 4
    """Number of attention heads; must divide `dim`."""
    grid: Size = 7
    """Side g of the context grid: each feature map is pooled to g x g context tokens."""
    scales: Size = 3
    """Number of feature maps of the backbone, counted from the coarsest."""
    resolution: Size = 16
    """Maximum side of a feature map. Larger maps are average-pooled in blocks, which keeps the cost
    of fusion in proportion to the backbones for large images."""
    intra: bool = True
    """Local learning attends to the same modality."""
    inter: bool = True
    """Local learning attends to the other modalities."""
    convolution: bool = True
    """Tokens of a feature map see their neighbours, through a 3 x 3 convolution. Without it, they
    are linear in the map."""
    residual: bool = True
    """The convolutions of the tokens and of the path from fine to coarse are added to what they
    read. Otherwise they replace it, as in versions before 0.3."""
    guide: bool = True
    """Learn a guide that weights the positions of a modality in the contexts of local learning.
    Without it, all positions have the same weight."""
    multi_scale: bool = True
    """Local learning joins the scales of a modality by a path from fine to coarse. Without it, the
    tokens of the coarsest map are averaged."""
    correlation: bool = True
    """Global learning adds the product of the modalities, which answers what only all of them
    together can tell."""
    enhance: bool = True
    """Global learning gates the features of each modality by what it found in all of them."""
    average: bool = True
    """Average the logits of the fused head and of the modalities' heads. Otherwise they are added,
    which learns faster in a short training of frozen backbones and overfits in a long one."""
    reconstruct_missing: bool = False
    """Reconstruct the tokens of a missing modality from the other modalities with the decoder of
    feature reconstruction, which then is part of the network. Otherwise one learned token replaces
    them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim % self.heads:
            raise ConfigError(f"dim: {self.dim} is not a multiple of heads ({self.heads})")


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The network."""

    method: Method = "agfnet"
    """Fusion of the modalities; docs/baselines.md has the papers.
    `agfnet`: attention-guided local and global learning.
    `concatenation`: concatenated pooled features (with one modality: the single-modality baseline).
    `concatenation_hidden`: the same with a hidden layer, the control for deeper fusion.
    `late_fusion`: mean of the logits of the modalities.
    `addition`: sum of pooled features.
    `low_rank`: products of pooled features (LMF).
    `mmtm`: channels gated by all modalities after each stage.
    `metablock`: features gated by the other modalities.
    `fusionm4net`: weighted mean of branches, with weights searched on the validation split.
    `tformer`: window attention over all modalities after each stage.
    `cross_attention`: tokens of each modality attend to those of the others.
    `hccnn`: a branch that combines the modalities at each position (HcCNN, CAFNet).
    `amfam`: adversarial features that hide their modality and reconstruct the image (AMFAM)."""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    dropout: Annotated[float, Range(0, 0.95)] = 0.1
    """Dropout before every classification head."""
