import math

import numpy as np
import pytest
from scipy.special import softmax

from agfnet.metrics.bootstrap import Interval, bootstrap, patient_draws
from agfnet.metrics.calibration import CENTRES, certainty
from agfnet.metrics.metric import joined, together, weighted_mean
from agfnet.metrics.paired import paired_jackknife
from agfnet.metrics.summary import METRICS, summary


def _patients(rows, per_patient=1):
    return [f"P{row // per_patient}" for row in range(rows)]


def _accuracy(right):
    return together({"x": weighted_mean(np.asarray(right))})


def _intervals(cases, **options):
    return bootstrap(cases.patient_id, summary(cases.probabilities, cases.target), **options)


def test_the_interval_holds_the_value(table):
    found = _intervals(table(120, per_patient=2), resamples=200)
    assert list(found) == list(METRICS)
    for name, (value, low, high) in found.items():
        assert low < high
        if name != "ece":  # biased upwards by resampling, as its docstring says of small samples
            assert low < value < high, name


def test_the_interval_is_that_of_resampling_rows_when_a_patient_has_one_lesion():
    right = np.arange(100) < 80
    _, low, high = bootstrap(_patients(100), _accuracy(right), resamples=4000)["x"]
    assert (low, high) == pytest.approx((0.72, 0.875), abs=0.011)  # binomial quantiles, / 100


def test_duplicated_lesions_of_a_patient_add_no_certainty():
    right = np.arange(60) % 3 > 0
    copies = _accuracy(np.repeat(right, 5))
    widths = []
    for patients, statistics in (
        (_patients(300, per_patient=5), copies),
        (_patients(60), _accuracy(right)),
        (_patients(300), copies),
    ):
        _, low, high = bootstrap(patients, statistics, resamples=500)["x"]
        widths.append(high - low)
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] > 1.7 * widths[2]


def test_the_95_percent_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        rates = rng.beta(4, 2, size=80)  # lesions of a patient resemble each other; mean 2/3
        right = rng.random((80, 3)) < rates[:, None]
        patients = _patients(240, per_patient=3)
        found = bootstrap(patients, _accuracy(right.ravel()), resamples=200, seed=trial)
        covered += found["x"].low <= 2 / 3 <= found["x"].high
    assert 0.89 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval(table):
    first, again, other = (_intervals(table(), resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_undefined_is_nan(table):
    one_class = table(10).select(np.flatnonzero(table(10).target == 1))
    assert all(map(math.isnan, _intervals(one_class, resamples=20)["macro_auc"]))
    nothing = _intervals(table(0), resamples=20)
    assert all(math.isnan(number) for interval in nothing.values() for number in interval)


@pytest.mark.parametrize("rows", [1, 4])
def test_one_patient_has_values_without_intervals(table, rows):
    cases = table(rows, per_patient=rows)
    statistics = joined(
        summary(cases.probabilities, cases.target), certainty(cases.probabilities, cases.target)
    )
    intervals = bootstrap(cases.patient_id, statistics, resamples=20, centres=CENTRES)
    assert intervals["accuracy"].value == METRICS["accuracy"](cases.probabilities, cases.target)
    assert np.isnan([interval[1:] for interval in intervals.values()]).all()
    comparison = paired_jackknife(cases.patient_id, statistics, statistics)["ece"]
    assert comparison.value == 0
    assert np.isnan(comparison[1:]).all()


def test_draws_are_patients_with_all_their_cases():
    draws = np.array(list(patient_draws(["a", "b", "a", "c"], 500, 0)))
    assert (draws[:, 0] == draws[:, 2]).all()
    np.testing.assert_array_equal(draws[:, [0, 1, 3]].sum(axis=1), 3)
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.15)


def test_several_statistics_are_computed_once_per_resample():
    calls = []

    def statistics(weights):
        calls.append(weights)
        return {"a": weights.sum(), 7: weights[0]}

    intervals = bootstrap(["p", "q"], statistics, resamples=30)
    assert len(calls) == 31
    assert intervals["a"].value == 2
    assert np.isnan(intervals["a"][1:]).all()  # the sum of weights is always 2
    assert intervals[7] == Interval(1, 0, 2)


def test_only_binned_metrics_are_reflected(table):
    cases = table(120, per_patient=2)
    plain = _intervals(cases, resamples=100)
    found = _intervals(cases, resamples=100, centres=CENTRES)
    assert {name for name in METRICS if found[name] != plain[name]} == {"ece"}
    value, low, high = plain["ece"]
    assert found["ece"] == (value, max(0, 2 * value - high), max(value, 2 * value - low))


def test_the_centre_may_be_another_statistic():
    statistics = together({"biased": lambda weights: weights[0], "centre": lambda weights: 0.5})
    found = bootstrap(["p", "q"], statistics, resamples=50, centres={"biased": "centre"})
    assert found["biased"] == (1, 0, 1.5)  # 1 + 0.5 - 2 < 0, and 1 + 0.5 - 0


def _cohort(rng, patients, sharpness):
    """Three lesions of each patient, which share what the network makes of them."""
    owner = np.repeat(np.arange(patients), 3)
    logits = 2 * (rng.normal(size=(patients, 3))[owner] + rng.normal(size=(len(owner), 3)))
    shares = softmax(logits, axis=1)
    target = (rng.random((len(owner), 1)) > shares.cumsum(axis=1)[:, :2]).sum(axis=1)
    return owner, softmax(sharpness * logits, axis=1), target


@pytest.mark.parametrize("name", ["ece", "accuracy"])
def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(name):
    rng = np.random.default_rng(0)
    _, *large = _cohort(rng, 60_000, 1.6)
    truth = METRICS[name](*large)
    held = []
    for trial in range(120):
        owner, *cases = _cohort(rng, 120, 1.6)
        options = {"resamples": 120, "seed": trial, "centres": CENTRES}
        found = bootstrap(owner, summary(*cases, [name]), **options)[name]
        held.append(found.low <= truth <= found.high)
    assert 0.88 <= np.mean(held) <= 0.99


def test_rounding_errors_are_no_width():
    """Every case has the same loss, apart from the last digits of its mean over a resample."""
    probabilities, target = np.tile([0.9, 0.1], (30, 1)), np.zeros(30, dtype=int)
    patients = [str(row // 2) for row in range(30)]
    found = bootstrap(patients, summary(probabilities, target, ["nll", "ece"]), resamples=50)
    for interval in found.values():
        assert np.isnan(interval[1:]).all()
