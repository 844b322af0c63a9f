"""Ids, dates, labels and paths that could be read in two ways: read right, or refused."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from agfnet.data.table import Case
from agfnet.errors import DataError
from agfnet.importing.column_names import role_of
from agfnet.importing.dates import date_keys
from agfnet.importing.encodings import decode
from agfnet.importing.folder import import_folder
from agfnet.importing.labels import looks_like_ids
from agfnet.importing.table import Plan, plan_table

from .awkward import DIAGNOSES, complete, pairs, patients, plan
from .hospital import dicom, photo, scan
from .workbooks import xls, xlsx


def labelled(folder: Path, header: str, row: str, encoding: str = "utf-8") -> tuple[Case, ...]:
    """Return the cases of four patients; in a row, `{p}` is the patient and `{d}` the diagnosis."""
    names = patients(folder)
    rows = [row.format(p=name, d=DIAGNOSES[n % 2]) for n, name in enumerate(names)]
    cases = complete(plan(folder, [header, *rows], encoding), 4)
    assert [case.label for case in cases] == ["BCC", "NV", "BCC", "NV"]
    return cases


def noted(result: Plan, text: str) -> bool:
    return any(text in note for note in result.notes)


# dates


def visits(folder: Path, dates: list[tuple[str, str]]) -> Plan:
    """Plan two patients with visits: the cell, and the folder's date."""
    pairs(folder, *(f"P{n}/{day}/" for n in (1, 2) for _, day in dates))
    rows = [
        f'P{n},"{cell}",{DIAGNOSES[i % 2]}' for n in (1, 2) for i, (cell, _) in enumerate(dates)
    ]
    return plan(folder, ["Patient,Visit date,Diagnosis", *rows])


@pytest.mark.parametrize(
    "cells",
    [
        ("1/5/2023", "2/6/2023"),
        ("5-Jan-2023", "6. Februar 2023"),
        ("Jan 5, 2023", "6 de fevereiro de 2023"),
        ("5 janv. 2023", "6 février 2023"),
        ("2023年1月5日", "2023年2月6日"),
        ("05.01.2023", "2023-02-06 10:15"),
    ],
)
def test_orders_and_languages_of_dates(tmp_path: Path, cells: tuple[str, str]) -> None:
    result = visits(tmp_path, list(zip(cells, ("2023-01-05", "20230206"), strict=True)))
    cases = complete(result, 4)
    assert [case.lesion_id for case in cases[:2]] == ["P1-2023-01-05", "P1-2023-02-06"]
    assert noted(result, "month/day/year, because files have these dates") == ("/" in cells[0])


def test_dates_that_may_be_either_are_refused(tmp_path: Path) -> None:
    dates = [("3/4/2023", "2023-03-04"), ("4/3/2023", "2023-04-03")]
    with pytest.raises(DataError, match="'3/4/2023' may be day/month or month/day, and files fit"):
        visits(tmp_path, dates)
    with pytest.raises(DataError, match="some dates have the day first and some the month"):
        visits(tmp_path, [*dates, ("13/1/2023", "a"), ("1/13/2023", "b")])


def test_american_folders_are_read_as_the_cells(tmp_path: Path) -> None:
    result = visits(tmp_path, [("1/15/2023", "1-15-2023"), ("3/4/2023", "3-4-2023")])
    assert [case.lesion_id for case in complete(result, 4)[:2]] == [
        "P1-2023-01-15",
        "P1-2023-03-04",
    ]


def test_texts_that_are_no_dates() -> None:
    assert date_keys(["V1", "1-2", "12 lesions 2023", "31 Feb 2023", "Mai 2023"]) == {}


# encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("mac_roman", "Müller;Nävus;Größe"),
        ("cp850", "Müller;Nävus;Größe"),
        ("cp1252", "Müller;Nävus;Größe"),
        ("cp1252", "lesão;diagnóstico;pele ºC"),
        ("cp932", "患者番号,病理診断,なし"),
        ("gb18030", "患者编号,病理诊断,无"),
        ("big5", "病患編號,病理診斷,無"),
        ("cp1251", "Пациент;Диагноз;меланома"),
        ("koi8_r", "Пациент;Диагноз;меланома"),
        ("cp866", "Пациент;Диагноз;меланома"),
        ("cp1253", "Ασθενής;Διάγνωση;μελάνωμα"),
        ("cp949", "환자번호,진단,멜라닌세포모반"),
    ],
)
def test_encodings_of_countries(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding), "t.csv") == (text, encoding.upper())


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1250", "czerniak złośliwy;znamię"), ("cp1254", "Tan\u0131;kötü huylu;ben ğış")],
)
def test_an_encoding_that_is_a_guess_is_called_one(encoding: str, text: str) -> None:
    assert "a guess: letters may be wrong" in decode(text.encode(encoding), "t.csv")[1]


def test_lines_of_two_encodings_are_refused() -> None:
    content = "Müller\nJäger\n".encode() + "Größe\n".encode("cp1252")
    with pytest.raises(DataError, match=r"t\.csv:3: is not UTF-8 as other lines are"):
        decode(content, "t.csv")


# labels


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Fallnummer;Verdachtsdiagnose;Diagnose gesichert;Histologienummer", "{p};MM;{d};H-{p}"),
        ("Patient;Histo-Nr.;Histo-Datum;Histologie Ergebnis;Histo erfolgt", "{p};H1;1.2.23;{d};ja"),
        ("Nº do prontuário;Nome;Diagnóstico clínico;Diagnóstico histopatológico", "{p};Ana;MM;{d}"),
        ("Nº HC;Apellidos;Diagnóstico;Anatomía patológica", "{p};Pérez;MM;{d}"),
        ("N° dossier;Nom;Date du diagnostic;Diagnostic;Côté", "{p};Luc;1/2/2023;{d};G"),
        ("住院号;姓名;临床诊断;病理结果;病理号", "{p};张三;待查;{d};B1"),
        ("患者番号;氏名;病変番号;診断名;検査日", "{p};山田;1;{d};2023/01/05"),
        ("Patient;Malignant;Diagnosis", "{p};yes;{d}"),
        ("Patient;Pathologist;Pathology", "{p};Dr. X;{d}"),
    ],
)  # fmt: skip
def test_the_confirmed_diagnosis_is_the_label(tmp_path: Path, header: str, row: str) -> None:
    labelled(tmp_path, header, row)


def test_other_columns_that_may_be_the_label_are_named(tmp_path: Path) -> None:
    rows = [f"{name},MM,{DIAGNOSES[n % 2]}" for n, name in enumerate(patients(tmp_path))]
    result = plan(tmp_path, ["Patient,Diagnosis,Histopathology", *rows])
    assert noted(
        result, "is taken from 'Histopathology', and not from 'Diagnosis'; --columns.label"
    )
    result = plan(tmp_path, ["Patient,Suspected diagnosis,Note", *rows])
    assert noted(result, "seems to be a diagnosis that was not confirmed")
    rows = [f"{name},{'ja' if n else 'nein'}" for n, name in enumerate(patients(tmp_path))]
    assert noted(plan(tmp_path, ["Patient,Maligne", *rows]), "only say ja and nein to 'Maligne'")


def test_two_columns_of_one_name_that_differ_are_refused(tmp_path: Path) -> None:
    rows = [f"{name},NV,BCC" for name in patients(tmp_path)]
    with pytest.raises(DataError, match=r"t\.csv:2: two columns are named 'Diagnosis', and differ"):
        plan(tmp_path, ["Patient,Diagnosis,Diagnosis", *rows])
    result = plan_table(tmp_path / "t.csv", root=tmp_path / "d", columns={"label": "Diagnosis (2)"})
    assert {case.label for case in result.cases} == {"BCC"}


