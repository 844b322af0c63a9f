from __future__ import annotations

import gc
import string
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from _pytest.logging import LogCaptureFixture
from hypothesis import given, settings
from hypothesis import strategies as st

from agfnet.data.problems import Problems
from agfnet.data.spelling import patient_key
from agfnet.data.table import (
    Case,
    CasesTable,
    cases_hash,
    find_modalities,
    map_labels,
    read_cases,
    write_cases,
)
from agfnet.errors import ConfigError, DataError

MODALITIES = ("clinical", "ultrasound")
WriteImage = WriteTable = Callable[..., Path]


def read(path: Path, **options: bool) -> CasesTable:
    return read_cases(path, modalities=MODALITIES, **options)


def case(name: str = "L1", *, label: str = "", split: str = "", patient: str = "") -> Case:
    images = {"clinical": (Path(f"/{name}.png"),), "ultrasound": ()}
    return Case(name, patient or name, label, images, {}, split, {}, 2)


def fault(path: Path, **options: bool) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


def fault_of(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fault(path, check_files=False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "cases.csv"


# reading


def test_comments_and_units_are_left_out_and_noted(table: Path) -> None:
    lines = ["lesion_id,clinical,ultrasound,age", ",,,[years]", "L1,a.png,,40"]
    table.write_text("\n".join([*lines, "# exported, by me", "#2,b.png,,50", "L3,c.png,,60"]))
    problems = Problems(table)
    cases = read_cases(table, modalities=MODALITIES, check_files=False, problems=problems).cases
    assert [case.lesion_id for case in cases] == ["L1", "#2", "L3"]
    assert [(note.row, note.finding) for note in problems.notes] == [
        *[(2, "row_extra"), (4, "row_extra"), (5, "lesion_hash")]
    ]
    table.write_text("lesion_id,clinical,ultrasound\nL1,a.png,\nl01,b.png,\nl1,c.png,\n\x1a")
    problems = Problems(table)
    read_cases(table, modalities=MODALITIES, check_files=False, problems=problems)
    rows = [note.row for note in problems.notes if note.finding == "lesion_spelling"]
    assert rows == [3, 4]
    table.write_text("lesion_id,clinical,ultrasound\n# nothing yet")
    assert fault(table).endswith("has no rows below its header")


def test_reads_every_column(write_table: WriteTable, write_image: WriteImage, tmp_path: Path):
    write_image("m.png")
    path = write_table(
        [
            {
                "lesion_id": " L1 ",
                "patient_id": "P1",
                "label": "naevus",
                "clinical": "img/a.png",
                "ultrasound": "us/1.png | us/2.png",
                "split": "train",
                "ultrasound_mask": "m.png",
                "age": "40",
            },
            {"lesion_id": "L2", "clinical": "img/b.png", "age": ""},
        ]
    )
    cases = read(path)
    assert len(cases) == 2
    assert cases.modalities == MODALITIES
    assert cases.path == path
    first, second = cases
    assert first == Case(
        lesion_id="L1",
        patient_id="P1",
        label="naevus",
        images={
            "clinical": (tmp_path / "img/a.png",),
            "ultrasound": (tmp_path / "us/1.png", tmp_path / "us/2.png"),
        },
        masks={"ultrasound": (tmp_path / "m.png",)},
        split="train",
        attributes={"age": "40"},
        row=2,
    )
    assert (second.patient_id, second.label, second.split) == ("L2", "", "")
    assert second.images["ultrasound"] == ()
    assert second.masks == {}


def test_label_patient_and_split_columns_are_optional(write_table: WriteTable):
    path = write_table([{"lesion_id": "L1", "clinical": "a.png", "ultrasound": ""}])
    (only,) = read(path)
    assert (only.patient_id, only.label, only.split) == ("L1", "", "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_reads_what_spreadsheets_write(table: Path, delimiter: str, end: str, mark: str):
    lines = [
        ["lesion_id", "label", "clinical", "ultrasound", ""],
        ["L1", "näv", "a.png", "", ""],
        ["", "", "", "", ""],
        ["L2", '"b,;\tx"', "b.png", "", ""],
    ]
    text = mark + end.join(delimiter.join(line) for line in lines) + end + end
    table.write_bytes(text.encode())
    cases = read(table, check_files=False)
    assert [(c.lesion_id, c.label, c.row) for c in cases] == [("L1", "näv", 2), ("L2", "b,;\tx", 4)]


def test_a_row_is_named_by_its_first_line(table: Path):
    text = 'lesion_id,clinical,ultrasound,note\nL1,a.png,,"two\nlines"\nL2,,,\n'
    assert f"{table}:4: the case 'L2' has no image" in fault_of(table, text)


def test_long_text_is_no_path(write_table: WriteTable):
    path = write_table(
        [{"lesion_id": "L1", "clinical": "a.png", "ultrasound": "", "note": "x " * 500}]
    )
    assert find_modalities(path) == ("clinical",)
    assert read(path).cases[0].attributes["note"].startswith("x x")


def test_paths_are_relative_to_the_table(
    write_table: WriteTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_table([{"lesion_id": "L1", "clinical": "a.png", "ultrasound": str(tmp_path / "b.png")}])
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/cases.csv").write_text("lesion_id,clinical,ultrasound\nL1,../a.png,\n")
    monkeypatch.chdir(tmp_path / "deep")
    (only,) = read(Path("cases.csv"))
    assert only.images["clinical"] == (tmp_path / "a.png",)
    (only,) = read(Path("../cases.csv"))
    assert only.images["ultrasound"] == (tmp_path / "b.png",)


@pytest.mark.parametrize("switch", [gc.enable, gc.disable])
def test_the_collector_is_left_as_it_was(table: Path, switch: Callable[[], None]):
    table.write_text("lesion_id,clinical,ultrasound\nL1,a.png,\n")
    switch()
    before = gc.isenabled()
    read(table, check_files=False)
    after = gc.isenabled()
    gc.enable()
    assert before == after


# what may be wrong with the file


def test_missing_file_and_folder(tmp_path: Path):
    assert "no such file" in fault(tmp_path / "none.csv")
    assert "is a folder" in fault(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n ,\n", "is empty"),
        (b"lesion_id,clinical,ultrasound\n\n", "no rows"),
        (b"lesion_id,clinical,ultrasound\nL\xe9,a.png,\n", ":2: is not UTF-8"),
        (b"lesion_id,clinical,ultrasound\n\nL\0,a.png,\n", ":3: contains a NUL byte"),
        ("lesion_id,clinical\n".encode("utf-16"), "is UTF-16"),
        ("lesion_id,clinical\n".encode("utf-16-le"), "is UTF-16 text; save it as CSV UTF-8"),
        ("lesion_id,clinical\n".encode("utf-32"), "is UTF-32"),
        (b"PAR1\x15\0", "is a Parquet file, not CSV; export it as CSV UTF-8 (pandas"),
        (b"\x1f\x8b\x08\0", "is a compressed file (gzip or like it), not CSV; unpack it"),
        (b"\x89PNG\r\n\x1a\n", "is PNG, not CSV; name the table, a CSV file"),
        (b'{"lesion_id": "L1"}', "is JSON, not CSV; export it"),
        (b"\xd0\xcf\x11\xe0rest", "is an old Excel workbook, not CSV"),
        (
            b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"),
            "is a workbook with a password; without it, save it as CSV UTF-8",
        ),
        (b"PK\x03\x04rest", "is an Excel workbook"),
        (b"lesion_id,clinical,clinical\nL1,a,b\n", ":1: has the column 'clinical' more than once"),
        (b'lesion_id,clinical,ultrasound\nL1,"a.png,\nL2,,\n', ":2: is not valid CSV"),
        (b'lesion_id,clinical,ultrasound\nL1,"a"b,\n', ":2: is not valid CSV"),
    ],
)
def test_files_that_are_no_table(table: Path, content: bytes, words: str):
    message = fault_of(table, content)
    assert words in message
    assert str(table) in message


@pytest.mark.parametrize("separator", ["|", "\uff0c", " "])
def test_another_separator_is_named(separator: str, table: Path):
    lines = ["lesion_id,clinical,ultrasound", "L1,a.png,b.png"]
    message = fault_of(table, "\n".join(lines).replace(",", separator))
    assert f"the columns are separated by {separator!r}: separate cells by commas" in message


def test_rows_that_are_quoted_as_a_whole_are_named(table: Path):
    message = fault_of(table, '"lesion_id,clinical,ultrasound"\n"L1,a.png,b.png"')
    assert "column lesion_id: there is no such column; each row is in double quotes" in message


def test_missing_columns_are_named_with_near_matches(table: Path):
    message = fault_of(table, "Lesion ID,clinical,ultrasond\nL1,a.png,\n")
    assert f"{table}:1 column lesion_id: " in message
    assert "did you mean 'Lesion ID'?" in message
    assert "column ultrasound: there is no such column; did you mean 'ultrasond'?" in message


def test_text_under_a_nameless_column(table: Path):
    message = fault_of(table, ",lesion_id,clinical,ultrasound\n0,L1,a.png,\n")
    assert f"{table}:2: there is text under a column without a name" in message


def test_unreadable_file(table: Path, monkeypatch: pytest.MonkeyPatch):
    table.write_text("x")

    def refuse(_: Path, mode: str) -> BinaryIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read: Permission denied" in fault(table)


# what may be wrong with the rows


@pytest.mark.parametrize(
    ("row", "place", "words"),
    [
        ("L1,P2,mel,b.png,,", ":3 column lesion_id", "'L1' is in row 2 too"),
        (",P2,mel,b.png,,", ":3 column lesion_id", "is empty"),
        ("L2,P2,mel,,|,", ":3", "no image at all; expected a path under clinical or ultrasound"),
        ("L2,P2,mel,b.png,,training", ":3 column split", "expected train, val, test"),
        ("L2,P1,mel,b.png,,test", ":3 column split", "'P1' is in test here and in train in row 2"),
        ("L2,P2,Me L,b.png,,", ":3 column label", "is another spelling of 'mel' (1 row, first in"),
        ("L2,P2,mel,b.png|b.png,,", ":3 column clinical", "lists a path twice"),
        ("L2,P2,mel,b.png|./b.png,,", ":3 column clinical", "lists a path twice"),
        ("L2,P2,mel,b.png,,,,x", ":3", "has 8 cells, expected 6"),
        ("L2;P2;mel;b.png;;", ":3", "is one cell, 'L2;P2;mel;b.png;;'; separate its cells with"),
        (
            'L2,P2,mel,b.png,"c\nL3,P3,mel,c.png,,",',
            ":3",
            "holds the next row, 'L3,P3,mel,c.png,,'",
        ),
        ("lesion_id,patient_id,label,clinical,ultrasound,split", ":3", "repeats the header"),
    ],
)
def test_rows_with_a_problem(table: Path, row: str, place: str, words: str):
    header = "lesion_id,patient_id,label,clinical,ultrasound,split"
    message = fault_of(table, f"{header}\nL1,P1,mel,a.png,,train\n{row}\n")
    (line,) = message.splitlines()
    assert line.startswith(f"{table}{place}: ")
    assert words in line


def test_a_misspelt_label_is_one_line_at_its_first_row(table: Path):
    rows = ["bcc", *["BCC"] * 5, "bcc"]
    lines = [f"L{number},{label},a.png," for number, label in enumerate(rows)]
    message = fault_of(table, "\n".join(["lesion_id,label,clinical,ultrasound", *lines]))
    assert message == (
        f"{table}:2 column label: 'bcc' (2 rows) is another spelling of 'BCC' (5 rows, first in "
        "row 3); write it that way, as agfnet check CASES --fix FILE does"
    )


def test_image_files_that_are_not_there(write_table: WriteTable, tmp_path: Path):
    path = write_table(
        [
            {"lesion_id": "L1", "clinical": "a.png", "ultrasound": "gone.png"},
            {"lesion_id": "L2", "clinical": "folder", "ultrasound": "empty.png"},
            {"lesion_id": "L3", "clinical": "img\\a.png", "clinical_mask": "a.png/x"},
        ],
        images=False,
    )
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    lines = fault(path).splitlines()
    assert len(lines) == 5
    assert f":2 column ultrasound: 'gone.png' cannot be found at {tmp_path}" in lines[0]
    assert ":3 column clinical: 'folder' is a folder" in lines[1]
    assert ":3 column ultrasound: 'empty.png' is an empty file" in lines[2]
    assert "there is 'a.png': write it so, relative to the table, with / between" in lines[3]
    assert ":4 column clinical_mask: 'a.png/x' cannot be found" in lines[4]
    assert len(read(path, check_files=False)) == 3


def test_many_problems_come_in_one_error_in_order(table: Path):
    rows = "".join("L1,,\n" if i % 2 else "L1\n" for i in range(30))
    lines = fault_of(table, f"lesion_id,clinical,ultrasound\n{rows}").splitlines()
    assert len(lines) == 21
    numbers = [int(line.removeprefix(f"{table}:").split(":")[0].split()[0]) for line in lines[:-1]]
    assert numbers == sorted(numbers)
    assert lines[-1].startswith("… and ")
    assert lines[-1].endswith(" more")


@pytest.mark.parametrize("modalities", [[], ["a", "a"], ["label"], ["a", "a_mask"]])
def test_modalities_that_contradict(table: Path, modalities: Sequence[str]):
    with pytest.raises(ConfigError, match="modalities"):
        read_cases(table, modalities=modalities)


def test_random_bytes_never_give_anything_but_a_data_error(table: Path):
    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=80) | st.text("lesion_id,clinical\n\r\";|' x", max_size=80))
    def check(content: bytes | str) -> None:
        assert str(table) in fault_of(table, content)

    check()


# writing


def names(alphabet: str = string.ascii_letters + "äµ漢,;\"' \n\r\t-._") -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=1, max_size=8).map(str.strip).filter(bool)


