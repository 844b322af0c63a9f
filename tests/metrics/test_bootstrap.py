import math

import numpy as np
import pytest

from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import Interval, paired_bootstrap, patient_bootstrap, wilson
from agfnet.metrics.summary import METRICS, accuracy


def _cohort(right: np.ndarray, per_patient: int = 1) -> Predictions:
    """Two classes; row i is right or wrong as told."""
    rows = len(right)
    return Predictions(
        classes=("a", "b"),
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // per_patient}" for row in range(rows)),
        label=("a",) * rows,
        probabilities=np.where(right[:, None], [0.8, 0.2], [0.3, 0.7]),
    )


def test_the_interval_holds_the_value(table):
    found = patient_bootstrap(table(120, per_patient=2), METRICS, resamples=200)
    assert list(found) == list(METRICS)
    for name, (value, low, high) in found.items():
        assert low < high
        if name != "ece":  # biased upwards by resampling, as its docstring says of small samples
            assert low < value < high, name


def test_the_interval_is_that_of_resampling_rows_when_a_patient_has_one_lesion():
    right = np.arange(100) < 80
    _, low, high = patient_bootstrap(_cohort(right), {"x": accuracy}, resamples=4000)["x"]
    assert (low, high) == pytest.approx((0.72, 0.875), abs=0.011)  # binomial quantiles, / 100


def test_duplicated_lesions_of_a_patient_add_no_certainty():
    right = np.arange(60) % 3 > 0
    many = _cohort(np.repeat(right, 5), per_patient=5)
    naive = _cohort(np.repeat(right, 5))
    once = _cohort(right)
    widths = []
    for cohort in (many, once, naive):
        _, low, high = patient_bootstrap(cohort, {"x": accuracy}, resamples=500)["x"]
        widths.append(high - low)
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] > 1.7 * widths[2]


def test_the_95_percent_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        patients = rng.beta(4, 2, size=80)  # lesions of a patient resemble each other; mean 2/3
        right = rng.random((80, 3)) < patients[:, None]
        found = patient_bootstrap(
            _cohort(right.ravel(), per_patient=3), {"x": accuracy}, resamples=200, seed=trial
        )
        covered += found["x"].low <= 2 / 3 <= found["x"].high
    assert 0.89 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval(table):
    first, again, other = (
        patient_bootstrap(table(), {"x": accuracy}, resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_unlabelled_rows_do_not_count(table):
    full = table(50)
    half = Predictions(
        classes=full.classes,
        lesion_id=full.lesion_id,
        patient_id=full.patient_id,
        label=full.label[:30] + ("",) * 20,
        probabilities=full.probabilities,
    )
    assert patient_bootstrap(half, METRICS, resamples=20) == patient_bootstrap(
        full.select(range(30)), METRICS, resamples=20
    )


def test_undefined_is_nan(table):
    one_class = _cohort(np.arange(10) < 5)
    assert all(map(math.isnan, patient_bootstrap(one_class, METRICS, resamples=20)["macro_auc"]))
    nothing = patient_bootstrap(table(0), METRICS, resamples=20)
    assert all(math.isnan(number) for interval in nothing.values() for number in interval)


def test_one_case():
    found = patient_bootstrap(_cohort(np.array([True])), {"x": accuracy}, resamples=20)
    assert found == {"x": Interval(1, 1, 1)}


def test_a_better_network_is_found_better_and_the_same_is_found_the_same():
    rng = np.random.default_rng(0)
    weak = rng.random(200) < 0.5
    strong = weak | (rng.random(200) < 0.4)
    found = paired_bootstrap(_cohort(strong), _cohort(weak), accuracy, resamples=400)
    assert found.value == pytest.approx(strong.mean() - weak.mean())
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.01
    same = paired_bootstrap(_cohort(weak), _cohort(weak), accuracy, resamples=100)
    assert same == (0, 0, 0, 1)


def test_p_is_about_uniform_between_equals():
    rng = np.random.default_rng(5)
    p = [
        paired_bootstrap(
            _cohort(rng.random(80) < 0.7),
            _cohort(rng.random(80) < 0.7),
            accuracy,
            resamples=99,
            seed=trial,
        ).p
        for trial in range(200)
    ]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1
    assert 0.4 <= np.mean(p) <= 0.65


def test_rows_and_classes_are_matched_by_name(table):
    a = table(40, seed=1)
    order = np.random.default_rng(0).permutation(40)
    mixed = a.select(order)
    mixed = Predictions(
        classes=mixed.classes[::-1],
        lesion_id=mixed.lesion_id,
        patient_id=mixed.patient_id,
        label=mixed.label,
        probabilities=mixed.probabilities[:, ::-1],
    )
    assert paired_bootstrap(a, mixed, METRICS["macro_auc"], resamples=20)[:3] == (0, 0, 0)


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
    a = _cohort(np.array([True, False]))
    fields = {name: getattr(a, name) for name in a.__dataclass_fields__}
    with pytest.raises(DataError, match=message):
        paired_bootstrap(a, Predictions(**(fields | change)), accuracy)


def test_wilson_by_hand():
    low, high = wilson(np.array([8.0, 0.0, 5.0, 0.0]), np.array([10.0, 10.0, 5.0, 0.0]))
    np.testing.assert_allclose(low, [0.4902, 0, 0.5655, np.nan], atol=5e-5)
    np.testing.assert_allclose(high, [0.9433, 0.2775, 1, np.nan], atol=5e-5)
