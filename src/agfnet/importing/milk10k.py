"""MILK10k (ISIC 2025): lesions with a clinical close-up and a dermoscopic image.

Expected is what the archive at https://challenge.isic-archive.com/data/ unpacks to, in one folder:

    MILK10k_Training_Metadata.csv      two rows per lesion, one per image
    MILK10k_Training_GroundTruth.csv   one-hot labels, one row per lesion
    MILK10k_Training_Supplement.csv    optional; full diagnosis of each image
    MILK10k_Training_Input/            LESION/IMAGE.jpg, or all IMAGE.jpg side by side

and the same with `Test` instead of `Training`, which comes without ground truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from agfnet.data.problems import StrPath
from agfnet.data.rows import Row
from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.importing.common import ImportReport, find_file, read_official, write_report

MODALITIES = ("clinical", "dermoscopic")
VIEWS = {"clinical: close-up": "clinical", "dermoscopic": "dermoscopic"}
Part = Literal["Training", "Test"]


def import_milk10k(source: StrPath, out: StrPath, *, part: Part | None = None) -> ImportReport:
    """Write `cases.csv` for MILK10k. Images stay where they are.

    The table has the modalities `clinical` and `dermoscopic`. Of the metadata, what describes
    the lesion becomes one attribute (`age_approx`, `sex`, `skin_tone_class`, `site`, …), taken
    from the clinical row; what describes one image (`isic_id`, `image_manipulation`, `MONET_…`)
    becomes one per view, such as `clinical_MONET_hair`.

    Args:
        source: the folder with the official files.
        out: folder for `cases.csv`; made if missing.
        part: which part to import; if unset, Training where it is, or else Test.

    Raises:
        DataError: files are missing, disagree or are not as expected, or `cases.csv` exists.
    """
    source, out = Path(source), Path(out)
    part = part or _find_part(source)
    stem = source / f"MILK10k_{part}"
    folder = Path(f"{stem}_Input")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; unpack {folder.name}.zip there")
    labels = _labels(Path(f"{stem}_GroundTruth.csv")) if part == "Training" else None
    supplement = _supplement(Path(f"{stem}_Supplement.csv"))
    cases = _cases(Path(f"{stem}_Metadata.csv"), folder.absolute(), labels, supplement)
    notes = ["MILK10k names no patients: every lesion counts as its own patient"]
    if labels is None:
        notes.append("this part has no ground truth: its cases are unlabelled")
    return write_report(cases, out, modalities=MODALITIES, notes=notes)


def _find_part(source: Path) -> Part:
    parts: tuple[Part, Part] = ("Training", "Test")
    for part in parts:
        if (source / f"MILK10k_{part}_Metadata.csv").is_file():
            return part
    raise DataError(
        f"{source}: MILK10k_Training_Metadata.csv is not in this folder; "
        "name the folder that holds it and MILK10k_Training_Input"
    )


def _labels(path: Path) -> dict[str, str]:
    """The label of every lesion, from one-hot rows."""
    rows, problems = read_official(path, "lesion_id")
    labels = {}
    for row in rows:
        hot = [name for name, cell in row.cells.items() if name != "lesion_id" and _is_one(cell)]
        if len(hot) == 1:
            labels[row.cells["lesion_id"]] = hot[0]
        else:
            labelled = " and ".join(hot) or "none"
            problems.add(f"expected a 1 under exactly one label, found {labelled}", row=row.line)
    problems.check()
    return labels


def _is_one(cell: str) -> bool:
    try:
        return float(cell) == 1
    except ValueError:
        return False


def _supplement(path: Path) -> dict[str, dict[str, str]]:
    """Further columns of every image; empty if there is no such file."""
    if not path.exists():
        return {}
    rows, problems = read_official(path, "isic_id")
    supplement = {row.cells["isic_id"]: row.cells for row in rows}
    problems.check()
    return supplement


def _cases(
    path: Path,
    folder: Path,
    labels: Mapping[str, str] | None,
    supplement: Mapping[str, Mapping[str, str]],
) -> list[Case]:
    rows, problems = read_official(path, "lesion_id", "image_type", "isic_id")
    lesions: dict[str, dict[str, Row]] = {}
    images: dict[str, Path] = {}
    for row in rows:
        lesion, image = row.cells["lesion_id"], row.cells["isic_id"]
        view = VIEWS.get(row.cells["image_type"])
        if view is None:
            message = f"{row.cells['image_type']!r} is unknown; expected " + " or ".join(VIEWS)
            problems.add(message, row=row.line, column="image_type")
        elif view in lesions.setdefault(lesion, {}):
            problems.add(f"the lesion {lesion} has a second {view} image", row=row.line)
        else:
            lesions[lesion][view] = row
        nested, flat = folder / lesion / f"{image}.jpg", folder / f"{image}.jpg"
        image_file = find_file(nested.parent, nested.name) or find_file(folder, flat.name)
        images[image] = image_file or flat
        if image_file is None:
            message = f"the image {image} is neither at {nested} nor at {flat}, or is empty"
            problems.add(message, row=row.line, column="isic_id")
    cases = []
    for lesion, views in lesions.items():
        line = min(row.line for row in views.values())
        if missing := [view for view in MODALITIES if view not in views]:
            problems.add(f"the lesion {lesion} has no {missing[0]} image", row=line)
        label = "" if labels is None else labels.get(lesion, "")
        if labels is not None and not label:
            problems.add(f"the lesion {lesion} is not in the ground truth", row=line)
        paths: dict[str, tuple[Path, ...]] = {
            view: (images[row.cells["isic_id"]],) for view, row in views.items()
        }
        attributes = _attributes(views, supplement)
        cases.append(Case(lesion, lesion, label, paths, {}, "", attributes, line))
    for lesion in sorted((labels or {}).keys() - lesions.keys()):
        problems.add(f"the lesion {lesion} of the ground truth has no rows")
    problems.check()
    return cases


def _attributes(
    views: Mapping[str, Row], supplement: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for view in MODALITIES:
        if view not in views:
            continue
        cells = views[view].cells
        cells = cells | dict(supplement.get(cells["isic_id"], {}))
        for name, cell in cells.items():
            if name in ("isic_id", "image_manipulation") or name.startswith("MONET_"):
                attributes[f"{view}_{name}"] = cell
            elif name not in ("lesion_id", "image_type"):
                attributes.setdefault(name, cell)
    return attributes