paths = st.lists(
    st.text(string.ascii_letters + "äµ漢,;\"'-_", min_size=1, max_size=8), max_size=3, unique=True
)


@st.composite
def tables(draw: st.DrawFn) -> list[Case]:
    cases = []
    for row, name in enumerate(draw(st.lists(names(), min_size=1, max_size=5, unique=True))):
        clinical = draw(paths)
        files = {"clinical": clinical, "ultrasound": draw(paths) if clinical else ["u"]}
        cases.append(
            Case(
                lesion_id=name,
                patient_id=draw(st.sampled_from([name, f"patient of {name}"])),
                label=draw(st.sampled_from(["", "naevus", 'mel "x", y'])),
                images={m: tuple(Path("/data/img", f) for f in files[m]) for m in MODALITIES},
                masks={"clinical": (Path("/data/mask"),)} if draw(st.booleans()) else {},
                split=draw(st.sampled_from(["", "train", "val", "test"])),
                attributes={"age": draw(st.just("") | names()), "sité": ""},
                row=row,
            )
        )
    return cases


@pytest.mark.slow
def test_what_is_written_is_read_back(tmp_path: Path):
    @settings(max_examples=60, deadline=None)
    @given(tables())
    def check(cases: list[Case]) -> None:
        patients = {patient_key(c.patient_id) for c in cases}
        if len(patients) < len(cases):
            return
        path = tmp_path / "deep/down/cases.csv"
        write_cases(cases, path, modalities=MODALITIES, overwrite=True)
        again = read(path, check_files=False)
        keys = ("lesion_id", "patient_id", "label", "images", "masks", "split", "attributes")
        for old, new in zip(cases, again, strict=True):
            assert [getattr(old, key) for key in keys] == [getattr(new, key) for key in keys]

    check()
    assert [path.name for path in (tmp_path / "deep/down").iterdir()] == ["cases.csv"]