@pytest.mark.parametrize("marks", ["yes no", "x ", "ja nein", "Sí No", "是 否", "1.0 0"])
def test_a_column_of_yes_and_no_for_each_label(tmp_path: Path, marks: str) -> None:
    yes, no = marks.split(" ")
    marked = ((yes, no), (no, yes))
    rows = [f"{n};{';'.join(marked[i % 2])}" for i, n in enumerate(patients(tmp_path))]
    cases = complete(plan(tmp_path, ["Patient;BCC;NV", *rows]), 4)
    assert [case.label for case in cases] == ["BCC", "NV", "BCC", "NV"]


@pytest.mark.parametrize("names", ["benign,malignant", "gutartig,bösartig", "良性,恶性"])
def test_columns_of_benign_and_malignant(tmp_path: Path, names: str) -> None:
    first, second, *_ = patients(tmp_path)
    result = plan(tmp_path, [f"Patient,{names}", f"{first},x,", f"{second},,x"])
    assert [case.label for case in result.cases] == names.split(",")


def test_a_row_with_two_marks_of_columns_that_could_be_the_label_is_refused(tmp_path: Path) -> None:
    first, second, *_ = patients(tmp_path)
    with pytest.raises(DataError, match=r"row 3 has 2 of them .* correct these rows, or name the"):
        plan(tmp_path, ["Patient,benign,malignant", f"{first},x,", f"{second},x,x"])


def test_a_row_with_two_marks_has_no_label_and_is_named(tmp_path: Path) -> None:
    rows = [f"{name},1,{n % 2}" for n, name in enumerate(patients(tmp_path))]
    result = plan(tmp_path, ["Patient,BCC,NV", *rows])
    assert {case.label for case in result.cases} == {""}
    assert noted(result, "but row 3 has 2 of them (and 1 more rows): no label is taken")


def test_numbers_of_histology_are_no_labels() -> None:
    assert looks_like_ids(["H23-1001", "H23-1002", "H23-1003"])
    assert not looks_like_ids(["8090/3", "8720/3"] * 2)  # ICD-O


def test_names_about_a_diagnosis() -> None:
    for name in ("Histologienummer", "Diagnosedatum", "Date of diagnosis", "dx_type", "病理号"):
        assert role_of(name)[0] != "label"


# ids


def test_the_number_of_another_id_is_not_taken(tmp_path: Path) -> None:
    names = [f"2022-{n:03}" for n in range(1, 5)]
    pairs(tmp_path, *(f"{name}/" for name in names), *(f"2023-{n:03}/" for n in range(1, 5)))
    pairs(tmp_path, *(f"B-{n:03}/" for n in range(1, 5)))
    result = plan(tmp_path, ["Patient,Diagnosis", *(f"{name},BCC" for name in names)])
    complete(result, 4)
    assert noted(result, "16 files that fit no row")


def test_the_number_of_a_camera_is_not_that_of_a_lesion(tmp_path: Path) -> None:
    for patient in range(1, 5):
        for number in (1, 2):
            photo(tmp_path / "d" / f"P{patient}" / f"IMG_{number}.jpg", 10 * patient + number)
    rows = [*(f"P{n},1,BCC" for n in range(1, 5)), "P1,2,NV"]
    result = plan(tmp_path, ["Patient,Lesion,Diagnosis", *rows])
    assert [case.patient_id for case in result.cases] == ["P2", "P3", "P4"]
    assert all(len(case.images["clinical"]) == 2 for case in result.cases)
    assert noted(result, "lesions without an image, left out: 2, in rows 2 (P1 1), 6 (P1 2)")


def test_the_patient_of_dicom_counts_more_than_a_folder(tmp_path: Path) -> None:
    for number in range(1, 5):
        dicom(tmp_path / "d" / "export" / str(5 - number) / "IM1", number, PatientID=f"{number}")
    result = plan(tmp_path, ["Patient,Diagnosis", *(f"{n},BCC" for n in range(1, 5))])
    folders = {case.patient_id: case.images["ultrasound"][0].parent.name for case in result.cases}
    assert folders == {"1": "4", "2": "3", "3": "2", "4": "1"}


