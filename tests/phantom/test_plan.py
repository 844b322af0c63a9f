from collections import Counter
from itertools import islice

import numpy as np
import pytest

from agfnet.config import PhantomConfig
from agfnet.data.table import SPLITS
from agfnet.phantom.observer import VIEWS
from agfnet.phantom.photo import ITA_CLASSES
from agfnet.phantom.plan import Stream, centre, chance, observers, plans
from agfnet.phantom.presets import PRESETS, resolve


def planned(lesions=600, **settings):
    config = PhantomConfig(out="x", lesions=lesions, **settings)
    recipe = resolve(config)
    return list(plans(config, recipe)), observers(recipe)


def test_patients_have_several_lesions_and_one_split():
    found, _ = planned()
    splits, lesions = {}, Counter()
    for plan in found:
        splits.setdefault(plan.patient_id, set()).add((plan.split, plan.centre, plan.tone))
        lesions[plan.patient_id] += 1
    assert all(len(each) == 1 for each in splits.values())
    assert 1.2 < np.mean(list(lesions.values())) < 1.6


def test_splits_have_their_shares_in_every_class():
    found, _ = planned()
    counts = Counter((plan.truth, plan.split) for plan in found)
    for name in {plan.truth for plan in found}:
        of_class = [counts[name, split] for split in SPLITS]
        np.testing.assert_allclose(np.array(of_class) / sum(of_class), (0.6, 0.15, 0.25), atol=0.05)


def test_an_empty_split_stays_empty():
    found, _ = planned(60, split=(0.7, 0.0, 0.3))
    assert {plan.split for plan in found} == {"train", "test"}


@pytest.mark.parametrize("preset", ["easy", "imbalanced"])
def test_classes_follow_the_prior(preset):
    found, models = planned(1000, preset=preset)
    counts = Counter(plan.truth for plan in found)
    table = models["test"].table
    shares = [counts[name] / 1000 for name in table.classes]
    np.testing.assert_allclose(shares, table.prior, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_ideal_observer_reaches_the_limit(preset):
    """Who knows the phenotypes reaches the stated limit, and not more (99.9 % interval)."""
    found, models = planned(2500, preset=preset, seed=1)
    for split in ("train", "test"):
        mine, model = [plan for plan in found if plan.split == split], models[split]
        classes = model.table.classes
        for view in VIEWS:
            limit = model.limit(view)
            right = np.mean(
                [
                    classes[int(model.posterior(view, plan.seen).argmax())] == plan.label
                    for plan in mine
                ]
            )
            assert right == pytest.approx(limit, abs=3.3 * np.sqrt(limit * (1 - limit) / len(mine)))


@pytest.mark.slow
def test_nothing_but_phenotypes_and_marks_depends_on_the_class():
    found, _ = planned(4000, preset="hard")
    ages, widths = {}, {}
    for plan in found:
        ages.setdefault(plan.truth, []).append(plan.age)
        widths.setdefault(plan.truth, []).append(plan.width)
    for values in (ages, widths):
        everything = np.concatenate(list(values.values()))
        for each in values.values():
            error = everything.std() / np.sqrt(len(each))
            assert np.mean(each) == pytest.approx(everything.mean(), abs=4 * error)


def test_every_skin_colour_occurs():
    found, _ = planned(300)
    tones = Counter(plan.tone for plan in found)
    assert min(tones[name] for name in ITA_CLASSES) > 20
    for plan in found:
        low, high = ITA_CLASSES[plan.tone]
        assert low <= plan.ita <= high


def test_shift_keeps_the_last_centre_for_testing():
    found, _ = planned(preset="shift")
    last = PRESETS["shift"].centres - 1
    assert all((plan.split == "test") == (plan.centre == last) for plan in found)


def test_missing_views_by_class():
    found, models = planned(3000, preset="missing")
    malignant = dict(zip(models["test"].table.classes, models["test"].table.malignant, strict=True))
    lacks = {True: [], False: []}
    for plan in found:
        assert plan.surface is not None or plan.depth is not None
        lacks[bool(malignant[plan.truth])].append(plan.depth is None)
    assert np.mean(lacks[False]) > 2 * np.mean(lacks[True])
    assert np.mean(lacks[False] + lacks[True]) == pytest.approx(0.4, abs=0.04)


def test_labels_are_wrong_at_the_stated_rate_outside_test():
    found, _ = planned(3000, label_noise=0.2)
    wrong = {
        split: np.mean([p.label != p.truth for p in found if p.split == split]) for split in SPLITS
    }
    assert wrong["test"] == 0
    assert wrong["train"] == pytest.approx(0.2, abs=0.04)


def test_plans_are_lazy_and_repeat():
    config = PhantomConfig(out="x", lesions=10_000_000)
    first = list(islice(plans(config, resolve(config)), 20))
    assert first == list(islice(plans(config, resolve(config)), 20))
    assert first != list(islice(plans(PhantomConfig(out="x", seed=1), resolve(config)), 20))


def test_centres_differ_more_under_shift():
    def frequencies(recipe):
        return [centre(0, i, recipe).scanner.frequency for i in range(4)]

    assert np.ptp(frequencies(PRESETS["shift"])) > np.ptp(frequencies(PRESETS["hard"]))
    assert all(15 <= f <= 50 for f in frequencies(PRESETS["shift"]))


def test_streams_are_independent():
    draws = {chance(0, stream, 1).uniform() for stream in Stream}
    assert len(draws) == len(Stream)
