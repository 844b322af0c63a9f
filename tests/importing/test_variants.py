"""Spreadsheets and trees in odd shapes: each is read right, or one line says why it is not."""

from __future__ import annotations

import datetime
import unicodedata
from pathlib import Path
from zipfile import ZipFile

import pytest

from agfnet.data.table import read_cases
from agfnet.errors import DataError
from agfnet.importing.folder import import_folder
from agfnet.importing.table import plan_table

from .awkward import DIAGNOSES, complete, pairs, patients, plan
from .hospital import photo
from .workbooks import xlsx


def test_title_header_and_a_line_of_units(tmp_path: Path) -> None:
    rows = [[name, DIAGNOSES[n % 2], 40 + n] for n, name in enumerate(patients(tmp_path))]
    head = [["A study"], ["", "Histology", ""], ["Patient", "Diagnosis", "Age"]]
    cases = complete(plan(tmp_path, [*head, ["code", "text", "years"], *rows]), 4)
    assert cases[0].attributes == {"Age": "40"}


GROUPS = [
    (["Subject", "", "Findings", "", ""], ["ID", "Age", "Diagnosis", "Photo", "Ultrasound"]),
    (["Patient", "", "Diagnosis", "Images", ""], ["", "Age", "", "Photo", "Ultrasound"]),
    (["Patient", "Age", "Diagnosis", "Image", "Image"], ["No.", "years", "", "Photo", "US 20 MHz"]),
    (["患者信息", "", "诊断", "图像", ""], ["编号", "年龄", "病理", "照片", "超声"]),
]


@pytest.mark.parametrize(("upper", "lower"), GROUPS)
def test_titles_of_groups_above_the_header(
    tmp_path: Path, upper: list[str], lower: list[str]
) -> None:
    rows = [
        [name, 40 + n, DIAGNOSES[n % 2], f"{name}/photo.jpg", f"{name}/us.png"]
        for n, name in enumerate(patients(tmp_path))
    ]
    result = plan(tmp_path, [upper, lower, *rows])
    assert [case.patient_id for case in complete(result, 4)] == ["P001", "P002", "P003", "P004"]
    assert any("rows 1 and 2, which are joined" in note for note in result.notes)
    assert list(result.cases[0].attributes.values()) == ["40"]
    lines = [",".join(map(str, row)).rstrip(",") for row in [upper, lower, *rows]]
    complete(plan(tmp_path, lines), 4)  # the first line is shorter than the others


def test_a_first_row_that_is_no_path_may_belong_to_the_header(tmp_path: Path) -> None:
    rows = [f"{name},BCC,{name}/photo.jpg" for name in patients(tmp_path)]
    lines = ["Patient,Diagnosis,Photo", "who it is,what,photograph of the day", *rows]
    with pytest.raises(DataError, match=r"t\.csv:2 .*if row 2 belongs to the header, join it"):
        plan(tmp_path, lines)


def test_reports_and_histology_are_no_photographs(tmp_path: Path) -> None:
    names = patients(tmp_path)
    for number, other in enumerate(("report.jpg", "P002_Histologie.jpg", "histology/1.jpg")):
        photo(tmp_path / "d" / names[number] / other, number)
    photo(tmp_path / "d" / names[3] / "histology proven" / "photo.jpg")  # a photograph all the same
    result = plan(tmp_path, ["Patient,Diagnosis", *(f"{name},BCC" for name in names)])
    assert [len(case.images["clinical"]) for case in result.cases] == [1, 1, 1, 2]
    assert any("another modality (document), left out" in note for note in result.notes)
    assert any("another modality (histology), left out" in note for note in result.notes)
    folder = tmp_path / "f" / "BCC" / "L1"
    for name in ("photo.jpg", "Report 1.jpg"):
        photo(folder / name)
    report = import_folder(tmp_path / "f", tmp_path / "out")
    (case,) = read_cases(report.table, modalities=("clinical",)).cases
    assert [path.name for path in case.images["clinical"]] == ["photo.jpg"]