def test_a_cell_that_contradicts_the_patient_of_dicom_is_noted(tmp_path: Path) -> None:
    for number in (1, 2):
        dicom(tmp_path / "d" / f"{number}.dcm", number, PatientID=f"P{3 - number}")
    result = plan(tmp_path, ["Patient,Diagnosis,Ultrasound", "P1,BCC,1.dcm", "P2,NV,2.dcm"])
    assert noted(result, "2 files whose PatientID is that of another row")


@pytest.mark.parametrize(
    ("cells", "folders"),
    [
        (("left", "right"), ("L", "R")),
        (("links", "rechts"), ("li", "re")),
        (("gauche", "droite"), ("G", "D")),
        (("esquerda", "direita"), ("esq", "dir")),
        (("izquierdo", "derecho"), ("izq", "der")),
        (("左", "右"), ("left", "right")),
    ],
)
def test_sides_in_words_and_letters(
    tmp_path: Path, cells: tuple[str, str], folders: tuple[str, str]
) -> None:
    pairs(tmp_path, *(f"P{n}/{side}_" for n in range(3) for side in folders))
    rows = [f"P{n};{cell};{d}" for n in range(3) for cell, d in zip(cells, DIAGNOSES, strict=True)]
    cases = complete(plan(tmp_path, ["Patient;Seite;Diagnose", *rows]), 6)
    for case in cases:
        side = folders[DIAGNOSES.index(case.label)]
        assert case.images["clinical"][0].name.startswith(f"{side}_")


def test_one_number_is_not_two_ids(tmp_path: Path) -> None:
    for patient in (1, 2, 3):
        photo(tmp_path / "d" / f"P{patient}" / "overview.jpg", patient)
        for lesion in (1, 2):
            scan(tmp_path / "d" / f"P{patient}" / f"lesion{lesion}_us.png", 10 * patient + lesion)
    rows = [f"P{n},{lesion},{DIAGNOSES[lesion - 1]}" for n in (1, 2, 3) for lesion in (1, 2)]
    result = plan(tmp_path, ["Patient,Lesion,Diagnosis", *rows])
    assert not any(case.images["clinical"] for case in result.cases)
    assert noted(result, "3 files that fit no row, or several, left out: P1/overview.jpg")


def test_another_reading_of_the_paths_is_noted(tmp_path: Path) -> None:
    for number in range(1, 5):
        photo(tmp_path / "d" / f"{5 - number:02}" / f"Mustermann{number}.jpg", number)
    result = plan(tmp_path, ["Patient,Diagnosis", *(f"{n},BCC" for n in range(1, 5))])
    assert noted(result, "Mustermann{patient}.jpg fits as many rows, and gives most files to other")


def test_lesions_without_patients_are_noted(tmp_path: Path) -> None:
    names = patients(tmp_path)
    result = plan(tmp_path, ["Lesion ID,Diagnosis", *(f"{name},BCC" for name in names)])
    assert noted(result, "every lesion counts as its own patient")


# rows


def test_a_second_header_in_another_order_is_refused(tmp_path: Path) -> None:
    first, second, *_ = patients(tmp_path)
    lines = ["Patient,Diagnosis,Age", f"{first},BCC,40", "Patient,Age,Diagnosis", f"{second},40,NV"]
    with pytest.raises(
        DataError, match=r"t\.csv:3: is another header, with the columns in another"
    ):
        plan(tmp_path, lines)


def test_a_separator_too_many_is_refused(tmp_path: Path) -> None:
    first, second, *_ = patients(tmp_path)
    lines = ["Patient,Site,Diagnosis", f"{first},face,BCC", f"{second},face, left,NV"]
    with pytest.raises(DataError, match=r"t\.csv:3: has 4 cells, and the header 3; put quotation"):
        plan(tmp_path, lines)


