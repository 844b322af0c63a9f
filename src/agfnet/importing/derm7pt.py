"""Derm7pt (Kawahara et al., 2018): lesions with a clinical and a dermoscopic image.

Expected is what the archive from https://derm.cs.sfu.ca unpacks to, a folder `release_v0` with

    meta/meta.csv               one row per lesion
    meta/train_indexes.csv      rows of meta.csv, counted from 0, under the column `indexes`
    meta/valid_indexes.csv
    meta/test_indexes.csv
    images/                     the files that meta.csv names under `clinic` and `derm`
"""

from __future__ import annotations

from dataclasses import replace
from filecmp import cmp
from pathlib import Path

from agfnet.data.problems import Problems, StrPath, near
from agfnet.data.rows import Row
from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.importing.common import ImportReport, find_file, read_official, write_report

COLUMNS = {"clinical": "clinic", "dermoscopic": "derm"}
SPLITS = {"train": "train", "valid": "val", "test": "test"}
GROUPS = {
    "BCC": ("basal cell carcinoma",),
    "NEV": (
        "blue nevus",
        "clark nevus",
        "combined nevus",
        "congenital nevus",
        "dermal nevus",
        "recurrent nevus",
        "reed or spitz nevus",
    ),
    "MEL": (
        "melanoma",
        "melanoma (in situ)",
        "melanoma (less than 0.76 mm)",
        "melanoma (0.76 to 1.5 mm)",
        "melanoma (more than 1.5 mm)",
        "melanoma metastasis",
    ),
    "MISC": ("dermatofibroma", "lentigo", "melanosis", "miscellaneous", "vascular lesion"),
    "SK": ("seborrheic keratosis",),
}
"""The five classes of the literature, from the authors' own grouping."""
GROUP_OF = {diagnosis: group for group, names in GROUPS.items() for diagnosis in names}


def import_derm7pt(source: StrPath, out: StrPath) -> ImportReport:
    """Write `cases.csv` for Derm7pt, with its official split. Images stay where they are.

    The lesion id is `case_num`; the label is the diagnosis as it stands, and the attribute
    `label_5` its class in `GROUPS`. All other columns become attributes.

    Some cases list one file for both views (nine in the official release), or two files of the
    same content. It cannot show both, so their dermoscopic view is left empty, and they are noted.

    Args:
        source: the folder `release_v0`.
        out: folder for `cases.csv`; made if missing.

    Raises:
        DataError: files are missing, disagree or are not as expected, or `cases.csv` exists.
    """
    source, out = Path(source), Path(out)
    meta = source / "meta"
    if not (meta / "meta.csv").is_file():
        raise DataError(
            f"{source}: meta/meta.csv is not in this folder; name the folder release_v0, "
            "with the folders meta and images"
        )
    cases = _cases(meta / "meta.csv", (source / "images").absolute())
    split_of = _splits(meta, len(cases))
    cases = [replace(case, split=split_of.get(number, "")) for number, case in enumerate(cases)]
    same = [case.lesion_id for case in cases if _shows_one_image(case)]
    notes = ["Derm7pt names no patients: every lesion counts as its own patient"]
    if unused := len(cases) - len(split_of):
        notes.append(f"{unused} cases are in no index file; their split is empty")
    if same:
        notes.append(
            f"{len(same)} cases have one image for both views, so their dermoscopic view is left "
            f"empty: case_num {', '.join(same)}"
        )
    cases = [_clinical_only(case) if case.lesion_id in same else case for case in cases]
    return write_report(cases, out, modalities=tuple(COLUMNS), notes=notes)


def _splits(meta: Path, count: int) -> dict[int, str]:
    """The split of each row of meta.csv, by its number from 0."""
    split_of: dict[int, str] = {}
    for name, split in SPLITS.items():
        rows, problems = read_official(meta / f"{name}_indexes.csv", "indexes")
        for row in rows:
            cell = row.cells["indexes"]
            number = int(cell) if cell.isascii() and cell.isdigit() else count
            if number >= count:
                message = f"{cell!r} is no row of meta.csv; expected 0 to {count - 1}"
            elif number in split_of:
                message = f"{cell} is in {split_of[number]} already; expected each row once"
            else:
                split_of[number] = split
                continue
            problems.add(message, row=row.line, column="indexes")
        problems.check()
    return split_of


def _shows_one_image(case: Case) -> bool:
    """Return whether both views list the same file, or files of the same content."""
    clinical, dermoscopic = (case.images[modality] for modality in COLUMNS)
    return bool(clinical and dermoscopic) and cmp(clinical[0], dermoscopic[0], shallow=False)


def _clinical_only(case: Case) -> Case:
    return replace(case, images={**case.images, "dermoscopic": ()})


def _cases(path: Path, folder: Path) -> list[Case]:
    rows, problems = read_official(path, "case_num", "diagnosis", *COLUMNS.values())
    cases: dict[str, Case] = {}
    for row in rows:
        case = _case(row, folder, problems)
        first = cases.setdefault(case.lesion_id, case)
        if not case.lesion_id or first is not case:
            message = f"{case.lesion_id!r} is empty or in row {first.row} too"
            problems.add(message, row=row.line, column="case_num")
    problems.check()
    return list(cases.values())


def _case(row: Row, folder: Path, problems: Problems) -> Case:
    lesion, label = row.cells["case_num"], row.cells["diagnosis"]
    if label not in GROUP_OF:
        message = f"{label!r} is unknown; {near(label, GROUP_OF)}"
        problems.add(message, row=row.line, column="diagnosis")
    images: dict[str, tuple[Path, ...]] = {}
    for modality, column in COLUMNS.items():
        name = row.cells[column]
        path = find_file(folder, name) if name else None
        images[modality] = (path,) if path else ()
        if name and path is None:
            message = f"{name!r} is not in {folder}, or is empty"
            problems.add(message, row=row.line, column=column)
    if not any(row.cells[column] for column in COLUMNS.values()):
        problems.add("names no image", row=row.line)
    used = ("case_num", "diagnosis", *COLUMNS.values())
    attributes = {name: cell for name, cell in row.cells.items() if name not in used}
    attributes["label_5"] = GROUP_OF.get(label, "")
    return Case(lesion, lesion, label, images, {}, "", attributes, row.line)
