from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.config import TrainConfig
from agfnet.data.table import map_labels, read_cases
from agfnet.errors import DataError
from agfnet.importing.derm7pt import GROUPS, import_derm7pt

VIEWS = ("clinical", "dermoscopic")
HEADER = "case_num,diagnosis,seven_point_score,sex,clinic,derm,case_id,notes"
ROWS = [
    "1,basal cell carcinoma,0,female,NEL/NEL025.JPG,NEL/Nel026.jpg,,",
    '2,clark nevus,1,male,Ä b/1.jpg,Ä b/2.jpg,1d17,"two, notes"',
    "3,melanoma (in situ),5,male,NEL/3.jpg,NEL/3.jpg,1d17,",
    "4,lentigo,0,female,NEL/4.jpg,NEL/5.jpg,,",
    "5,seborrheic keratosis,2,female,NEL/6.jpg,,,",
]
FILES = {
    "NEL/NEL025.JPG": b"a",
    "NEL/Nel026.jpg": b"b",
    "Ä b/1.jpg": b"c",
    "Ä b/2.jpg": b"d",
    "NEL/3.jpg": b"e",
    "NEL/4.jpg": b"same",
    "NEL/5.jpg": b"same",
    "NEL/6.jpg": b"f",
}


def make(folder: Path, *, rows: list[str] = ROWS, end: str = "\n", bom: bool = False) -> Path:
    """The official layout, with five lesions."""
    source = folder / "release_v0"
    (source / "meta").mkdir(parents=True)
    for name, content in FILES.items():
        path = source / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = end.join([HEADER, *rows, ""])
    (source / "meta" / "meta.csv").write_text(
        text, encoding="utf-8-sig" if bom else "utf-8", newline=""
    )
    for name, numbers in (("train", (3, 0)), ("valid", (1,)), ("test", (2,))):
        index = source / "meta" / f"{name}_indexes.csv"
        index.write_text(end.join(["indexes", *map(str, numbers), ""]), newline="")
    return source


@pytest.mark.parametrize(("end", "bom"), [("\n", False), ("\r\n", True)])
def test_official_layout(tmp_path: Path, end: str, bom: bool):
    source = make(tmp_path, end=end, bom=bom)
    report = import_derm7pt(source, tmp_path / "out")
    assert (report.cases, report.modalities) == (5, VIEWS)
    assert report.labels["clark nevus"] == 1
    cases = read_cases(report.table, modalities=VIEWS).cases
    assert [case.split for case in cases] == ["train", "val", "test", "train", ""]
    assert [case.lesion_id for case in cases] == ["1", "2", "3", "4", "5"]
    assert [case.attributes["label_5"] for case in cases] == ["BCC", "NEV", "MEL", "MISC", "SK"]
    assert [case.patient_id for case in cases] == ["1", "2", "3", "4", "5"]
    assert cases[0].images["clinical"] == (source / "images" / "NEL" / "NEL025.JPG",)
    assert cases[1].images["dermoscopic"] == (source / "images" / "Ä b" / "2.jpg",)
    assert cases[1].attributes == {
        "seven_point_score": "1",
        "sex": "male",
        "case_id": "1d17",
        "notes": "two, notes",
        "label_5": "NEV",
    }
    assert str(tmp_path) not in report.table.read_text()  # paths are relative to the table


def test_one_image_for_both_views_leaves_the_second_empty(tmp_path: Path):
    report = import_derm7pt(make(tmp_path), tmp_path)
    cases = read_cases(report.table, modalities=VIEWS).cases
    assert [bool(case.images["clinical"]) for case in cases] == [True] * 5
    assert [bool(case.images["dermoscopic"]) for case in cases] == [True, True, False, False, False]
    names, unused, same = report.notes
    assert "no patients" in names
    assert "1 cases are in no index file" in unused
    assert same.startswith("2 cases")
    assert same.endswith("case_num 3, 4")


@pytest.mark.parametrize(
    ("line", "row", "words"),
    [
        (2, ROWS[0].replace("NEL025.JPG", "NEL99.JPG"), "column clinic: 'NEL/NEL99.JPG' is not"),
        (2, ROWS[0].replace("basal cell", "basal-cell"), "did you mean 'basal cell carcinoma'"),
        (2, "1,lentigo,0,female,,,,", "names no image"),
        (3, ROWS[1].replace("2,", "1,", 1), "'1' is empty or in row 2 too"),
        (2, ROWS[0].replace("1,", ",", 1), "column case_num: '' is empty"),
        (2, ROWS[0] + ",,x", "has 10 cells, expected 8"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, line: int, row: str, words: str):
    rows = [row if number == line else kept for number, kept in enumerate(ROWS, start=2)]
    with pytest.raises(DataError) as caught:
        import_derm7pt(make(tmp_path, rows=rows), tmp_path)
    assert f"meta.csv:{line}" in str(caught.value)
    assert words in str(caught.value)
    assert not (tmp_path / "cases.csv").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("valid", "indexes\n5\n", r"valid_indexes.csv:2 column indexes: '5' is no row .* 0 to 4"),
        ("valid", "indexes\n-1\n", "'-1' is no row of meta.csv"),
        ("valid", "indexes\n1.5\n", "'1.5' is no row of meta.csv"),
        ("valid", "indexes\n1\n0\n", "valid_indexes.csv:3 .*: 0 is in train already"),
        ("test", "indexes\n2\n2\n", "2 is in test already"),
        ("test", "index\n2\n", "column indexes: there is no such column"),
        ("train", None, "train_indexes.csv: no such file"),
    ],
)
def test_index_files_that_do_not_fit(tmp_path: Path, name: str, text: str | None, words: str):
    source = make(tmp_path)
    path = source / "meta" / f"{name}_indexes.csv"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(DataError, match=words):
        import_derm7pt(source, tmp_path)


def test_the_wrong_folder(tmp_path: Path):
    make(tmp_path)
    with pytest.raises(DataError, match="name the folder release_v0"):
        import_derm7pt(tmp_path, tmp_path)


def test_an_earlier_table_is_not_replaced(tmp_path: Path):
    source = make(tmp_path)
    import_derm7pt(source, tmp_path)
    with pytest.raises(DataError, match="exists already"):
        import_derm7pt(source, tmp_path)


def test_the_groups_of_the_settings_file(tmp_path: Path):
    from agfnet.cli import build_parser

    path = Path(__file__).parents[2] / "configs" / "derm7pt.yaml"
    arguments = ["train", "--config", str(path), "--data.cases", "cases.csv"]
    config = build_parser().instantiate(build_parser().parse_args(arguments)).train
    labels = TrainConfig(data=config.data).data.labels
    assert isinstance(labels, dict)
    assert {name: tuple(old) for name, old in labels.items()} == GROUPS
    assert tuple(config.data.modalities) == VIEWS
    cases = read_cases(import_derm7pt(make(tmp_path), tmp_path).table, modalities=VIEWS)
    kept, classes, left_out = map_labels(cases, labels, missing_ok=True)
    assert [case.label for case in kept] == [case.attributes["label_5"] for case in cases]
    assert (classes, left_out) == (tuple(GROUPS), 0)
