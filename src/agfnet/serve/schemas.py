"""The requests and replies of the API; docs/serve.md shows each in full."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agfnet.data.paths import MIN_SIDE
from agfnet.serve.limits import Limits

Probabilities = dict[str, float]
Percents = dict[str, int]
WHOLE = "In whole per cent, as the page shows it: the classes of a group add up to the group."


class Strict(BaseModel):
    """Part of a request: an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class FrameChoice(Strict):
    """One frame of one of the files of a modality."""

    file: int = Field(ge=0, lt=2**31, description="Counted from 0 within its field.")
    frame: int = Field(default=0, ge=0, lt=2**31, description="Counted from 0 within its file.")


class Crop(Strict):
    """The part of one of the files of a modality to use, in pixels of the upright image."""

    file: int = Field(ge=0, lt=2**31, description="Counted from 0 within its field.")
    x: int = Field(ge=0, lt=2**31, description="Of the left edge.")
    y: int = Field(ge=0, lt=2**31, description="Of the upper edge.")
    width: int = Field(ge=MIN_SIDE, lt=2**31)
    height: int = Field(ge=MIN_SIDE, lt=2**31)


class Options(Strict):
    """The field `options` of a preview."""

    frames: dict[str, list[FrameChoice]] = Field(
        default_factory=dict,
        description="The frames to use, by modality; all frames of a modality that is left out.",
    )
    crops: dict[str, list[Crop]] = Field(
        default_factory=dict,
        description="The parts of files to use, by modality; files that are left out are not cut.",
    )


class PredictOptions(Options):
    """The field `options` of a prediction."""

    leave_out: bool = Field(
        default=False,
        description="Also predict without each image in turn, for modalities with several.",
    )
    similar: bool = Field(
        default=False,
        description="Also return the most similar training lesions, if the model has them.",
    )


class ExplainOptions(Options):
    """The field `options` of an explanation."""

    class_: str | None = Field(
        default=None,
        alias="class",
        description="The class to explain; null: the most probable one.",
    )
    pass_: int = Field(default=0, alias="pass", ge=0, lt=2**31, description="Frame combination.")
    methods: list[str] = Field(
        default_factory=lambda: ["occlusion"],
        min_length=1,
        max_length=8,
        description="Methods of the attribution maps.",
    )


class Reply(BaseModel):
    """Fields of every reply."""

    request_id: str
    notice: str


class Rectangle(BaseModel):
    """A part of an image, in pixels of the upright image."""

    x: int
    y: int
    width: int
    height: int


class FileInfo(BaseModel):
    """Type, size and number of frames of a file."""

    type: str = Field(description="JPEG, PNG, TIFF, DICOM or HEIC.")
    width: int = Field(description="As stored.")
    height: int
    frames: int
    crop: Rectangle | None = Field(default=None, description="The part that was used, if not all.")


class ClassProbability(BaseModel):
    """The probability of a class."""

    name: str
    probability: float
    percent: int = Field(description=WHOLE)
    possible: bool | None = Field(description="True in the prediction set.")


class GroupProbability(BaseModel):
    """The probability of a group of classes."""

    name: str
    probability: float = Field(description="Sum over its classes.")
    percent: int = Field(description=WHOLE)
    percent_others: int = Field(description="Of `percent`, its classes of 0 per cent together.")
    classes: list[str] = Field(description="The most probable first.")
    positive: bool | None = Field(
        description="At or above the threshold of the operating point; null if it has none."
    )


class Frame(BaseModel):
    """The prediction for one frame combination."""

    images: dict[str, FrameChoice]
    predicted: str
    probabilities: Probabilities
    percents: Percents = Field(description=WHOLE)


class SimilarTrainingLesion(BaseModel):
    """A training lesion that the network takes to be similar."""

    lesion_id: str
    label: str
    distance: float = Field(description="Of the features: 0 is the same, 2 the opposite.")


class LeftOutImage(BaseModel):
    """The prediction without one of several images of a modality."""

    modality: str
    image: FrameChoice
    predicted: str
    probabilities: Probabilities
    percents: Percents = Field(description=WHOLE)


class QualityHint(BaseModel):
    """A fault of images, and the modalities that have it."""

    hint: str = Field(description="As in a preview, or swapped.")
    modalities: list[str]


class Prediction(Reply):
    """The prediction for one lesion."""

    sentence: str
    doubts: list[str] = Field(description="What to know of these images.")
    warnings: list[str] = Field(
        description="All warnings that the page shows: of the model, `doubts`, missing modalities;"
        " if `foreign` is not empty, that there is no diagnosis."
    )
    refer: bool | None = Field(
        description="A specialist must judge the lesion; null if no error rate is guaranteed."
    )
    groups: list[GroupProbability] = Field(description="The malignant group first.")
    predicted: str
    probabilities: list[ClassProbability] = Field(description="The most probable first.")
    prediction_set: list[str] | None
    abstain: bool | None
    out_of_distribution: bool | None
    ood_score: float | None
    unfamiliar: list[str] = Field(description="Modalities unlike the training images.")
    foreign: list[str] = Field(
        description="Modalities with a picture of another kind; the prediction has no meaning."
    )
    quality: list[QualityHint] = Field(description="Faults of the images, each kind once.")
    missing: list[str] = Field(description="Modalities without an image.")
    missing_untrained: bool = Field(
        description="The network was not trained to do without a missing modality."
    )
    frames: list[Frame]
    without: list[LeftOutImage] = Field(
        description="With `leave_out`; empty without several images, or with very many."
    )
    similar: list[SimilarTrainingLesion] | None = Field(
        description="With `similar`, the nearest first; null without it, or if the model has none."
    )
    images: dict[str, list[FileInfo]]
    seconds: float