def test_written_paths_are_relative(tmp_path: Path):
    images = {"clinical": (tmp_path / "img/a.png", tmp_path / "out/b.png")}
    cases = [Case("L1", "L1", "x", images, {}, "", {}, 2)]
    write_cases(cases, tmp_path / "out/cases.csv", modalities=["clinical"])
    text = (tmp_path / "out/cases.csv").read_text()
    assert text == "lesion_id,patient_id,label,clinical\nL1,L1,x,../img/a.png|b.png\n"


def test_writing_replaces_only_when_told(table: Path):
    table.write_text("old")
    with pytest.raises(DataError, match="exists already"):
        write_cases([case()], table, modalities=MODALITIES)
    assert table.read_text() == "old"
    write_cases([case()], table, modalities=MODALITIES, overwrite=True)
    assert len(read(table, check_files=False)) == 1


@pytest.mark.parametrize("name", ["a|b.png", " a.png"])
def test_paths_that_no_cell_can_hold(tmp_path: Path, name: str):
    cases = [Case("L1", "L1", "", {"clinical": (tmp_path / name,)}, {}, "", {}, 2)]
    with pytest.raises(DataError, match="rename the file"):
        write_cases(cases, tmp_path / "cases.csv", modalities=["clinical"])
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_not_written_under_the_name_of_a_workbook(table: Path, tmp_path: Path):
    (table.parent / "a.png").write_bytes(b"x")
    table.write_text("lesion_id,clinical,ultrasound\nL1,a.png,\n")
    with pytest.raises(ConfigError, match=r"split\.XLSX: the table is CSV; let its name end in"):
        write_cases(read(table), tmp_path / "split.XLSX", modalities=("clinical",))
    assert not (tmp_path / "split.XLSX").exists()


