"""Every setting of every command, documented once: `--help` and the reference come from here.

Frozen dataclasses, no torch. A class per command, and a class per group of settings that
commands share. A field without a default is a positional argument of its command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from agfnet.errors import ConfigError

Resize = Literal["crop", "pad", "stretch"]
Kind = Literal["photo", "ultrasound"]
Frames = Literal["random", "first", "middle"]
Skin = Literal["keep", "shift", "flatten"]
Backend = Literal["auto", "torch", "onnx", "int8"]
Method = Literal[
    "agfnet",
    "concatenation",
    "late_fusion",
    "sum",
    "low_rank",
    "mmtm",
    "metablock",
    "fusionm4net",
    "tformer",
    "cross_attention",
    "hyper_branch",
    "adversarial",
]
MapMethod = Literal[
    "guide",
    "query",
    "own_query",
    "layercam",
    "gradcam",
    "gradient",
    "integrated",
    "occlusion",
    "attention",
    "modalities",
]
SetScore = Literal["lac", "aps", "raps"]
HOLDOUT = (0.7, 0.1, 0.2)
"""Shares of train, val and test, unless the user says otherwise."""


def check(settings: object, low: float, high: float, *names: str) -> None:
    """Raise ConfigError unless these settings, where set, lie between the bounds."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{name}: {value} is out of range; expected {low:g} to {high:g}")


def place(text: str, name: str) -> tuple[int, int]:
    """The i and n of a setting that says i/n, from 1/1 on."""
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    i, n = map(int, found.groups()) if found else (0, 0)
    if not 1 <= i <= n:
        raise ConfigError(f"{name}: {text!r}; expected i/n with i from 1 to n, as in 2/8")
    return i, n


@dataclass(frozen=True)
class ModalityConfig:
    """How the images of one modality are prepared and varied."""

    kind: Kind = "photo"
    """What the image is, which decides how training may vary it. `photo` (also dermoscopy): flips,
    rotations, colour. `ultrasound`: depth points down and there is no colour, so left-right
    flips, small shifts, gain and contrast only."""
    resize: Resize = "crop"
    """How an image is made square: `crop` keeps the centre, `pad` keeps all of it with black
    borders, `stretch` keeps all of it and gives up the aspect ratio."""
    frames: Frames = "random"
    """Which frame of a lesion training takes, of all frames of all its files: `random` draws one in
    every epoch, `first` and `middle` are always the same one, in validation as well (which
    otherwise takes the first). Prediction uses all."""
    region: bool = True
    """Crop DICOM to the region of 2D tissue that the file states, without the texts around it."""
    crop_field: bool = False
    """Ultrasound: find the sector or rectangle of the image on the screen, crop to it and blacken
    what lies outside (texts, logos, scales). For files that state no region."""
    remove_marks: bool = False
    """Ultrasound: fill callipers, dotted lines and burnt-in text, coloured or white, with the
    speckle beside them. Leave it off for colour Doppler with vessels as thin as the marks."""
    mm_per_pixel: float | None = None
    """Ultrasound: bring every image to this scale. The network then sees `size` x `mm_per_pixel`
    millimetres, of the upper edge and the middle of the image, and `resize` is not used. An image
    without a scale is an error: DICOM states it, PNG and JPEG do not."""
    skin: Skin = "keep"
    """Ultrasound: where the skin line (the entry echo) lies. `keep`: where it is. `shift`: the
    image is moved up or down until the line is at `skin_depth` on average. `flatten`: every column
    by itself. An image without a clear line stays as it is."""
    skin_depth: float = 0.1
    """Depth of the skin line in the square image, as a share of its side."""

    def __post_init__(self) -> None:
        check(self, 0.001, 10, "mm_per_pixel")
        check(self, 0, 0.9, "skin_depth")
        if self.kind == "photo":
            for name, off in _ULTRASOUND_ONLY.items():
                if getattr(self, name) != off:
                    raise ConfigError(
                        f"{name}: {getattr(self, name)} is a preparation of ultrasound; "
                        "set kind: ultrasound, or leave it out"
                    )


_ULTRASOUND_ONLY = {
    "crop_field": False,
    "remove_marks": False,
    "mm_per_pixel": None,
    "skin": "keep",
}


