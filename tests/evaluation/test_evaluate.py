import json

import numpy as np
import pytest

from agfnet.evaluation.evaluate import evaluate
from agfnet.evaluation.metrics import METRICS
from agfnet.files import write_json
from agfnet.inference.predictions import Predictions


def test_the_contract_of_metrics_json(table, tmp_path):
    found = evaluate(table(50), resamples=50, seed=1)
    assert list(found) == [*METRICS, "n"]
    assert found["n"] == 50
    assert set(found["accuracy"]) == {"value", "low", "high"}
    path = tmp_path / "metrics.json"
    write_json(path, found)
    assert json.loads(path.read_text()) == found
    assert list(tmp_path.iterdir()) == [path]


def test_undefined_is_null(table, tmp_path):
    found = evaluate(table(1), resamples=10)
    assert found["macro_auc"] == {"value": None, "low": None, "high": None}
    write_json(tmp_path / "metrics.json", found)
    assert "NaN" not in (tmp_path / "metrics.json").read_text()


@pytest.mark.parametrize("rows", [0, 3])
def test_without_labels_there_is_only_their_number(rows):
    unlabelled = Predictions(
        classes=("a", "b"),
        lesion_id=tuple("xyz"[:rows]),
        patient_id=tuple("xyz"[:rows]),
        label=("",) * rows,
        probabilities=np.full((rows, 2), 0.5),
    )
    assert evaluate(unlabelled) == {"n": 0}
