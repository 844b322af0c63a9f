from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agfnet.data.splits import SplitRow, keep_fraction, require_split, split_cases, split_summary
from agfnet.data.table import Case, CasesTable
from agfnet.errors import ConfigError, DataError


def case(name: str, label: str, *, patient: str = "", split: str = "") -> Case:
    return Case(name, patient or name, label, {}, {}, split, {}, 2)


def cohort(counts: dict[str, int], *, patients: int | None = None, seed: int = 0) -> list[Case]:
    """So many cases per label; of so many patients in all, each case drawing one."""
    rng = random.Random(seed)
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [
        case(str(i), label, patient=f"P{rng.randrange(patients)}" if patients else "")
        for i, label in enumerate(labels)
    ]


def counts_of(cases: tuple[Case, ...], label: str | None = None) -> list[int]:
    drawn = Counter(c.split for c in cases if label is None or c.label == label)
    return [drawn[name] for name in ("train", "val", "test")]


@pytest.mark.slow
def test_whole_shares_come_out_exactly():
    cases = split_cases(cohort({"a": 1000, "b": 100, "c": 10}))
    assert counts_of(cases, "a") == [700, 100, 200]
    assert counts_of(cases, "b") == [70, 10, 20]
    assert counts_of(cases, "c") == [7, 1, 2]


def test_fractions_hold_over_many_small_classes():
    cases = split_cases(cohort({f"{i:03}": 3 for i in range(100)}))
    assert counts_of(cases) == pytest.approx([210, 30, 60], abs=3)
    assert all(counts_of(cases, f"{i:03}")[0] >= 2 for i in range(100))


def test_shared_patients_stay_together_and_shares_hold():
    cases = split_cases(cohort({"a": 600, "b": 300, "c": 60, "d": 6}, patients=400))
    splits: dict[str, set[str]] = {}
    for c in cases:
        splits.setdefault(c.patient_id, set()).add(c.split)
    assert all(len(found) == 1 for found in splits.values())
    assert counts_of(cases) == pytest.approx([676, 97, 193], abs=12)
    assert counts_of(cases, "a") == pytest.approx([420, 60, 120], abs=12)
    assert counts_of(cases, "c") == pytest.approx([42, 6, 12], abs=4)


@pytest.mark.parametrize("seed", range(5))
def test_large_patients_are_placed_while_there_is_room(seed: int):
    large = [case(f"l{i}", "a", patient="P") for i in range(6)]
    cases = split_cases([*cohort({"a": 14}), *large], seed=seed)
    assert counts_of(cases) == [14, 2, 4]


def test_order_of_rows_does_not_matter_and_the_seed_does():
    cases = cohort({"a": 50, "b": 20, "": 10}, patients=40)
    shuffled = random.Random(1).sample(cases, len(cases))
    drawn = {c.lesion_id: c.split for c in split_cases(cases, seed=3)}
    again = split_cases(shuffled, seed=3)
    assert {c.lesion_id: c.split for c in again} == drawn
    assert [c.lesion_id for c in again] == [c.lesion_id for c in shuffled]
    assert {c.lesion_id: c.split for c in split_cases(cases, seed=4)} != drawn


def test_the_draw_never_changes():
    """Published splits must be drawn again by any later version."""
    cases = split_cases(cohort({"a": 10}), fractions=(0.6, 0.2, 0.2))
    assert " ".join(c.split for c in cases) == (
        "val train test train test train train val train train"
    )


@pytest.mark.parametrize("count", [1, 2])
def test_rare_labels_go_to_train_first(count: int):
    cases = split_cases(cohort({"common": 50, "rare": count}))
    assert counts_of(cases, "rare")[0] >= 1


def test_a_label_of_one_patient_is_in_train_only():
    rare = [case(f"r{i}", "rare", patient="P") for i in range(9)]
    cases = split_cases([*cohort({"common": 50}), *rare])
    assert counts_of(cases, "rare") == [9, 0, 0]


def test_splits_without_a_share_stay_empty():
    cases = split_cases(cohort({"a": 7, "b": 3}), fractions=(0.8, 0.0, 0.2))
    assert counts_of(cases)[1] == 0
    assert counts_of(split_cases(cohort({"a": 7}), fractions=(1, 0, 0))) == [7, 0, 0]


def test_a_label_that_train_would_lack_comes_in_by_an_exchange():
    cohort = [case(str(i), label, patient=f"P{i % 4}") for i, label in enumerate("abcbdbac")]
    cases = split_cases(cohort, fractions=(0.5, 0.25, 0.25))
    assert {c.label for c in cases if c.split == "train"} == set("abcd")
    assert {c.split for c in cases} == {"train", "val", "test"}


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=1, max_size=60),
    patients=st.integers(1, 30),
    train=st.floats(0.05, 1),
)
def test_any_cohort_can_be_split(labels: list[str], patients: int, train: float):
    rest = (1 - train) / 2
    cohort = [case(str(i), label, patient=f"P{i % patients}") for i, label in enumerate(labels)]
    fractions = (train, rest, 1 - train - rest)
    try:
        cases = split_cases(cohort, fractions=fractions)
    except DataError as error:
        assert "would be empty" in str(error)  # noqa: PT017
        assert patients < 3 or min(fractions) * len(labels) < 2 * max(1, len(labels) / patients)
        return
    assert all(c.split in ("train", "val", "test") for c in cases)
    assert len({(c.patient_id, c.split) for c in cases}) == len({c.patient_id for c in cases})
    assert {c.label for c in cases if c.split == "train"} == set(labels)


