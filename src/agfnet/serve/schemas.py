"""The replies of the API; docs/serve.md shows each in full."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

Probabilities = dict[str, float]


class Strict(BaseModel):
    """What a client sends: an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Chosen(Strict):
    """One frame of one of the files of a modality."""

    file: int = Field(ge=0, lt=2**31, description="Counted from 0 within its field.")
    frame: int = Field(default=0, ge=0, lt=2**31, description="Counted from 0 within its file.")


class Options(Strict):
    """The field `options` of a preview or a prediction."""

    frames: dict[str, list[Chosen]] = Field(
        default_factory=dict, description="By modality, the frames to use; all if left out."
    )


class ExplainOptions(Options):
    """The field `options` of an explanation."""

    class_: str | None = Field(
        default=None, alias="class", description="Whose evidence; the most probable one if null."
    )
    pass_: int = Field(default=0, alias="pass", ge=0, lt=2**31, description="Which of the frames.")
    methods: list[str] = Field(
        default_factory=lambda: ["occlusion"], min_length=1, max_length=8, description="Of maps."
    )


class Reply(BaseModel):
    """What every reply has."""

    request_id: str
    notice: str


class FileInfo(BaseModel):
    """What one file is."""

    type: str = Field(description="JPEG, PNG, TIFF or DICOM.")
    width: int = Field(description="As stored.")
    height: int
    frames: int


class ClassProbability(BaseModel):
    """A class and how probable it is."""

    name: str
    probability: float
    possible: bool | None = Field(description="Whether it is in the prediction set.")


class Frame(BaseModel):
    """One pass over the network."""

    images: dict[str, Chosen]
    predicted: str
    probabilities: Probabilities


class Prediction(Reply):
    """The answer for one lesion."""

    sentence: str
    doubts: list[str]
    refer: bool | None = Field(
        description="A specialist must judge the lesion; null if no error rate is guaranteed."
    )
    predicted: str
    probabilities: list[ClassProbability] = Field(description="The most probable first.")
    prediction_set: list[str] | None
    abstain: bool | None
    out_of_distribution: bool | None
    ood_score: float | None
    missing: list[str] = Field(description="Modalities without an image.")
    frames: list[Frame]
    images: dict[str, list[FileInfo]]
    seconds: float


class Subset(BaseModel):
    """What the network says when it gets these modalities alone."""

    modalities: list[str]
    predicted: str
    probabilities: Probabilities


class Picture(BaseModel):
    """An upright image, reduced if large."""

    width: int
    height: int
    image: str = Field(description="JPEG as a data URI.")


class Layer(BaseModel):
    """A map, to be laid over the picture of its modality."""

    share: float | None = Field(description="Of the method's evidence in all modalities.")
    layer: str = Field(description="Transparent PNG of the picture's size, as a data URI.")


class Explanation(Reply):
    """Where the evidence lies in one pass, and what each modality contributed."""

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
    """One frame of a preview."""

    frame: int
    thumbnail: str = Field(description="JPEG as a data URI.")
    hints: list[str]


class PreviewFile(FileInfo):
    """A file and some of its frames."""

    shown: list[Shown]


class Preview(Reply):
    """What the files show."""

    images: dict[str, list[PreviewFile]]
    hints: dict[str, str] = Field(description="What the hints say.")
    swapped: bool = Field(description="The photograph and the ultrasound look exchanged.")


class BatchStatus(Reply):
    """How far a batch is."""

    id: str
    state: str = Field(description="reading, running, done or failed.")
    done: int
    total: int
    problems: int = Field(description="Lesions that were left out.")
    error: str | None
    tables: list[str]


class ModalityInfo(BaseModel):
    """One kind of image that the model reads."""

    name: str
    kind: str


class Limits(BaseModel):
    """What a request may hold."""

    request_mb: int
    files: int
    megapixels: float
    frames: int
    preview_frames: int
    batch_mb: int
    batch_files: int


class ModelInfo(Reply):
    """What the model reads and answers."""

    agfnet: str
    network: str
    backend: str
    sha256: str = Field(description="Of all that decides an answer.")
    classes: list[str]
    modalities: list[ModalityInfo]
    size: int
    methods: list[str]
    coverage: float | None
    risk: float | None
    unfamiliar: bool
    card: str
    limits: Limits


class State(BaseModel):
    """Health or readiness."""

    status: str


class Problem(BaseModel):
    """What is wrong."""

    code: str
    message: str
    modality: str | None
    file: int | None


class ErrorReply(BaseModel):
    """Every error."""

    request_id: str
    error: Problem
