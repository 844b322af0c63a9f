"""A folder tree of one's own: SOURCE/label/lesion/ or SOURCE/label/patient/lesion/.

In a lesion's folder, a file belongs to the modality that its name begins with, or to the one that
its sub-folder's name begins with; a name that begins with `<modality>_mask` is a mask:

    melanoma/L1/clinical.jpg
    melanoma/L1/ultrasound_1.png, ultrasound_2.png
    naevus/L2/clinical/IMG_0001.JPG
    naevus/L2/ultrasound/scan2.dcm, scan10.dcm
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from agfnet.data.problems import MAX_SHOWN, Problems, StrPath
from agfnet.data.table import Case, mask_column
from agfnet.errors import DataError
from agfnet.importing.common import ImportReport, write_report

# files of other programs beside the images are told apart by name; what an image really is, the
# reader decides by content
SUFFIXES = (
    *("", ".dcm", ".dicom", ".ima"),
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"),
)
SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")
LESION, PATIENT = 2, 3  # folders from the source down to the lesion, without and with patients

Files = dict[str, list[Path]]  # per modality or mask column


def import_folder(
    source: StrPath, out: StrPath, *, modalities: Sequence[str] = ("clinical", "ultrasound")
) -> ImportReport:
    """Write `cases.csv` for a folder tree. Images stay where they are.

    Several files of a modality are in natural order (scan2 before scan10). The lesion id is the
    name of the lesion's folder, or its whole path where that name occurs twice. Patients' folders
    of the same name under several labels are one patient. Hidden files and those of the operating
    system are passed over; files and folders that fit nowhere are noted.

    Args:
        source: the folder with one folder per label.
        out: folder for `cases.csv`; made if missing.
        modalities: the names that files or sub-folders begin with, whatever their case.

    Raises:
        DataError: no lesion was found, patients' folders are only in part of the tree, a file is
            empty, two labels differ by case only, or `cases.csv` exists.
    """
    source = Path(source)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    lesions, stray = _sort(source.absolute(), modalities)
    empty = [
        path.relative_to(source)
        for path in sorted(source.rglob("*"))
        if path.is_dir() and not any(path.iterdir())
    ]
    notes = [
        f"{len(paths)} {what}: "
        + ", ".join(map(str, paths[:MAX_SHOWN]))
        + ", …" * (len(paths) > MAX_SHOWN)
        for what, paths in (("files of no lesion or modality", stray), ("empty folders", empty))
        if paths
    ]
    depths = Counter(len(folder.parts) for folder in lesions)
    if not lesions:
        raise DataError(
            f"{source}: no image at label/lesion/ or label/patient/lesion/ whose name begins with "
            f"{' or '.join(modalities)}; expected for example "
            f"{source / 'melanoma' / 'L1' / modalities[0]}.jpg" + "".join(f"\n{n}" for n in notes)
        )
    if len(depths) > 1:
        short, long = (next(f for f in lesions if len(f.parts) == n) for n in (LESION, PATIENT))
        raise DataError(
            f"{source}: {short} looks like label/lesion and {long} like label/patient/lesion; "
            "expected one of the two everywhere"
        )
    cases = _cases(source, lesions, modalities)
    if PATIENT not in depths:
        notes.append("there are no patients' folders: every lesion counts as its own patient")
    return write_report(cases, Path(out), modalities=modalities, notes=notes)


def _sort(source: Path, modalities: Sequence[str]) -> tuple[dict[Path, Files], list[Path]]:
    """The files of every lesion, by its folder below the source; and those of none."""
    columns = [name for modality in modalities for name in (modality, mask_column(modality))]
    lesions: defaultdict[Path, Files] = defaultdict(lambda: defaultdict(list))
    stray = []
    for path in _files(source):
        folder = path.parent
        outer = _column(folder.name, columns) if len(folder.parts) > LESION else ""
        if outer:
            folder = folder.parent
        # the more exact of the two: `clinical/clinical_mask.png`; `clinical/ultrasound.png` is none
        other, column = sorted((outer, _column(path.name, columns)), key=len)
        fits = column.startswith(other) and path.suffix.lower() in SUFFIXES
        if column and fits and len(folder.parts) in (LESION, PATIENT):
            lesions[folder][column].append(source / path)
        else:
            stray.append(path)
    return lesions, stray


def _files(source: Path) -> Iterator[Path]:
    """Every file below the source, relative to it, in natural order."""
    found = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if _counts(name)]
        found += [Path(folder, name).relative_to(source) for name in names if _counts(name)]
    return iter(sorted(found, key=_natural))


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    """A key that orders numbers in names by their value; names that differ by case stay apart."""
    return [
        [
            *((int(n), "") if n.isdecimal() else (-1, n) for n in re.split(r"(\d+)", part.lower())),
            (-1, part),
        ]
        for part in path.parts
    ]


def _column(name: str, columns: Sequence[str]) -> str:
    """The longest column that a name begins with."""
    fitting = [column for column in columns if name.lower().startswith(column.lower())]
    return max(fitting, key=len, default="")


def _cases(source: Path, lesions: dict[Path, Files], modalities: Sequence[str]) -> list[Case]:
    problems = Problems(source)
    names = Counter(folder.name for folder in lesions)
    cases, spelling = [], dict[str, str]()
    for folder, files in lesions.items():
        label = folder.parts[0]
        if spelling.setdefault(label.casefold(), label) != label:
            message = f"{label!r} and {spelling[label.casefold()]!r} differ only by case"
            problems.add(f"the labels {message}; merge the folders")
        for path in (path for paths in files.values() for path in paths):
            if not path.stat().st_size:
                problems.add(f"{path.relative_to(source.absolute())} is empty; copy it again")
        lesion = folder.name if names[folder.name] == 1 else folder.as_posix()
        patient = folder.parts[1] if len(folder.parts) == PATIENT else lesion
        images = {name: tuple(files.get(name, ())) for name in modalities}
        masks = {
            name: tuple(files[mask_column(name)])
            for name in modalities
            if mask_column(name) in files
        }
        cases.append(Case(lesion, patient, label, images, masks, "", {}, 0))
    problems.check()
    return cases
