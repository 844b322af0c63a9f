"""Public sets of one modality, with small made-up images in the layout of their archives."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.cli import main
from agfnet.data.table import read_cases
from agfnet.errors import DataError
from agfnet.importing.public import import_busi, import_ham10000, import_isic, import_pad_ufes

from .hospital import photo, scan, table


def test_ham10000(tmp_path: Path) -> None:
    for number in range(3):
        photo(tmp_path / "ham" / f"HAM10000_images_part_{1 + number // 2}" / f"ISIC_{number}.jpg")
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    lines += ["HAM_1,ISIC_0,bkl,histo,80.0,male,scalp", "HAM_1,ISIC_1,bkl,histo,80.0,male,scalp"]
    lines += ["HAM_2,ISIC_2,mel,histo,60.0,male,ear"]
    table(tmp_path / "ham" / "HAM10000_metadata.csv", lines)
    assert main(["import", "ham10000", str(tmp_path / "ham"), str(tmp_path / "out")]) == 0
    first, second = read_cases(tmp_path / "out" / "cases.csv", modalities=["dermoscopic"]).cases
    assert (first.lesion_id, first.label, len(first.images["dermoscopic"])) == ("HAM_1", "bkl", 2)
    assert second.attributes["localization"] == "ear"
    table(tmp_path / "ham" / "HAM10000_metadata.csv", [*lines, "HAM_2,ISIC_9,mel,,,,"])
    with pytest.raises(DataError, match=r":5 column image_id: the image 'ISIC_9' is not below"):
        import_ham10000(tmp_path / "ham", tmp_path / "other")


def test_isic(tmp_path: Path) -> None:
    for number in range(2):
        photo(tmp_path / "isic" / f"ISIC_000{number}.jpg")
    lines = ["isic_id,diagnosis_1,diagnosis_3,lesion_id,patient_id,age_approx"]
    lines += ["ISIC_0000,Benign,Nevus,IL_1,IP_1,40", "ISIC_0001,Malignant,,,IP_1,40"]
    table(tmp_path / "isic" / "metadata.csv", lines)
    report = import_isic(tmp_path / "isic", tmp_path / "out")
    first, second = read_cases(report.table, modalities=["dermoscopic"]).cases
    assert (first.lesion_id, first.label, first.patient_id) == ("IL_1", "Nevus", "IP_1")
    assert (second.lesion_id, second.label, second.patient_id) == (
        *("ISIC_0001", "Malignant", "IP_1"),
    )


def test_pad_ufes(tmp_path: Path) -> None:
    photo(tmp_path / "pad" / "images" / "imgs_part_1" / "PAT_1_2_3.png")
    lines = ["patient_id,lesion_id,smoke,diagnostic,img_id", "PAT_1,2,True,BCC,PAT_1_2_3.png"]
    table(tmp_path / "pad" / "metadata.csv", lines)
    (case,) = read_cases(
        import_pad_ufes(tmp_path / "pad", tmp_path / "out").table, modalities=["clinical"]
    ).cases
    assert (case.patient_id, case.lesion_id, case.label) == ("PAT_1", "2", "BCC")
    assert case.attributes == {"smoke": "True"}


def test_busi(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset_BUSI_with_GT"
    for name in ("benign/benign (1)", "malignant/malignant (1)", "malignant/malignant (2)"):
        scan(folder / f"{name}.png")
        scan(folder / f"{name}_mask.png")
    scan(folder / "benign" / "benign (1)_mask_1.png")
    report = import_busi(folder, tmp_path / "out")
    cases = read_cases(report.table, modalities=["ultrasound"]).cases
    assert [case.label for case in cases] == ["benign", "malignant", "malignant"]
    assert [len(case.masks.get("ultrasound", ())) for case in cases] == [0, 1, 1]
    assert any(note.startswith("1 images with several masks") for note in report.notes)
    with pytest.raises(DataError, match="no image in a folder"):
        import_busi(tmp_path / "out", tmp_path / "other")
