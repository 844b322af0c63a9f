from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from agfnet.phantom.additive import additive_limit, best_scores
from agfnet.phantom.entities import CROSSED, class_table
from agfnet.phantom.plan import observers
from agfnet.phantom.presets import PRESETS


def from_answers(answers, mass=None):
    """P(class, p, q) with one class in each cell (P, Q)."""
    answers = np.asarray(answers)
    joint = np.zeros((answers.max() + 1, *answers.shape))
    cells = np.indices(answers.shape)
    joint[answers, *cells] = 1 / answers.size if mass is None else mass
    return joint


def search(joint):
    """Best accuracy over all scores of two classes: a(p) + b(q) > 0 for all orders of cells."""
    _, photos, scans = joint.shape
    levels = range(-2, 3)
    best = 0.0
    for a, b in product(product(levels, repeat=photos), product(levels, repeat=scans)):
        positive = np.add.outer(np.array(a) + 0.5, np.array(b)) > 0
        best = max(best, float(np.where(positive, joint[1], joint[0]).sum()))
    return best


def test_exclusive_or_loses_its_smallest_cell():
    assert additive_limit(from_answers([[0, 1], [1, 0]])) == pytest.approx(0.75)
    mass = np.array([[0.4, 0.3], [0.2, 0.1]])
    assert additive_limit(from_answers([[0, 1], [1, 0]], mass)) == pytest.approx(0.9)


def test_longer_cycles_than_exchanges_are_found():
    """A Latin square of three classes has no exchange of four cells, but no scores either."""
    square = from_answers([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    assert additive_limit(square) == pytest.approx(7 / 9)


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_equal_an_exhaustive_search(seed):
    joint = np.random.default_rng(seed).dirichlet(np.full(18, 0.3)).reshape(2, 3, 3)
    assert additive_limit(joint) == pytest.approx(search(joint))


@pytest.mark.parametrize("seed", range(5))
def test_the_scores_reach_the_limit_and_no_others_exceed_it(seed):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.full(48, 0.3)).reshape(3, 4, 4)
    limit, (photo, scan) = best_scores(joint)
    assert accuracy(joint, photo, scan) == pytest.approx(limit)
    for _ in range(20):
        a, b = rng.normal(size=(2, 3, 4))
        for _ in range(100):  # ascent by random steps
            steps = rng.normal(size=(2, 3, 4)) * (rng.uniform(size=(2, 3, 4)) < 0.2)
            if accuracy(joint, a + steps[0], b + steps[1]) >= accuracy(joint, a, b):
                a, b = a + steps[0], b + steps[1]
        assert accuracy(joint, a, b) <= limit + 1e-12


def accuracy(joint, a, b):
    answers = (a[:, :, None] + b[:, None, :]).argmax(axis=0)
    return float(np.take_along_axis(joint, answers[None], axis=0).sum())


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "joint"])
def test_additive_methods_lose_nothing_with_ordinary_entities(preset):
    for observer in observers(PRESETS[preset]).values():
        assert observer.additive_limit() == pytest.approx(observer.limit("both"))


def test_limits_of_joint():
    """In each of four pairs, a phenotype is the pair's other one with probability 0.02."""
    limits = observers(PRESETS["joint"])["test"].limits()
    even, odd = 0.98**2 + 0.02**2, 2 * 0.98 * 0.02
    assert limits["both"] == pytest.approx(even)
    assert limits["additive"] == pytest.approx((3 * even + odd) / 4)
    # Of five phenotypes three occur in two pairs (four classes), two in one pair (two classes).
    assert limits["clinical"] == pytest.approx(3 / 4 * 1 / 4 + 1 / 4 * 1 / 2)
    assert limits["ultrasound"] == pytest.approx(limits["clinical"])


def test_atypia_noise_and_missing_images_lower_the_additive_limit():
    joint = PRESETS["joint"]
    base = observers(joint)["train"].additive_limit()
    for change in ({"atypia": 1.0}, {"label_noise": 0.1}, {"missing_ultrasound": 0.3}):
        assert observers(replace(joint, **change))["train"].additive_limit() < base


def test_label_noise_is_exact():
    table = class_table(entities=CROSSED[:2], atypia=0.0)
    noisy = replace(
        observers(replace(PRESETS["joint"], entities=CROSSED[:2], atypia=0.0))["test"],
        label_noise=0.2,
    )
    assert table.pair.shape == (2, 2, 2)
    assert noisy.additive_limit() == pytest.approx(0.75 * 0.8 + 0.25 * 0.2)
