"""Settings of training, and of what is fitted after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agfnet.config.checks import check
from agfnet.config.data import DataConfig
from agfnet.config.model import ModelConfig
from agfnet.errors import ConfigError

SetScore = Literal["lac", "aps", "raps"]


@dataclass(frozen=True)
class ReconstructionConfig:
    """Feature reconstruction learning (FRL): training only, for networks that return tokens."""

    enabled: bool = True
    """Train with feature reconstruction."""
    mask_ratio: float = 0.5
    """Share of each view's cells that is hidden."""
    modality_mask_prob: float = 0.2
    """Probability that one whole view of a case is hidden instead (with two views or more)."""
    attribution_power: float = 1.0
    """How strongly hiding follows the evidence: 0 hides at random, larger values prefer the cells
    with the strongest evidence, values below 0 those with the weakest."""
    cross_modality: bool = True
    """Hidden tokens are rebuilt from all views; otherwise from the rest of their own view only."""
    reconstruction_weight: float = 1.0
    """Weight of the reconstruction loss (cosine distance to the original tokens)."""
    cross_entropy_weight: float = 0.5
    """Weight of the cross-entropy of the rebuilt features."""
    consistency_weight: float = 0.5
    """Weight of the agreement (KL divergence) with the prediction from the original features."""
    warmup: float = 0.2
    """Share of training over which these three weights rise from 0."""

    def __post_init__(self) -> None:
        check(self, 0, 1, "mask_ratio", "modality_mask_prob", "warmup")
        check(self, 0, 1000, "reconstruction_weight", "cross_entropy_weight", "consistency_weight")
        check(self, -100, 100, "attribution_power")


@dataclass(frozen=True)
class LossConfig:
    """The supervised part of the loss."""

    auxiliary: float = 0.3
    """Weight of the mean cross-entropy of the per-modality heads."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs each class by the inverse of its share of the training cases."""
    label_smoothing: float = 0.0
    """Share of the target probability that is spread over all classes."""

    def __post_init__(self) -> None:
        check(self, 0, 1000, "auxiliary")
        check(self, 0, 0.99, "label_smoothing")


@dataclass(frozen=True)
class OptimConfig:
    """How the weights are learned: AdamW, linear warm-up, cosine decay."""

    epochs: int = 50
    """Passes over the training cases."""
    batch_size: int = 32
    """Cases per step."""
    lr: float = 3e-4
    """Peak learning rate."""
    backbone_lr: float = 1.0
    """Learning rate of the backbones, as a multiple of `lr` (below 1 for pretrained weights)."""
    weight_decay: float = 0.05
    """Weight decay, not applied to biases, norms and embeddings."""
    warmup: float = 0.1
    """Share of training over which the learning rate rises."""
    gradient_clip_norm: float = 1.0
    """Largest norm of the gradient."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, which is then the model that is
    validated and kept (for example 0.999); off if unset."""
    patience: int | None = None
    """Stop after so many epochs without a better validation loss; off if unset."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """`auto` is bf16-mixed on a GPU that supports it and 32-true elsewhere."""
    modality_dropout: float = 0.0
    """Probability that one view of a training case is taken as missing (cases with two or more)."""

    def __post_init__(self) -> None:
        check(self, 1, 1e6, "epochs", "batch_size", "patience")
        check(self, 0, 1, "backbone_lr", "weight_decay", "warmup", "ema", "modality_dropout")
        check(self, 1e-9, 10, "lr")
        check(self, 1e-6, 1e6, "gradient_clip_norm")


@dataclass(frozen=True)
class CalibrationConfig:
    """What is fitted on the validation split after training and kept in the bundle."""

    scaling: Literal["temperature", "vector", "none"] = "temperature"
    """`temperature`: one number makes all answers more or less confident. `vector`: a factor and an
    offset per class, which can change the answer; for some thousand validation cases. `none`: the
    probabilities stay as the network gives them."""
    sets: SetScore = "lac"
    """How the classes are chosen that an answer cannot rule out. `lac`: the smallest sets on
    average. `aps`: larger where the network doubts. `raps`: `aps` without long tails."""
    coverage: float = 0.9
    """Share of new lesions whose true class is in the set."""
    by_class: bool = False
    """Reach the coverage within every class, not only over all. A class with few validation
    patients is then in every set."""
    penalty: float = 0.1
    """`raps`: what every class beyond `rank` adds to the score."""
    rank: int = 2
    """`raps`: classes that add nothing."""
    target_risk: float = 0.1
    """Largest share of wrong answers among those given; less confident answers are left to a
    person."""
    confidence: float = 0.95
    """Probability that this guarantee holds."""
    ood_rate: float = 0.05
    """Share of ordinary lesions that may be called unlike those that the network was made for."""

    def __post_init__(self) -> None:
        check(self, 0.5, 0.999, "coverage")
        check(self, 0, 1, "penalty")
        check(self, 1, 1000, "rank")
        check(self, 0.001, 0.5, "target_risk", "ood_rate")
        check(self, 0.5, 0.999, "confidence")


@dataclass(frozen=True)
class TrainConfig:
    """Train one network and evaluate it on the test split."""

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    name: str = "agfnet"
    """Name of the run."""
    runs: str = "runs"
    """Folder that holds the run folders."""
    seed: int = 0
    """Seed of everything random."""
    resume: bool = False
    """Go on with the run of this name from its last finished epoch."""

    def __post_init__(self) -> None:
        if self.model.backbone.frozen and self.model.backbone.weights is None:
            raise ConfigError(
                "model.backbone.frozen: random weights would stay random; give pretrained ones with"
                " model.backbone.weights"
            )
