"""Settings of scoring, comparing and explaining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agfnet.config.checks import check
from agfnet.errors import ConfigError

MapMethod = Literal[
    "guide",
    "fusion_query",
    "view_query",
    "layercam",
    "gradcam",
    "gradient",
    "integrated",
    "occlusion",
    "attention",
    "modalities",
]


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
    max_focus_lesions: int = 100
    """If the table has lesion masks: on how many of its lesions, drawn at random, to measure where
    the evidence lies (focus.json); 0 leaves it out."""

    def __post_init__(self) -> None:
        check(self, 1, 1e6, "resamples")
        check(self, 0, 1e6, "max_focus_lesions")
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
    max_lesions: int = 20
    """Maximum number of lesions of a table to explain, drawn at random."""
    methods: list[MapMethod] | None = None
    """What is shown; all that the network allows if unset. `guide`, `fusion_query`, `view_query`:
    maps that AGFnet makes itself. `layercam`, `gradcam`, `gradient`, `integrated` (needs
    agfnet[explain]), `occlusion`: maps of every network. `attention`: the attention weights between
    positions. `modalities`: the contribution of each modality. docs/explain.md has the limits of
    each."""
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
        check(self, 1, 1e6, "max_lesions")
        if (self.images is None) == (self.cases is None):
            raise ConfigError("give either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.sanity and self.cases is None:
            raise ConfigError("sanity: needs several lesions; give --cases TABLE")
        if self.methods is not None and not self.methods:
            raise ConfigError("methods: name at least one, or leave it out for all")
