from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from agfnet.config import SplitConfig
from agfnet.data.folds import (
    centre_folds,
    draw_folds,
    fold_split,
    rare_labels,
    read_split,
    split_table,
)
from agfnet.data.splits import SplitRow, split_summary
from agfnet.data.table import Case, CasesTable, write_cases
from agfnet.errors import ConfigError, DataError


def case(name: str, label: str, patient: str = "", **attributes: str) -> Case:
    return Case(name, patient or name, label, {}, {}, "", attributes, 2)


def cohort(counts: dict[str, int], *, patients: int = 0, seed: int = 0) -> list[Case]:
    """So many cases per label; of so many patients in all, some of them with most cases."""
    rng = random.Random(seed)
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [
        case(str(i), label, f"P{int(rng.paretovariate(1) * 5) % patients}" if patients else "")
        for i, label in enumerate(labels)
    ]


def folds_of(cases: Sequence[Case]) -> list[str]:
    return [case.attributes["fold"] for case in cases]


def unevenness(cases: Sequence[Case], folds: Sequence[str], count: int) -> float:
    """Mean over labels and folds of how many cases there are too many or too few."""
    totals = Counter(case.label for case in cases)
    found = Counter(zip((case.label for case in cases), folds, strict=True))
    return float(
        np.mean(
            [abs(found[a, str(f)] - totals[a] / count) for a in totals for f in range(count)],
        )
    )


def reference(cases: Sequence[Case], count: int, seed: int) -> list[str]:
    labels = np.array([case.label for case in cases])
    groups = np.array([case.patient_id for case in cases])
    folds = np.empty(len(cases), dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels with fewer cases than folds
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        for number, (_, test) in enumerate(splits.split(labels, labels, groups)):
            folds[test] = str(number)
    return list(folds)


def test_whole_shares_come_out_exactly():
    cases = draw_folds(cohort({"a": 100, "b": 50, "c": 10}), folds=5)
    assert set(Counter(zip([c.label for c in cases], folds_of(cases), strict=True)).values()) == {
        20,
        10,
        2,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "patients"),
    [
        ({"a": 600, "b": 300, "c": 60, "d": 6}, 0),
        ({"a": 600, "b": 300, "c": 60, "d": 6}, 400),
        ({"a": 200, "b": 100, "c": 30}, 60),
        ({f"{i:02}": 5 + 3 * i for i in range(12)}, 200),
    ],
)
def test_labels_are_as_even_as_with_scikit_learn(counts: dict[str, int], patients: int):
    ours, theirs = [], []
    for seed in range(8):
        cases = cohort(counts, patients=patients, seed=seed)
        ours.append(unevenness(cases, folds_of(draw_folds(cases, folds=5, seed=seed)), 5))
        theirs.append(unevenness(cases, reference(cases, 5, seed), 5))
    assert np.mean(ours) <= np.mean(theirs) + 1e-9


def test_order_of_rows_does_not_matter_and_the_seed_does():
    cases = cohort({"a": 50, "b": 20, "": 10}, patients=40)
    drawn = {c.lesion_id: c.attributes for c in draw_folds(cases, folds=4, seed=3)}
    shuffled = random.Random(1).sample(cases, len(cases))
    again = draw_folds(shuffled, folds=4, seed=3)
    assert {c.lesion_id: c.attributes for c in again} == drawn
    assert [c.lesion_id for c in again] == [c.lesion_id for c in shuffled]
    assert {c.lesion_id: c.attributes for c in draw_folds(cases, folds=4, seed=4)} != drawn


