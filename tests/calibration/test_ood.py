import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from agfnet.calibration.ood import fit_threshold, separation
from agfnet.errors import DataError


def _scored(table, scores, seed=0):
    return dataclasses.replace(table(len(scores), seed=seed), ood_score=np.array(scores))


def test_the_auroc_is_that_of_scikit_learn(table):
    rng = np.random.default_rng(0)
    low, high = rng.normal(size=80).round(1), rng.normal(1, size=50).round(1)
    found = separation(_scored(table, low), _scored(table, high), resamples=50)
    truth = np.repeat([0, 1], [80, 50])
    expected = roc_auc_score(truth, np.concatenate([low, high]))
    assert found["auroc"].value == pytest.approx(expected)
    assert found["auroc"].low < expected < found["auroc"].high


def test_false_alarms_when_95_percent_are_found_by_hand(table):
    # 19 of 20 strange cases score 1 or more, which 3 of 10 ordinary ones do too
    strange, ordinary = [0.0] + [1.0] * 19, [0.5] * 7 + [1.0, 2.0, 3.0]
    found = separation(_scored(table, ordinary), _scored(table, strange), resamples=5)
    assert found["fpr95"].value == pytest.approx(0.3)


def test_without_strange_cases_nothing_is_defined(table):
    found = separation(_scored(table, [1.0, 2.0]), _scored(table, []), resamples=5)
    assert np.isnan([found["auroc"].value, found["fpr95"].value]).all()


def test_a_table_without_scores_is_refused(table):
    with pytest.raises(DataError, match="outside: has no ood_score"):
        separation(_scored(table, [1.0]), table(3))


def test_the_threshold_lets_the_asked_share_pass(table):
    scores = np.random.default_rng(0).permutation(99).astype(float)
    found = fit_threshold(_scored(table, scores), share=0.05)
    assert found == 94  # the 95th of 99
    assert fit_threshold(_scored(table, scores[:10]), share=0.05) is None
    assert fit_threshold(table(30)) is None