@pytest.mark.parametrize(
    "fractions",
    [(0.5, 0.5), (0.7, 0.1, 0.1), (0, 0.5, 0.5), (1.2, -0.1, -0.1), (float("nan"),) * 3],
)
def test_fractions_that_are_no_shares(fractions: tuple[float, float, float]):
    with pytest.raises(ConfigError, match="fractions"):
        split_cases([case("1", "a")], fractions=fractions)


def test_a_split_is_drawn_once():
    with pytest.raises(DataError, match=r"'2' \(row 2\) is in split test already"):
        split_cases([case("1", "a"), case("2", "a", split="test")])
    folded = replace(case("2", "a"), attributes={"fold": "0"})
    with pytest.raises(DataError, match="is in fold 0 already"):
        split_cases([case("1", "a"), folded])
    with pytest.raises(DataError, match="no cases"):
        split_cases([])


def test_require_split():
    drawn = (case("1", "a", split="train"), case("2", "a", split="test"), case("3", "a"))
    table = CasesTable(path=Path("/x/cases.csv"), modalities=("clinical",), cases=drawn)
    assert require_split(table, "train") == drawn[:1]
    with pytest.raises(DataError, match="no case is in val"):
        require_split(table, "val")
    table = CasesTable(path=Path("/x/cases.csv"), modalities=("clinical",), cases=drawn[2:])
    with pytest.raises(DataError, match=r"agfnet split /x/cases\.csv OUT"):
        require_split(table, "train")


def test_summary_counts_cases_and_patients():
    cases = [
        case("1", "a", patient="P", split="train"),
        case("2", "a", patient="P", split="train"),
        case("3", "b", split="test"),
        case("4", "a"),
    ]
    assert split_summary(cases) == [
        SplitRow("train", "a", 2, 1),
        SplitRow("train", "b", 0, 0),
        SplitRow("val", "a", 0, 0),
        SplitRow("val", "b", 0, 0),
        SplitRow("test", "a", 0, 0),
        SplitRow("test", "b", 1, 1),
        SplitRow("", "a", 1, 1),
        SplitRow("", "b", 0, 0),
    ]


def test_a_fraction_keeps_whole_patients_of_every_label_and_is_nested():
    cases = cohort({"a": 300, "b": 60, "c": 3}, patients=200)
    kept = {0.0: set()}
    for fraction in (0.01, 0.1, 0.25, 0.6, 1.0):
        part = keep_fraction(cases, fraction, seed=3)
        names = {c.patient_id for c in part}
        assert [c for c in cases if c.patient_id in names] == list(part)
        assert {c.label for c in part} == {"a", "b", "c"}
        assert names > kept[max(kept)]
        kept[fraction] = names
    everyone = len({c.patient_id for c in cases})
    assert len(kept[1.0]) == everyone
    assert len(kept[0.25]) == pytest.approx(0.25 * everyone, abs=3)
    other = {c.patient_id for c in keep_fraction(cases, 0.25, seed=4)}
    assert other != kept[0.25]
    shuffled = random.Random(1).sample(cases, len(cases))
    assert {c.patient_id for c in keep_fraction(shuffled, 0.25, seed=3)} == kept[0.25]


def test_a_fraction_does_not_prefer_patients_with_many_cases():
    cases = [
        case(f"{patient}-{number}", "a", patient=f"P{patient}")
        for patient in range(200)
        for number in range(1 if patient < 100 else 5)
    ]
    kept = [
        name
        for seed in range(10)
        for name in {c.patient_id for c in keep_fraction(cases, 0.3, seed=seed)}
    ]
    assert len(kept) == 600
    large = sum(int(name[1:]) >= 100 for name in kept)
    assert large / len(kept) == pytest.approx(0.5, abs=0.08)  # four standard deviations


def test_a_patient_of_two_labels_counts_for_the_rarer_one():
    cases = [case(f"a{n}", "a", patient=f"P{n}") for n in range(12)]
    cases += [case(f"b{n}", "b", patient=f"P{n}") for n in range(2)]
    for seed in range(10):
        kept = {c.patient_id for c in keep_fraction(cases, 0.5, seed=seed)}
        assert len(kept & {"P0", "P1"}) == 1
        assert len(kept) == 6


def test_folds_are_in_the_order_of_their_numbers():
    cases = [
        replace(case(f"L{fold}", "a"), attributes={"fold": str(fold)}) for fold in (10, 2, 0, 11)
    ]
    rows = split_summary(cases, column="fold")
    assert [row.split for row in rows] == ["0", "2", "10", "11"]