def test_the_draw_never_changes():
    """Published folds must be drawn again by any later version."""
    cases = draw_folds(cohort({"a": 8, "b": 4}), folds=3)
    assert " ".join(folds_of(cases)) == "2 1 0 1 0 2 1 2 1 2 0 0"
    split = fold_split(cases, 1)
    assert " ".join(c.split for c in split) == (
        "train test train test train train test train test train train val"
    )


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=10, max_size=60),
    patients=st.integers(5, 30),
    folds=st.integers(2, 5),
)
def test_any_cohort_can_be_folded(labels: list[str], patients: int, folds: int):
    cases = [case(str(i), label, f"P{i % patients}") for i, label in enumerate(labels)]
    folded = draw_folds(cases, folds=folds)
    assert set(folds_of(folded)) == {str(f) for f in range(folds)}
    tested: list[str] = []
    for fold in range(folds):
        split = fold_split(folded, fold)
        tested += [c.lesion_id for c in split if c.split == "test"]
        assert len({(c.patient_id, c.split) for c in split}) == len({c.patient_id for c in split})
        assert all((c.split == "test") == (c.attributes["fold"] == str(fold)) for c in split)
        assert {c.label for c in split if c.split == "train"} == {
            c.label for c in split if c.split != "test"
        }
    assert sorted(tested) == sorted(c.lesion_id for c in cases)


def test_a_fold_of_five_gives_the_shares_of_a_holdout():
    split = fold_split(draw_folds(cohort({"a": 700, "b": 300}), folds=5), 2)
    assert Counter(c.split for c in split) == {"train": 700, "val": 100, "test": 200}


def test_folds_are_drawn_once_and_need_patients():
    folded = draw_folds(cohort({"a": 10}), folds=5)
    with pytest.raises(DataError, match=r"is in fold \d already"):
        draw_folds(folded, folds=5)
    with pytest.raises(DataError, match="is in split test already"):
        draw_folds([replace(case("1", "a"), split="test")], folds=2)
    with pytest.raises(DataError, match="1 patients, too few for 2 folds"):
        draw_folds([case("1", "a", "P"), case("2", "a", "P")], folds=2)


@pytest.mark.parametrize(
    ("cells", "fold", "words"),
    [
        (["0", "1", "7"], 5, "there are 0, 1, 7"),
        (["0", "0", "0"], 0, "cannot test on fold 0"),
        (["0", "one", "1"], 0, "has the fold 'one'"),
        (["0", "", "1"], 0, "has the fold ''"),
        (["0", "-1", "1"], 0, "has the fold '-1'"),
        ([], 0, "there are none"),
    ],
)
def test_folds_that_cannot_be_used(cells: list[str], fold: int, words: str):
    with pytest.raises(DataError, match=words):
        fold_split([case(str(i), "a", fold=cell) for i, cell in enumerate(cells)], fold)


def test_a_split_from_folds_never_leaks_or_replaces_another():
    leaking = [case("1", "a", "P", fold="0"), case("2", "a", "P", fold="1")]
    with pytest.raises(DataError, match="'P' has the fold '0' in row 2 and '1' in row 2"):
        fold_split(leaking, 0)
    with pytest.raises(DataError, match="is in test already"):
        fold_split([replace(case("1", "a", fold="0"), split="test")], 0)
    with pytest.raises(DataError, match="agfnet split"):
        fold_split([case("1", "a")], 0)


def test_each_centre_is_a_fold():
    cases = [case(str(i), "ab"[i % 2], site=("Wien", "Bern", "Graz")[i % 3]) for i in range(30)]
    folded = centre_folds(cases, column="site")
    assert {(c.attributes["site"], c.attributes["fold"]) for c in folded} == {
        ("Bern", "0"),
        ("Graz", "1"),
        ("Wien", "2"),
    }


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ([case("1", "a", site="x")], "one site, 'x'"),
        ([case("1", "a", site="x"), case("2", "a", site="")], r"'2' \(row 2\) names no site"),
        ([case("1", "a", sites="x")], "no column 'site'; did you mean 'sites'"),
        ([case("1", "a", "P", site="x"), case("2", "a", "P", site="y")], "one site for all"),
    ],
)
def test_centres_that_make_no_folds(cases: list[Case], words: str):
    with pytest.raises(DataError, match=words):
        centre_folds(cases, column="site")


def test_labels_with_fewer_patients_than_folds():
    rare = [case("r1", "rare", "P"), case("r2", "rare", "P"), case("u", "")]
    folded = draw_folds([*cohort({"common": 20}), *rare], folds=3)
    assert rare_labels(folded) == {"rare": 1}


