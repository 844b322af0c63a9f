from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.data.table import read_cases
from agfnet.errors import DataError
from agfnet.importing.milk10k import MODALITIES, import_milk10k

LESIONS = {"IL_1": "NV", "IL_2": "BCC", "IL_3": "NV"}
TYPES = {"clinical": "clinical: close-up", "dermoscopic": "dermoscopic"}


def write_csv(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def isic(lesion: str, view: str) -> str:
    return f"ISIC_{lesion[3:]}{view[0]}"


def make(folder: Path, *, part: str = "Training", nested: bool = True) -> Path:
    """The official layout, with three lesions."""
    source = folder / "milk"
    metadata, supplement = [], []
    for lesion in LESIONS:
        for view, kind in TYPES.items():
            image = isic(lesion, view)
            where = source / f"MILK10k_{part}_Input" / (lesion if nested else "")
            where.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(np.zeros((4, 4, 3), np.uint8)).save(where / f"{image}.jpg")
            row = {"lesion_id": lesion, "image_type": kind, "isic_id": image}
            row |= {"image_manipulation": "altered", "age_approx": "40", "sex": "female"}
            metadata.append(row | {"MONET_hair": f"0.{len(metadata)}"})
            supplement.append({"isic_id": image, "diagnosis_full": f"full {lesion}"})
    write_csv(source / f"MILK10k_{part}_Metadata.csv", metadata)
    if part == "Training":
        truth = [
            {"lesion_id": lesion}
            | {name: str(float(name == label)) for name in ("BCC", "MEL", "NV")}
            for lesion, label in LESIONS.items()
        ]
        write_csv(source / "MILK10k_Training_GroundTruth.csv", truth)
        write_csv(source / "MILK10k_Training_Supplement.csv", supplement)
    return source


@pytest.mark.parametrize("nested", [True, False])
def test_official_layouts(tmp_path: Path, nested: bool):
    source = make(tmp_path, nested=nested)
    report = import_milk10k(source, tmp_path / "deep/out")
    assert report.table == tmp_path / "deep/out/cases.csv"
    assert report.modalities == MODALITIES == ("clinical", "dermoscopic")
    assert report.cases == 3
    assert report.labels == {"BCC": 1, "NV": 2}
    assert "no patients" in report.notes[0]
    assert [path.name for path in report.table.parent.iterdir()] == ["cases.csv"]
    first, second, _ = read_cases(report.table, modalities=MODALITIES)
    assert (first.lesion_id, first.patient_id, first.label) == ("IL_1", "IL_1", "NV")
    assert (second.label, second.split) == ("BCC", "")
    where = source / "MILK10k_Training_Input" / ("IL_1" if nested else "")
    assert first.images["dermoscopic"] == (where / "ISIC_1d.jpg",)
    assert first.attributes == {
        "clinical_isic_id": "ISIC_1c",
        "dermoscopic_isic_id": "ISIC_1d",
        "clinical_image_manipulation": "altered",
        "dermoscopic_image_manipulation": "altered",
        "age_approx": "40",
        "sex": "female",
        "clinical_MONET_hair": "0.0",
        "dermoscopic_MONET_hair": "0.1",
        "diagnosis_full": "full IL_1",
    }


def test_without_supplement(tmp_path: Path):
    source = make(tmp_path)
    (source / "MILK10k_Training_Supplement.csv").unlink()
    report = import_milk10k(source, tmp_path)
    (first, *_) = read_cases(report.table, modalities=MODALITIES)
    assert "diagnosis_full" not in first.attributes


def test_a_damaged_supplement(tmp_path: Path):
    source = make(tmp_path)
    with (source / "MILK10k_Training_Supplement.csv").open("a") as file:
        file.write("ISIC_9,nevus,x\n")
    with pytest.raises(DataError, match=r"Supplement\.csv:8: has 3 cells, expected 2"):
        import_milk10k(source, tmp_path)


def test_the_test_part_is_unlabelled(tmp_path: Path):
    source = make(tmp_path, part="Test")
    report = import_milk10k(source, tmp_path / "test")
    assert report.labels == {}
    assert "unlabelled" in report.notes[1]
    assert {case.label for case in read_cases(report.table, modalities=MODALITIES)} == {""}
    make(tmp_path, part="Training")
    assert import_milk10k(source, tmp_path / "train").labels
    assert not import_milk10k(source, tmp_path / "again", part="Test").labels


def test_an_earlier_table_is_not_replaced(tmp_path: Path):
    source = make(tmp_path)
    import_milk10k(source, tmp_path)
    with pytest.raises(DataError, match="exists already"):
        import_milk10k(source, tmp_path)


def test_the_wrong_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"MILK10k_Training_Metadata\.csv is not in this folder"):
        import_milk10k(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("Input", "unpack MILK10k_Training_Input.zip there"), ("GroundTruth.csv", "no such file")],
)
def test_missing_parts(tmp_path: Path, name: str, words: str):
    source = make(tmp_path)
    path = source / f"MILK10k_Training_{name}"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=words):
        import_milk10k(source, tmp_path)


