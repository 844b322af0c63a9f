"""Spreadsheets in the encodings and formats of Excel and LibreOffice."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from agfnet.errors import ConfigError, DataError
from agfnet.importing.column_names import role_of
from agfnet.importing.dates import date_keys
from agfnet.importing.ids import key
from agfnet.importing.labels import looks_like_ids
from agfnet.importing.sheets import read_sheets
from agfnet.importing.table import plan_table

from .hospital import photo
from .workbooks import ods, xlsx


def test_workbook_with_merged_patients_and_a_key_of_the_labels(tmp_path: Path) -> None:
    for patient, lesion in ((12, 1), (12, 2), (13, 1)):
        photo(tmp_path / "d" / f"{patient:04}" / f"L{lesion}" / "IMG_0001.JPG", 10 * patient)
    sheets = {
        "Daten": [
            ["Studie", "", "", ""],
            ["Patient", "Läsion", "Diagnose", "Dicke"],
            [12, 1, 1, 1.5],
            ["", 2, 2, 2.0],
            [13, 1, 1, 0.5],
        ],
        "Codes": [["Code", "Bedeutung"], [1, "Melanom"], [2, "Nävus"], [3, "BCC"]],
        "Leer": [],
    }
    path = xlsx(tmp_path / "t.xlsx", sheets, merged=["A3:A4"])
    plan = plan_table(path, root=tmp_path / "d")
    assert [(c.patient_id, c.lesion_id, c.label) for c in plan.cases] == [
        ("12", "12-1", "Melanom"),
        ("12", "12-2", "Nävus"),
        ("13", "13-1", "Melanom"),
    ]
    assert plan.cases[0].attributes == {"Dicke": "1.5"}
    with pytest.raises(ConfigError, match="has no sheet 'Date'; did you mean 'Daten'"):
        plan_table(path, root=tmp_path / "d", sheet="Date")


def test_open_document(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "P1.jpg")
    path = ods(tmp_path / "t.ods", [["patient", "dx"], ["P1", "BCC"]])
    assert [case.label for case in plan_table(path, root=tmp_path / "d").cases] == ["BCC"]


def test_hidden_and_merged_cells_of_open_document(tmp_path: Path) -> None:
    for name in ("P1/1", "P1/2", "P2/1"):
        photo(tmp_path / "d" / f"{name}.jpg", len(name))
    rows = [["patient", "lesion", "dx"], ["P1", "1", "BCC"], ["", "2", "NV"], ["P2", "1", "NV"]]
    path = ods(tmp_path / "t.ods", rows)
    with ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    cell, row = b"<table:table-cell", b"<table:table-row>"
    content = parts["content.xml"].replace(
        cell + b' office:value-type="string"><text:p>P1',
        cell + b' table:number-rows-spanned="2" office:value-type="string"><text:p>P1',
    )
    before, _, last = content.rpartition(row)
    hidden = b'<table:table-row table:visibility="collapse">'
    parts["content.xml"] = before + hidden + last
    with ZipFile(path, "w") as book:
        for name, part in parts.items():
            book.writestr(name, part)
    result = plan_table(path, root=tmp_path / "d")
    assert [case.patient_id for case in result.cases] == ["P1", "P1", "P2"]
    assert any(note.startswith("1 hidden rows are read as the others") for note in result.notes)


def test_hidden_rows_and_columns_of_an_old_workbook(tmp_path: Path) -> None:
    content = bytearray(Path(__file__).with_name("excel97.xls").read_bytes())
    path = tmp_path / "t.xls"
    path.write_bytes(content)
    assert not any(sheet.note for sheet in read_sheets(path))
    row = content.index(b"\x08\x02\x10\x00")  # a record with the height of a row
    content[row + 16] |= 0x20
    path.write_bytes(content)
    assert read_sheets(path)[0].note.startswith("1 hidden rows are read as the others")


def test_a_workbook_that_another_program_has_written(tmp_path: Path) -> None:
    """The file is of xlwt: a title, dates, a blank patient, a key of labels, a hidden sheet."""
    for patient, lesion in ((12, 1), (12, 2), (13, 1)):
        photo(tmp_path / "d" / f"{patient:04}" / f"L{lesion}" / "IMG_0001.JPG", 10 * patient)
    plan = plan_table(Path(__file__).with_name("excel97.xls"), root=tmp_path / "d")
    assert [(c.patient_id, c.lesion_id, c.label) for c in plan.cases] == [
        ("12", "12-1", "Melanom"),
        ("12", "12-2", "Nävus"),
        ("13", "13-1", "Melanom"),
    ]
    assert plan.cases[1].attributes == {"Dicke": "2"}
    assert ("visit", "Untersuchungsdatum") in plan.columns


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_separators(encoding: str, delimiter: str, tmp_path: Path) -> None:
    lines = [["Patient", "Läsion"], ["Müller, é", "1"], ["b", "2"]]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    (sheet,) = read_sheets(tmp_path / "t.csv")
    assert [list(cells) for _, cells in sheet.rows] == lines
    assert [line for line, _ in sheet.rows] == [1, 2, 3]


def test_utf_16_without_a_mark_is_known_by_its_line_ends(tmp_path: Path) -> None:
    """The first letters have no zero byte, and the second one has its zero byte first."""
    text = "\u60a3\u4e00,\u8bca\u65ad\n\u7532,BCC\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        (sheet,) = read_sheets(tmp_path / "t.csv")
        assert sheet.rows[1] == (2, ("\u7532", "BCC"))


def test_files_that_are_no_spreadsheet(tmp_path: Path) -> None:
    for content, message in (
        (b"", "is empty"),
        (b"<html><table>", "is a web page .* opens it as a table, save it there as XLSX"),
        (b"%PDF-1.7 table", "is PDF, not a spreadsheet; name the table"),
        (b"\x1f\x8b\x08\x00 csv", r"is a compressed file \(.*, not a spreadsheet; unpack it"),
        (b"PK\x03\x04 no workbook", "is not a readable workbook"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "has a password"),
        (b'[{"patient": "P1"}]', "is JSON, not a spreadsheet; export it as CSV"),
        (b"patient,dx\nP1,BCC\nP\0002,NV\n", r"t\.csv:3: contains a NUL byte"),
    ):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_sheets(tmp_path / "t.csv")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_sheets(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Pat.-Nr.", "patient_id"),
        ("PatientID", "patient_id"),
        ("Nº Historia", "patient_id"),
        ("ID do paciente", "patient_id"),
        ("住院号", "patient_id"),
        ("Läsion", "lesion_id"),
        ("lesion_id", "lesion_id"),
        ("皮损编号", "lesion_id"),
        ("Histologie", "label"),
        ("diagnóstico", "label"),
        ("病理诊断", "label"),
        ("モダリティ", "modality"),
        ("환자번호", "patient_id"),
        ("이름", "identity"),
        ("Диагноз", "label"),
        ("ФИО", "identity"),
        ("Patient 患者", "patient_id"),
        ("诊断/Diagnosis", "label"),
        ("患者 Name", "identity"),
        ("1. Patient", "patient_id"),
        ("Q3) Final diagnosis", "label"),
        ("Nom", "identity"),
        ("Date de naissance", "identity"),
        ("Geburtsdatum", "identity"),
        ("Untersuchungsdatum", "visit"),
        ("Accession Number", "accession"),
        ("Alter", ""),
        ("localisation", ""),
    ],
)
def test_names_of_columns(name: str, role: str) -> None:
    assert role_of(name)[0] == role


def test_keys() -> None:
    assert {key(text) for text in ("P-012", "p12", "P 0012", "P_12.0")} == {"p-12"}
    assert key("1-23") != key("12-3")
    assert set(date_keys(["2024-05-31", "31.05.2024", "20240531"]).values()) == {"2024-5-31"}
    assert date_keys(["5/31/24", "05/01/24"]) == {"5/31/24": "2024-5-31", "05/01/24": "2024-5-1"}
    assert date_keys(["12", "no", "32.01.2024"]) == {}


def test_labels_that_are_ids() -> None:
    assert not looks_like_ids(["C43", "D22", "C44.3"] * 2)
    assert not looks_like_ids(["0", "1"] * 5)
    assert not looks_like_ids(["grade 1", "grade 2"] * 5)
    assert looks_like_ids(["P001", "P002", "P003"])
    assert looks_like_ids(["Patient 1", "Patient 2"])
    assert looks_like_ids(["Muster, Anna", "Doe, Jane"])
    assert looks_like_ids([f"name {chr(97 + n)}x" for n in range(20)])


def test_long_numbers_are_rounded_ones(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "L1.jpg")
    cells = [["patient", "lesion", "dx"], [110101199003071234.0, "L1", "BCC"]]
    path = xlsx(tmp_path / "t.xlsx", {"a": cells})
    with pytest.raises(DataError, match=r"column patient: '1\.10101199003071E\+17' is a number"):
        plan_table(path, root=tmp_path / "d")
    path = xlsx(tmp_path / "t.xlsx", {"a": [cells[0], [123456789012345, "L1", "BCC"]]})
    assert plan_table(path, root=tmp_path / "d").cases[0].patient_id == "123456789012345"


def test_formulas_without_results_are_refused(tmp_path: Path) -> None:
    cells = [["patient", "lesion", "dx", "age"], ["P1", "L1", "BCC", 77], ["P2", "L2", "NV", 78]]
    path = xlsx(tmp_path / "t.xlsx", {"a": cells})

    def with_formula(text: bytes) -> Path:
        other = tmp_path / "formula.xlsx"
        with ZipFile(path) as source, ZipFile(other, "w") as file:
            for name in source.namelist():
                file.writestr(name, source.read(name).replace(b"<v>77</v>", text))
        return other

    for text in (b"<f>70+7</f>", b"<f>70+7</f><v></v>", b"<f>70+7</f><v/>"):
        with pytest.raises(DataError, match=r"1 cells have formulas without their results \(D2\)"):
            read_sheets(with_formula(text))
    (sheet,) = read_sheets(with_formula(b"<f>70+7</f><v>77</v>"))
    assert sheet.rows[1] == (2, ("P1", "L1", "BCC", "77"))


def test_empty_cells_of_patients_are_noted(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        photo(tmp_path / "d" / f"L{number}.jpg", number)
    cells = [["patient", "lesion", "dx"], ["P1", "L1", "BCC"], ["", "L2", "NV"], ["P2", "L3", "NV"]]
    plan = plan_table(xlsx(tmp_path / "t.xlsx", {"a": cells}), root=tmp_path / "d")
    assert [case.patient_id for case in plan.cases] == ["P1", "L2", "P2"]
    assert any("lesions without a patient: 1, in rows 3; each" in note for note in plan.notes)