def test_writing_what_cannot_be_written(tmp_path: Path, table: Path):
    with pytest.raises(DataError, match="no cases"):
        write_cases([], table, modalities=MODALITIES)
    clash = Case("L1", "L1", "", {"clinical": (Path("/a"),)}, {}, "", {"split": "train"}, 2)
    with pytest.raises(DataError, match="'split' cannot be an attribute"):
        write_cases([clash], table, modalities=MODALITIES)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cases\.csv: cannot be written: [A-Z][a-z ]+$"):
        write_cases([case()], tmp_path / "file/cases.csv", modalities=MODALITIES)
    with pytest.raises(DataError, match="cannot be written"):
        write_cases([replace(case(), lesion_id="\udc80")], table, modalities=MODALITIES)
    with pytest.raises(DataError, match=r"path '.*n\\xe6vus.png' is not UTF-8.*rename the file"):
        write_cases([case("n\udce6vus")], table, modalities=MODALITIES)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# labels

LABELLED = [
    case("1", label="nv", split="train"),
    case("2", label="bcc", split="train"),
    case("3", label="mel", split="test"),
    case("4"),
    case("5", label="nv", split="val"),
]


def test_all_labels_are_those_of_training():
    cases, classes, left_out = map_labels(LABELLED, None)
    assert classes == ("bcc", "nv")
    assert [c.lesion_id for c in cases] == ["1", "2", "4", "5"]
    assert left_out == 1
    assert map_labels([case("1", label="b"), case("2", label="a")], None)[1] == ("a", "b")


