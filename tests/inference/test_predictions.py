import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions, align, read_predictions, write_predictions

HEADER = "lesion_id,patient_id,label,predicted,p_a,p_b\n"


def _predictions(**change):
    fields = {
        "classes": ("a", "b"),
        "lesion_id": ("L1", "L2", "L3"),
        "patient_id": ("P1", "P1", "P2"),
        "label": ("a", "", "b"),
        "probabilities": np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]),
    }
    return Predictions(**(fields | change))


def test_what_follows_from_the_fields():
    predictions = _predictions()
    assert len(predictions) == 3
    assert predictions.predicted == ("a", "a", "b")
    assert predictions.target.tolist() == [0, -1, 1]
    assert predictions.target.dtype == np.int64
    labelled = predictions.labelled()
    assert labelled.lesion_id == ("L1", "L3")
    assert labelled.probabilities.tolist() == [[0.9, 0.1], [0.2, 0.8]]


@pytest.mark.parametrize(
    "change",
    [
        {"label": ("a",)},
        {"patient_id": ()},
        {"probabilities": np.ones((3, 3))},
        {"classes": ("a", "b", "c")},
        {"prediction_set": np.ones((3, 1), dtype=bool)},
        {"abstain": np.ones(2, dtype=bool)},
        {"ood_score": np.ones((3, 2))},
    ],
)
def test_contradicting_lengths_are_refused(change):
    with pytest.raises(ValueError, match="expected"):
        _predictions(**change)


def test_the_file_is_that_of_the_contract(tmp_path):
    path = tmp_path / "predictions.csv"
    write_predictions(_predictions(), path)
    assert path.read_text() == (
        HEADER + "L1,P1,a,a,0.9,0.1\n" + "L2,P1,,a,0.5,0.5\n" + "L3,P2,b,b,0.2,0.8\n"
    )
    assert list(tmp_path.iterdir()) == [path]


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


@settings(max_examples=50, deadline=None)
@given(
    classes=st.lists(NAMES, min_size=2, max_size=4, unique=True),
    ids=st.lists(NAMES, max_size=5, unique=True),
    seed=st.integers(0, 99),
)
def test_reading_gives_back_what_was_written(tmp_path_factory, classes, ids, seed):
    rng = np.random.default_rng(seed)
    written = Predictions(
        classes=tuple(classes),
        lesion_id=tuple(ids),
        patient_id=tuple(ids),
        label=tuple(rng.choice(["", *classes]) for _ in ids),
        probabilities=rng.dirichlet(np.ones(len(classes)), len(ids)),
    )
    path = tmp_path_factory.mktemp("table") / "predictions.csv"
    write_predictions(written, path)
    read = read_predictions(path)
    for name in ("classes", "lesion_id", "patient_id", "label", "predicted"):
        assert getattr(read, name) == getattr(written, name)
    np.testing.assert_array_equal(read.probabilities, written.probabilities)


def test_a_table_from_a_spreadsheet_is_read(tmp_path):
    path = tmp_path / "predictions.csv"
    text = HEADER + "L1,P1,a,a,0.667,0.333\n\nL2,P2,,b,0.33,0.67\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_predictions(path).lesion_id == ("L1", "L2")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_saved_with_decimal_commas_is_read(tmp_path, delimiter):
    path = tmp_path / "predictions.csv"
    text = HEADER + "L1,P1,a,a,0.667,0.333\nL2,P2,,b,0.33,0.67\n"
    saved = text.replace(",", delimiter).replace(".", ",")
    path.write_bytes(b"\xef\xbb\xbf" + saved.replace("\n", "\r\n").encode())
    read = read_predictions(path)
    assert read.lesion_id == ("L1", "L2")
    np.testing.assert_array_equal(read.probabilities, [[0.667, 0.333], [0.33, 0.67]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "row 1: the columns begin with nothing; expected lesion_id"),
        ("lesion_id,label\n", "row 1: the columns begin lesion_id, label"),
        (HEADER.replace(",p_b", ""), "row 1: 1 probability column"),
        (HEADER.replace("p_b", "note"), "row 1, column 'note': expected p_<class>"),
        (HEADER.replace("p_b", "p_a"), "row 1, column 'p_a': appears more than once"),
        (HEADER + "L1,P1,a,a,0.9\n", "row 2: 5 cells; expected 6"),
        (HEADER + ",P1,a,a,0.9,0.1\n", "row 2, column lesion_id: is empty"),
        (HEADER + 2 * "L1,P1,a,a,0.9,0.1\n", "row 3, column lesion_id: 'L1' is also in row 2"),
        (HEADER + "L1,,a,a,0.9,0.1\n", "row 2, column patient_id: is empty"),
        (HEADER + "L1,P1,c,a,0.9,0.1\n", "row 2, column label: 'c' has no probability column"),
        (HEADER + "L1,P1,a,a,x,0.1\n", "row 2, column p_a: 'x'; expected a number from 0 to 1"),
        (HEADER + "L1,P1,a,a,nan,0.1\n", "row 2, column p_a: 'nan'"),
        (HEADER + "L1,P1,a,a,1.2,-0.2\n", "row 2, column p_b: '-0.2'"),
        (HEADER + "L1,P1,a,a,0.9,0.2\n", "row 2: the probabilities sum to 1.1"),
        (HEADER + "L1,P1,a,b,0.9,0.1\n", "row 2, column predicted: 'b'; expected .* 'a'"),
    ],
)
def test_a_problem_is_named_with_its_place(tmp_path, text, expected):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        read_predictions(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())