def default_modalities() -> dict[str, ModalityConfig]:
    """A clinical photograph and a skin ultrasound."""
    return {
        "clinical": ModalityConfig(kind="photo", resize="crop"),
        "ultrasound": ModalityConfig(kind="ultrasound", resize="pad"),
    }


@dataclass(frozen=True)
class DataConfig:
    """Which cases, which of their columns, and how images are prepared."""

    cases: str
    """The cases table (CSV), with a `split` column of train, val and test (see `agfnet split`)."""
    fold: int | None = None
    """Test on this fold of the column `fold` (see `agfnet split --folds`); an eighth of the other
    cases validates, the rest trains. The column `split` decides if unset."""
    modalities: dict[str, ModalityConfig] = field(default_factory=default_modalities)
    """Image columns to use, in order. One column makes a single-modality network."""
    labels: list[str] | dict[str, list[str]] | None = None
    """Which labels to keep, in class order: a list keeps a subset, a mapping from new name to old
    names merges several into one. All labels of the training split in alphabetical order if unset.
    Cases with other labels are left out, and counted."""
    train_fraction: float | None = None
    """Train on this share of the training patients only, of every label alike: for learning curves.
    With the same seed, a smaller share is part of a larger one. All if unset."""
    size: int = 224
    """Side of the square image that the network sees, in pixels."""
    augment: bool = True
    """Vary the training images, each modality by the rules of its kind."""
    cache: str | None = None
    """Folder that keeps prepared images, so that a file is decoded once and not in every epoch of
    every run; `agfnet-cache` beside the table if unset. It may be deleted between runs."""
    cache_mb: int = 4096
    """Most megabytes of that folder; 0 keeps nothing and decodes every file every time."""
    workers: int = 0
    """Processes that prepare images beside training; 0 prepares them in the training process."""

    def __post_init__(self) -> None:
        check(self, 16, 4096, "size")
        check(self, 0, 1e6, "cache_mb", "workers", "fold")
        check(self, 1e-6, 1, "train_fraction")


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
    intra: bool = True
    """Local learning attends to the own view."""
    inter: bool = True
    """Local learning attends to the other views."""
    guide: bool = True
    """A learned guide says which places of a view count, in the contexts and in global learning;
    otherwise all count alike."""
    layers: int = 2
    """Layers of global learning; 0 averages the tokens instead."""
    exchange: float = 0.1
    """How much the exchange between the views in global learning counts at the start: 0 is plain
    averaging, 1 all of it."""
    rebuild_missing: bool = False
    """The tokens of a missing view are rebuilt from the other views by the decoder of feature
    reconstruction, which then is part of the network; otherwise one learned token stands in."""

    def __post_init__(self) -> None:
        check(self, 1, 4096, "dim", "heads", "grid", "scales")
        check(self, 0, 64, "layers")
        check(self, 0, 10, "exchange")
        if self.dim % self.heads:
            raise ConfigError(f"dim: {self.dim} is no multiple of heads ({self.heads})")


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    method: Method = "agfnet"
    """How the views are fused; docs/peers.md has the papers.
    `agfnet`: attention-guided local and global learning.
    `concatenation`: pooled features side by side (with one modality: the single-modality baseline).
    `late_fusion`: mean of the views' logits.
    `sum`: pooled features added.
    `low_rank`: products of pooled features (LMF).
    `mmtm`: channels gated by all views, stage by stage.
    `metablock`: features gated by the other views.
    `fusionm4net`: weighted mean of branches, weights searched on the validation split.
    `tformer`: window attention over all views, stage by stage.
    `cross_attention`: tokens of each view attend to those of the others.
    `hyper_branch`: a branch that mixes the views place by place (HcCNN, CAFNet).
    `adversarial`: features that hide their view and rebuild the image (AMFAM)."""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    dropout: float = 0.1
    """Dropout before every classification head, and of what global learning adds."""

    def __post_init__(self) -> None:
        check(self, 0, 0.95, "dropout")


