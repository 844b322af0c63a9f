import dataclasses
import math

import numpy as np
import pytest
from sklearn import metrics as reference

from agfnet.errors import ConfigError
from agfnet.evaluation.malignant import evaluate_group, grouped
from agfnet.inference.predictions import Predictions
from agfnet.metrics.operating_points import halfway_threshold, threshold_for_sensitivity

NAMES = ("class 1", "class 3")


def test_a_group_is_the_sum_of_its_classes(table):
    cases = dataclasses.replace(table(20), label=("", *table(20).label[1:]))
    found = grouped(cases, NAMES)
    assert found.classes == ("other", "malignant")
    np.testing.assert_allclose(
        found.probabilities[:, 1], cases.probabilities[:, [1, 3]].sum(axis=1)
    )
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.label[0] == ""
    assert [name == "malignant" for name in found.label] == [name in NAMES for name in cases.label]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "name some"),
        (("class 0", "class 1", "class 2", "class 3"), "not all"),
        (
            ("melanoma",),
            "'melanoma' is not a class .* expected some of class 0, class 1",
        ),
    ],
)
def test_a_group_that_is_none_is_refused(table, names, message):
    with pytest.raises(ConfigError, match=message):
        grouped(table(5), names)


def test_the_test_split_decides_no_threshold(table):
    held, new = table(300, seed=1, per_patient=2), table(200, seed=2, per_patient=2)
    found = evaluate_group(new, NAMES, validation=held, sensitivities=(0.8, 0.9), resamples=50)
    assert (found["n"], found["positives"]) == (200, sum(name in NAMES for name in new.label))
    binary = grouped(held, NAMES)
    for aim, point in zip((0.8, 0.9), found["operating_points"], strict=True):
        largest = threshold_for_sensitivity(binary.probabilities[:, 1], binary.target == 1, aim)
        expected = halfway_threshold(largest)
        assert (point["target_sensitivity"], point["threshold"]) == (aim, expected)
        said = grouped(new, NAMES).probabilities[:, 1] >= expected
        sensitivity = said[grouped(new, NAMES).target == 1].mean()
        assert point["sensitivity"].value == pytest.approx(sensitivity)
        assert point["sensitivity"].low < sensitivity < point["sensitivity"].high
    area = reference.roc_auc_score(
        grouped(new, NAMES).target, grouped(new, NAMES).probabilities[:, 1]
    )
    assert found["auc"].value == pytest.approx(area)
    assert found["auc_delong"].value == pytest.approx(area)
    assert found["auc_delong"].low < area < found["auc_delong"].high


def test_awkward_groups_are_undefined_and_no_error(table):
    one_kind = dataclasses.replace(table(6), label=("class 0",) * 6)
    found = evaluate_group(one_kind, NAMES, validation=one_kind, resamples=5)
    assert math.isnan(found["auc"].value)
    assert [point["threshold"] for point in found["operating_points"]] == [None, None]
    assert evaluate_group(table(1), NAMES, resamples=5)["operating_points"] == []
    empty = Predictions(
        classes=("a", "b"), lesion_id=(), patient_id=(), label=(), probabilities=np.empty((0, 2))
    )
    assert evaluate_group(empty, ["a"], resamples=5)["n"] == 0
