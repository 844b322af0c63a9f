"""Settings of evaluation, comparison and explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from agfnet.config.ranges import Range, Resamples, Seed, Settings
from agfnet.errors import ConfigError
from agfnet.translation import Language

MapMethod = Literal[
    "guide",
    "layercam",
    "gradcam",
    "gradient",
    "integrated",
    "occlusion",
    "attention",
    "modalities",
]


@dataclass(frozen=True)
class EvaluateConfig(Settings):
    """Evaluate a trained network on a cases table: predictions.csv, metrics.json, report.html."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Cases table, labelled or not. The table of the run if unset."""
    split: Literal["train", "val", "test"] | None = None
    """Split to evaluate. If unset: `test` for the table of the run, all cases for another table."""
    name: str | None = None
    """Name of the result folder in `RUN/evaluation/`. The split or the file name of the table if
    unset; results of another table of this name are then kept in a folder with a number."""
    resamples: Resamples = 1000
    """Number of bootstrap resamples of patients, for 95 % intervals."""
    seed: Seed = 0
    """Random seed of the bootstrap."""
    malignant: list[str] | None = None
    """Classes of the malignant group, as in `[MEL, BCC]`, for a network whose classes have no such
    group. If unset, the group `malignant` of the network (see `data.diagnoses`). With a group,
    malignant.json is written as well."""
    sensitivities: tuple[Annotated[float, Range(0.001, 1)], ...] = (0.9, 0.95)
    """Sensitivities of the operating points of the malignant group; the thresholds are set on the
    validation split of the run."""
    robustness: bool = False
    """Also evaluate corrupted, missing and mismatched images (robustness.json). This takes about 80
    forward passes per lesion."""
    reference: str | None = None
    """Reference run for the mean corruption error; it must have been evaluated with `robustness` on
    the same table."""
    max_focus_lesions: Annotated[int, Range(0, 1e6)] = 100
    """Maximum number of lesions with masks, drawn at random, for the comparison of attribution with
    the lesion (focus.json); 0 leaves it out."""
    examples: Annotated[int, Range(0, 1000)] = 12
    """Number of lesions that report.html shows, with maps of what decided; 0 saves their time."""
    language: Language = "en"
    """Language of report.html, English or Chinese. The other files are the same in any language."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference is not None and not self.robustness:
            raise ConfigError("reference: needs robustness; add --robustness")


@dataclass(frozen=True)
class CompareConfig(Settings):
    """Compare two runs on the lesions that both predicted: compare.html and compare.json."""

    run_a: str
    """Run folder. Differences are those of this run minus the other."""
    run_b: str
    """Run folder to compare with."""
    name: str = "test"
    """Name of the result folder in `RUN/evaluation/` of both runs."""
    out: str | None = None
    """Folder to write. `RUN_A/comparison/` and the name of the other run if unset."""
    cases: str | None = None
    """Cases table with the images of the lesions to show. The tables of the runs if unset."""
    resamples: Resamples = 1000
    """Number of bootstrap resamples of patients, for the intervals of each run. Differences need
    none: their interval and p come from a jackknife."""
    seed: Seed = 0
    """Random seed of the bootstrap and of the permutation test."""


@dataclass(frozen=True)
class ExplainConfig(Settings):
    """Explain predictions: attribution maps, attention, and the contribution of each modality."""

    model: str
    """Bundle, or run folder that contains one."""
    images: dict[str, str] | None = None
    """One lesion: image file of each modality, as for `predict`; only the first frame is used."""
    cases: str | None = None
    """Several lesions: a cases table, labelled or not."""
    out: str = "explanation"
    """Folder to write; with a table, it gets a subfolder for each lesion."""
    max_lesions: Annotated[int, Range(1, 1e6)] = 20
    """Maximum number of lesions of a table, drawn at random."""
    methods: list[MapMethod] | None = None
    """Methods to use; all that the network supports if unset. `guide`: the map
    inside AGFnet. `layercam`, `gradcam`, `gradient`, `integrated` (needs
    agfnet[explain]), `occlusion`: attribution maps of any network. `attention`: attention weights
    between positions. `modalities`: contribution of each modality. docs/explain.md has the limits
    of each."""
    classes: list[str] | None = None
    """Classes whose attribution is shown, or `[all]`. The predicted class if unset."""
    hide: dict[str, tuple[float, float, float, float]] | None = None
    """Also predict with this region covered: left, top, right and bottom as fractions of the image,
    as in `--hide.clinical '[0.2, 0.3, 0.5, 0.6]'`."""
    sanity: bool = False
    """First run the sanity checks of the methods on these lesions (sanity.json, also kept in the
    run). Methods that fail are marked in every figure of this network afterwards."""
    seed: Seed = 0
    """Random seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.images is None) == (self.cases is None):
            raise ConfigError("set either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.sanity and self.cases is None:
            raise ConfigError("sanity: needs several lesions; set --cases TABLE")
        if self.methods is not None and not self.methods:
            raise ConfigError("methods: name at least one, or leave it out for all")
