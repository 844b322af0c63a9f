"""Settings of tables, images and splits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agfnet.config.checks import check
from agfnet.errors import ConfigError

Resize = Literal["crop", "pad", "stretch"]
ModalityType = Literal["photo", "ultrasound"]
Frames = Literal["random", "first", "middle"]
SkinSurface = Literal["keep", "shift", "flatten"]
HOLDOUT = (0.7, 0.1, 0.2)
"""Shares of train, val and test, unless the user says otherwise."""


@dataclass(frozen=True)
class ModalityConfig:
    """How the images of one modality are prepared and varied."""

    modality_type: ModalityType = "photo"
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
    crop_field_of_view: bool = False
    """Ultrasound: find the sector or rectangle of the image on the screen, crop to it and blacken
    what lies outside (texts, logos, scales). For files that state no region."""
    remove_annotations: bool = False
    """Ultrasound: fill callipers, dotted lines and burnt-in text, coloured or white, with the
    speckle beside them. Leave it off for colour Doppler with vessels as thin as the marks."""
    pixel_spacing: float | None = None
    """Ultrasound: bring every image to this scale. The network then sees `size` x `pixel_spacing`
    millimetres, of the upper edge and the middle of the image, and `resize` is not used. An image
    without a scale is an error: DICOM states it, PNG and JPEG do not."""
    skin_surface: SkinSurface = "keep"
    """Ultrasound: position of the skin surface (the entry echo). `keep` leaves it where it is,
    `shift` moves the image up or down until the surface is at `skin_surface_depth` on average,
    `flatten` moves every column by itself. An image without a clear surface stays as it is."""
    skin_surface_depth: float = 0.1
    """Depth of the skin line in the square image, as a share of its side."""

    def __post_init__(self) -> None:
        check(self, 0.001, 10, "pixel_spacing")
        check(self, 0, 0.9, "skin_surface_depth")
        if self.modality_type == "photo":
            for name, off in _ULTRASOUND_ONLY.items():
                if getattr(self, name) != off:
                    raise ConfigError(
                        f"{name}: {getattr(self, name)} is a preparation of ultrasound; "
                        "set modality_type: ultrasound, or leave it out"
                    )


_ULTRASOUND_ONLY = {
    "crop_field_of_view": False,
    "remove_annotations": False,
    "pixel_spacing": None,
    "skin_surface": "keep",
}


def default_modalities() -> dict[str, ModalityConfig]:
    """A clinical photograph and a skin ultrasound."""
    return {
        "clinical": ModalityConfig(modality_type="photo", resize="crop"),
        "ultrasound": ModalityConfig(modality_type="ultrasound", resize="pad"),
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
    min_patients: int = 3
    """Report labels of fewer patients than this: train, val and test need one each."""
    shortcut_threshold: float = 0.3
    """Report what predicts the label with a Cramér's V of this or more (0 not at all, 1
    entirely)."""
    strict: bool = False
    """End with exit code 1 for warnings too, not for errors alone."""
    json: str | None = None
    """Where all findings go, as JSON."""
    workers: int | None = None
    """Processes that read images; 0 reads them in this process. One per core if unset."""

    def __post_init__(self) -> None:
        check(self, 0, 1e6, "min_patients")
        check(self, 0, 1, "shortcut_threshold")
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