def test_a_list_keeps_a_subset_in_its_order():
    cases, classes, left_out = map_labels(LABELLED, ["nv", "mel"])
    assert classes == ("nv", "mel")
    assert [c.label for c in cases] == ["nv", "mel", "", "nv"]
    assert left_out == 1


def test_a_mapping_merges():
    cases, classes, left_out = map_labels(LABELLED, {"malignant": ["mel", "bcc"], "benign": ["nv"]})
    assert classes == ("malignant", "benign")
    assert [c.label for c in cases] == ["benign", "malignant", "malignant", "", "benign"]
    assert left_out == 0


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["nv", "melanoma", "mell"], "'melanoma'; there are 'bcc', 'mel', 'nv'"),
        (["MELL"], "'MELL'; did you mean 'mel'?"),
        (["nv", "nv"], "'nv' is named twice"),
        ({"a": ["nv", "mel"], "b": ["nv"]}, "'nv' is named twice"),
        ([], "there are no labels"),
        ({"a": []}, "there are no labels"),
    ],
)
def test_labels_that_do_not_fit(labels: list[str] | dict[str, list[str]], words: str):
    with pytest.raises(DataError) as caught:
        map_labels(LABELLED, labels)
    assert words in str(caught.value)


def test_another_cohort_may_lack_labels():
    cases, classes, left_out = map_labels([case("1")], ["nv", "mel"], missing_ok=True)
    assert (len(cases), classes, left_out) == (1, ("nv", "mel"), 0)
    with pytest.raises(DataError, match="there are no labels"):
        map_labels([case("1")], None)


# hash


def test_hash_follows_content_and_not_place(write_table: WriteTable, tmp_path: Path):
    rows = [{"lesion_id": "L1", "label": "x", "clinical": "a.png", "ultrasound": "b.png"}]
    first = cases_hash(read(write_table(rows)))
    assert len(first) == 64
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("cases.csv", "a.png", "b.png"):
        (tmp_path / name).rename(moved / name)
    assert cases_hash(read(moved / "cases.csv")) == first
    (moved / "a.png").write_bytes(b"other")
    changed = cases_hash(read(moved / "cases.csv"))
    assert changed != first
    (moved / "a.png").unlink()
    assert cases_hash(read(moved / "cases.csv", check_files=False)) not in (first, changed)
    assert cases_hash(read(write_table([rows[0] | {"label": "y"}]))) != first


def test_image_columns_are_found_by_their_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "m.png"):
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "cases.csv"
    table.write_text("lesion_id,photo,scan,scan_mask,site\n1,a.png,,m.png,arm\n2,,b.png|a.png,,\n")
    assert find_modalities(table) == ("photo", "scan")
    table.write_text("lesion_id,site\n1,arm\n")
    with pytest.raises(DataError, match="no column holds the path of a file"):
        find_modalities(table)


