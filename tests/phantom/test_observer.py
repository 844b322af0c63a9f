from itertools import product

import numpy as np
import pytest

from agfnet.errors import ConfigError
from agfnet.phantom.entities import CROSSED, ORDINARY, class_table
from agfnet.phantom.observer import VIEWS, Observer, Seen, missing_rates


def observer(**settings):
    table = class_table(
        entities=settings.pop("entities", ORDINARY[:6]),
        atypia=settings.pop("atypia", 0.7),
        imbalance=settings.pop("imbalance", 0.5),
    )
    none = np.zeros(len(table.classes))
    return Observer(
        **{"table": table, "missing_clinical": none, "missing_ultrasound": none} | settings
    )


def difficult(**settings):
    table = observer(**settings).table
    return observer(
        **settings,
        missing_clinical=missing_rates(table, 0.1, by_class=True),
        missing_ultrasound=missing_rates(table, 0.3, by_class=True),
        shortcut=0.6,
        annotation_rate=0.2,
        label_noise=0.1,
    )


def combined():
    return difficult(entities=CROSSED[:4])


def enumerate_joint(o, view):
    """P(recorded label, what is seen) by going through every possible case."""
    t, joint = o.table, {}
    count = len(t.classes)
    for c, s, d in product(range(count), range(len(t.surfaces)), range(len(t.depths))):
        for ruler, calliper, lack, label in product((0, 1), (0, 1), range(3), range(count)):
            mark = o.mark()[c]
            lacks = [o.missing_clinical[c], o.missing_ultrasound[c]]
            p = t.prior[c] * t.pair[c, s, d] * [*lacks, 1 - sum(lacks)][lack]
            p *= (mark if ruler else 1 - mark) * (mark if calliper else 1 - mark)
            p *= 1 - o.label_noise if label == c else o.label_noise / (count - 1)
            photo = None if lack == 0 else (s, ruler)
            scan = None if lack == 1 else (d, calliper)
            seen = {"clinical": photo, "ultrasound": scan, "both": (photo, scan)}[view]
            joint.setdefault(seen, np.zeros(count))[label] += p
    return joint


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("make", [observer, difficult, combined])
def test_limit_equals_enumeration(make, view):
    o = make()
    joint = enumerate_joint(o, view)
    assert sum(p.sum() for p in joint.values()) == pytest.approx(1)
    assert o.limit(view) == pytest.approx(sum(p.max() for p in joint.values()), abs=1e-12)


@pytest.mark.parametrize("view", VIEWS)
def test_posterior_equals_enumeration(view):
    o = difficult()
    joint = enumerate_joint(o, view)
    for surface, depth in [(0, 1), (None, 2), (1, None)]:
        seen = Seen(surface=surface, depth=depth, ruler=True, calliper=False)
        photo = None if surface is None else (surface, 1)
        scan = None if depth is None else (depth, 0)
        key = {"clinical": photo, "ultrasound": scan, "both": (photo, scan)}[view]
        expected = joint[key] / joint[key].sum()
        np.testing.assert_allclose(o.posterior(view, seen), expected, atol=1e-12)


def test_a_case_without_any_view_has_no_posterior():
    with pytest.raises(ValueError, match="lacks both modalities"):
        observer().posterior("both", Seen(surface=None, depth=None))


def test_each_view_alone_is_ambiguous_and_both_settle_typical_cases():
    limits = observer(atypia=0.0, imbalance=0.0).limits()
    assert limits["both"] == pytest.approx(1)
    assert max(limits["clinical"], limits["ultrasound"]) < 0.7


def test_more_of_everything_hard_lowers_the_limit():
    base = observer().limit("both")
    assert observer(atypia=1.0).limit("both") < base
    assert observer(label_noise=0.2).limit("both") < base
    rates = missing_rates(observer().table, 0.3, by_class=False)
    assert observer(missing_ultrasound=rates).limit("both") < base


def test_marks_help_only_with_a_shortcut():
    fair = observer(annotation_rate=0.3)
    biased = observer(annotation_rate=0.3, shortcut=1.0)
    assert fair.limits() == pytest.approx(observer().limits())
    assert biased.limit("clinical") > fair.limit("clinical")
    assert biased.without_marks().limits() == pytest.approx(observer().limits())


@pytest.mark.parametrize("by_class", [False, True])
def test_missing_rates_average_to_the_rate(by_class):
    table = observer().table
    rates = missing_rates(table, 0.2, by_class=by_class)
    assert table.prior @ rates == pytest.approx(0.2)
    assert (np.ptp(rates) > 0) == by_class


def test_too_much_missing_is_refused():
    everything = np.ones(6)
    with pytest.raises(ConfigError, match="missing_clinical"):
        observer(missing_clinical=everything, missing_ultrasound=everything)
