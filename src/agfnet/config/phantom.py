"""Settings of phantom cohorts and of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from agfnet.config.ranges import Fraction, Range, Seed, Settings, Workers

Lesions = Annotated[int, Range(1, 10_000_000)]
Signed = Annotated[float, Range(-1, 1)]


@dataclass(frozen=True)
class DemoConfig(Settings):
    """Render a phantom cohort, train four networks, compare them, and diagnose a new lesion."""

    out: str = "runs/demo"
    """Folder for the cohort, the runs and `summary.json`; an earlier demo in it is replaced."""
    lesions: Lesions = 1500
    """Number of lesions; more than half of them are for testing, to reduce the role of chance."""
    size: Annotated[int, Range(32, 1024)] = 64
    """Side of the images that the networks see, in pixels."""
    epochs: Annotated[int, Range(1, 1_000_000)] = 20
    """Training epochs of each network."""
    seed: Seed = 0
    """Random seed."""


@dataclass(frozen=True)
class PhantomConfig(Settings):
    """Render a synthetic cohort of photographs and ultrasound images with known diagnoses.

    A setting that is unset (None) has the value of the preset.
    """

    out: str
    """Folder to write; it must be empty or not exist."""
    lesions: Lesions = 600
    """Number of lesions. A patient has one or several of them."""
    size: Annotated[int, Range(32, 1024)] = 224
    """Side of the square images, in pixels."""
    preset: Literal["easy", "hard", "shortcut", "missing", "shift", "imbalanced", "joint"] = "easy"
    """`easy`: 7 entities with typical presentations. `hard`: 10 entities with their whole spectrum,
    strong nuisance and label noise. `shortcut`: rulers and callipers indicate malignancy in the
    training data only. `missing`: modalities are missing, more often in benign lesions. `shift`:
    the test patients come from a centre with other devices. `imbalanced`: 10 entities with clinical
    frequencies. `joint`: 8 entities in pairs that only the combination of the two modalities
    distinguishes."""
    seed: Seed = 0
    """Random seed."""
    workers: Workers = 0
    """Processes that render; 0 renders in this process. The number does not change the files."""
    split: tuple[float, float, float] = (0.6, 0.15, 0.25)
    """Fractions of train, val and test; they sum to 1. A patient is in one split only."""
    entities: list[str] | None = None
    """Two or more entities (see the table in docs/phantom.md)."""
    atypia: Fraction | None = None
    """Atypia: 0 renders typical lesions, 1 the whole spectrum of an entity."""
    nuisance: Fraction | None = None
    """Strength of the variation that is independent of the entity: light, hair, defocus, gain,
    probe angle, artefacts, anatomy."""
    imbalance: Fraction | None = None
    """0: all entities are equally frequent; 1: clinical frequencies."""
    label_noise: Annotated[float, Range(0, 0.9)] | None = None
    """Fraction of wrong labels in train and val; test labels are correct."""
    missing_clinical: Fraction | None = None
    """Fraction of lesions without a photograph."""
    missing_ultrasound: Fraction | None = None
    """Fraction of lesions without ultrasound."""
    missing_by_class: bool | None = None
    """Modalities of benign lesions are missing three times as often as those of malignant ones."""
    annotation_rate: Fraction | None = None
    """Fraction of photographs with a ruler and of scans with callipers, without any shortcut."""
    shortcut_train: Signed | None = None
    """Association of rulers and callipers with malignancy in train and val: 0 none, 1 complete;
    negative values associate them with benign lesions."""
    shortcut_test: Signed | None = None
    """The same for test."""
    centres: Annotated[int, Range(1, 64)] | None = None
    """Number of centres, each with its camera and scanner."""
    shift: bool | None = None
    """Devices differ widely between centres, and one centre is in test only."""
    frames: Annotated[int, Range(1, 64)] | None = None
    """Maximum number of ultrasound frames of a lesion; each lesion has 1 to this number."""
    frequency: Annotated[float, Range(15, 50)] | None = None
    """Mean centre frequency of the scanners, in MHz."""
    doppler: bool | None = None
    """Overlay colour Doppler on the ultrasound."""
    ultrasound_format: Literal["png", "dicom"] = "png"
    """`png`: one file per frame. `dicom`: one multi-frame file per lesion (needs agfnet[dicom])."""
