import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agfnet.data.table import Case
from agfnet.evaluation.subgroups import MISSING, REPORTED, VIEWS, case_attributes, subgroups
from agfnet.metrics.summary import METRICS


def _found(table, cells, rows=None, **options):
    cases = table(rows or len(cells), **options)
    return subgroups(cases, {"x": cells}, resamples=20)


def test_the_numbers_of_a_group_are_those_of_its_rows(table):
    cases = table(160, per_patient=2)
    cells = ["m" if row % 4 < 2 else "f" for row in range(160)]
    found = subgroups(cases, {"sex": cells}, resamples=50)
    assert list(found["overall"]) == list(REPORTED)
    assert found["columns"]["sex"]["kind"] == "category"
    for row in found["columns"]["sex"]["groups"]:
        part = cases.select([i for i, cell in enumerate(cells) if cell == row["group"]])
        assert (row["n"], row["patients"], row["few"]) == (80, 40, False)
        for name in REPORTED:
            value, low, high = row[name]
            assert value == METRICS[name](part.probabilities, part.target)
            assert low < value < high or name == "ece"


def test_the_worst_group_is_the_worst_and_large_enough(table):
    cases = table(240)
    cells = np.repeat(["good", "bad", "small"], [120, 100, 20])
    probabilities = cases.probabilities.copy()
    probabilities[120:] = np.roll(probabilities[120:], 1, axis=1)  # mostly wrong from here on
    probabilities[220:] = np.roll(np.eye(4)[cases.target[220:]], 1, axis=1)  # always wrong
    cases = dataclasses.replace(cases, probabilities=probabilities)
    column = subgroups(cases, {"x": cells.tolist()}, resamples=20)["columns"]["x"]
    assert {row["group"]: row["few"] for row in column["groups"]} == {
        "bad": False,
        "good": False,
        "small": True,
    }
    for name in REPORTED:
        assert column["worst"][name]["group"] == "bad"
        assert set(column["worst"][name]) == {"group", "value", "low", "high", "overall"}


def test_numbers_are_cut_at_their_quartiles(table):
    cells = [str(row) for row in range(100)]
    column = _found(table, cells)["columns"]["x"]
    assert column["kind"] == "quartile"
    assert [(row["group"], row["n"]) for row in column["groups"]] == [
        ("0 to 24", 25),
        ("25 to 49", 25),
        ("50 to 74", 25),
        ("75 to 99", 25),
    ]


def test_quarters_of_long_numbers_are_not_joined(table):
    cells = [str(20230101 + row) for row in range(40)]
    groups = _found(table, cells)["columns"]["x"]["groups"]
    assert [(row["group"], row["n"]) for row in groups] == [
        ("20230101 to 20230110", 10),
        ("20230111 to 20230120", 10),
        ("20230121 to 20230130", 10),
        ("20230131 to 20230140", 10),
    ]


def test_equal_numbers_stay_together_and_empty_cells_are_a_group(table):
    cells = ["1"] * 50 + ["2.5", "3", "4", "5", "6"] + [""] * 5
    groups = _found(table, cells)["columns"]["x"]["groups"]
    assert [(row["group"], row["n"]) for row in groups] == [
        ("1", 50),
        ("2.5 to 6", 5),
        (MISSING, 5),
    ]


@pytest.mark.parametrize(
    "cells", [["1", "2", "x", "4", "5", "6"], ["1", "2", "nan", "4", "5", "6"]]
)
def test_a_column_with_a_word_is_no_column_of_numbers(table, cells):
    assert _found(table, cells)["columns"]["x"]["kind"] == "category"


def test_few_numbers_are_categories(table):
    column = _found(table, ["1", "2", "3", "4"] * 3)["columns"]["x"]
    assert (column["kind"], len(column["groups"])) == ("category", 4)
    assert column["worst"]["accuracy"] is None  # all groups are small


def test_columns_that_make_no_groups_are_left_out_with_a_reason(table):
    attributes = {"same": ["x"] * 30, "id": [f"L{row}" for row in range(30)], "none": [""] * 30}
    found = subgroups(table(30), attributes, resamples=5)
    assert found["columns"] == {}
    assert found["skipped"] == {
        "same": "one value only",
        "id": "30 different values, more than 20",
        "none": "one value only",
    }


def test_only_labelled_rows_count(table):
    cases = table(40)
    cases = dataclasses.replace(cases, label=("",) * 10 + cases.label[10:])
    cells = ["unlabelled"] * 10 + ["a"] * 15 + ["b"] * 15
    found = subgroups(cases, {"x": cells}, resamples=5)
    assert [row["group"] for row in found["columns"]["x"]["groups"]] == ["a", "b"]
    assert subgroups(cases.select(range(10)), {"x": cells[:10]}, resamples=5)["n"] == 0


def test_attributes_of_cases_are_the_other_columns_and_the_views():
    def case(attributes, **images):
        return Case("L", "P", "", images, {}, "", attributes, 2)

    photo, scan = (Path("p.png"),), (Path("s.png"),)
    cases = [
        case({"sex": "f"}, clinical=photo, ultrasound=scan),
        case({"sex": "", "age": "3"}, clinical=photo, ultrasound=()),
    ]
    assert case_attributes(cases) == {
        "sex": ("f", ""),
        "age": ("", "3"),
        VIEWS: ("clinical + ultrasound", "clinical"),
    }