class Subset(BaseModel):
    """The prediction from these modalities alone."""

    modalities: list[str]
    predicted: str
    probabilities: Probabilities
    percents: Percents = Field(description=WHOLE)


class Picture(BaseModel):
    """An upright image, reduced if large."""

    width: int
    height: int
    pixel_spacing: float | None = Field(
        description="Of an ultrasound image that states it, in millimetres; its pixels are square."
    )
    image: str = Field(description="JPEG as a data URI.")


class Layer(BaseModel):
    """An attribution map, to be laid over the picture of its modality."""

    outside: bool = Field(description="Most of the attribution lies outside the tissue.")
    layer: str = Field(description="Transparent PNG of the picture's size, as a data URI.")


class Explanation(Reply):
    """Attribution maps and contributions of the modalities, for one frame combination."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    class_: str = Field(alias="class")
    pass_: int = Field(alias="pass")
    frame: Frame
    contributions: dict[str, Probabilities] = Field(description="Shapley values, by modality.")
    answers: list[Subset]
    images: dict[str, Picture]
    maps: dict[str, dict[str, Layer]]
    seconds: float


class Shown(BaseModel):
    """A thumbnail of a frame."""

    frame: int
    thumbnail: str = Field(description="JPEG as a data URI.")
    hints: list[str]


class Framing(BaseModel):
    """The part of a photograph that the network sees, and a better one."""

    width: int = Field(description="Of the upright image.")
    height: int
    seen: Rectangle = Field(description="The part that the network sees without a crop.")
    lesion: Rectangle | None = Field(description="The lesion, if one was found.")
    crop: Rectangle | None = Field(description="A square around the lesion.")
    advised: bool = Field(description="`seen` cuts the lesion or shows it small: use the crop.")


class PreviewFile(FileInfo):
    """A file and some of its frames."""

    shown: list[Shown]
    framing: Framing | None = Field(description="Of a photograph with one frame.")


class Preview(Reply):
    """Previews of the files."""

    images: dict[str, list[PreviewFile]]
    hints: dict[str, str] = Field(description="Texts of the hints.")
    swapped: bool = Field(description="The photograph and the ultrasound image seem to be swapped.")


class BatchStatus(Reply):
    """The progress of a batch."""

    id: str
    state: str = Field(description="reading, running, done or failed.")
    done: int
    total: int
    problems: int = Field(description="Lesions that could not be read.")
    error: str | None
    sentences: dict[str, str] = Field(
        default_factory=dict,
        description="The error in other languages, if it has a translation.",
    )
    tables: list[str]


class ModalityInfo(BaseModel):
    """A modality of the model."""

    name: str
    kind: str


class ClassLabel(BaseModel):
    """The names and the group of a class."""

    en: str
    zh: str
    group: str | None
    synonyms: list[str]


class RateInfo(BaseModel):
    """A rate with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


class OperatingPointInfo(BaseModel):
    """The threshold of a group, with the rates on the validation split."""

    group: str
    threshold: float
    sensitivity: RateInfo
    specificity: RateInfo
    positives: int
    negatives: int


class AbstentionInfo(BaseModel):
    """The rule by which a lesion is left to a specialist."""

    threshold: float = Field(description="Minimum probability of the most probable class.")
    target_risk: float = Field(description="Maximum error rate among the other lesions.")
    confidence: float


class BatchRules(BaseModel):
    """The life of a batch."""

    survive_restart: bool = Field(description="Batches survive a restart of the server.")
    keep_s: float = Field(description="Time until the results are deleted, in seconds.")


class ModelInfo(Reply):
    """The inputs and classes of the model."""

    agfnet: str
    network: str
    backend: str
    sha256: str = Field(description="Of all files that decide a prediction.")
    classes: list[str]
    labels: dict[str, ClassLabel] = Field(description="Names and group, by class.")
    operating_point: OperatingPointInfo | None
    abstention: AbstentionInfo | None
    about: dict[str, list[str]] = Field(description="The model in sentences, by language.")
    warnings: dict[str, list[str]] = Field(
        description="Warnings that hold for every answer, by language."
    )
    modalities: list[ModalityInfo]
    size: int
    types: list[str] = Field(description="Types of images that the server reads.")
    methods: list[str]
    coverage: float | None
    consider: float | None
    risk: float | None
    unfamiliar: bool
    card: dict[str, str] = Field(description="The model card, by language.")
    limits: Limits
    batches: BatchRules


class State(BaseModel):
    """Health or readiness."""

    status: str


class Problem(BaseModel):
    """The problem."""

    code: str
    message: str
    modality: str | None
    file: int | None
    sentences: dict[str, str] = Field(
        description="The message about one file as a sentence, by language."
    )


class ErrorReply(BaseModel):
    """The reply of every error."""

    request_id: str
    error: Problem