def test_a_table_on_its_side_is_refused(tmp_path: Path) -> None:
    names = patients(tmp_path)
    lines = ["Patient,Diagnosis,Photo", *(f"{name},BCC,{name}/photo.jpg" for name in names)]
    turned = list(map(",".join, zip(*(line.split(",") for line in lines), strict=True)))
    with pytest.raises(DataError, match=r"first column \('Patient', 'Diagnosis', 'Photo'\); exch"):
        plan(tmp_path, turned)


def test_units_next_to_words_for_files(tmp_path: Path) -> None:
    rows = [f"{name},BCC,{name}/photo.jpg,{name}/us.png,2" for name in patients(tmp_path)]
    lines = ["Patient,Diagnosis,Photo,Scan,Depth", "code,text,path,path,[mm]", *rows]
    result = plan(tmp_path, lines)
    complete(result, 4)
    assert "row 2 below the header holds units (code, text, path, [mm]), and is left out" in (
        result.notes
    )


def test_rows_that_are_commented_out(tmp_path: Path) -> None:
    rows = [f"{name},BCC,{name}/photo.jpg,{name}/us.png" for name in patients(tmp_path)]
    rows[1] = f"#{rows[1]}"
    result = plan(tmp_path, ["Patient,Diagnosis,Photo,Scan", *rows, "# end, of the table"])
    complete(result, 4)
    assert "comments, left out: rows 6" in result.notes
    assert any("rows that begin with '#'" in note and ": 3;" in note for note in result.notes)


def test_rows_of_totals_and_comments(tmp_path: Path) -> None:
    rows = [f'{n},{DIAGNOSES[i % 2]},"a, b\r\nc"' for i, n in enumerate(patients(tmp_path))]
    lines = ["# exported", "Patient,Diagnosis,Note", "", *rows, ",,,", "Total,4,", "# end"]
    result = plan(tmp_path, lines)
    complete(result, 4)
    assert any("(Total)" in note for note in result.notes)


def test_dates_as_days_of_a_spreadsheet(tmp_path: Path) -> None:
    rows: list[list[str | int]] = []
    for number in range(3):
        for visit in (0, 100):
            day = datetime.date(2023, 3, 15) + datetime.timedelta(number + visit)
            pairs(tmp_path, f"P{number}/{day}/")
            rows.append([f"P{number}", 45000 + number + visit, DIAGNOSES[number % 2]])
    cases = complete(plan(tmp_path, [["Patient", "Date", "Diagnosis"], *rows]), 6)
    assert cases[0].lesion_id == "P0-2023-03-15"
    assert cases[0].images["clinical"][0].parent.name == "2023-03-15"


def test_ids_without_their_zeros(tmp_path: Path) -> None:
    pairs(tmp_path, *(f"{number:06}_" for number in range(1, 5)))
    cases = complete(plan(tmp_path, ["ID,Diagnosis", *(f"{n},BCC" for n in range(1, 5))]), 4)
    assert cases[2].images["clinical"][0].name == "000003_photo.jpg"


def test_decomposed_file_names(tmp_path: Path) -> None:
    names = ("Müller_", "Özdemir_", "Señor_")
    pairs(tmp_path, *(unicodedata.normalize("NFD", name) for name in names))
    rows = [f"{n};BCC;{name}photo.JPG;{name}us.png" for n, name in enumerate(names)]
    complete(plan(tmp_path, ["Fall;Diagnose;Foto;Ultraschall", *rows]), 3)


@pytest.mark.parametrize("separator", ["\n", ";", " | ", ", "])
def test_several_images_in_a_cell(tmp_path: Path, separator: str) -> None:
    pairs(tmp_path, "1", "2")
    rows = [["L1", separator.join(["1photo.jpg", "2photo.jpg"]), "1us.png", "BCC"]]
    (case,) = plan(tmp_path, [["Lesion", "Photos", "Ultrasound", "Dx"], *rows]).cases
    assert [path.name for path in case.images["clinical"]] == ["1photo.jpg", "2photo.jpg"]


