"""Kinds of spreadsheets and trees that were once understood wrongly without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.errors import DataError
from agfnet.importing.column_names import role_of
from agfnet.importing.folder import import_folder
from agfnet.importing.table import Plan, plan_table

from .awkward import DIAGNOSES, complete, pairs, patients, plan
from .hospital import dicom, photo, scan, table


def noted(result: Plan, text: str) -> bool:
    return any(text in note for note in result.notes)


def labelled(folder: Path, *labels: str, header: str = "Patient,Diagnosis") -> Plan:
    """Plan a patient for each label, in a CSV file."""
    names = patients(folder, len(labels))
    return plan(folder, [header, *map(",".join, zip(names, labels, strict=True))])


# cells


def test_text_under_no_name_is_noted(tmp_path: Path) -> None:
    result = labelled(tmp_path, "NV,,", "BCC,,exclude!", header="Patient,Diagnosis,,")
    complete(result, 2)
    assert noted(result, "columns without a name, left out: row 3 (exclude!); name the columns")


def test_texts_that_excel_must_not_turn_into_numbers(tmp_path: Path) -> None:
    pairs(tmp_path, "0012/", "0013/")
    rows = ['"=""0012""",NV', '"=""0013""",BCC']
    cases = complete(plan(tmp_path, ["Patient,Diagnosis", *rows]), 2)
    assert [case.patient_id for case in cases] == ["0012", "0013"]


def test_formulas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv:3 column Diagnosis: '=A2&B2' is a formula"):
        labelled(tmp_path, "NV", "=A2&B2")
    with pytest.raises(DataError, match=r"t\.csv:2 column Patient: '=C2' is a formula"):
        plan(tmp_path, ["Patient,Diagnosis", "=C2,NV", "P002,BCC"])


def test_errors_of_a_spreadsheet(tmp_path: Path) -> None:
    result = labelled(tmp_path, "NV,#DIV/0!", "#N/A,2", header="Patient,Diagnosis,Thickness")
    assert [case.label for case in result.cases] == ["NV", ""]
    assert [case.attributes["Thickness"] for case in result.cases] == ["", "2"]
    assert noted(result, "lesions without a label: 1, in rows 3")


@pytest.mark.parametrize("day", ["01.02.2026", "2026-02-01 00:00:00", "1-Feb", "01. Feb", "1/2/26"])
def test_ids_that_became_days_are_refused(tmp_path: Path, day: str) -> None:
    pairs(tmp_path, "1-2/", "1-13/")
    rows = [f"{day},NV", "1-13,BCC"]
    with pytest.raises(DataError, match=r"t\.csv:2 column Patient: .* is a day, into which a spr"):
        plan(tmp_path, ["Patient,Diagnosis", *rows])


@pytest.mark.parametrize("name", ["L\ufffdsion", "L\u00c3\u00a4sion"])
def test_names_of_columns_with_damaged_letters_are_noted(tmp_path: Path, name: str) -> None:
    result = labelled(tmp_path, "1,NV", "1,N\u00c3\u00a4vus", header=f"Patient,{name},Diagnosis")
    assert noted(result, f"names of columns with damaged letters: {name!r}")
    assert noted(result, "no single certain diagnosis: 'N\u00c3\u00a4vus' (1)")


# labels


def test_names_of_one_diagnosis_are_noted(tmp_path: Path) -> None:
    result = labelled(tmp_path, "BCC", "Basal cell carcinoma", "bcc", "NV")
    assert noted(result, "'BCC' and 'Basal cell carcinoma' are names of one diagnosis")
    assert not noted(labelled(tmp_path, "BCC", "SCC", "bcc"), "names of one diagnosis")


@pytest.mark.parametrize(
    "label",
    ["BCC?", "V.a. BCC", "kein Melanom", "BCC / SCC", "NV oder MM", "suspected MM", "疑痣"],
)
def test_uncertain_labels_are_noted(tmp_path: Path, label: str) -> None:
    assert noted(labelled(tmp_path, "NV", label), f"no single certain diagnosis: {label!r} (1)")


def test_certain_labels_are_not_noted(tmp_path: Path) -> None:
    labels = ("C44.3", "8090/3", "melanoma (in situ)", "Nävus", "Naevus cell naevus", "other")
    assert not noted(labelled(tmp_path, *labels), "no single certain diagnosis")


def test_dates_in_the_column_of_the_label_are_named(tmp_path: Path) -> None:
    result = labelled(tmp_path, "12.03.2021", "13.04.2022", header="Patient,Diagnose")
    assert noted(result, "the cells of 'Diagnose' are dates or files, and not labels")
    assert noted(result, "name it (--columns.label)")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("N.º de processo", "patient_id"),
        ("N.º do doente", "patient_id"),
        ("Utente", "patient_id"),
        ("Prontuário nº", "patient_id"),
        ("患者ID号", "patient_id"),
        ("就诊卡号", "patient_id"),
        ("N. lesione", "lesion_id"),
        ("Final Dx", "label"),
        ("Anapath", "label"),
    ],
)
def test_names_of_columns(name: str, role: str) -> None:
    assert role_of(name)[0] == role


