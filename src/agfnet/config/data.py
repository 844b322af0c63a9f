"""Settings of tables, images and splits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from agfnet.config.ranges import Fraction, Range, Seed, Settings, Workers
from agfnet.errors import ConfigError

Resize = Literal["crop", "pad", "stretch"]
ModalityType = Literal["photo", "ultrasound"]
Frames = Literal["random", "first", "middle"]
SkinSurface = Literal["keep", "shift", "flatten"]
HOLDOUT = (0.7, 0.1, 0.2)
"""Default fractions of train, val and test."""


@dataclass(frozen=True)
class ModalityConfig(Settings):
    """Preparation and augmentation of the images of one modality."""

    modality_type: ModalityType = "photo"
    """Type of the images, which determines the augmentation. `photo` (also dermoscopy): flips,
    rotations, colour. `ultrasound`: left-right flips, small shifts, gain and contrast only, because
    depth points down and there is no colour."""
    resize: Resize = "crop"
    """How an image becomes square. `crop` keeps the centre, `pad` adds black borders, `stretch`
    changes the aspect ratio."""
    frames: Frames = "random"
    """Frame that training takes of a lesion with several frames or files. `random` draws one in
    every epoch (validation takes the first). `first` and `middle` always take the same one, in
    validation as well. Prediction combines all frames."""
    region: bool = True
    """Crop DICOM images to the region of 2D tissue that the file states, without the text around
    it."""
    crop_field_of_view: bool = False
    """Ultrasound: detect the field of view (a sector or a rectangle), crop to it, and blacken text,
    logos and scales outside of it. For files that do not state a region."""
    remove_annotations: bool = False
    """Ultrasound: fill callipers, dotted lines and burnt-in text, coloured or white, with the
    surrounding speckle. Leave it off for colour Doppler with vessels as thin as such lines."""
    pixel_spacing: Annotated[float, Range(0.001, 10)] | None = None
    """Ultrasound: resample every image to this pixel spacing, in millimetres. The network then sees
    `size` x `pixel_spacing` millimetres from the upper edge and the middle of the image, and
    `resize` is ignored. Needs DICOM files that state their pixel spacing; PNG and JPEG do not."""
    skin_surface: SkinSurface = "keep"
    """Ultrasound: alignment of the skin surface (the entry echo). `keep` does not align, `shift`
    moves the image up or down until the mean depth of the surface is `skin_surface_depth`,
    `flatten` moves every column separately. An image without a clear surface is not changed."""
    skin_surface_depth: Annotated[float, Range(0, 0.9)] = 0.1
    """Depth of the aligned skin surface, as a fraction of the image height."""

    def __post_init__(self) -> None:
        super().__post_init__()
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


@dataclass(frozen=True)
class DiagnosisConfig(Settings):
    """Names and group of a class. What is unset is taken from the built-in dictionary."""

    en: str | None = None
    """English name, as it is shown. The name of the class if unset and not in the dictionary."""
    zh: str | None = None
    """Chinese name. The English name if unset and not in the dictionary."""
    group: str | None = None
    """Group of the class: `malignant`, `benign`, `premalignant` or any other; an empty text for
    none. The probabilities of a group are added; `malignant` also has an operating point."""
    synonyms: list[str] = field(default_factory=list)
    """Codes and other names, shown with the list of diagnoses."""


_ULTRASOUND = re.compile(
    r"ultraso|sono|echo|b.?mode|hfus|(?:^|[\W_])us(?:$|[\W_\d])", re.IGNORECASE
)


def names_ultrasound(column: str) -> bool:
    """Return whether the name of an image column suggests ultrasound, not photographs."""
    return _ULTRASOUND.search(column) is not None


def default_modality(column: str) -> ModalityConfig:
    """Return the preparation of the type of images that the name of a column suggests."""
    if names_ultrasound(column):
        return ModalityConfig(modality_type="ultrasound", resize="pad")
    return ModalityConfig(modality_type="photo", resize="crop")


def default_modalities() -> dict[str, ModalityConfig]:
    """A clinical photograph and a skin ultrasound."""
    return {name: default_modality(name) for name in ("clinical", "ultrasound")}


@dataclass(frozen=True)
class DataConfig(Settings):
    """Cases, classes, and the preparation of images."""

    cases: str
    """Cases table (CSV) with a `split` column of train, val and test (see `agfnet split`)."""
    fold: Annotated[int, Range(0, 1e6)] | None = None
    """Test on this fold of the column `fold` (see `agfnet split --folds`). An eighth of the other
    cases is used for validation and the rest for training. If unset, the column `split` decides."""
    modalities: dict[str, ModalityConfig] = field(default_factory=default_modalities)
    """Image columns in order, each with its preparation. A list of names, as in `[clinical]` or
    `[clinical, dermoscopy]`, takes the default preparation of each. A single column trains a
    single-modality network."""
    labels: list[str] | dict[str, list[str]] | None = None
    """Classes in order. A list keeps these labels, a mapping from class to labels merges labels.
    Cases with other labels are left out and counted. If unset, all labels of the training split in
    alphabetical order."""
    diagnoses: dict[str, DiagnosisConfig] = field(default_factory=dict)
    """Names and groups of classes, as in `{MEL: {en: melanoma, group: malignant}}`. The built-in
    dictionary has the common diagnoses and the codes of MILK10k, Derm7pt, HAM10000 and PAD-UFES-20;
    only what it lacks or has otherwise needs an entry."""
    train_fraction: Annotated[float, Range(1e-6, 1)] | None = None
    """Train on this fraction of the training patients of each label, for learning curves. With the
    same seed, a smaller fraction is a subset of a larger one. All patients if unset."""
    attributes: list[str] = field(default_factory=list)
    """Columns of the table, as in `[site, diameter]`, that the network also learns to predict, in
    training only; empty cells are allowed. A value is a class, and numbers with many values are
    divided into quarters. For networks with one classification head; see
    `loss.attribute_weight`."""
    size: Annotated[int, Range(16, 4096)] = 224
    """Side of the square input image, in pixels."""
    augment: bool = True
    """Augment the training images according to their modality type."""
    rand_augment: Annotated[int, Range(0, 4)] = 0
    """Number of random operations of RandAugment on each training image before the other
    augmentation; 0 is off. Photographs: shear, rotation, brightness, colour, contrast,
    sharpness. Ultrasound: shift and shear to the sides, brightness, sharpness and automatic
    contrast; never top to bottom."""
    rand_augment_magnitude: Annotated[int, Range(1, 15)] = 9
    """Strength of these operations."""
    cache: str | None = None
    """Folder for prepared images, so that each file is decoded once instead of in every epoch. It
    may be deleted between runs. If unset, `agfnet-cache` in the folder of the table."""
    cache_mb: Annotated[int, Range(0, 1e6)] = 4096
    """Maximum size of the cache, in MB; 0 disables it."""
    feature_variants: Annotated[int, Range(0, 1000)] = 0
    """With frozen backbones: number of augmented variants of each training image, whose feature
    maps are computed once and kept in the folder of the cache for all runs, so that an epoch takes
    seconds. 0 augments differently in every epoch and runs the backbones in every step."""
    feature_cache_mb: Annotated[int, Range(0, 1e7)] = 8192
    """Maximum size of the kept feature maps, in MB; 0 computes them in every step, with the same
    result."""
    workers: Workers = 0
    """Processes that prepare images; 0 prepares them in the training process."""


@dataclass(frozen=True)
class SplitConfig(Settings):
    """Split cases by patient into train, val and test, or into folds, in a new table.

    Labels are distributed in proportion.
    """

    cases: str
    """Cases table without a split."""
    out: str
    """Table to write, with an additional column `split` or `fold`."""
    modalities: list[str] | None = None
    """Image columns. If unset, the columns whose first entry is a file."""
    fractions: tuple[Fraction, Fraction, Fraction] = HOLDOUT
    """Fractions of train, val and test; they sum to 1."""
    folds: Annotated[int, Range(2, 1000)] | None = None
    """Draw this number of folds instead: a column `fold` with 0 to folds - 1, for
    `train --data.fold`."""
    centre: str | None = None
    """Make each value of this column a fold instead (leave one centre out)."""
    fold: Annotated[int, Range(0, 1e6)] | None = None
    """Write the split that tests on this fold, as `train --data.fold` does. Without `folds` and
    `centre`, the folds of the table are used."""
    test_centre: str | None = None
    """Write the split that tests on this centre; needs `centre`."""
    seed: Seed = 0
    """Random seed of the split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds is not None and self.centre is not None:
            raise ConfigError("folds and centre: both determine the folds; set one of them")
        if self.test_centre is not None and (self.centre is None or self.fold is not None):
            raise ConfigError("test_centre: needs centre, and cannot be combined with fold")
        folds = (self.folds, self.centre, self.fold) != (None, None, None)
        if folds and self.fractions != HOLDOUT:
            raise ConfigError("fractions: only for train, val and test; leave it out with folds")