@pytest.mark.parametrize("separator", ["\n", ";", "|", ", "])
def test_several_paths_in_a_cell(tmp_path: Path, separator: str) -> None:
    pairs(tmp_path, "a/1", "b/1")
    names = ["a/1photo.jpg", "b/1photo.jpg"]
    head = ["Lesion", "Photos", "Ultrasound", "Dx"]
    rows = [["L1", separator.join(names), "a/1us.png", "BCC"]]
    (case,) = plan(tmp_path, [head, *rows]).cases
    assert [path.parent.name for path in case.images["clinical"]] == ["a", "b"]
    # never the second file alone
    rows = [["L1", separator.join(["a/9photo.jpg", names[1]]), "a/1us.png", "BCC"]]
    with pytest.raises(DataError, match=r"9photo\.jpg"):
        plan(tmp_path, [head, *rows])


def test_a_comma_in_the_name_of_a_folder(tmp_path: Path) -> None:
    pairs(tmp_path, "Smith, John/1", "Doe, Jane/2")
    rows = [
        [f"L{n}", f"{folder}/{n}photo.jpg", f"{folder}/{n}us.png", "BCC"]
        for n, folder in ((1, "Smith, John"), (2, "Doe, Jane"))
    ]
    complete(plan(tmp_path, [["Lesion", "Photos", "Ultrasound", "Dx"], *rows]), 2)


def test_paths_of_another_machine(tmp_path: Path) -> None:
    pairs(tmp_path, "Fotos/1 ", "Fotos/2 ")
    rows = [rf"{n};BCC;C:\Dr. M\Fotos\{n} photo.jpg;\\srv\x\Fotos\{n} us.png" for n in (1, 2)]
    complete(plan(tmp_path, ["Nr;Dx;Bild;US-Bild", *rows], "cp1252"), 2)


def test_archives_and_videos_are_explained(tmp_path: Path) -> None:
    lines = ["Patient,Diagnosis", "P001,BCC", "P002,NV"]
    (tmp_path / "d").mkdir()
    with ZipFile(tmp_path / "d" / "images.zip", "w") as file:
        file.writestr("P001/photo.jpg", "x")
    with pytest.raises(DataError, match=r"archives, left out \(unpack them .*: images.zip"):
        plan(tmp_path, lines)
    patients(tmp_path, 2)
    (tmp_path / "d" / "P001" / "loop.AVI").write_bytes(b"RIFF")
    result = plan(tmp_path, lines)
    complete(result, 2)
    assert any(note.startswith("1 videos, left out (export their frames") for note in result.notes)


def test_a_video_is_never_the_picture_of_that_name(tmp_path: Path) -> None:
    pairs(tmp_path, "1", "2")
    (tmp_path / "d" / "1photo.avi").write_bytes(b"RIFF")
    rows = ["P1,BCC,1photo.jpg,1photo.avi", "P2,NV,2photo.jpg,2us.png"]
    with pytest.raises(DataError, match=r":2 column Ultrasound: '1photo.avi' .* of the videos"):
        plan(tmp_path, ["Patient,Diagnosis,Photo,Ultrasound", *rows])


def test_lesions_in_columns(tmp_path: Path) -> None:
    pairs(tmp_path, *(f"P{n}_L{lesion}_" for n in range(3) for lesion in (1, 2)))
    result = plan(tmp_path, ["Patient,Sex,Lesion1,Lesion2", *(f"P{n},f,BCC,NV" for n in range(3))])
    cases = complete(result, 6)
    assert [(case.lesion_id, case.label) for case in cases[:2]] == [("P0-1", "BCC"), ("P0-2", "NV")]
    assert cases[0].attributes == {"Sex": "f"}
    assert any("a row has several lesions" in note for note in result.notes)


