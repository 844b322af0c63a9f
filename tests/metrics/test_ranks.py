import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from agfnet.metrics.ranks import average_ranks, cliques, critical_difference, friedman_p


def test_ranks_share_ties_and_know_the_better_end():
    values = np.array([[0.9, 0.8, 0.8], [0.7, 0.9, 0.1], [np.nan, 1, 1]])
    assert average_ranks(values, higher_is_better=True) == pytest.approx([1.5, 1.75, 2.75])
    assert average_ranks(values, higher_is_better=False) == pytest.approx([2.5, 2.25, 1.25])
    assert np.isnan(average_ranks(np.empty((0, 3)), higher_is_better=True)).all()


def test_friedman():
    values = np.random.default_rng(0).normal([0, 0.5, 2], 1, (12, 3))
    assert friedman_p(values) == pytest.approx(friedmanchisquare(*values.T).pvalue)
    assert friedman_p(np.ones((4, 3))) == 1
    assert np.isnan(friedman_p(values[:, :2]))
    assert np.isnan(friedman_p(values[:1]))


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_that_of_demsars_table(methods, q):
    expected = q * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, abs=1e-3)


def test_cliques_are_the_longest_runs():
    assert cliques(np.array([1.0, 1.5, 3.0, 3.4]), 1.6) == [(0, 1), (1, 2), (2, 3)]
    assert cliques(np.array([1.0, 2.0, 3.0]), 2.5) == [(0, 2)]
    assert cliques(np.array([1.0, 3.0]), 0.5) == []
