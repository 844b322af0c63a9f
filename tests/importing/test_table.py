"""Hospital trees with their spreadsheets, imported with one command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agfnet.cli import main
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.importing.table import Plan, plan_table

from .hospital import LAYOUTS, dicom, lesion_folders, photo, scan, table

VIEWS = ("clinical", "ultrasound")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_hospital_tree_with_one_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, lesions, patients = LAYOUTS[name]
    spreadsheet, root = write(tmp_path)
    command = ["import", "table", str(spreadsheet), str(tmp_path / "out"), "--root", str(root)]
    assert main(command) == 0
    assert "Nothing is imported yet" in capsys.readouterr().out
    assert not (tmp_path / "out" / "cases.csv").exists()
    assert "data:image/jpeg" in (tmp_path / "out" / "import.html").read_text(encoding="utf-8")
    assert main([*command, "--yes"]) == 0
    path = tmp_path / "out" / "cases.csv"
    cases = read_cases(path, modalities=VIEWS).cases
    assert len(cases) == lesions
    assert len({case.patient_id for case in cases}) == patients
    for case in cases:
        assert [len(case.images[view]) for view in VIEWS] == [1, 1], case
        assert case.label
    assert main(["check", str(path), "--images", "false", "--min-patients", "0"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_hospital_tree_to_a_network(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write = LAYOUTS[name][0]
    spreadsheet, root = write(tmp_path, patients=24)
    out = tmp_path / "out"
    assert main(["import", "table", str(spreadsheet), str(out), "--root", str(root), "--yes"]) == 0
    printed = capsys.readouterr().out
    if name == "lesion_folders":
        assert "'melanom' (2) is written 'Melanom'" in printed
        assert "@eaDir" in printed
    assert main(["check", str(out / "cases.csv"), "--workers", "0"]) == 0
    assert main(["split", str(out / "cases.csv"), str(out / "data.csv")]) == 0
    arguments = ["--data.size", "32", "--model.backbone.name", "test_convnext"]
    arguments += ["--optim.epochs", "1", "--data.workers", "0", "--name", "first"]
    arguments += ["--model.fusion.scales", "2", "--runs", str(tmp_path / "runs")]
    arguments += ["--model.method", "concatenation", "--preset", "none"]
    assert main(["train", "--data.cases", str(out / "data.csv"), *arguments]) == 0
    assert (tmp_path / "runs" / "first" / "bundle" / "config.json").is_file()


def test_folder_with_labels_has_a_dry_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spreadsheet, root = lesion_folders(tmp_path)
    out = tmp_path / "out"
    command = ["import", "folder", str(root), str(out), "--labels", str(spreadsheet)]
    command += ["--layout", "patient/lesion"]
    assert main(command) == 0
    assert "Nothing is imported yet" in capsys.readouterr().out
    assert not (out / "cases.csv").exists()
    assert main([*command, "--yes"]) == 0
    assert len(read_cases(out / "cases.csv", modalities=VIEWS).cases) == 16


def test_attributes_without_pydicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for number in (1, 2):
        dicom(tmp_path / "d" / f"{number}7.dcm", number, PatientID=f"H{number}")
        photo(tmp_path / "d" / f"H{number}.jpg", number)
    lines = ["patient,diagnosis", "H1,bcc", "H2,nv"]
    notes = plan(tmp_path, lines).notes
    (line,) = [note for note in notes if "pydicom" in note]
    assert line.startswith("the attributes of 2 DICOM files")
    assert "agfnet[dicom]" in line
    for path in (tmp_path / "d").glob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"no file .* fits a row.* because pydicom is missing"):
        plan(tmp_path, lines)


def plan(folder: Path, lines: list[str], **options: object) -> Plan:
    return plan_table(table(folder / "t.csv", lines), root=folder / "d", **options)  # type: ignore[arg-type]


def test_pattern_of_the_user(tmp_path: Path) -> None:
    spreadsheet, root = lesion_folders(tmp_path)
    files = {"clinical": "{patient}_*/lesion {lesion}/*.jpg"}
    result = plan_table(spreadsheet, root=root, files=files, modalities=VIEWS)
    assert result.rules[0] == "16 files of clinical by {patient}_*/lesion {lesion}/*.jpg"
    with pytest.raises(DataError, match="assigns no file"):
        plan_table(spreadsheet, root=root, files={"clinical": "x{patient}/*.jpg"})
    with pytest.raises(ConfigError, match="no column"):
        plan_table(spreadsheet, root=root, files={"clinical": "{person}/*.jpg"})


def test_columns_of_the_user(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "7.jpg")
    lines = ["who;what;wann", "7;bcc;x"]
    table(tmp_path / "t.csv", lines)
    command = ["import", "table", str(tmp_path / "t.csv"), str(tmp_path / "out"), "--yes"]
    command += ["--root", str(tmp_path / "d"), "--columns.patient-id", "who"]
    assert main([*command, "--columns.label", "what"]) == 0
    (case,) = read_cases(tmp_path / "out" / "cases.csv", modalities=VIEWS).cases
    assert (case.patient_id, case.label, case.attributes) == ("7", "bcc", {"wann": "x"})


def test_several_images_in_a_cell_and_names_of_other_machines(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.JPG", "b/x.png", "b/y.png"):
        (photo if name.startswith("a") else scan)(tmp_path / "d" / name)
    lines = ["pid\tfoto\tultraschall\tdx", 'P1\tC:\\Daten\\a\\1.JPG, 2\t"b/x.png;y.png"\tbcc']
    (case,) = plan(tmp_path, lines).cases
    assert [path.name for path in case.images["clinical"]] == ["1.jpg", "2.JPG"]
    assert [path.name for path in case.images["ultrasound"]] == ["x.png", "y.png"]


def test_one_row_per_image(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        photo(tmp_path / "d" / name)
    scan(tmp_path / "d" / "3.png")
    lines = ["file,modality,patient_id,lesion,diagnosis", "1.jpg,photo,7,a,bcc"]
    lines += ["3.png,US,7,a,bcc", "2.jpg,photo,7,b,nevus"]
    first, second = plan(tmp_path, lines).cases
    assert (first.lesion_id, first.patient_id) == ("a", "7")
    assert [len(first.images[view]) for view in VIEWS] == [1, 1]
    assert (second.label, len(second.images["clinical"])) == ("nevus", 1)


def test_conflicting_labels_of_one_lesion(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "1.jpg")
    photo(tmp_path / "d" / "2.jpg")
    lines = ["file,lesion,diagnosis", "1.jpg,a,bcc", "2.jpg,a,nevus"]
    with pytest.raises(DataError, match=r":3 column diagnosis: the same ids as in row 2"):
        plan(tmp_path, lines)


def test_two_patients_with_one_number_are_never_merged(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "7" / "1.jpg")
    with pytest.raises(
        DataError,
        match=r":3 column ward: the same ids as in row 2, but 'B' .* as --columns.lesion_id 'ward'",
    ):
        plan(tmp_path, ["patient,ward,diagnosis", "7,A,bcc", "7,B,bcc"])


def test_header_of_two_lines_below_a_title(tmp_path: Path) -> None:
    for number in (1, 2):
        photo(tmp_path / "d" / f"P{number}.jpg", number)
    lines = ["Studie 2024;;;", ";;;", "Patient;;Befund;", "Nr.;Alter;Diagnose;Dicke mm"]
    lines += ["P1;50;BCC;1,5", "P2;60;SCC;2,0"]
    result = plan(tmp_path, lines)
    assert dict(result.columns)["patient_id"] == "Patient Nr."
    assert [case.label for case in result.cases] == ["BCC", "SCC"]
    assert result.cases[0].attributes["Befund Dicke mm"] == "1.5"


def test_names_and_birth_dates_are_left_out(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "P1.jpg")
    result = plan(tmp_path, ["Nachname;Geburtsdatum;Pat-ID;Diagnose", "Muster;1.2.1950;P1;BCC"])
    assert dict(result.columns)["left out, identifies people"] == "Nachname, Geburtsdatum"
    assert not result.cases[0].attributes


def test_labels_that_are_patients(tmp_path: Path) -> None:
    for number in range(100, 110):
        photo(tmp_path / "d" / f"{number}.jpg", number)
    lines = ["patient,class", *(f"{n},case {n}" for n in range(100, 110))]
    with pytest.raises(DataError, match="are numbered patients"):
        plan(tmp_path, lines)


def test_nothing_fits(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "x" / "y.jpg")
    with pytest.raises(DataError, match=r"no file below .* fits a row.*--files\.clinical"):
        plan(tmp_path, ["patient,diagnosis", "P0001,bcc"])
    with pytest.raises(DataError, match="no column is understood as the patient"):
        plan(tmp_path, ["foo,bar", "1,2"])
    with pytest.raises(ConfigError, match="has no column 'nr'"):
        plan(tmp_path, ["foo,bar", "1,2"], columns={"patient_id": "nr"})


def test_a_lesion_without_a_row_is_not_given_to_another(tmp_path: Path) -> None:
    for number in range(1, 5):
        for lesion in (1, 2):
            photo(tmp_path / "d" / f"P{number}" / f"lesion {lesion}" / "IMG_1.JPG", number)
    result = plan(tmp_path, ["patient,lesion,dx", *(f"P{n},1,bcc" for n in range(1, 5))])
    assert [len(case.images["clinical"]) for case in result.cases] == [1] * 4
    assert any(note.startswith("4 files that fit no row") for note in result.notes)


def test_dicom_of_a_patient_with_two_lesions_is_not_guessed(tmp_path: Path) -> None:
    for lesion in (1, 2):
        photo(tmp_path / "d" / f"P1_{lesion}.jpg", lesion)
    photo(tmp_path / "d" / "P2_1.jpg", 9)
    dicom(tmp_path / "d" / "x" / "IM1", PatientID="P1")
    result = plan(tmp_path, ["patient,lesion,dx", "P1,1,bcc", "P1,2,scc", "P2,1,scc"])
    assert [len(case.images["ultrasound"]) for case in result.cases] == [0, 0, 0]
    assert any("x/IM1" in note for note in result.notes)


def test_numbers_of_the_camera_in_a_cell(tmp_path: Path) -> None:
    for number in range(4000, 4004):
        photo(tmp_path / "d" / f"DSC_{number}.JPG", number)
    lines = ["Patient;Foto-Nr.;Diagnose", "1;4000, 4001;bcc", "2;4002, 4003;scc"]
    first, _ = plan(tmp_path, lines).cases
    assert [path.name for path in first.images["clinical"]] == ["DSC_4000.JPG", "DSC_4001.JPG"]


def test_an_id_in_two_folders(tmp_path: Path) -> None:
    for patient in range(3):
        for lesion in (1, 2):
            photo(tmp_path / "d" / f"P{patient:02}" / f"L{lesion}" / "IMG_1.JPG", patient)
    lines = ["Code;Diagnose", *(f"P{p:02}L{n};bcc" for p in range(3) for n in (1, 2))]
    cases = plan(tmp_path, lines).cases
    assert len(cases) == 6
    for case in cases:
        (path,) = case.images["clinical"]
        assert "".join(path.parts[-3:-1]) == case.lesion_id
