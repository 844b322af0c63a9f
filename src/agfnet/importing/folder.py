"""Folder trees: SOURCE/label/lesion/ or SOURCE/label/patient/lesion/.

In a lesion's folder, a file belongs to the modality that its name begins with, or to the one that
its sub-folder's name begins with; a name that begins with `<modality>_mask` is a mask:

    melanoma/L1/clinical.jpg
    melanoma/L1/ultrasound_1.png, ultrasound_2.png
    naevus/L2/clinical/IMG_0001.JPG
    naevus/L2/ultrasound/scan2.dcm, scan10.dcm

Folders `train`, `val` and `test` above or below those of the labels become the split.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import MAX_SHOWN, Problems, StrPath
from agfnet.data.spelling import label_key
from agfnet.data.table import Case, mask_column
from agfnet.data.write_table import printable
from agfnet.errors import DataError
from agfnet.importing.common import ImportReport, write_report

# files of other programs are recognised by name; whether a file is an image, the reader decides by
# its content
SUFFIXES = (
    *("", ".dcm", ".dicom", ".ima"),
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"),
)
SYSTEM = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "system volume information"),
    *("$recycle.bin", "#recycle", "#snapshot", "~snapshot", "lost+found"),
)
"""Files and folders of operating systems and network storages."""
SYSTEM_PREFIXES = (".", "@", "~$", "synofile_thumb", "synophoto_thumb")
SPLITS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
"""Names of folders that are splits and not labels."""
LESION, PATIENT = 2, 3  # folders from the source down to the lesion, without and with patients

Files = dict[str, list[Path]]  # per modality or mask column


def import_folder(
    source: StrPath, out: StrPath, *, modalities: Sequence[str] = ("clinical", "ultrasound")
) -> ImportReport:
    """Write `cases.csv` for a folder tree. Images stay where they are.

    Several files of a modality are in natural order (scan2 before scan10). The lesion id is the
    name of the lesion's folder, or its whole path where that name occurs twice. Patients' folders
    of the same name under several labels are one patient. Symbolic links are followed. Hidden
    files and those of operating systems and network storages are skipped; files and folders that
    fit nowhere are noted.

    Args:
        source: the folder with one folder per label.
        out: folder for `cases.csv`; made if missing.
        modalities: the names that files or sub-folders begin with, in upper or lower case. The
            next character is no letter: `us_2.png` and `us2.png` are `us`, `user.png` is not.

    Raises:
        DataError: no lesion was found, folders of patients or splits are only in part of the tree,
            a file is empty, a link leads nowhere, a name is not UTF-8, a label has two spellings,
            or `cases.csv` exists.
    """
    source = Path(source)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    tree = _walk(source.absolute())
    lesions, stray = _sort(source.absolute(), tree.files, modalities)
    notes = [
        f"{len(paths)} {what}: "
        + ", ".join(map(str, paths[:MAX_SHOWN]))
        + ", …" * (len(paths) > MAX_SHOWN)
        for what, paths in (
            ("files of no lesion or modality", stray),
            ("empty folders", tree.empty),
            ("links that lead back into their own folder, not followed", tree.loops),
        )
        if paths
    ]
    level = _split_level(source, lesions)
    depths = Counter(len(_names(folder, level)) for folder in lesions)
    if not lesions:
        raise DataError(
            f"{source}: no image at label/lesion/ or label/patient/lesion/ whose name begins with "
            f"{' or '.join(modalities)}; expected for example "
            f"{source / 'melanoma' / 'L1' / modalities[0]}.jpg" + "".join(f"\n{n}" for n in notes)
        )
    if len(depths) > 1:
        short, long = (
            next(folder for folder in lesions if len(_names(folder, level)) == depth)
            for depth in sorted(depths)[:2]
        )
        raise DataError(
            f"{source}: {short} looks like label/lesion and {long} like label/patient/lesion; "
            "expected one of the two everywhere"
        )
    if not depths.keys() <= {LESION, PATIENT}:
        raise DataError(
            f"{source}: {next(iter(lesions))} has a split, but not the folders of a label and a "
            f"lesion; expected for example {Path('train', 'melanoma', 'L1', modalities[0])}.jpg"
        )
    cases = _cases(source, lesions, modalities, level)
    if PATIENT not in depths:
        notes.append("there are no patients' folders: every lesion counts as its own patient")
    return write_report(cases, Path(out), modalities=modalities, notes=notes)


@dataclass(frozen=True)
class _Tree:
    """Paths below the source, relative to it, in natural order."""

    files: list[Path]
    empty: list[Path]
    loops: list[Path]


def _walk(source: Path) -> _Tree:
    """List a folder. Links are followed, except those to a folder that holds them."""
    problems = Problems(source)
    tree = _Tree([], [], [])
    for folder, folders, names in os.walk(source, followlinks=True):
        relative = Path(folder).relative_to(source)
        if not folders and not names:
            tree.empty.append(relative)
        for name in (*folders, *names):
            if printable(name) != name:
                path = printable(str(relative / name))
                problems.add(f"the name of '{path}' is not UTF-8; rename it")
        folders[:] = [name for name in folders if _counts(name)]
        for name in list(folders):
            real = os.path.realpath(Path(folder, name))
            if Path(folder, name).is_symlink() and Path(os.path.realpath(folder)).is_relative_to(
                real
            ):
                folders.remove(name)
                tree.loops.append(relative / name)
        for name in filter(_counts, names):
            if not Path(folder, name).exists():
                problems.add(f"{relative / name} is a link that leads nowhere; correct it")
            tree.files.append(relative / name)
    problems.check()
    for paths in (tree.files, tree.empty, tree.loops):
        paths.sort(key=_natural)
    return tree


def _sort(
    source: Path, files: Sequence[Path], modalities: Sequence[str]
) -> tuple[dict[Path, Files], list[Path]]:
    """Return the files of every lesion, by its folder below the source; and those of none."""
    columns = [name for modality in modalities for name in (modality, mask_column(modality))]
    lesions: defaultdict[Path, Files] = defaultdict(lambda: defaultdict(list))
    stray = []
    for path in files:
        folder = path.parent
        outer = _column(folder.name, columns) if len(folder.parts) > LESION else ""
        if outer:
            folder = folder.parent
        # the more exact of the two: `clinical/clinical_mask.png`; `clinical/ultrasound.png` is none
        other, column = sorted((outer, _column(path.name, columns)), key=len)
        fits = column.startswith(other) and path.suffix.lower() in SUFFIXES
        deepest = PATIENT + any(_split_of(folder, level) for level in (0, 1))
        if column and fits and LESION <= len(folder.parts) <= deepest:
            lesions[folder][column].append(source / path)
        else:
            stray.append(path)
    return lesions, stray


def _split_of(folder: Path, level: int) -> str:
    """Return the split that a folder of a lesion names at a level; or empty."""
    return SPLITS.get(folder.parts[level].casefold(), "") if level < len(folder.parts) - 1 else ""


def _split_level(source: Path, lesions: dict[Path, Files]) -> int | None:
    """Return the level of the folders train, val and test: 0, 1, or None without them."""
    for level in (0, 1):
        named = [folder for folder in lesions if _split_of(folder, level)]
        if named and len(named) == len(lesions):
            return level
        if named:
            other = next(folder for folder in lesions if folder not in named)
            raise DataError(
                f"{source}: {named[0]} has a folder of a split, {named[0].parts[level]!r}, where "
                f"{other} has {other.parts[level]!r}; expected train, val and test there, or none"
            )
    return None


def _names(folder: Path, level: int | None) -> tuple[str, ...]:
    """Return the folders of a lesion without that of the split."""
    return tuple(name for number, name in enumerate(folder.parts) if number != level)


def _counts(name: str) -> bool:
    """Return whether a file or a folder is one of the user's."""
    return name.lower() not in SYSTEM and not name.lower().startswith(SYSTEM_PREFIXES)


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    """Return a key that orders numbers in names by value, and names that differ by case."""
    return [
        [
            *((int(n), "") if n.isdecimal() else (-1, n) for n in re.split(r"(\d+)", part.lower())),
            (-1, part),
        ]
        for part in path.parts
    ]


