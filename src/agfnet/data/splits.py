"""Train, val and test: whole patients, every label in proportion, always the same draw."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agfnet.data.table import SPLITS, Case, CasesTable
from agfnet.errors import ConfigError, DataError


def split_cases(
    cases: Iterable[Case],
    *,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int = 0,
) -> tuple[Case, ...]:
    """Draw a split for every case.

    All cases of a patient come into one split. Every label is divided in proportion as far as
    its patients allow, and has at least one patient in train: a label of a single patient is in
    train only (`split_summary` shows it). The draw depends on the patient ids, labels and seed
    alone, never on the order of the cases.

    The greedy allocation is our own, because scikit-learn has no stratified grouped split with
    fractions of any size.

    Args:
        cases: a table or any cases; none may have a split or a fold already.
        fractions: of the cases in train, val and test; they add up to 1, val and test may be 0.
        seed: another seed draws another split.

    Returns:
        The cases in their order, with `split` filled in.

    Raises:
        ConfigError: the fractions do not add up to 1, or train has none.
        DataError: a case has a split or a fold already, there are no cases, or a split would have
            none.
    """
    if (
        len(fractions) != 3
        or not all(0 <= fraction <= 1 for fraction in fractions)
        or abs(sum(fractions) - 1) > 1e-6
        or fractions[0] == 0
    ):
        raise ConfigError(
            f"fractions: {fractions} are not the fractions of train, val and test; "
            "expected three numbers that add up to 1, the first above 0"
        )
    cases = tuple(cases)
    check_undrawn(cases)
    split_of = allocate(cases, fractions, seed=seed)
    drawn = tuple(replace(case, split=split_of[case.patient_id]) for case in cases)
    check_parts(drawn, [name for name, part in zip(SPLITS, fractions, strict=True) if part > 0])
    return drawn


def check_parts(cases: Sequence[Case], splits: Iterable[str] = SPLITS) -> None:
    """Raise DataError if one of the splits has no case."""
    filled = {case.split for case in cases}
    for split in splits:
        if split not in filled:
            patients = len({case.patient_id for case in cases})
            raise DataError(
                f"the split {split} would be empty: the {len(cases)} lesions are of {patients} "
                "patient" + "s" * (patients != 1) + ", and all lesions of a patient belong in one "
                "split; correct the column 'patient_id', add patients, or set the fraction of "
                f"{split} to 0"
            )


def check_undrawn(cases: Sequence[Case]) -> None:
    """Raise DataError if a case has a split or a fold already, or if there are no cases."""
    if not cases:
        raise DataError("there are no cases to split")
    for case in cases:
        for column, part in (("split", case.split), ("fold", case.attributes.get("fold"))):
            if part:
                raise DataError(
                    f"the case {case.lesion_id!r} (row {case.row}) is in {column} {part} already; "
                    "it is drawn once, so that no test case is ever trained on: delete the column "
                    f"{column!r} to draw it again"
                )


def allocate(cases: Sequence[Case], fractions: Sequence[float], *, seed: int) -> dict[str, str]:
    """Return the split of every patient id: see `split_cases`, which also checks."""
    return _Allocation(patients_by_lot(cases, seed), fractions).run()


class Patient(NamedTuple):
    """A patient, with the number of cases of each label."""

    id: str
    labels: Counter[str]


def patients_by_lot(cases: Iterable[Case], seed: int) -> list[Patient]:
    """Return the patients, largest first and otherwise in a random order that the seed decides."""
    labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        labels[case.patient_id][case.label] += 1

    def key(patient: Patient) -> tuple[int, bytes]:
        return -patient.labels.total(), _lot(seed, patient.id)

    return sorted((Patient(name, count) for name, count in labels.items()), key=key)


def _lot(seed: int, patient: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{patient}".encode(), digest_size=16).digest()


class _Allocation:
    """Assigns patients to splits, label by label, the label with the fewest patients first.

    The cases of a label that a split should have are rarely a whole number. The split first gets
    the whole part, and the cases that remain go where the total over all labels lags most, so that
    the fractions hold overall, too.
    """

    def __init__(self, patients: Sequence[Patient], fractions: Sequence[float]) -> None:
        self._splits = [s for s, fraction in enumerate(fractions) if fraction > 0]
        counts: Counter[str] = Counter()
        self._by_label: defaultdict[str, list[Patient]] = defaultdict(list)
        for patient in patients:
            counts.update(patient.labels)
            for label in patient.labels:
                self._by_label[label].append(patient)
        self._target = {
            label: [fraction * count for fraction in fractions] for label, count in counts.items()
        }
        self._total_target = [fraction * counts.total() for fraction in fractions]
        self._assigned = {label: [0] * len(fractions) for label in counts}
        self._total_assigned = [0] * len(fractions)

    def run(self) -> dict[str, str]:
        """Return the split of every patient id."""
        split_of: dict[str, str] = {}
        for label in sorted(self._by_label, key=lambda name: (len(self._by_label[name]), name)):
            for patient in self._by_label[label]:
                if patient.id not in split_of:
                    split = self._choose(label, patient.labels[label])
                    split_of[patient.id] = SPLITS[split]
                    self._total_assigned[split] += patient.labels.total()
                    for name, count in patient.labels.items():
                        self._assigned[name][split] += count
        self._cover_labels(split_of)
        return split_of

    def _cover_labels(self, split_of: dict[str, str]) -> None:
        """Move a patient of each label that train lacks to train, in exchange if one is spare.

        A label can be lacking where all its patients were assigned for the sake of other labels.
        """
        for patients in self._by_label.values():
            if any(split_of[patient.id] == SPLITS[0] for patient in patients):
                continue
            moved = patients[-1]  # the smallest
            former, split_of[moved.id] = split_of[moved.id], SPLITS[0]
            spare = [patient for patient in self._spare(split_of) if patient.id != moved.id]
            if former not in split_of.values() and spare:
                split_of[spare[-1].id] = former

    def _spare(self, split_of: dict[str, str]) -> list[Patient]:
        """Patients of train without whom it still has every label, largest first."""
        patients = {p.id: p for holders in self._by_label.values() for p in holders}
        train = [patient for patient in patients.values() if split_of[patient.id] == SPLITS[0]]
        counts = Counter(label for patient in train for label in patient.labels)
        spare = [patient for patient in train if all(counts[name] > 1 for name in patient.labels)]
        return sorted(spare, key=lambda patient: -patient.labels.total())

    def _choose(self, label: str, count: int) -> int:
        assigned, target = self._assigned[label], self._target[label]
        if assigned[0] == 0:
            return 0
        for bound in (math.floor, math.ceil):
            fitting = [s for s in self._splits if assigned[s] + count <= bound(target[s])]
            if fitting:
                return min(fitting, key=self._filled)
        return max(self._splits, key=lambda s: target[s] - assigned[s])

    def _filled(self, split: int) -> float:
        return self._total_assigned[split] / self._total_target[split]


def keep_fraction(cases: Iterable[Case], fraction: float, *, seed: int) -> tuple[Case, ...]:
    """Keep a fraction of the patients of every label, with all their cases, at least one of each.

    A patient with several labels counts for the rarest of them. With the same seed, a smaller
    fraction is part of a larger one.
    """
    cases = tuple(cases)
    patients = patients_by_lot(cases, seed)
    holders = Counter(label for patient in patients for label in patient.labels)
    strata: defaultdict[str, list[str]] = defaultdict(list)
    for patient in sorted(patients, key=lambda patient: _lot(seed, patient.id)):
        strata[min(patient.labels, key=lambda label: (holders[label], label))].append(patient.id)
    kept = {
        name
        for ids in strata.values()
        for name in ids[: math.ceil(round(fraction * len(ids), 9))]  # 0.1 x 30 is not above 3
    }
    return tuple(case for case in cases if case.patient_id in kept)


def require_split(table: CasesTable, split: str) -> tuple[Case, ...]:
    """Return the cases of one split.

    Raises:
        DataError: there are none.
    """
    cases = tuple(case for case in table if case.split == split)
    if cases:
        return cases
    if not any(case.split for case in table):
        raise DataError(
            f"{table.path}: there is no split; draw one with `agfnet split {table.path} OUT` "
            "or fill in a column 'split' with train, val and test"
        )
    raise DataError(
        f"{table.path}: no case is in {split}; fill in the column 'split', or delete it and draw "
        f"one with `agfnet split {table.path} OUT`"
    )


@dataclass(frozen=True)
class SplitRow:
    """Number of cases and patients of one label in one split or fold."""

    split: str
    label: str
    cases: int
    patients: int


def split_summary(cases: Iterable[Case], *, column: str = "split") -> list[SplitRow]:
    """Count cases and patients of every label in every split or fold, also where there are none.

    Rows are ordered by split (train, val, test, then cases without one) or fold, and label; an
    empty label means unlabelled cases.
    """
    patients: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for case in cases:
        part = case.split if column == "split" else case.attributes[column]
        patients[part, case.label].append(case.patient_id)
    filled = {part for part, _ in patients}
    parts = (
        sorted({*SPLITS, *filled}, key=(*SPLITS, "").index)
        if column == "split"
        else sorted(filled, key=int)
    )
    labels = sorted({label for _, label in patients})
    return [
        SplitRow(part, label, len(ids := patients.get((part, label), [])), len(set(ids)))
        for part in parts
        for label in labels
    ]
