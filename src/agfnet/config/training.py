"""Settings of training and calibration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from agfnet.config.data import DataConfig
from agfnet.config.model import ModelConfig
from agfnet.config.ranges import Fraction, Range, Seed, Settings, Workers
from agfnet.errors import ConfigError

SetScore = Literal["lac", "aps", "raps"]
LoggerName = Literal["tensorboard", "mlflow"]
Preset = Literal["auto", "fast", "best", "none"]
Count = Annotated[int, Range(1, 1_000_000)]
Weight = Annotated[float, Range(0, 1000)]
Rate = Annotated[float, Range(0.001, 0.5)]


@dataclass(frozen=True)
class ReconstructionConfig(Settings):
    """Feature reconstruction learning (FRL): in training only, for networks with tokens."""

    enabled: bool = True
    """Train with feature reconstruction."""
    mask_ratio: Fraction = 0.5
    """Fraction of the cells of each modality that is masked."""
    modality_mask_prob: Fraction = 0.2
    """Probability that one whole modality of a case is masked instead (with two or more)."""
    attribution_power: Annotated[float, Range(-100, 100)] = 1.0
    """How strongly masking follows the attribution. 0 masks at random, larger values prefer the
    cells with the highest attribution, negative values those with the lowest."""
    cross_modality: bool = True
    """Reconstruct masked tokens from all modalities. If false, from the same modality only."""
    reconstruction_weight: Weight = 1.0
    """Weight of the reconstruction loss (cosine distance to the original tokens)."""
    cross_entropy_weight: Weight = 0.5
    """Weight of the cross-entropy of the reconstructed features."""
    consistency_weight: Weight = 0.5
    """Weight of the consistency loss (KL divergence to the prediction from the original
    features)."""
    focus_weight: Weight = 1.0
    """Weight of the focus loss, by which the guide learns where the attribution lies."""
    warmup: Fraction = 0.2
    """Fraction of training during which the four weights increase linearly from 0."""


@dataclass(frozen=True)
class LossConfig(Settings):
    """The supervised part of the loss."""

    kind: Literal["cross_entropy", "focal", "ldam"] = "cross_entropy"
    """`focal`: cases that are predicted well already count less. `ldam`: rare classes must be
    predicted with a larger margin."""
    focal_gamma: Annotated[float, Range(0, 10)] = 2.0
    """`focal`: how strongly well predicted cases are played down. 0 is cross-entropy."""
    ldam_margin: Annotated[float, Range(0, 10)] = 0.5
    """`ldam`: margin of the rarest class, in logits; that of others falls with the fourth root of
    their number of cases."""
    logit_adjustment: Annotated[float, Range(0, 3)] = 0.0
    """Strength of logit adjustment, which makes the network answer as if all classes were equally
    frequent: 0 is off, 1 the full correction. For balanced accuracy with imbalanced classes; the
    probabilities are then not those of the training frequencies."""
    auxiliary: Weight = 0.3
    """Weight of the mean cross-entropy of the heads of the modalities."""
    attribute_weight: Weight = 0.3
    """Weight of the mean cross-entropy of the attributes in `data.attributes`."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weights each class by its inverse frequency in the training cases."""
    label_smoothing: Annotated[float, Range(0, 0.99)] = 0.0
    """Label smoothing: fraction of the target probability that is spread over all classes."""


