"""Sections of a study from predictions: tests, margins, folds and separate cohorts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agfnet.errors import ConfigError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.seeds import over_seeds
from agfnet.study import plots, results
from agfnet.study.plan import read_study
from agfnet.study.predictions import MethodPredictions, _pool
from agfnet.study.results import SAME, Section, sections
from agfnet.study.tables import grids

METHODS = {"AGFnet": 1.5, "concatenation": 0.5}
"""Methods with the separation of the classes that they reach."""
Make = Callable[..., Section]
PATIENTS = 60


def _predictions(seed: int, separation: float, cohort: int, fold: int = 0) -> Predictions:
    """Answers of a network on 60 patients of a cohort; the same patients in every network."""
    patients = np.random.default_rng([cohort, fold])
    target = patients.integers(2, size=PATIENTS)
    ease = patients.normal(size=PATIENTS)
    noise = 0.5 * np.random.default_rng([seed, int(10 * separation), fold]).normal(size=PATIENTS)
    p = 1 / (1 + np.exp(-(separation * (2 * target - 1) + ease + noise)))
    return Predictions(
        classes=("naevus", "melanoma"),
        lesion_id=tuple(f"{fold}-{row}" for row in range(PATIENTS)),
        patient_id=tuple(f"{fold}-{row}" for row in range(PATIENTS)),
        label=tuple(("naevus", "melanoma")[index] for index in target),
        probabilities=np.stack([1 - p, p], axis=1),
    )


@pytest.fixture
def make(study_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Make:
    """Returns the results of a study with these seeds."""

    def section(
        seeds: int,
        *,
        folds: int | None = None,
        separate: bool = False,
        methods: dict[str, float] | None = None,
        **changes: object,
    ) -> Section:
        methods = methods or METHODS
        keys = [(s, f) for s in range(seeds) for f in (range(folds) if folds else [None])]
        by_method = {}
        for name, separation in methods.items():
            single = {
                (s, f): _predictions(s, separation, s if separate else 0, f or 0) for s, f in keys
            }
            tables = [_pool([single[s, f] for t, f in keys if t == s]) for s in range(seeds)]
            by_method[name] = MethodPredictions(
                keys=tuple((s, None) for s in range(seeds)), tables=tuple(tables), single=single
            )
        monkeypatch.setattr(results, "read_method_predictions", lambda *_: by_method)
        content = {"seeds": list(range(seeds)), "cohort_per_seed": separate, "resamples": 100}
        content |= {"methods": {name: {} for name in methods}} | changes
        if folds:
            content |= {"folds": list(range(folds)), "cohort": None, "base": {"data.cases": "x"}}
        (only,) = sections(read_study(study_file(**content)))
        return only

    return section


def test_p_is_that_of_the_mean_over_seeds(make: Make) -> None:
    section = make(4)
    correct = np.array(
        [
            [
                np.array(p.predicted) == np.array(p.label)
                for p in (_predictions(s, separation, 0) for s in range(4))
            ]
            for separation in (0.5, 1.5)
        ]
    )
    cases = correct[0].astype(float) - correct[1]
    left_out = ((cases.sum(axis=1, keepdims=True) - cases) / (PATIENTS - 1)).T
    expected = over_seeds(cases.mean(axis=1), left_out)
    cell = section.cells["concatenation", "accuracy"]
    assert cell.p == pytest.approx(expected.p())
    assert cell.p_networks == pytest.approx(expected.p_networks())
    assert (cell.difference, cell.difference_low, cell.difference_high) == pytest.approx(
        expected.interval()
    )
    assert cell.verdict == "worse"


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_new_seeds_are_never_more_certain_and_intervals_stay_in_range(
    make: Make, seeds: int, separate: bool
) -> None:
    for cell in make(seeds, separate=separate).cells.values():
        assert 0 <= cell.low <= cell.value <= cell.high
        assert cell.high <= results.HIGHEST.get(cell.metric, 1.0)
        if cell.method != "AGFnet":
            assert not cell.p < cell.p_networks
            assert cell.difference_low >= -1 or cell.metric == "nll"
            assert math.isfinite(cell.p) == (seeds >= 3)
            assert (cell.verdict != "") == (seeds >= 3)


def test_two_seeds_have_no_p_and_the_tables_say_why(make: Make) -> None:
    comparison, _, differences = grids(make(2))
    assert comparison.rows[0][1].startswith("not tested")
    assert "fewer than 3 networks" in comparison.note
    assert "p —" in differences.rows[0][1]


def test_one_seed_of_three_folds_is_tested_and_two_folds_are_not(make: Make) -> None:
    tested = make(1, folds=3)
    assert all(0 < c.p <= 1 for c in tested.cells.values() if c.method != "AGFnet")
    comparison, table, _ = grids(tested)
    assert "Not tested" not in comparison.note
    assert "one seed and 3 folds" in table.note
    assert all(math.isnan(c.p) for c in make(1, folds=2).cells.values())


@pytest.mark.parametrize(
    ("seeds", "separate", "tested"), [(8, True, 1), (7, True, 0), (9, False, 0)]
)
def test_ranks_are_tested_over_eight_independent_cohorts(
    make: Make, seeds: int, separate: bool, tested: int
) -> None:
    methods = METHODS | {"late_fusion": 1.0}
    section = make(seeds, separate=separate, methods=methods, metrics=["accuracy"])
    assert len(section.friedman) == tested
    assert len(grids(section)) == 3 + tested
    assert bool(plots.critical_differences(section, 180)) == bool(tested)


def test_folds_share_training_cases(make: Make) -> None:
    folded, pooled = make(3, folds=5), make(3)
    cell = folded.cells["concatenation", "accuracy"]
    assert folded.cases == 5 * pooled.cases
    runs = [
        [
            results.METRICS["accuracy"](p.probabilities, p.target)
            for p in (_predictions(s, separation, 0, f) for f in range(5))
        ]
        for separation in METHODS.values()
        for s in range(3)
    ]
    differences = np.array(runs[3:]) - np.array(runs[:3])
    corrected = np.sqrt(differences.var(ddof=1) * (1 / 15 + 1 / 4))
    assert cell.difference_high - cell.difference >= 2.14 * corrected


def test_a_margin_tells_what_is_practically_the_same(make: Make) -> None:
    methods = METHODS | {"twin": 1.6}
    wide = make(5, methods=methods, rope={"accuracy": 0.3}, metrics=["accuracy", "nll"])
    assert wide.cells["twin", "accuracy"].verdict == SAME
    assert wide.cells["concatenation", "accuracy"].verdict != SAME
    assert math.isnan(wide.cells["twin", "nll"].p_equivalent)
    note = grids(wide)[0].note
    assert "Practically the same" in note
    assert "0.3" in note
    narrow = make(5, methods=methods, rope=1e-4)
    assert narrow.cells["twin", "accuracy"].verdict == "within noise"
    assert set(narrow.rope) == {"accuracy", "macro_auc", "nll"}


@pytest.mark.parametrize(
    ("rope", "message"),
    [
        ({"acuracy": 0.01}, "did you mean 'accuracy'"),
        (0.0, "above 0"),
        ({"nll": -1}, "above 0"),
        (math.inf, "finite"),
        (1.0, "no margin for accuracy"),
        ({"brier": 0.1}, "rope: no 'brier'"),
    ],
)
def test_a_wrong_margin_is_refused(
    study_file: Callable[..., Path], rope: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_study(study_file(rope=rope))