def _column(name: str, columns: Sequence[str]) -> str:
    """Return the longest column that a name begins with, as a word: `us2`, but not `user`."""
    fitting = [
        column
        for column in columns
        if re.match(rf"{re.escape(column)}s?(?![^\W\d_])", name, re.IGNORECASE)
    ]
    return max(fitting, key=len, default="")


def _cases(
    source: Path, lesions: dict[Path, Files], modalities: Sequence[str], level: int | None
) -> list[Case]:
    problems = Problems(source)
    names = Counter(folder.name for folder in lesions)
    cases, spelling = [], dict[str, str]()
    for folder, files in lesions.items():
        label, *others = _names(folder, level)
        split = "" if level is None else _split_of(folder, level)
        first = spelling.setdefault(label_key(label), label)
        if first != label:
            problems.add(
                f"the labels {label!r} and {first!r} are two spellings of one; rename the folders"
            )
        for path in (path for paths in files.values() for path in paths):
            if not path.stat().st_size:
                problems.add(f"{path.relative_to(source.absolute())} is empty; copy it again")
        lesion = folder.name if names[folder.name] == 1 else folder.as_posix()
        patient = others[0] if len(others) == PATIENT - 1 else lesion
        images = {name: tuple(files.get(name, ())) for name in modalities}
        masks = {
            name: tuple(files[mask_column(name)])
            for name in modalities
            if mask_column(name) in files
        }
        cases.append(Case(lesion, patient, label, images, masks, split, {}, 0))
    problems.check()
    return cases