@dataclass(frozen=True)
class CheckConfig(Settings):
    """Check a table for leaks, duplicates, damaged images, shortcuts and identities."""

    cases: str
    """Cases table, with or without a split."""
    modalities: dict[str, ModalityConfig] | None = None
    """Image columns with their types, as `data.modalities` in training. If unset: clinical,
    ultrasound, and every column whose first entry is a file, with the type that its name
    suggests."""
    images: bool = True
    """Read every image. If false, check only the table and that the files exist."""
    min_patients: Annotated[int, Range(0, 1e6)] = 3
    """Report labels with fewer patients than this; train, val and test need one each."""
    shortcut_threshold: Fraction = 0.3
    """Report attributes that predict the label with a Cramér's V of at least this value (0: no
    association, 1: perfect association)."""
    strict: bool = False
    """Exit with code 1 for warnings as well as for errors."""
    json: str | None = None
    """File for all findings, in JSON."""
    html: str | None = None
    """File for a page of the findings with thumbnails. It has images of patients."""
    fix: str | None = None
    """File for a corrected copy of the table: spellings of labels and patients, placeholders,
    invisible characters, and paths twice in a cell. It must not exist."""
    workers: Workers | None = None
    """Processes that read images; 0 reads them in this process. If unset, one per core."""


@dataclass(frozen=True)
class ImportConfig(Settings):
    """Create a cases table from a spreadsheet, folders of images, or a public data set."""

    dataset: Literal[
        "table", "folder", "milk10k", "derm7pt", "ham10000", "isic", "pad_ufes_20", "busi"
    ]
    """`table` for a spreadsheet and the folders of its images, `folder` for a tree of folders, or a
    public data set as it was downloaded."""
    source: str
    """Spreadsheet (CSV, XLSX, XLS, ODS) for `table`, or else the folder of the data; the images
    stay where they are."""
    out: str
    """Folder for `cases.csv`; the current one if left out."""
    modalities: list[str] | None = None
    """Image columns to write, for `table` and `folder`. `clinical` and `ultrasound` if unset."""
    root: str | None = None
    """For `table`: folder of the images; that of the spreadsheet if unset."""
    columns: dict[str, str] = field(default_factory=dict)
    """For `table`: names of columns, as `--columns.patient_id "Pat.-Nr."`; also lesion_id, label,
    visit, accession, centre, modality, file, or a modality. Others are guessed and shown."""
    files: dict[str, str] = field(default_factory=dict)
    """For `table`: files of a modality, as `--files.clinical "{patient}_*/lesion {lesion}/*.JPG"`;
    placeholders are patient, lesion, date, accession or a column. Guessed if unset."""
    sheet: str | None = None
    """For `table`: sheet of a workbook; the one with the most known columns if unset."""
    layout: str | None = None
    """For `folder`: the folders from the top, as `label/lesion`, `label/patient/lesion` or
    `patient/lesion`. Guessed and shown if unset."""
    labels: str | None = None
    """For `folder`: spreadsheet with the labels, where no folder is named after them."""
    yes: bool = False
    """For `table`, and `folder` with labels: write `cases.csv`. Without it, only show what was
    understood."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("root", "columns", "files", "sheet", "yes"):
            self._only(name, "table", "folder" if name in ("columns", "sheet", "yes") else "table")
        for name in ("layout", "labels"):
            self._only(name, "folder", "folder")
        self._only("modalities", "table", "folder")

    def _only(self, name: str, *datasets: str) -> None:
        if getattr(self, name) and self.dataset not in datasets:
            raise ConfigError(
                f"{name}: is for {' or '.join(dict.fromkeys(datasets))}, and not for "
                f"{self.dataset}; leave the setting out"
            )


@dataclass(frozen=True)
class DoctorConfig(Settings):
    """Check this installation: versions, extras, device, memory, disk, and a tiny self-test."""

    runs: str = "runs"
    """Folder in which runs will be written."""
    self_test: bool = True
    """Train, export and predict with a tiny network, in a temporary folder."""


@dataclass(frozen=True)
class DeidentifyConfig(Settings):
    """Copy images, or a cases table with its images, without names, ids, dates and places."""

    source: str
    """Cases table, or a folder of images. It is not changed."""
    out: str
    """Folder to write; it must not exist."""
    mapping: str | None = None
    """File for the original and the new names (CSV), with which the names can be restored.
    Required; keep it outside of `out` and do not pass it on. It must not exist."""
    key_file: str | None = None
    """File with the secret key; the same key gives the same names. If unset, a new key is written
    to the folder of `mapping`."""
    modalities: list[str] | None = None
    """Image columns of the table. If unset, the columns whose first entry is a file."""
    keep: list[str] = field(default_factory=list)
    """Further columns of the table to keep unchanged, as in `[age, sex]`. Without it, only label,
    split, fold, images and masks are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mapping is None:
            raise ConfigError("mapping: set --mapping FILE, outside of the folder to write")