@dataclass(frozen=True)
class OptimConfig(Settings):
    """Optimisation: AdamW, linear warmup, cosine decay."""

    epochs: Count = 50
    """Number of epochs."""
    batch_size: Count = 32
    """Cases per step."""
    accumulate: Annotated[int, Range(0, 1024)] = 1
    """Gradient accumulation: number of parts in which each batch is computed, one after the other,
    which takes less memory. The step is that of the whole batch, except for batch normalisation. 0
    chooses the smallest number with which a batch fits into memory."""
    lr: Annotated[float, Range(1e-9, 10)] = 3e-4
    """Peak learning rate."""
    backbone_lr: Fraction = 1.0
    """Learning rate of the backbones, as a multiple of `lr` (below 1 for pretrained weights)."""
    weight_decay: Fraction = 0.05
    """Weight decay; not applied to biases, norms and embeddings."""
    warmup: Fraction = 0.1
    """Fraction of training during which the learning rate increases linearly from 0."""
    gradient_clip_norm: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Clip the gradient norm to this value."""
    ema: Fraction | None = None
    """Decay of an exponential moving average of the weights, as in 0.999. The averaged network is
    validated and kept. Off if unset."""
    patience: Count | None = None
    """Stop after this number of epochs without a better validation loss, and keep the epoch with
    the lowest one. Off if unset."""
    keep: Literal["last", "best"] = "last"
    """Epoch whose weights are kept: the last one, for which the learning rate has fallen to zero,
    or that with the lowest validation loss, which a small validation split finds by chance."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Floating-point precision. `auto` is bf16-mixed on a GPU that supports it, and 32-true
    otherwise."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """Cases of an epoch: `shuffled` takes each once, `balanced` draws each class equally often."""
    mixup: Fraction = 0.0
    """Probability that a batch is trained with MixUp: each case is blended with another, in all
    modalities by the same share."""
    cutmix: Fraction = 0.0
    """Probability that a batch is trained with CutMix: a rectangle of each image is replaced by
    that of another case, in all modalities of the same relative area."""
    layer_decay: Annotated[float, Range(0.1, 1)] = 1.0
    """Factor of the learning rate from one stage of a backbone to the one before it; below 1 for
    pretrained weights whose early stages should change little."""
    modality_dropout: Fraction = 0.0
    """Probability that one modality of a training case is treated as missing (with two or more)."""

    @property
    def keeps_best(self) -> bool:
        """The epoch with the lowest validation loss is kept, not the last one."""
        return self.keep == "best" or self.patience is not None


@dataclass(frozen=True)
class FitConfig(Settings):
    """Course of a training; its result does not depend on it, if all images can be read."""

    checkpoint_minutes: Annotated[float, Range(0, 1e6)] = 10.0
    """Minutes after which a checkpoint is written within an epoch; another one is written at the
    end of every epoch. 0 writes one at every step."""
    checkpoint_steps: Count | None = None
    """Steps after which a checkpoint is written within an epoch, in addition. Off if unset."""
    max_unreadable: Fraction = 0.001
    """Largest fraction of the training cases that are left out because an image of them cannot be
    read. Each is named in a warning and in `unreadable.json` of the run folder. If there are more,
    training stops and lists them."""
    devices: Annotated[int, Range(1, 1024)] = 1
    """Number of processes on this machine that train together, with a GPU each if there are any.
    Each takes an equal part of every batch, so that the result differs by rounding and by other
    random numbers only."""
    nodes: Annotated[int, Range(1, 10_000)] = 1
    """Number of machines with `devices` each. Start the command on each of them with torchrun or a
    scheduler; see the page on scale of the documentation."""
    sync_batchnorm: bool = True
    """Batch normalisation over the whole batch, not over the part of each process."""
    shard_backbones: bool = False
    """Divide the parameters of the backbones, their gradients and the state of the optimiser among
    the processes (FSDP), for backbones that do not fit on one GPU with these."""
    gradient_checkpointing: bool = False
    """Gradient checkpointing: the feature maps within the backbones are computed again in the
    backward pass instead of being kept, which takes less memory and more time. For batches or
    images that do not fit otherwise."""
    feature_executor: Literal["local", "ray"] = "local"
    """Computes the feature maps of `data.feature_variants`. `local`: this process. `ray`: workers
    on a Ray cluster (needs agfnet[cluster]); the images must be at the same paths on all its
    machines."""
    feature_workers: Workers = 0
    """Ray: workers that compute feature maps, with a GPU each if the cluster has any, and one CPU
    core. 0: as many as the cluster has GPUs, or else CPU cores."""
    feature_address: str | None = None
    """Ray: address of the cluster, as in `auto` or `10.0.0.1:6379`. This machine if unset."""
    loggers: list[LoggerName] = field(default_factory=list)
    """Loggers in addition to `history.csv`: `tensorboard` writes to the run folder, `mlflow` to
    `mlflow_uri`. They get losses and settings, but no image, label or path."""
    mlflow_uri: str | None = None
    """Address of an MLflow server. If unset, that of the environment variable MLFLOW_TRACKING_URI,
    otherwise the file `mlflow.db` next to the run folders."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("feature_workers", "feature_address"):
            if getattr(self, name) and self.feature_executor != "ray":
                raise ConfigError(f"fit.{name}: needs --fit.feature-executor ray")

    @property
    def processes(self) -> int:
        """Number of processes that train together."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class CalibrationConfig(Settings):
    """Calibration on the validation split after training, kept in the bundle."""

    flips: bool = False
    """Average every prediction over flips of the images: photographs are mirrored both ways,
    ultrasound images only left to right. A prediction then takes four forward passes, or two
    without photographs."""
    scaling: Literal["temperature", "vector", "none"] = "temperature"
    """`temperature`: one factor for all logits; the predicted class does not change. `vector`: a
    factor and an offset per class, which can change it; for at least a thousand validation cases.
    `none`: no scaling."""
    logit_adjustment: Annotated[float, Range(0, 3)] = 0.0
    """Strength of logit adjustment after training, which makes the network answer as if all classes
    were equally frequent, as `loss.logit_adjustment` does in training: 0 is off, 1 the full
    correction. For balanced accuracy with imbalanced classes; accuracy falls."""
    sets: SetScore = "aps"
    """Score of the conformal prediction sets. `aps`: larger sets for uncertain lesions. `raps`:
    `aps` without long tails. `lac`: the smallest sets on average, but too small for uncertain
    lesions."""
    coverage: Annotated[float, Range(0.5, 0.999)] = 0.95
    """Fraction of new lesions whose true class is in the prediction set."""
    consider: Annotated[float, Range(0.01, 1)] = 0.1
    """Classes with at least this probability are in every prediction set."""
    by_class: bool = False
    """Guarantee the coverage within every class instead of over all. A class with few validation
    patients is then in every set."""
    penalty: Fraction = 0.1
    """`raps`: penalty that every class beyond `rank` adds to the score."""
    rank: Annotated[int, Range(1, 1000)] = 2
    """`raps`: number of classes without penalty."""
    target_risk: Rate = 0.1
    """Maximum error rate among the lesions that are not referred; less confident predictions are
    referred to a clinician."""
    confidence: Annotated[float, Range(0.5, 0.999)] = 0.95
    """Probability that the target risk is met."""
    sensitivity: Annotated[float, Range(0.5, 1)] = 0.95
    """Minimum sensitivity for the group `malignant` on the validation split, which sets the
    threshold of its operating point."""
    ood_rate: Rate = 0.05
    """Fraction of in-distribution lesions that may be flagged as out-of-distribution."""
    similar: Annotated[int, Range(0, 1e6)] = 0
    """Number of training lesions, drawn at random, whose features, diagnoses and ids the bundle
    keeps, so that the server can show the most similar ones. 0 keeps none: features can reveal
    something of the images, and ids are identifiers."""


@dataclass(frozen=True)
class CalibrateConfig(Settings):
    """Fit the calibration of a run again on its validation split, without training."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Table of the run, with its split, if it is no longer where it was."""
    calibration: CalibrationConfig | None = None
    """Calibration to fit, as in `--calibration.coverage 0.9`. The settings of the run if none is
    set here; if one is set, the others have their defaults. `--calibration.help` lists them."""