def test_lesions_in_columns_with_their_images(tmp_path: Path) -> None:
    pairs(tmp_path, *(f"{n}{lesion}" for n in range(3) for lesion in (1, 2)))
    head = "Patient,Diagnosis 1,Photo 1,US 1,Diagnosis 2,Photo 2,US 2"
    rows = [f"P{n},BCC,{n}1photo.jpg,{n}1us.png,NV,{n}2photo.jpg,{n}2us.png" for n in range(2)]
    cases = complete(plan(tmp_path, [head, *rows, "P2,BCC,21photo.jpg,21us.png,,,"]), 5)
    assert [case.label for case in cases] == ["BCC", "NV", "BCC", "NV", "BCC"]
    assert cases[1].images["ultrasound"][0].name == "02us.png"


def test_two_diagnoses_of_one_lesion_stay_one(tmp_path: Path) -> None:
    rows = [f"{name},BCC,NV" for name in patients(tmp_path)]
    cases = complete(plan(tmp_path, ["Patient,Diagnosis 1,Diagnosis 2", *rows]), 4)
    assert cases[0].attributes == {"Diagnosis 2": "NV"}


def test_sides_distinguish_lesions(tmp_path: Path) -> None:
    sides = {"left": "BCC", "right": "NV"}
    pairs(tmp_path, *(f"P{n}/{side}/" for n in range(3) for side in sides))
    rows = [f"P{n},{side},{label}" for n in range(3) for side, label in sides.items()]
    cases = complete(plan(tmp_path, ["Patient,Side,Diagnosis", *rows]), 6)
    assert {case.images["clinical"][0].parent.name: case.label for case in cases} == sides


def test_a_column_for_each_label(tmp_path: Path) -> None:
    rows = [
        f"{name},{n % 2},{int(n == 0)},{int(n == 1)},{int(n > 1)}"
        for n, name in enumerate(patients(tmp_path))
    ]
    cases = complete(plan(tmp_path, ["Patient,Smoker,MEL,NV,BCC", *rows]), 4)
    assert [case.label for case in cases] == ["MEL", "NV", "BCC", "BCC"]
    assert cases[1].attributes == {"Smoker": "1"}


def test_other_sheets_are_named(tmp_path: Path) -> None:
    rows = [[name, DIAGNOSES[n % 2]] for n, name in enumerate(patients(tmp_path))]
    sheets = {"Readme": [["Do not pass on"]], "Histology": [["Patient", "Diagnosis"], *rows]}
    result = plan_table(xlsx(tmp_path / "t.xlsx", sheets), root=tmp_path / "d")
    complete(result, 4)
    assert any("'Histology' is read, and not 'Readme'" in note for note in result.notes)


def test_an_empty_image(tmp_path: Path) -> None:
    rows = [f"{name},BCC" for name in patients(tmp_path)]
    (tmp_path / "d" / "P002" / "us.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"t\.csv:3 column ultrasound: P002/us\.png is empty"):
        plan(tmp_path, ["Patient,Diagnosis", *rows])


def test_one_conflict_is_one_line(tmp_path: Path) -> None:
    rows = [f"{name},BCC,arm" for name in patients(tmp_path)]
    with pytest.raises(DataError) as caught:
        plan(tmp_path, ["Patient,Diagnosis,Localisation", *rows, "P002,NV,leg"])
    (line,) = str(caught.value).splitlines()
    assert ":6 column Diagnosis: the same ids as in row 3, but 'NV' instead of 'BCC'" in line
    assert line.endswith("as --columns.lesion_id 'Localisation'")


@pytest.mark.parametrize(
    ("encoding", "header", "label"),
    [
        ("big5", "病患編號,病理診斷,備註", "基底細胞癌"),
        ("gb18030", "患者编号,病理诊断,备注", "基底细胞癌"),
        ("utf-8", "病患編號,病理診斷,備註", "基底細胞癌"),
    ],
)
def test_chinese_encodings(tmp_path: Path, encoding: str, header: str, label: str) -> None:
    pairs(tmp_path, *(f"{number:03}/" for number in range(1, 5)))
    rows = [f"{number:03},{label},無" for number in range(1, 5)]
    if encoding == "gb18030":
        rows = [row.replace("無", "无") for row in rows]
    cases = complete(plan(tmp_path, [header, *rows], encoding), 4)
    assert cases[0].label == label