@dataclass(frozen=True)
class ReconstructionConfig:
    """Feature reconstruction learning (FRL): training only, for networks that return tokens."""

    enabled: bool = True
    """Train with feature reconstruction."""
    hide: float = 0.5
    """Share of each view's cells that is hidden."""
    hide_modality: float = 0.2
    """Probability that one whole view of a case is hidden instead (with two views or more)."""
    focus: float = 1.0
    """How strongly hiding follows the evidence: 0 hides at random, larger values prefer the cells
    with the strongest evidence, values below 0 those with the weakest."""
    across: bool = True
    """Hidden tokens are rebuilt from all views; otherwise from the rest of their own view only."""
    rebuild: float = 1.0
    """Weight of the reconstruction loss (cosine distance to the original tokens)."""
    classify: float = 0.5
    """Weight of the cross-entropy of the rebuilt features."""
    agree: float = 0.5
    """Weight of the agreement (KL divergence) with the prediction from the original features."""
    ramp: float = 0.2
    """Share of training over which these three weights rise from 0."""

    def __post_init__(self) -> None:
        check(self, 0, 1, "hide", "hide_modality", "ramp")
        check(self, 0, 1000, "rebuild", "classify", "agree")
        check(self, -100, 100, "focus")


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
    clip: float = 1.0
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
        check(self, 1e-6, 1e6, "clip")


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
    risk: float = 0.1
    """Largest share of wrong answers among those given; less confident answers are left to a
    person."""
    delta: float = 0.05
    """Probability that this guarantee fails."""
    strangers: float = 0.05
    """Share of ordinary lesions that may be called unlike those that the network was made for."""

    def __post_init__(self) -> None:
        check(self, 0.5, 0.999, "coverage")
        check(self, 0, 1, "penalty")
        check(self, 1, 1000, "rank")
        check(self, 0.001, 0.5, "risk", "delta", "strangers")


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


@dataclass(frozen=True)
class EvaluateConfig:
    """Score a trained network on a cases table: predictions.csv, metrics.json and report.html."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Cases table to score, labelled or not; the run's own table if unset."""
    split: Literal["train", "val", "test"] | None = None
    """Score this split only: `test` if unset for the run's own table, all cases for another."""
    name: str | None = None
    """Name of the result in `RUN/evaluation/`: the split, or the table's file name if unset."""
    resamples: int = 1000
    """Bootstrap resamples of patients for the 95 % intervals."""
    seed: int = 0
    """Seed of the resampling."""
    malignant: list[str] | None = None
    """Classes to tell as a group from all others, as in `[MEL, BCC]`: their probabilities are
    summed, and malignant.json is written too."""
    sensitivities: tuple[float, ...] = (0.9, 0.95)
    """Sensitivities of the operating points of that group; their thresholds come from the
    validation split of the run."""
    robustness: bool = False
    """Also try corrupted, missing and mismatched images: robustness.json. Every lesion then goes
    through the network some eighty times."""
    reference: str | None = None
    """Run whose errors under the same corruptions divide those of this one (mean corruption error);
    it must have been evaluated with `robustness` on the same table."""
    focus: int = 100
    """If the table has lesion masks: on how many of its lesions, drawn at random, to measure where
    the evidence lies (focus.json); 0 leaves it out."""

    def __post_init__(self) -> None:
        check(self, 1, 1e6, "resamples")
        check(self, 0, 1e6, "focus")
        if self.reference is not None and not self.robustness:
            raise ConfigError("reference: goes with robustness; add --robustness")
        for value in self.sensitivities:
            if not 0 < value <= 1:
                raise ConfigError(f"sensitivities: {value} is out of range; expected 0 to 1")


@dataclass(frozen=True)
class CompareConfig:
    """Compare two runs on the lesions that both have judged: compare.html and compare.json."""

    run_a: str
    """Run folder; differences are those of this run minus the other."""
    run_b: str
    """Run folder to compare it with."""
    name: str = "test"
    """Name of the result in `evaluation/` of both runs, as `agfnet evaluate` left it."""
    out: str | None = None
    """Folder to write; `RUN_A/comparison/` and the name of the other run if unset."""
    cases: str | None = None
    """Cases table with the images of the lesions to show; those of the runs if unset."""
    resamples: int = 1000
    """Bootstrap resamples of patients for intervals and p."""
    seed: int = 0
    """Seed of the resampling."""

    def __post_init__(self) -> None:
        check(self, 1, 1e6, "resamples")


