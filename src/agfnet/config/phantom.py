"""Settings of phantom cohorts and of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
    workers: int = 0
    """Processes that draw; 0 draws in this process. Their number does not change the files."""
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
    annotation_rate: float | None = None
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