@dataclass(frozen=True)
class EnsembleConfig(Settings):
    """Join runs of several folds or seeds to one bundle, whose predictions are their mean."""

    runs: list[str]
    """Run folders, two or more, with equal settings except for the fold and the seed."""
    out: str = "runs/ensemble"
    """Run folder to write. It is evaluated, exported and served as any other; its calibration has
    the settings of the first run."""


@dataclass(frozen=True)
class TrainConfig(Settings):
    """Train one network and evaluate it on the test split."""

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    name: str = "agfnet"
    """Name of the run."""
    runs: str = "runs"
    """Folder of the run folders."""
    seed: Seed = 0
    """Random seed."""
    members: Count = 1
    """Networks that are trained one after the other, with this seed and the ones after it, and
    joined to one bundle, an ensemble, whose predictions are their mean. Training and predictions
    take as long as those of all members."""
    resume: bool = False
    """Continue the run of this name from its last checkpoint."""
    break_lock: bool = False
    """Take over a run folder that another process has locked, for one on a machine that no longer
    exists. The lock of a process that has ended on this machine needs no such setting."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.backbone.frozen and self.model.backbone.weights in (None, "random"):
            raise ConfigError(
                "model.backbone.frozen: random weights would stay random; set pretrained weights"
                " with model.backbone.weights"
            )
        if self.loss.logit_adjustment and self.calibration.logit_adjustment:
            raise ConfigError(
                "loss.logit_adjustment, calibration.logit_adjustment: adjusted twice, the rare"
                " classes would be overestimated; set one of them"
            )
        if self.fit.shard_backbones:
            self.check_sharding()
        if self.optim.mixup + self.optim.cutmix > 1:
            raise ConfigError("optim.mixup, optim.cutmix: the probabilities add up to more than 1")
        if self.optim.cutmix and self.data.feature_variants:
            raise ConfigError(
                "optim.cutmix: kept feature maps (data.feature_variants) cannot be cut; use"
                " optim.mixup"
            )
        if self.data.feature_variants and self.data.rand_augment:
            raise ConfigError(
                "data.rand_augment: kept feature maps (data.feature_variants) have the other"
                " augmentation only; leave one of the two out"
            )
        if self.data.feature_variants and not self.model.backbone.frozen:
            raise ConfigError(
                "data.feature_variants: the feature maps of a backbone that learns change in every"
                " step; set model.backbone.frozen: true, or leave it out"
            )

    def check_sharding(self) -> None:
        """Check the settings that go with `fit.shard_backbones`.

        Raises:
            ConfigError: one does not.
        """
        reasons = {
            "data.feature_variants": self.data.feature_variants
            and "the backbones are not in a step with kept feature maps",
            "optim.accumulate": self.optim.accumulate == 0
            and "the number of parts is found with the whole network on one device; set it",
            "optim.precision": self.optim.precision == "16-mixed"
            and "a scaled gradient must be whole; take bf16-mixed or 32-true",
        }
        for name, reason in reasons.items():
            if reason:
                raise ConfigError(f"{name}, fit.shard_backbones: {reason}")


@dataclass(frozen=True)
class TrainCommand(TrainConfig):
    """Train one network and evaluate it on the test split.

    What is not set is chosen from the data, the machine and the time: see --dry-run.
    """

    preset: Preset = "auto"
    """Rule for the settings that you leave out. `auto`: to suit the table and this machine.
    `fast`: a first result within minutes, from small images. `best`: larger images and more
    steps. `none`: the defaults that this help shows."""
    time_limit: Annotated[float, Range(0.1, 1e6)] | None = None
    """Minutes that training may take; `auto`, `fast` and `best` choose accordingly. On a CPU 60, 15
    and 240 if unset."""
    dry_run: bool = False
    """Show the settings that would be chosen, and why, and train nothing."""
    reproduce: str | None = None
    """Train the run of this folder again, with its settings and its table, and compare the weights.
    Versions that differ are listed. The new run is named after it unless `name` is set."""