@dataclass(frozen=True)
class PredictConfig:
    """Diagnose one lesion, or every lesion of a table. Research use only."""

    model: str
    """Bundle, or run folder that has one."""
    images: dict[str, str] | None = None
    """One lesion: image file of each modality, as in `--images.clinical photo.jpg
    --images.ultrasound scan.dcm`; several files of one modality are joined by `|`, and `scan.dcm#3`
    is one frame of a file, counted from 0."""
    cases: str | None = None
    """Many lesions: a cases table, labelled or not, of any length. The same command goes on where
    an earlier one was stopped."""
    out: str = "predictions.csv"
    """Where the predictions of a table go; beside it, `frames.csv` has those of each frame, and
    `decisions.csv` what follows from them (`x_frames.csv` and `x_decisions.csv` beside `x.csv`)."""
    shard: str | None = None
    """Answer the i-th of n shares of the table, as in `2/8`, into files with that in their names
    (`predictions_2-of-8.csv`): for the tasks of a job array."""
    on_error: Literal["stop", "skip"] = "stop"
    """At an image that cannot be read: `stop`, or `skip` its lesion, list it in `problems.csv` (or
    `x_problems.csv`) and end with exit code 1."""
    picture: str | None = None
    """Where a picture of the answer for one lesion goes (PNG, PDF or SVG)."""
    backend: Backend = "auto"
    """What runs the network: `torch`, or a graph that `agfnet export` has made, `onnx` or `int8`.
    `auto` is `onnx` where the bundle has it, and torch elsewhere."""

    def __post_init__(self) -> None:
        if (self.images is None) == (self.cases is None):
            raise ConfigError("give either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.cases is not None and self.picture is not None:
            raise ConfigError("--picture goes with --images.MODALITY, not with --cases")
        if self.shard is not None:
            place(self.shard, "shard")
            if self.cases is None:
                raise ConfigError("shard: goes with --cases TABLE")


@dataclass(frozen=True)
class ExplainConfig:
    """Show where a network looks: maps, attention, what each view contributed."""

    model: str
    """Bundle, or run folder that has one."""
    images: dict[str, str] | None = None
    """One lesion: image file of each modality, as for `predict`; of several frames the first."""
    cases: str | None = None
    """Many lesions: a cases table, labelled or not."""
    out: str = "explanation"
    """Folder to write; of a table, a folder for each lesion in it."""
    most: int = 20
    """Most lesions of a table to explain, drawn at random."""
    methods: list[MapMethod] | None = None
    """What is shown; all that the network allows if unset. `guide`, `query`, `own_query`: maps that
    AGFnet makes itself. `layercam`, `gradcam`, `gradient`, `integrated` (needs agfnet[explain]),
    `occlusion`: maps of every network. `attention`: which place consulted which. `modalities`: what
    each view contributed. docs/explain.md says what each can and cannot tell."""
    classes: list[str] | None = None
    """Classes whose evidence is shown, or `[all]`; the answer of each lesion if unset."""
    hide: dict[str, tuple[float, float, float, float]] | None = None
    """What would the answer be without this region: left, top, right, bottom as shares of the
    image, as in `--hide.clinical '[0.2, 0.3, 0.5, 0.6]'`."""
    sanity: bool = False
    """First put the methods to the test on these lesions (sanity.json, kept in the run as well);
    those that fail are marked in every picture of this network from then on."""
    seed: int = 0
    """Seed of everything drawn."""

    def __post_init__(self) -> None:
        check(self, 1, 1e6, "most")
        if (self.images is None) == (self.cases is None):
            raise ConfigError("give either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.sanity and self.cases is None:
            raise ConfigError("sanity: needs several lesions; give --cases TABLE")
        if self.methods is not None and not self.methods:
            raise ConfigError("methods: name at least one, or leave it out for all")


@dataclass(frozen=True)
class ExportConfig:
    """Add an ONNX graph to a run's bundle: predicts without torch, and faster on a CPU."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Cases table with a train and a val split; the run's own table if unset."""
    int8: bool = False
    """Add an int8 copy as well, calibrated on training cases and measured on the val split."""
    max_loss: float = 0.005
    """Most balanced accuracy that int8 may cost (0.005 is half a point); it is not kept if it costs
    more."""

    def __post_init__(self) -> None:
        check(self, 0, 1, "max_loss")


@dataclass(frozen=True)
class ServeConfig:
    """Serve a bundle: a page for people and an API for programs."""

    bundle: str
    """Bundle, or run folder that has one."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine only unless set, as to `0.0.0.0` in a container."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    hosts: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"])
    """Names under which the server may be asked for, without port; others are refused, so that no
    foreign web page reaches it by a name of its own. `[*]` allows all."""
    token_file: str | None = None
    """File with the token (16 characters or more) that a request must carry; what the environment
    variable AGFNET_TOKEN holds if unset, and none is needed if that is not set either."""
    backend: Backend = "auto"
    """What runs the network, as in `predict`."""
    spool: str | None = None
    """Folder for uploads while they are worked on; memory (/dev/shm) if unset and there is such,
    else the folder for temporary files."""
    workers: int | None = None
    """Processes that read images and run the network, each at one lesion; one per core, up to
    four, if unset."""
    worker_mb: int = 4096
    """Megabytes of memory that a worker may take, against files that unpack to more."""
    queue: int | None = None
    """Requests that may wait beside those at work; more are told to come back. As many as
    workers if unset."""
    wait_s: float = 10
    """Longest wait for a worker, seconds."""
    work_s: float = 60
    """Longest work on a request, seconds; then its worker is ended and started anew."""
    upload_s: float = 60
    """Longest time that a request may take to arrive, seconds."""
    shutdown_s: int = 60
    """Seconds that requests in hand get to finish when the server is told to stop."""
    request_mb: int = 64
    """Megabytes of a request with one lesion."""
    files: int = 32
    """Image files of a lesion."""
    megapixels: float = 50
    """Size of an image, or of a frame, in millions of pixels."""
    frames: int = 256
    """Frames of a lesion, over all its files."""
    preview_frames: int = 48
    """Frames of a file that a preview shows, evenly chosen."""
    batch_mb: int = 512
    """Megabytes of a batch as it is sent."""
    batch_upload_s: float = 600
    """Longest time that a batch may take to arrive, seconds."""
    batch_unpacked_mb: int = 2048
    """Megabytes of its files."""
    batch_files: int = 20000
    """Files in its zip."""
    batch_ratio: float = 200
    """Times that a file in a zip may grow when it is unpacked."""
    batch_nesting: int = 0
    """Zips within zips to unpack: 0 refuses them."""
    batches: int = 4
    """Batches that are kept at the same time."""
    batch_keep_s: float = 3600
    """Seconds that the tables of a finished batch are kept, in memory."""

    def __post_init__(self) -> None:
        check(self, 0, 65535, "port")
        check(self, 1, 256, "workers")
        check(self, 256, 1e6, "worker_mb")
        check(self, 0, 1e4, "queue")
        check(self, 0.1, 3600, "wait_s", "work_s", "upload_s", "batch_upload_s")
        check(self, 0, 3600, "shutdown_s")
        check(self, 1, 1e6, "request_mb", "batch_mb", "batch_unpacked_mb", "batch_files")
        check(self, 1, 1e4, "files", "frames", "preview_frames", "batch_ratio")
        check(self, 0.01, 150, "megapixels")  # more is refused wherever an image is read
        check(self, 0, 8, "batch_nesting")
        check(self, 0, 1e3, "batches")
        check(self, 1, 1e6, "batch_keep_s")


@dataclass(frozen=True)
class BundleActionConfig:
    """Show a bundle, verify its files, or move it to and from a model hub."""

    action: Literal["show", "verify", "push", "pull"]
    """`show` what it holds; `verify` every file against its SHA-256; `push` it to a repository of a
    model hub, or `pull` it from one (the only commands that use a network)."""
    folder: str
    """Bundle, or run folder that has one; for `pull`, the folder to write."""
    repo: str | None = None
    """Repository on the hub, `owner/name`."""
    private: bool = True
    """`push` makes a new repository private."""


@dataclass(frozen=True)
class SplitConfig:
    """Draw train, val and test, or folds: whole patients, labels in proportion, in a new table."""

    cases: str
    """Cases table without a split."""
    out: str
    """Table to write, with a column `split` or `fold`."""
    modalities: list[str] | None = None
    """Image columns; those whose first path is a file, if unset."""
    fractions: tuple[float, float, float] = HOLDOUT
    """Shares of train, val and test."""
    folds: int | None = None
    """Draw so many folds instead: a column `fold`, 0 to folds - 1, for `train --data.fold`."""
    centre: str | None = None
    """Make each value of this column a fold instead: leave one centre out."""
    fold: int | None = None
    """Write the split that tests on this fold, as `train --data.fold` has it; without `folds` or
    `centre`, of the folds that the table has already."""
    test_centre: str | None = None
    """Write the split that tests on this centre; needs `centre`."""
    seed: int = 0
    """Another seed draws another split."""

    def __post_init__(self) -> None:
        check(self, 2, 1000, "folds")
        check(self, 0, 1e6, "fold")
        if self.folds is not None and self.centre is not None:
            raise ConfigError("folds and centre: give one of them; each decides what a fold is")
        if self.test_centre is not None and (self.centre is None or self.fold is not None):
            raise ConfigError("test_centre: goes with centre, and without fold")
        folds = (self.folds, self.centre, self.fold) != (None, None, None)
        if folds and self.fractions != HOLDOUT:
            raise ConfigError("fractions: only for train, val and test; leave it out with folds")


@dataclass(frozen=True)
class CheckConfig:
    """Look for what ruins a study: leaks, duplicates, damage, burnt-in hints, identities."""

    cases: str
    """Cases table, with a split or without."""
    modalities: dict[str, ModalityConfig] | None = None
    """Image columns with their kind, as `data.modalities` in training. If unset: clinical,
    ultrasound and every column whose first path is a file, of the kind that its name suggests."""
    images: bool = True
    """Read every image; otherwise check only the table, and that its files are there."""
    patients: int = 3
    """Report labels of fewer patients than this: train, val and test need one each."""
    shortcut: float = 0.3
    """Report what predicts the label with a Cramér's V of this or more (0 not at all, 1
    entirely)."""
    strict: bool = False
    """End with exit code 1 for warnings too, not for errors alone."""
    json: str | None = None
    """Where all findings go, as JSON."""
    workers: int = 0
    """Processes that read images; 0 takes as many as there are cores."""

    def __post_init__(self) -> None:
        check(self, 0, 1e6, "patients")
        check(self, 0, 1, "shortcut")
        check(self, 0, 1024, "workers")


@dataclass(frozen=True)
class ImportConfig:
    """Make a cases table from a public data set as it was downloaded, or from folders."""

    dataset: Literal["milk10k", "derm7pt", "folder"]
    """Which data set; `folder` for a tree of one's own: `label/lesion/clinical.jpg` and
    `label/lesion/ultrasound.png`, or the same below `label/patient/lesion`."""
    source: str
    """Folder of the data; its images stay there."""
    out: str
    """Folder for `cases.csv`."""
    modalities: list[str] | None = None
    """For `folder`: what the names of files or sub-folders begin with; `clinical` and `ultrasound`
    if unset."""

    def __post_init__(self) -> None:
        if self.modalities is not None and self.dataset != "folder":
            raise ConfigError(f"modalities: {self.dataset} has its own; leave the setting out")


@dataclass(frozen=True)
class StudyConfig:
    """Run a study from one file: every run that is not finished, then the tables of comparison."""

    file: str
    """The study (YAML)."""
    dry_run: bool = False
    """List the runs and how far they are; run nothing."""
    only: str | None = None
    """Run the i-th of n shares, as in `2/8`, and make no tables: for the tasks of a job array. The
    same command without it finishes the study."""
    executor: Literal["local", "ray"] = "local"
    """`local`: on this machine. `ray`: on a Ray cluster (needs agfnet[cluster]); `out` of the study
    must be a folder that all its machines share."""
    workers: int = 1
    """Runs at the same time on this machine, each a process of its own if more than one."""
    address: str | None = None
    """Ray: where the cluster is, as in `auto` or `10.0.0.1:6379`; this machine if unset."""
    cpus: int | None = None
    """CPU cores of a run: its threads, and what Ray reserves. If unset, `workers` share all cores,
    and with Ray it is 1."""
    gpus: float = 0.0
    """Ray: GPUs of a run; 0.5 puts two runs on one."""

    def __post_init__(self) -> None:
        check(self, 1, 1024, "workers", "cpus")
        check(self, 0, 64, "gpus")
        for name, value in (("address", self.address), ("gpus", self.gpus)):
            if value and self.executor != "ray":
                raise ConfigError(f"{name}: goes with --executor ray")


@dataclass(frozen=True)
class RangeConfig:
    """Values from which a search draws."""

    low: int | float
    """Lowest value."""
    high: int | float
    """Highest value; whole numbers only, if both are whole."""
    log: bool = False
    """Draw the logarithm evenly: for settings of which the order of magnitude matters."""

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(
                f"low: {self.low} must be below high ({self.high}), and above 0 in log"
            )


@dataclass(frozen=True)
class SearchConfig:
    """Search for good settings of every method, judged on validation cases alone."""

    parameters: dict[str, RangeConfig | list[Any]]
    """What is searched: a dotted setting, and `{low, high, log}` or a list of choices."""
    metric: str = "nll"
    """What is optimised: a metric on the validation split, mean over folds and seeds."""
    trials: int = 20
    """Settings to try, for each method: methods that are compared get the same number."""
    seed: int = 0
    """Seed of the sampler (TPE)."""

    def __post_init__(self) -> None:
        check(self, 1, 1e5, "trials")
        if not self.parameters:
            raise ConfigError("parameters: name at least one setting to search")


@dataclass(frozen=True)
class StudyFile:
    """What a study file says: methods x settings x folds x seeds, each a run."""

    out: str
    """Folder for all of it: cohorts, runs, tables."""
    base: dict[str, Any]
    """Settings of every run, as in `agfnet train`, but for name, runs, seed and resume."""
    methods: list[str] | dict[str, str | dict[str, Any] | None]
    """What is compared. A list holds names of networks (`model.method`) and of variants of AGFnet
    (docs/study.md). A mapping gives names of one's own: to a network or variant, or to changes of
    the base by dotted name, as in `photo only: {data.modalities: [clinical]}`. `{}` is the base."""
    reference: str | None = None
    """The method that all others are compared with; the first if unset."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """A network is trained anew for each. Without several, nothing is known about chance."""
    folds: list[int] | None = None
    """Values of `data.fold`, for a table with folds; its own split decides if unset."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Conditions under which all methods are compared: name to changes of the base by dotted name,
    made after those of the method. Several that differ in `data.train_fraction` are a learning
    curve."""
    cohort: dict[str, Any] | None = None
    """A phantom cohort to make first, as in `agfnet phantom`, but for `out`; the runs use it as
    their `data.cases`."""
    cohort_per_seed: bool = False
    """Every seed has a phantom cohort of its own: what holds then holds for other cohorts too."""
    evaluate: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    """Further tables to score every run on: name to a cases table, or to changes of `cohort`. Of a
    table with a split, only test is scored."""
    scoring: dict[str, Any] = field(default_factory=dict)
    """How every run is scored: settings of `agfnet evaluate`, as in `{focus: 0, resamples: 200}`,
    but for run, cases, split and name."""
    metrics: list[str] = field(
        default_factory=lambda: ["balanced_accuracy", "macro_auc", "nll", "ece", "aurc"]
    )
    """Metrics of the tables, in order; ranks are shown for each."""
    resamples: int = 1000
    """Bootstrap resamples of patients for intervals and p."""
    search: SearchConfig | None = None
    """Search settings instead of comparing: no test case is used."""

    def __post_init__(self) -> None:
        check(self, 10, 1e6, "resamples")
        for name in ("methods", "seeds", "metrics"):
            values = list(getattr(self, name))
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}: expected one or more, none of them twice")
        if self.cohort is None and self.cohort_per_seed:
            raise ConfigError("cohort_per_seed: goes with cohort")
        if self.cohort is not None and self.folds is not None:
            raise ConfigError("folds: go with a table of your own; a phantom cohort has a split")


@dataclass(frozen=True)
class DeidentifyConfig:
    """Copy images, or a cases table with its images, without names, ids, dates and places."""

    source: str
    """Cases table, or a folder of images. Nothing in it is changed."""
    out: str
    """Folder to write; it must not exist."""
    mapping: str | None = None
    """File for old and new names (CSV), which undoes all of this: needed, outside `out`, and not
    to be passed on. It must not exist."""
    key_file: str | None = None
    """File with the secret key: the same key gives the same names. A new key is written beside
    `mapping` if unset."""
    modalities: list[str] | None = None
    """Image columns of the table; those whose first path is a file, if unset."""
    keep: list[str] = field(default_factory=list)
    """Further columns of the table to keep as they are, as in `[age, sex]`. Others are left out,
    but for label, split, fold, images and masks."""

    def __post_init__(self) -> None:
        if self.mapping is None:
            raise ConfigError("mapping: give --mapping FILE, outside the folder to write")


@dataclass(frozen=True)
class DemoConfig:
    """Make a phantom cohort, train four networks on it, compare them, and diagnose a new lesion."""

    out: str = "runs/demo"
    """Folder for the cohort, the runs and `summary.json`; an earlier demo there is replaced."""
    lesions: int = 1500
    """Lesions in the cohort; more than half are for testing, so that chance plays a small part."""
    size: int = 64
    """Side of the images, in pixels."""
    epochs: int = 20
    """Passes over the training cases, for each network."""
    seed: int = 0
    """Seed of everything random."""


@dataclass(frozen=True)
class PhantomConfig:
    """Make a synthetic cohort of photographs and ultrasound images whose answer is known.

    A setting that is left unset (None) is what the preset says.
    """

    out: str
    """The folder to write; it must not exist or be empty."""
    lesions: int = 600
    """How many lesions; patients have one or several of them."""
    size: int = 224
    """Side of the square images, in pixels."""
    preset: Literal["easy", "hard", "shortcut", "missing", "shift", "imbalanced"] = "easy"
    """`easy`: 7 entities, typical presentations. `hard`: 10 entities in their whole spectrum,
    strong nuisance, wrong labels. `shortcut`: rulers and callipers betray malignancy in training
    only. `missing`: views are missing, more often in benign lesions. `shift`: the test patients
    come from a centre with other devices. `imbalanced`: 10 entities as frequent as in a clinic."""
    seed: int = 0
    """Seed of everything random."""
    workers: int = 1
    """Processes that draw; 1 draws in this one. The files are the same whatever their number."""
    split: tuple[float, float, float] = (0.6, 0.15, 0.25)
    """Shares of train, val and test. A patient is in one split only."""
    entities: list[str] | None = None
    """Which entities occur, two or more (see the table in the phantom's documentation)."""
    atypia: float | None = None
    """0 shows every lesion as typical of its entity, 1 in its entity's whole spectrum."""
    nuisance: float | None = None
    """Strength, 0 to 1, of all that varies without regard to the entity: light, hair, defocus,
    gain, probe angle, artefacts, anatomy."""
    imbalance: float | None = None
    """0 makes the entities equally frequent, 1 as frequent as in a clinic."""
    label_noise: float | None = None
    """Share of wrong labels in train and val; test labels are true."""
    missing_clinical: float | None = None
    """Share of lesions without a photograph."""
    missing_ultrasound: float | None = None
    """Share of lesions without ultrasound."""
    missing_by_class: bool | None = None
    """Benign lesions lack a view three times as often as malignant ones; else all alike."""
    mark_rate: float | None = None
    """Share of photographs with a ruler, and of scans with callipers, without any shortcut."""
    shortcut_train: float | None = None
    """0 to 1: how strongly rulers and callipers go with malignancy in train and val; below 0, down
    to -1: with benign lesions."""
    shortcut_test: float | None = None
    """The same in test."""
    centres: int | None = None
    """How many centres, each with its own camera and scanner."""
    shift: bool | None = None
    """The devices differ widely between centres, and one centre is in test only."""
    frames: int | None = None
    """Most ultrasound frames of a lesion; each has 1 to this many."""
    frequency: float | None = None
    """Centre frequency, MHz, that the scanners of all centres lie around, 15 to 50."""
    doppler: bool | None = None
    """Lay colour Doppler over the ultrasound."""
    ultrasound_format: Literal["png", "dicom"] = "png"
    """`png`: a file per frame. `dicom`: one multi-frame file per lesion (needs agfnet[dicom])."""