def test_a_label_in_two_cases_of_folders_is_one_line(tmp_path: Path) -> None:
    for number, label in enumerate(("BCC", "bcc", "bcc")):
        photo(tmp_path / "s" / label / f"L{number}" / "foto.jpg", number)
    with pytest.raises(DataError) as caught:
        import_folder(tmp_path / "s", tmp_path / "o", modalities=("clinical",))
    assert len(str(caught.value).splitlines()) == 1


# files


def test_other_images_of_a_folder_are_not_added_to_those_that_a_cell_names(tmp_path: Path) -> None:
    for name in ("P1", "P2"):
        for number in (1, 2, 3):
            photo(tmp_path / "d" / name / f"IMG_{number}.JPG", number)
        scan(tmp_path / "d" / name / "us.png")
    rows = ["P1,P1/IMG_2.JPG,NV", "P2,P2/IMG_1.JPG,BCC"]
    result = plan(tmp_path, ["Patient,Photo,Diagnosis", *rows])
    cases = complete(result, 2)
    assert [case.images["clinical"][0].name for case in cases] == ["IMG_2.JPG", "IMG_1.JPG"]
    assert noted(result, "4 files of lesions whose cells name other images of the modality")


def test_the_number_of_a_patient_in_a_name_is_not_that_of_a_lesion(tmp_path: Path) -> None:
    for number in (1, 2):
        for letter in "ab":
            name = tmp_path / "d" / f"IM{number}{letter}"
            dicom(name, number, PatientID=f"P{number}", StudyDate="20230101")
    rows = ["P1,1,NV", "P1,2,BCC", "P2,1,NV", "P2,2,NV"]
    with pytest.raises(DataError, match=r"no file below .* fits a row"):
        plan(tmp_path, ["PatientID,Lesion,Diagnosis", *rows])


def test_the_id_of_a_lesion_suffices_where_it_is_unique(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        dicom(tmp_path / "d" / f"{number:03}" / "IM1", number, PatientID=f"HOSP{77 * number}")
        photo(tmp_path / "d" / f"{number:03}" / "IMG_1.JPG", number)
    rows = [f"{number},HOSP{77 * number},{DIAGNOSES[number % 2]}" for number in (1, 2, 3)]
    complete(plan(tmp_path, ["Nr,PatientID,Diagnosis", *rows]), 3)


def test_folders_that_the_rows_do_not_distinguish_are_noted(tmp_path: Path) -> None:
    pairs(tmp_path, *(f"P{n}/2023-0{m}-05/" for n in (1, 2) for m in (1, 2)))
    result = plan(tmp_path, ["Patient,Diagnosis", "P1,NV", "P2,BCC"])
    assert noted(
        result,
        "2 lesions have images of one modality from several folders (P1/2023-01-05 and "
        "P1/2023-02-05)",
    )


# trees that were read rightly from the beginning


def test_accession_numbers_without_their_zeros(tmp_path: Path) -> None:
    for number in range(1, 5):
        tags = {"AccessionNumber": f"000123{number}", "PatientID": f"X{number}"}
        dicom(tmp_path / "d" / f"IM{number}", number, **tags)
        photo(tmp_path / "d" / f"photo_000123{number}.jpg", number)
    rows = [[1230 + number, DIAGNOSES[number % 2]] for number in range(1, 5)]
    complete(plan(tmp_path, [["Accession", "Diagnosis"], *rows]), 4)


def test_centres_with_different_trees(tmp_path: Path) -> None:
    pairs(tmp_path, "Graz/01/", "Graz/02/")
    for number in (1, 2):
        photo(tmp_path / "d" / "Porto" / "clinica" / f"doente{number}.jpg", number)
        scan(tmp_path / "d" / "Porto" / "eco" / f"doente{number}.png", number)
    rows = [f"{centre};{n};{DIAGNOSES[n % 2]}" for centre in ("Graz", "Porto") for n in (1, 2)]
    cases = complete(plan(tmp_path, ["Centre;Patient;Diagnosis", *rows]), 4)
    assert {c.attributes["Centre"]: c.images["clinical"][0].parts[-3] for c in cases} == {
        "Graz": "Graz",
        "Porto": "Porto",
    }


def test_names_of_many_folders_with_a_hint(tmp_path: Path) -> None:
    for name in ("A1", "A2"):
        photo(tmp_path / "d" / name / "IMG_0001.JPG", len(name))
        scan(tmp_path / "d" / name / "US_0001.png")
    rows = [f"{name},IMG_0001.JPG,US_0001.png,NV" for name in ("A1", "A2")]
    cases = complete(plan(tmp_path, ["Patient,Photo,US,Diagnosis", *rows]), 2)
    assert [case.images["clinical"][0].parent.name for case in cases] == ["A1", "A2"]
    path = table(tmp_path / "u.csv", ["Patient,Photo,Diagnosis", "B1,IMG_0001.JPG,NV"])
    with pytest.raises(DataError, match=r"once: there are 'A1/IMG_0001.JPG', 'A2/IMG_0001.JPG'"):
        plan_table(path, root=tmp_path / "d")