def test_another_separator_in_some_rows_is_refused(tmp_path: Path) -> None:
    names = patients(tmp_path)
    rows = [f"{names[0]};BCC", f"{names[1]},NV", f'"{names[2]};"BCC"', f"{names[3]};NV"]
    with pytest.raises(DataError, match=r"t\.csv:3: is one cell, 'P002,NV'; separate .* ';'") as e:
        plan(tmp_path, ["Patient;Diagnosis", *rows])
    assert "t.csv:4: is one cell, 'P003;BCC\"'" in str(e.value)


@pytest.mark.parametrize("end", ['x"', "x"])
def test_a_quote_that_is_not_closed_swallows_no_row(tmp_path: Path, end: str) -> None:
    lines = ["Patient,Diagnosis,Note", 'P001,BCC,"scar', f"P002,NV,{end}", "P003,BCC,y"]
    patients(tmp_path)
    with pytest.raises(DataError, match=r"t\.csv:2: has a cell that holds the next row, 'P002,NV"):
        plan(tmp_path, lines)


def test_commas_of_a_chinese_keyboard_separate_cells(tmp_path: Path) -> None:
    rows = [f"{name},{DIAGNOSES[n % 2]}" for n, name in enumerate(patients(tmp_path))]
    lines = [row.replace(",", "\uff0c") for row in ("患者编号,病理诊断", *rows)]
    complete(plan(tmp_path, lines), 4)


# cells that name files


@pytest.mark.parametrize(
    "cell",
    [
        "foto\\Pat {n} photo.jpg",
        "\\\\nas01\\derm$\\foto\\Pat {n} photo.jpg",
        "/Volumes/Derm/foto/Pat {n} photo.jpg",
        "foto/Pat%20{n}%20photo.jpg",
        "file:///C:/x/foto/Pat%20{n}%20photo.jpg",
        " FOTO/pat {n} PHOTO.JPG  ",
    ],
)
def test_paths_as_other_programs_write_them(tmp_path: Path, cell: str) -> None:
    pairs(tmp_path, *(f"foto/Pat {n} " for n in (1, 2)))
    rows = [f"P{n},BCC,{cell.format(n=n)},Pat {n} us.png" for n in (1, 2)]
    complete(plan(tmp_path, ["Patient,Diagnosis,Photo,Ultrasound", *rows]), 2)


def test_names_that_differ_by_case(tmp_path: Path) -> None:
    for number, name in enumerate(("a1.jpg", "A1.jpg")):
        photo(tmp_path / "d" / name, number)
    if len(list((tmp_path / "d").iterdir())) < 2:
        pytest.skip("the file system does not distinguish case")
    cases = plan(tmp_path, ["Patient,Diagnosis,Photo", "P1,BCC,a1.jpg", "P2,NV,A1.jpg"]).cases
    assert [case.images["clinical"][0].name for case in cases] == ["a1.jpg", "A1.jpg"]


def test_an_image_of_two_patients_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "d" / "1.jpg")
    lines = ["Patient,Lesion,Diagnosis,Photo", "P1,1,BCC,1.jpg", "P2,1,NV,1.jpg"]
    with pytest.raises(DataError, match=r":3 column clinical: 1\.jpg is also the image of another"):
        plan(tmp_path, lines)
    lines[-1] = "P1,2,NV,1.jpg"
    assert noted(plan(tmp_path, lines), "1 files that are images of several lesions: 1.jpg")


def test_a_link_and_its_target_are_one_image(tmp_path: Path) -> None:
    rows = [f"{name},BCC" for name in patients(tmp_path)]
    (tmp_path / "d" / "P001" / "foto.jpg").symlink_to(tmp_path / "d" / "P001" / "photo.jpg")
    result = plan(tmp_path, ["Patient,Diagnosis", *rows])
    complete(result, 4)
    assert noted(result, "1 links to a file that the lesion has, left out")


def test_photographs_of_telephones_are_explained(tmp_path: Path) -> None:
    rows = [f"{name},BCC" for name in patients(tmp_path)]
    (tmp_path / "d" / "P001" / "IMG_2.CR2").write_bytes(b"x")
    assert noted(plan(tmp_path, ["Patient,Diagnosis", *rows]), "export them as JPEG): P001/IMG_2")


