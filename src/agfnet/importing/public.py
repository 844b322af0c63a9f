"""Public sets of one modality, to train a backbone on: HAM10000, ISIC, PAD-UFES-20 and BUSI.

Expected is what each archive unpacks to; the images may be in any folder below the source.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from agfnet.data.problems import Problems, StrPath
from agfnet.data.rows import Row, read_rows
from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.importing.common import ImportReport, write_report
from agfnet.importing.tree import SUFFIXES, listed, natural, notes, walk

CLINICAL, DERMOSCOPIC, ULTRASOUND = "clinical", "dermoscopic", "ultrasound"


def import_ham10000(source: StrPath, out: StrPath) -> ImportReport:
    """Write `cases.csv` for HAM10000 (Tschandl et al., 2018): dermoscopy, 7 diagnoses.

    Images of one `lesion_id` are one lesion; no patients are named.

    Raises:
        DataError: the metadata or images are missing or not as expected, or `cases.csv` exists.
    """
    return _import(
        Path(source),
        Path(out),
        columns=("lesion_id", "image_id", "dx"),
        modality=DERMOSCOPIC,
        image="image_id",
        label="dx",
        lesion="lesion_id",
        patient="",
    )


def import_isic(source: StrPath, out: StrPath) -> ImportReport:
    """Write `cases.csv` for a download of the ISIC archive: images and `metadata.csv`.

    Images with one `lesion_id` are one lesion, `patient_id` is kept, and the label is
    `diagnosis_3`, `diagnosis` or the last filled level of the diagnosis.

    Raises:
        DataError: the metadata or images are missing or not as expected, or `cases.csv` exists.
    """

    def label(cells: Mapping[str, str]) -> str:
        levels = [f"diagnosis_{number}" for number in range(5, 0, -1)]
        names = ["diagnosis_3", "diagnosis", *levels, "benign_malignant"]
        return next((cells[name] for name in names if cells.get(name)), "")

    return _import(
        Path(source),
        Path(out),
        columns=("isic_id",),
        modality=DERMOSCOPIC,
        image="isic_id",
        label=label,
        lesion="lesion_id",
        patient="patient_id",
    )


def import_pad_ufes(source: StrPath, out: StrPath) -> ImportReport:
    """Write `cases.csv` for PAD-UFES-20 (Pacheco et al., 2020): photographs and attributes.

    Raises:
        DataError: the metadata or images are missing or not as expected, or `cases.csv` exists.
    """
    return _import(
        Path(source),
        Path(out),
        columns=("patient_id", "lesion_id", "diagnostic", "img_id"),
        modality=CLINICAL,
        image="img_id",
        label="diagnostic",
        lesion="lesion_id",
        patient="patient_id",
    )


def import_busi(source: StrPath, out: StrPath) -> ImportReport:
    """Write `cases.csv` for folders like BUSI (Al-Dhabyani et al., 2020): `label/image.png`.

    `benign (1)_mask.png` and `benign (1)_mask_1.png` are masks of `benign (1).png`. A lesion with
    several masks gets none, and is noted: a cases table has one for each image.

    Raises:
        DataError: there are no such folders, or `cases.csv` exists.
    """
    source, out = Path(source), Path(out)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    root = source.absolute()
    tree = walk(root)
    files = [path for path in tree.files if path.suffix.lower() in SUFFIXES]
    masks: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    images = []
    for path in files:
        if match := re.fullmatch(r"(.+?)[ _-]mask(?:[ _-]?\d+)?", path.stem, re.IGNORECASE):
            masks[path.parent, match[1]].append(path)
        elif path.parent.name:
            images.append(path)
    if not images:
        raise DataError(
            f"{source}: no image in a folder named after its label; expected for example "
            f"{source / 'benign' / 'benign (1).png'}"
        )
    cases, several = [], []
    names = [path.stem for path in images]
    for path in images:
        drawn = masks.pop((path.parent, path.stem), [])
        several += [path] if len(drawn) > 1 else []
        lesion = path.stem if names.count(path.stem) == 1 else f"{path.parent.name}/{path.stem}"
        used: dict[str, tuple[Path, ...]] = (
            {ULTRASOUND: (root / drawn[0],)} if len(drawn) == 1 else {}
        )
        cases.append(
            Case(lesion, lesion, path.parent.name, {ULTRASOUND: (root / path,)}, used, "", {}, 0)
        )
    lines = ["the set names no patients: every image counts as its own patient", *notes(tree)]
    if several:
        lines.append(listed(several, "images with several masks, imported without one"))
    if rest := [path for paths in masks.values() for path in paths]:
        lines.append(listed(rest, "masks without an image, left out"))
    if others := [path for path in tree.files if path not in set(files)]:
        lines.append(listed(others, "files that are no images by their names, left out"))
    return write_report(cases, out, modalities=(ULTRASOUND,), notes=lines)


def _import(
    source: Path,
    out: Path,
    *,
    columns: tuple[str, ...],
    modality: str,
    image: str,
    label: str | Callable[[Mapping[str, str]], str],
    lesion: str,
    patient: str,
) -> ImportReport:
    """Import a metadata table with one row per image, and its images below the same folder."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; name the folder that the archive unpacks to")
    tree = walk(source.absolute())
    metadata = _metadata(source.absolute(), tree.files, columns)
    problems = Problems(metadata)
    by_stem = {
        path.stem: path for path in reversed(tree.files) if path.suffix.lower() in SUFFIXES[1:]
    }
    groups: dict[str, list[tuple[Row, Path]]] = {}
    taken, empty = set(), []
    for row in read_rows(metadata, problems, required=columns).rows:
        name = row.cells[image]
        path = by_stem.get(re.sub(r"\.\w+$", "", name))
        if path is None:
            problems.add(f"the image {name!r} is not below {source}", row=row.line, column=image)
            continue
        if not (source / path).stat().st_size:
            empty.append(path)
        taken.add(path)
        groups.setdefault(row.cells.get(lesion) or name, []).append((row, path))
    for path in empty:
        problems.add(f"{path} is empty; unpack it again")
    problems.check()
    cases = []
    for name, members in groups.items():
        cells = members[0][0].cells
        labels = {label(r.cells) if callable(label) else r.cells[label] for r, _ in members}
        if len(labels) > 1:
            problems.add(
                f"the lesion {name!r} has the labels {', '.join(map(repr, sorted(labels)))}; "
                "expected one",
                row=members[-1][0].line,
            )
        used = {image, lesion, patient, "label", "split"} | (
            {label} if isinstance(label, str) else set()
        )
        attributes = {column: cells[column] for column in cells if column not in used}
        person = cells.get(patient) or name if patient else name
        paths = tuple(
            source.absolute() / p for _, p in sorted(members, key=lambda m: natural(m[1]))
        )
        line = members[0][0].line
        cases.append(Case(name, person, labels.pop(), {modality: paths}, {}, "", attributes, line))
    problems.check()
    lines = [] if patient else ["no patients are named: every lesion counts as its own patient"]
    images = [path for path in by_stem.values() if path not in taken]
    if images:
        lines.append(listed(sorted(images, key=natural), "images without a row, left out"))
    return write_report(cases, out, modalities=(modality,), notes=[*lines, *notes(tree)])


def _metadata(source: Path, files: list[Path], columns: tuple[str, ...]) -> Path:
    """Return the CSV file below a folder that has some columns."""
    tables = [path for path in files if path.suffix.lower() in (".csv", ".txt", ".tab", "")]
    for path in tables:
        try:
            header = read_rows(source / path, Problems(source / path)).columns
        except DataError:
            continue
        if set(columns) <= set(header):
            return source / path
    raise DataError(
        f"{source}: no CSV file with the columns {', '.join(columns)} is below this folder; "
        f"unpack the metadata there too (CSV files there: {', '.join(map(str, tables)) or 'none'})"
    )