def test_many_problems_are_listed_in_one_go_but_not_without_end(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(HEADER + "".join(f"L{row},P1,z,a,0.9,0.1\n" for row in range(50)))
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 30 more problems")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "absent.csv")
    path = tmp_path / "binary.csv"
    for content, words in (
        (b"\xff\xfe\x00", "is UTF-16 text; save it as CSV UTF-8"),
        (b"PK\3\4\0", "is an Excel workbook or another zip file, not CSV"),
        (b"<html>", "is a web page"),
        (HEADER.encode() + "L\u00e4".encode("cp1252"), "is not UTF-8 text"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            read_predictions(path)


def test_rows_and_classes_are_matched_by_name(table):
    a = table(40, seed=1)
    mixed = a.select(np.random.default_rng(0).permutation(40))
    mixed = dataclasses.replace(
        mixed, classes=mixed.classes[::-1], probabilities=mixed.probabilities[:, ::-1]
    )
    b = align(a, mixed)
    for name in ("classes", "lesion_id", "patient_id", "label"):
        assert getattr(b, name) == getattr(a, name)
    np.testing.assert_array_equal(b.probabilities, a.probabilities)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lesion_id": ("L0", "other")}, "'L1'"),
        ({"patient_id": ("P0", "P7")}, "column patient_id"),
        ({"label": ("a", "b")}, "column label"),
        ({"classes": ("a", "c"), "label": ("a", "a")}, "different classes"),
    ],
)
def test_different_cases_are_refused(change, message):
    a = Predictions(
        classes=("a", "b"),
        lesion_id=("L0", "L1"),
        patient_id=("P0", "P1"),
        label=("a", "a"),
        probabilities=np.array([[0.8, 0.2], [0.3, 0.7]]),
    )
    with pytest.raises(DataError, match=message):
        align(a, dataclasses.replace(a, **change))


def test_what_spreadsheets_leave_around_a_table(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(
        "\ufeffsep=;\r\nlesion_id;patient_id;label;predicted;p_a;p_b\r\n"
        "01;P1;a;a;0,7;0,3\r\n;;;;;\r\n",
        encoding="utf-8",
    )
    read = read_predictions(path)
    assert (read.lesion_id, read.label) == (("01",), ("a",))
    assert read.probabilities.tolist() == [[0.7, 0.3]]


def test_empty_rows_count_and_an_empty_last_column_does_not(tmp_path):
    path = tmp_path / "predictions.csv"
    head = HEADER.replace("\n", ",\n")
    path.write_text(f"{head}L1,P1,a,a,0.9,0.1,\n,,,,,,\nL2,P1,,a,0.5,0.5,\n")
    assert read_predictions(path).lesion_id == ("L1", "L2")
    path.write_text(f"sep=,\n{HEADER}L1,P1,a,a,0.9,0.1\n\nL2,P1,,a,x,0.5\n")
    with pytest.raises(DataError, match=r"row 5, column p_a: 'x'"):
        read_predictions(path)