def test_a_case_with_images_only_in_a_column_that_is_not_used_stays(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    table = tmp_path / "cases.csv"
    table.write_text("lesion_id,photo,scan\n1,a.png,\n2,a.png,a.png\n")
    cases = read_cases(table, modalities=["scan"]).cases
    assert [len(case.images["scan"]) for case in cases] == [0, 1]
    table.write_text("lesion_id,photo,scan\n1,,\n2,a.png,a.png\n")
    with pytest.raises(DataError, match=r":2: .*no image at all"):
        read_cases(table, modalities=["scan"])


# what other programs and people write


def test_one_patient_in_two_spellings_is_read_in_one(table: Path, caplog: LogCaptureFixture):
    rows = ("L1,p 1,a.png,", "L2,P1,a.png,", "L3,P2,a.png,", "L4,P-01,a.png,")
    for order in (rows, rows[::-1]):
        table.write_text("lesion_id,patient_id,clinical,ultrasound\n" + "\n".join(order))
        patients = {c.lesion_id: c.patient_id for c in read(table, check_files=False)}
        assert patients == {"L1": "P-01", "L2": "P-01", "L3": "P2", "L4": "P-01"}
    assert "'P1' and 'p 1' in row 2 count as one patient" in caplog.text
    assert "(and 1 more: see agfnet check)" in caplog.text
    header = "lesion_id,patient_id,clinical,ultrasound,split\n"
    message = fault_of(table, header + "L1,12,a.png,,train\nL2,012.0,a.png,,test\n")
    assert "patient '012.0' is in test here and in train in row 2" in message


@pytest.mark.parametrize("word", ["nan", "NA", "unknown", "?"])
def test_placeholders_count_as_empty_cells(table: Path, word: str, caplog: LogCaptureFixture):
    header = "lesion_id,patient_id,clinical,ultrasound\n"
    table.write_text(f"{header}L1,{word},a.png,{word}\nL2,{word},a.png,b.png\nL3,P,a.png,\n")
    cases = read(table, check_files=False).cases
    assert [c.patient_id for c in cases] == ["L1", "L2", "P"]
    assert cases[0].images["ultrasound"] == ()
    assert f"column patient_id: {word!r} counts as an empty cell" in caplog.text
    assert f"column ultrasound: {word!r} counts as an empty cell" in caplog.text


def test_a_file_with_the_name_of_a_placeholder_is_a_file(table: Path):
    (table.parent / "nan").write_bytes(b"x")
    table.write_text("lesion_id,clinical,ultrasound\nL1,nan,\n")
    assert read(table).cases[0].images["clinical"] == (table.parent / "nan",)


@pytest.mark.parametrize(
    "text",
    [
        "lesion_id,clinical,ultrasound,age,site\nL1,a.png,,40,arm\nL2,a.png\n",
        "lesion_id,clinical,ultrasound\nL1,a.png,,,\nL2,a.png,,\n",
        "sep=;\nlesion_id;clinical;ultrasound\nL1;a.png;\nL2;a.png;\n",
        '"sep=|"\nlesion_id|clinical|ultrasound\nL1|a.png|\nL2|a.png|\n',
        "sep=\t\nlesion_id\tclinical\tultrasound\nL1\ta.png\t\nL2\ta.png\t\n",
        "lesion_id,clinical,ultrasound\nL1,a.png,\n\ufeffL2,a.png\u200b,\n",
        "lesion_id\u200b,clinical,ultrasound\nL1,a.png,\nL2\u00a0,a.png,\n",
    ],
)
def test_tables_of_spreadsheets_are_read(table: Path, text: str):
    (table.parent / "a.png").write_bytes(b"x")
    table.write_text(text, encoding="utf-8")
    assert [c.lesion_id for c in read(table)] == ["L1", "L2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cohort of spring,,\nlesion_id,clinical,ultrasound\nL1,a,\n", "in row 2: delete the rows"),
        ("Cohort\n\nlesion_id;clinical;ultrasound\nL1;a;\n", "in row 3: delete the rows above"),
        ("<!DOCTYPE html>\n<html><body>log in</body></html>\n", "is a web page (HTML or XML)"),
        ("\n <html>\n<p>a, b</p>\n", "is a web page"),
    ],
)
def test_what_stands_above_or_in_place_of_a_table(table: Path, text: str, words: str):
    assert words in fault_of(table, text)
    with pytest.raises(DataError) as caught:
        find_modalities(table)
    assert words in str(caught.value)


def test_a_linked_table_is_named_where_its_images_lie(table: Path, tmp_path: Path):
    (table.parent / "a.png").write_bytes(b"x")
    table.write_text("lesion_id,clinical,ultrasound\nL1,a.png,\nL2,b.png,\n")
    link = tmp_path / "elsewhere" / "cases.csv"
    link.parent.mkdir()
    link.symlink_to(table)
    with pytest.raises(DataError) as caught:
        read(link)
    first, second = str(caught.value).splitlines()
    assert f"the table is a link; name the table itself, {str(table.resolve())!r}" in first
    assert "correct the path or copy the file there" in second


