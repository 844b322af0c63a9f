import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax

from agfnet.bundle import Abstention, Calibration, PredictionSets
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.postprocessing import (
    abstains,
    calibrated,
    energy,
    out_of_distribution,
    prediction_set,
    refer,
    set_scores,
)
from agfnet.inference.wording import warning_sentences

LOGITS = np.random.default_rng(0).normal(size=(6, 3))


def _sets(*quantiles, score="lac"):
    return PredictionSets(score, 0.9, by_class=True, quantiles=quantiles, consider=1.0)


def test_temperature_divides_and_vector_scaling_is_affine():
    np.testing.assert_allclose(
        calibrated(LOGITS, Calibration(temperature=2.5)), softmax(LOGITS / 2.5, axis=1)
    )
    scale, bias = (0.5, 1.0, 2.0), (1.0, 0.0, -1.0)
    expected = softmax(log_softmax(LOGITS, axis=1) * scale + bias, axis=1)
    found = calibrated(LOGITS, Calibration(scale=scale, bias=bias))
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(calibrated(LOGITS[0], Calibration(scale=scale, bias=bias)), found[0])


def test_a_shift_of_all_logits_changes_nothing():
    for calibration in (Calibration(2.0), Calibration(scale=(1.0, 2.0, 3.0), bias=(0.0, 0.0, 1.0))):
        np.testing.assert_allclose(
            calibrated(LOGITS + 7, calibration), calibrated(LOGITS, calibration)
        )


def test_sets_hold_what_is_within_the_quantile_of_its_class():
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    found = prediction_set(p, _sets(0.4, 0.7, None))
    assert found.tolist() == [[True, True, True], [False, False, True]]
    assert prediction_set(p, None) is None


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_no_set_is_empty_and_infinite_quantiles_hold_all(score):
    p = softmax(LOGITS, axis=1)
    never = prediction_set(p, _sets(-1.0, -1.0, -1.0, score=score))
    assert never[np.arange(6), p.argmax(axis=1)].all()
    assert prediction_set(p, _sets(None, None, None, score=score)).all()


def test_an_empty_set_is_not_shown_as_the_answer_of_a_network_that_is_sure():
    p = np.array([[0.42, 0.21, 0.2, 0.17], [0.93, 0.05, 0.01, 0.01], [0.8, 0.12, 0.06, 0.02]])
    sets = PredictionSets("lac", 0.9, by_class=False, quantiles=(0.065,) * 4, consider=1.0)
    assert prediction_set(p, sets).sum(axis=1).tolist() == [4, 1, 2]


@pytest.mark.parametrize("consider", [0.05, 0.1, 0.124, 0.125, 0.3])
def test_classes_of_the_considered_probability_are_in_every_set(consider):
    sets = PredictionSets("lac", 0.9, by_class=False, quantiles=(0.9, 0.1), consider=consider)
    for p in (consider, consider + 0.0005, consider + 0.004):
        assert prediction_set(np.array([[1 - p, p]]), sets).all(), p
    shown = 0.045  # as 5 %
    assert prediction_set(np.array([[1 - shown, shown]]), sets)[0, 1] == (consider == 0.05)


def test_classes_of_ten_per_cent_are_always_considered():
    p = np.array([[0.49, 0.42, 0.09], [0.81, 0.096, 0.094]])
    sets = PredictionSets("aps", 0.95, by_class=False, quantiles=(0.0,) * 3)
    assert prediction_set(p, sets).tolist() == [[True, True, False], [True, True, False]]


def test_the_rules_only_add_classes():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 200)
    scores = {score: set_scores(p, score=score) for score in ("lac", "aps", "raps")}
    for score, values in scores.items():
        sets = PredictionSets(score, 0.9, by_class=False, quantiles=(0.6,) * 5)
        assert prediction_set(p, sets)[values <= 0.6].all()


def test_a_score_that_is_the_quantile_but_for_rounding_is_within_it():
    p = np.array([[0.1 + 0.2, 0.7]])
    assert prediction_set(p, _sets(1 - 0.3, 0.0)).tolist() == [[True, True]]


def test_energy_is_low_for_strong_answers_and_averages_frames():
    assert energy(np.array([[10.0, 0.0]])) < energy(np.array([[1.0, 0.0]]))
    assert energy(LOGITS) == pytest.approx(-logsumexp(LOGITS, axis=1).mean())
    assert energy(LOGITS + 3) == pytest.approx(energy(LOGITS) - 3)


def test_without_calibration_nothing_is_said():
    assert abstains(np.array([[0.5, 0.5]]), None) is None
    assert out_of_distribution(np.ones(1), None) is None


def test_thresholds_are_on_the_giving_side():
    abstention = Abstention(
        threshold=0.6, target_risk=0.1, confidence=0.95, bound=0.09, coverage=0.5
    )
    answers = np.array([[0.6, 0.4], [0.41, 0.59]])
    assert abstains(answers, abstention).tolist() == [False, True]
    assert out_of_distribution(np.array([1.0, 1.1]), 1.0).tolist() == [False, True]


def test_warnings_are_sentences():
    fields = {
        "probabilities": np.array([0.3, 0.5, 0.2]),
        "frames": np.empty((0, 3)),
        "images": (),
    }
    known = Diagnosis(
        **fields,
        prediction_set=np.array([True, True, False]),
        abstain=True,
        out_of_distribution=True,
    )
    unlike, uncertain, sets = warning_sentences(("a", "b", "c"), known)
    assert unlike.startswith("These images are unlike")
    assert uncertain.startswith("The uncertainty is too high")
    assert sets == "Cannot be ruled out: b, a."
    [no_guarantee] = warning_sentences(("a", "b", "c"), Diagnosis(**fields))
    assert no_guarantee.startswith("No error rate is guaranteed")
    sure = Diagnosis(**fields, prediction_set=np.eye(3, dtype=bool)[1], abstain=False)
    assert warning_sentences(("a", "b", "c"), sure) == []


def test_without_a_guarantee_nobody_says_that_no_specialist_is_needed():
    assert refer(None, None) is None
    assert refer(None, False) is None
    assert refer(None, True) is True
    assert refer(False, None) is False
    assert refer(False, True) is True
    assert refer(True, False) is True