def test_summary_of_folds():
    cases = [
        case("1", "a", "P", fold="10"),
        case("2", "a", "P", fold="10"),
        case("3", "b", fold="9"),
    ]
    assert split_summary(cases, column="fold") == [
        SplitRow("9", "a", 0, 0),
        SplitRow("9", "b", 1, 1),
        SplitRow("10", "a", 2, 1),
        SplitRow("10", "b", 0, 0),
    ]


def table(cases: Sequence[Case]) -> CasesTable:
    return CasesTable(path=Path("cases.csv"), modalities=("clinical",), cases=tuple(cases))


def test_what_the_command_asks_for():
    sites = [case(str(i), "ab"[i % 2], site="xyz"[i % 3]) for i in range(60)]

    def asked(**options: object) -> list[str]:
        config = SplitConfig(cases="", out="", **options)  # type: ignore[arg-type]
        return [c.split or c.attributes["fold"] for c in split_table(table(sites), config)]

    assert asked() == [c.split for c in split_table(table(sites), SplitConfig("", ""))]
    assert set(asked(folds=4)) == {"0", "1", "2", "3"}
    assert set(asked(centre="site")) == {"0", "1", "2"}
    assert asked(centre="site", test_centre="y") == asked(centre="site", fold=1)
    assert asked(centre="site", test_centre="y").count("test") == 20
    folded = table(draw_folds(sites, folds=4, seed=7))
    again = split_table(folded, SplitConfig("", "", fold=2))
    assert [c.split for c in again] == asked(folds=4, fold=2, seed=7)
    with pytest.raises(DataError, match=r"cases\.csv: column site: no 'w'; there are 'x', 'y'"):
        asked(centre="site", test_centre="w")
    with pytest.raises(DataError, match=r"cases\.csv: there is no column 'fold'"):
        asked(fold=0)
    with pytest.raises(DataError, match=r"cases\.csv: .* already"):
        split_table(folded, SplitConfig("", ""))


@pytest.mark.parametrize(
    "options",
    [
        {"folds": 1},
        {"folds": 3, "centre": "site"},
        {"test_centre": "x"},
        {"centre": "site", "test_centre": "x", "fold": 1},
        {"folds": 3, "fractions": (0.5, 0.2, 0.3)},
        {"fold": -1},
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, object]):
    with pytest.raises(ConfigError):
        SplitConfig(cases="", out="", **options)  # type: ignore[arg-type]


def test_a_run_reads_its_fold_from_the_table(tmp_path: Path):
    images = {"clinical": (tmp_path / "a.png",)}
    cases = [replace(c, images=images) for c in draw_folds(cohort({"a": 20, "b": 20}), folds=4)]
    path = tmp_path / "cases.csv"
    write_cases(cases, path, modalities=["clinical"])

    def read(fold: int | None) -> CasesTable:
        return read_split(path, modalities=["clinical"], fold=fold, check_files=False)

    assert {c.split for c in read(None)} == {""}
    assert [c.split for c in read(2)] == [c.split for c in fold_split(cases, 2)]
    with pytest.raises(DataError, match=rf"{path}: .*cannot test on fold 4; there are 0, 1, 2, 3"):
        read(4)


def test_a_split_without_meaning_is_refused():
    def drawn(cases: Sequence[Case], **options: object) -> None:
        split_table(table(cases), SplitConfig("", "", **options))  # type: ignore[arg-type]

    with pytest.raises(DataError, match=r"cases\.csv: the split val would be empty: the 20"):
        drawn([case(str(i), "a", "P") for i in range(20)])
    with pytest.raises(DataError, match="the split val would be empty"):
        drawn([case(str(i), "a", f"P{i % 2}", fold=str(i % 2)) for i in range(9)], fold=0)
    with pytest.raises(DataError, match=r"label 'NA' \(1 lesions, the first in row 2\)"):
        drawn([*cohort({"a": 20}), case("x", "NA")])
    with pytest.raises(DataError, match=r"'1\.23457E\+11' \(row 2\) is a rounded number"):
        drawn([*cohort({"a": 20}), case("x", "a", "1.23457E+11")], folds=5)
    with pytest.raises(DataError, match=r"'01\.02\.2026' \(row 2\) is a day, into which a spread"):
        drawn([*cohort({"a": 20}), case("x", "a", "01.02.2026")])