# workbooks


def test_a_workbook_of_excel_97(tmp_path: Path) -> None:
    rows = [[name, DIAGNOSES[n % 2], 40 + n] for n, name in enumerate(patients(tmp_path))]
    path = xls(tmp_path / "t.xls", [["Patient", "Diagnosis", "Größe"], *rows])
    cases = complete(plan_table(path, root=tmp_path / "d"), 4)
    assert [case.label for case in cases] == ["BCC", "NV", "BCC", "NV"]
    assert cases[1].attributes == {"Größe": "41"}


def test_a_sheet_for_each_centre_or_year(tmp_path: Path) -> None:
    head = ["Patient", "Diagnosis"]
    centres = ("Graz", "Wien")
    pairs(tmp_path, *(f"{centre}/P{n}/" for centre in centres for n in range(3)))
    sheets = {
        centre: [head, *[[f"P{n}", DIAGNOSES[i]] for n in range(3)]]
        for i, centre in enumerate(centres)
    }
    result = plan_table(xlsx(tmp_path / "t.xlsx", sheets), root=tmp_path / "d")
    for case in complete(result, 6):
        centre = centres[DIAGNOSES.index(case.label)]
        assert case.images["clinical"][0].parts[-3] == centre
        assert case.patient_id.startswith(f"{centre}-P")
    assert noted(result, "the sheets 'Graz', 'Wien' have the same columns and are joined")


def test_a_copy_of_a_sheet_is_refused(tmp_path: Path) -> None:
    cells = [["Patient", "Diagnosis"], *[[name, "BCC"] for name in patients(tmp_path)]]
    path = xlsx(tmp_path / "t.xlsx", {"A": cells, "A (2)": cells})
    with pytest.raises(
        DataError, match="in row 2 of the sheet 'A'; if one of the sheets is a copy"
    ):
        plan_table(path, root=tmp_path / "d")
    complete(plan_table(path, root=tmp_path / "d", sheet="A"), 4)


def test_hidden_rows_and_sheets_are_noted(tmp_path: Path) -> None:
    rows = [[name, "BCC"] for name in patients(tmp_path)]
    sheets = {"A": [["Patient", "Diagnosis"], *rows], "B": [["Patient", "Diagnosis"], ["P9", "NV"]]}
    path = xlsx(tmp_path / "t.xlsx", sheets)
    with ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b'<row r="3"', b'<row r="3" hidden="1"')
    book_part = "xl/workbook.xml"
    parts[book_part] = parts[book_part].replace(b'name="B"', b'name="B" state="hidden"')
    with ZipFile(path, "w", ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content)
    result = plan_table(path, root=tmp_path / "d")
    complete(result, 4)
    assert noted(result, "1 hidden rows are read as the others")
    assert noted(result, "the sheet 'A' is read, and not 'B'")


# folders without a spreadsheet


def test_folders_of_modalities_are_no_labels(tmp_path: Path) -> None:
    for modality, write in (("clinical", photo), ("Ultraschall", scan)):
        for label in DIAGNOSES:
            write(tmp_path / "d" / modality / label / "1.img.png")
    with pytest.raises(DataError, match="the labels are named after modalities and not diagnoses"):
        import_folder(tmp_path / "d", tmp_path)


def test_folders_that_may_be_no_lesions_are_noted(tmp_path: Path) -> None:
    for patient in range(4):
        for day in ("2023-01-05", "2023-06-01"):
            label = DIAGNOSES[patient % 2]
            photo(tmp_path / "d" / label / f"P{patient}" / day / "clinical.jpg", patient)
    folder = tmp_path / "d" / "BCC" / "P0" / "2023-01-05"
    for number in range(21):
        (folder / f"clinical_{number}.jpg").write_bytes((folder / "clinical.jpg").read_bytes())
    notes = import_folder(tmp_path / "d", tmp_path).notes
    assert any("look like dates, as 2023-01-05: every visit counts as its own" in n for n in notes)
    assert any("1 lesions have more than 20 images" in note for note in notes)