def test_further_paths_that_are_nearly_right(table: Path):
    folder = table.parent / "images"
    folder.mkdir()
    for name in ("1.png", "2.jpg", "3.png", "3.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "link.png").symlink_to("gone.png")
    (folder / "loop.png").symlink_to("loop.png")
    (table.parent / "far").symlink_to("gone")
    cells = {
        "images/link.png": "the target of the link 'images/link.png' is not there",
        "images/loop.png": "the target of the link 'images/loop.png' is not there",
        "far/1.png": "the target of the link 'far' is not there",
        "images/1.png images/2.jpg": "several paths are joined by '|', not by ' '",
        "images/1.png + images/2.jpg": "several paths are joined by '|', not by '+'",
        "images/1.png\uff5cimages/2.jpg": "several paths are joined by '|', not by '\uff5c'",
        "images/2.jpeg": "there is 'images/2.jpg', which differs by its ending",
        "images/1": "there is 'images/1.png', which differs by its ending",
        "cohort/images/1.png": "there is 'images/1.png', in another folder: correct the path",
        "1.png": "there is 'images/1.png', in another folder: correct the path",
        "C:\\cohort\\images\\1.png": "there is 'images/1.png': write it so, relative to the table",
        "/mnt/a/images/1.png": "there is 'images/1.png': write it so, relative to the table",
        "images\\1.png": "there is 'images/1.png': write it so, relative to the table",
        "\\\\server\\share\\9.png": "it is a path of Windows: write it relative to the table",
        "images\\9.png": "write / between folders",
        "['images/1.png'];": "there is 'images/1.png': write it so, without quotes, brackets",
        "no": "correct the path, or empty the cell if there is no image",
        "~/9.png": "write the path in full, without '~'",
        "images/3": "correct the path or copy the file there",
        "images/my photo.png": "correct the path or copy the file there",
    }
    rows = "".join(f"L{n},{cell},\n" for n, cell in enumerate(cells))
    lines = fault_of_files(table, "lesion_id,clinical,ultrasound\n" + rows)
    for line, words in zip(lines, cells.values(), strict=True):
        assert words in line


def test_formulas_are_no_images_that_are_missing(table: Path):
    rows = 'L1,=B2,\nL2,=HYPERLINK("images/1.png"),\n'
    lines = fault_of_files(table, "lesion_id,clinical,ultrasound\n" + rows)
    assert len(lines) == 2
    assert all("it is a formula: export the table again with its results" in x for x in lines)


def test_paths_that_are_nearly_right(table: Path):
    folder = table.parent / "images"
    folder.mkdir()
    for name in ("1.png", "2.png", "n\u00e4vus.png"):
        (folder / name).write_bytes(b"x")
    cells = ("Images/1.PNG", "images/1.png;images/2.png", "images/na\u0308vus.png", "images/3.png")
    cells += (
        "images/n%C3%A4vus.png",
        "'images/1.png'",
        f"file://{folder}/1.png",
        "images/1\u200b.png",
    )
    rows = "".join(f"L{n},{cell},\n" for n, cell in enumerate(cells))
    lines = fault_of_files(table, "lesion_id,clinical,ultrasound\n" + rows)
    assert "there is 'images/1.png', which differs by case" in lines[0]
    assert "several paths are joined by '|', not by ';'" in lines[1]
    assert "there is 'images/n\u00e4vus.png', which differs by case or Unicode form" in lines[2]
    assert "correct the path or copy the file there" in lines[3]
    assert "there is 'images/n\u00e4vus.png': write it so, without quotes" in lines[4]
    assert "there is 'images/1.png': write it so" in lines[5]
    assert f"there is '{folder}/1.png': write it so" in lines[6]
    assert "there is 'images/1.png', which differs by case" in lines[7]


def fault_of_files(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return fault(path).splitlines()


def test_a_linked_folder_of_tables_leads_to_its_own_images(tmp_path: Path):
    for folder in ("store/tables", "store/images", "project/images"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("store", "project"):
        (tmp_path / folder / "images/1.png").write_text(folder)
    (tmp_path / "project/tables").symlink_to("../store/tables")
    text = "lesion_id,clinical,ultrasound\nL1,../images/1.png,\n"
    (tmp_path / "store/tables/cases.csv").write_text(text)
    tables = [read(tmp_path / name / "tables/cases.csv") for name in ("store", "project")]
    assert [t.cases[0].images["clinical"][0].read_text() for t in tables] == ["store", "store"]
    assert cases_hash(tables[0]) == cases_hash(tables[1])
    write_cases(tables[1], tmp_path / "project/tables/new.csv", modalities=MODALITIES)
    assert "../images/1.png" in (tmp_path / "store/tables/new.csv").read_text()


def test_a_misspelt_first_path_hides_no_column(table: Path, caplog: LogCaptureFixture):
    (table.parent / "a.png").write_bytes(b"x")
    table.write_text("lesion_id,photo,scan,note\n1,a.png,fist,x\n2,a.png,a.png,y\n")
    assert find_modalities(table) == ("photo", "scan")
    table.write_text("lesion_id,photo,ultrasound,original\n1,a.png,fist.png,IMG_1.jpg\n")
    assert find_modalities(table) == ("photo", "ultrasound")
    assert "column original: holds paths of images, but none of these files exists" in caplog.text


def test_an_image_column_without_any_path_is_noted(table: Path, caplog: LogCaptureFixture):
    (table.parent / "a.png").write_bytes(b"x")
    table.write_text("lesion_id,clinical,ultrasound\n1,a.png,\"['b.png', 'c.png']\"\n2,a.png,\n")
    assert find_modalities(table) == ("clinical",)
    assert "column ultrasound: should hold paths of images, but no cell is" in caplog.text
    caplog.clear()
    table.write_text("lesion_id,clinical,ultrasound\n1,a.png,nan\n2,a.png,\n")
    assert find_modalities(table) == ("clinical",)
    assert not caplog.text


@pytest.mark.parametrize(
    ("header", "column", "other"),
    [
        ("lesion_id,Patient_ID,label,clinical,ultrasound", "patient_id", "Patient_ID"),
        ("lesion_id,patient,label,clinical,ultrasound", "patient_id", "patient"),
        ("lesion_id,pid,label,clinical,ultrasound", "patient_id", "pid"),
        ("lesion_id,患者编号,label,clinical,ultrasound", "patient_id", "患者编号"),
        ("lesion_id,patient_id,LABEL,clinical,ultrasound", "label", "LABEL"),
        ("lesion_id,patient_id,Diagnosis,clinical,ultrasound", "label", "Diagnosis"),
        ("lesion_id,patient_id,病理诊断,clinical,ultrasound", "label", "病理诊断"),
        ("lesion_id,patient_id,Split,clinical,ultrasound", "split", "Split"),
        ("lesion_id,patient_id,Fold,clinical,ultrasound", "fold", "Fold"),
        (
            "lesion_id,patient_id,Clinical mask,clinical,ultrasound",
            "clinical_mask",
            "Clinical mask",
        ),
    ],
)
def test_a_column_that_its_spelling_leaves_unused_is_noted(
    table: Path, caplog: LogCaptureFixture, header: str, column: str, other: str
):
    table.write_text(f"{header}\nL1,P1,x,a.png,\n")
    read(table, check_files=False)
    assert f"column {column}: there is no such column; {other!r} is not used as one" in caplog.text
    caplog.clear()
    extra = header.replace("lesion_id", f"lesion_id,{column}", 1)  # then `other` is an attribute
    if column not in header.split(","):
        table.write_text(f"{extra}\nL1,,P1,x,a.png,\n")
        read(table, check_files=False)
        assert "there is no such column" not in caplog.text


def test_lesion_ids_that_look_the_same_are_one(table: Path):
    rows = "Zo\u00eb,a.png,\nZoe\u0308,b.png,\nL\u200b2,a.png,\nL2,b.png,\n"
    table.write_text(f"lesion_id,clinical,ultrasound\n{rows}")
    with pytest.raises(DataError) as caught:
        read(table, check_files=False)
    assert ":3 column lesion_id" in str(caught.value)
    assert ":5 column lesion_id: 'L2' is in row 4 too" in str(caught.value)


def test_empty_cells_among_patients_are_noted(table: Path, caplog: LogCaptureFixture):
    header = "lesion_id,patient_id,clinical,ultrasound\n"
    table.write_text(header + "L1,P1,a.png,\nL2,,b.png,\nL3,P2,c.png,\nL4,,d.png,\n")
    patients = [each.patient_id for each in read(table, check_files=False).cases]
    assert patients == ["P1", "L2", "P2", "L4"]
    assert "2 of 4 cells are empty, so each of these lesions is its own patient" in caplog.text
    caplog.clear()
    table.write_text(header + "L1,,a.png,\nL2,,b.png,\n")
    read(table, check_files=False)
    assert not caplog.text


def test_texts_that_a_spreadsheet_protects_are_read_as_they_are(table: Path):
    quoted = '"=""L2""","=""a""""b""","=""b.png""",\n'  # as a CSV writer stores such cells
    header = "lesion_id,patient_id,clinical,ultrasound\n"
    table.write_text(f'{header}="L1",="0012",="a.png",\n{quoted}')
    first, second = read(table, check_files=False).cases
    assert (first.lesion_id, first.patient_id) == ("L1", "0012")
    assert first.images["clinical"] == (table.parent / "a.png",)
    assert (second.lesion_id, second.patient_id) == ("L2", 'a"b')


def test_separators_within_quotes_do_not_count(table: Path):
    header = 'lesion_id;clinical;ultrasound;"age, years, at, the, visit"'
    table.write_text(f"{header}\nL1;a.png;;7\n")
    assert read(table, check_files=False).cases[0].attributes == {"age, years, at, the, visit": "7"}


def test_a_path_may_begin_with_a_mark_of_direction(table: Path):
    table.write_text("lesion_id,clinical,ultrasound\nL1,\u202aa.png,\n")
    assert read(table, check_files=False).cases[0].images["clinical"][0].name == "a.png"


def test_a_placeholder_is_no_class():
    with pytest.raises(DataError, match=r"label 'NA' \(2 lesions, the first in row 2\)"):
        map_labels([*LABELLED, *(case(n, label="NA", split="train") for n in "67")], None)
    assert map_labels([*LABELLED, case("6", label="NA")], ["nv", "NA"])[1] == ("nv", "NA")