Rows = list[dict[str, str]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.pop(1), "Metadata.csv:2: the lesion IL_1 has no dermoscopic image"),
        (lambda rows: rows.append(rows[0]), "Metadata.csv:8: the lesion IL_1 has a second"),
        (lambda rows: rows[0].update(image_type="x"), ":2 column image_type: 'x' is unknown"),
        (lambda rows: rows[0].update(lesion_id="IL_9"), "the lesion IL_9 is not in the ground"),
        (lambda rows: rows[0].update(isic_id="I"), ":2 column isic_id: the image I is neither at"),
        (lambda rows: [row.pop("isic_id") for row in rows], ":1 column isic_id: there is no such"),
        (lambda rows: (rows.pop(0), rows.pop(0)), "IL_1 of the ground truth has no rows"),
    ],
)
def test_metadata_that_does_not_fit(tmp_path: Path, change: Callable[[Rows], object], words: str):
    source = make(tmp_path)
    path = source / "MILK10k_Training_Metadata.csv"
    rows = read_csv(path)
    change(rows)
    write_csv(path, rows)
    with pytest.raises(DataError) as caught:
        import_milk10k(source, tmp_path)
    assert words in str(caught.value)
    assert not (tmp_path / "cases.csv").exists()


@pytest.mark.parametrize(
    ("values", "found"),
    [({"NV": "0.0"}, "none"), ({"BCC": "1.0"}, "BCC and NV"), ({"NV": "yes"}, "none")],
)
def test_labels_that_are_not_one_hot(tmp_path: Path, values: dict[str, str], found: str):
    source = make(tmp_path)
    path = source / "MILK10k_Training_GroundTruth.csv"
    rows = read_csv(path)
    rows[0].update(values)
    write_csv(path, rows)
    with pytest.raises(DataError, match=rf"GroundTruth\.csv:2: .*exactly one label, found {found}"):
        import_milk10k(source, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("AGFNET_MILK10K" not in os.environ, reason="AGFNET_MILK10K names no folder")
def test_the_real_data(tmp_path: Path):
    source = Path(os.environ["AGFNET_MILK10K"])
    report = import_milk10k(source, tmp_path)
    truth = read_csv(source / "MILK10k_Training_GroundTruth.csv")
    cases = read_cases(report.table, modalities=MODALITIES)
    assert len(cases) == report.cases == len(truth)
    labels = {row["lesion_id"]: max(list(row)[1:], key=lambda k: float(row[k])) for row in truth}
    assert {case.lesion_id: case.label for case in cases} == labels
    assert report.labels == dict(sorted(Counter(labels.values()).items()))
    assert all(len(paths) == 1 for case in cases for paths in case.images.values())
    assert sum("MONET" in name for name in cases.cases[0].attributes) == 14
