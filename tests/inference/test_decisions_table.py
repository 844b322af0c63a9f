from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agfnet.inference.decisions_table import count_foreign, write_decisions
from agfnet.inference.predictions import Predictions

DECIDED = {
    "prediction_set": np.array([[True, False], [True, True], [False, True]]),
    "ood_score": np.array([-1.5, 0.1, 1 / 3]),
    "abstain": np.array([False, True, False]),
    "out_of_distribution": np.array([False, False, True]),
}


def predictions(**decided: object) -> Predictions:
    return Predictions(
        classes=("a", "b"),
        lesion_id=("L1", "L2", "L3"),
        patient_id=("P1", "P1", "P2"),
        label=("a", "", "b"),
        probabilities=np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]),
        **decided,
    )


def test_every_decision_has_its_column(tmp_path: Path) -> None:
    path = write_decisions(predictions(**DECIDED), tmp_path / "predictions.csv")
    assert path == tmp_path / "decisions.csv"
    header, first, second, _ = path.read_text().splitlines()
    assert header == "lesion_id,set_a,set_b,ood_score,abstain,out_of_distribution"
    assert first == "L1,1,0,-1.5,0,0"
    assert second == "L2,1,1,0.1,1,0"


@pytest.mark.parametrize("name", DECIDED)
def test_each_may_be_there_alone_and_stays_with_its_row(tmp_path: Path, name: str) -> None:
    alone = predictions(**{name: DECIDED[name]}).select([2, 0])
    path = write_decisions(alone, tmp_path / "x.csv")
    assert path == tmp_path / "x_decisions.csv"
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    assert [row[0] for row in rows] == ["L3", "L1"]
    np.testing.assert_array_equal(
        np.array([row[1:] for row in rows], float).squeeze(), DECIDED[name][[2, 0]]
    )
    assert len(header) == (3 if name == "prediction_set" else 2)
    assert len(getattr(predictions(**{name: DECIDED[name]}).labelled(), name)) == 2


def test_nothing_known_leaves_no_table(tmp_path: Path) -> None:
    write_decisions(predictions(**DECIDED), tmp_path / "predictions.csv")
    assert write_decisions(predictions(), tmp_path / "predictions.csv") is None
    assert not list(tmp_path.iterdir())


def test_pictures_of_another_kind_are_counted(tmp_path: Path) -> None:
    distances = {"photo": np.array([0.5, 9.0, np.nan]), "scan": np.array([1.5, np.nan, 2.0])}
    path = write_decisions(predictions(distances=distances), tmp_path / "x.csv")
    assert path is not None
    assert count_foreign(path) == 2
    assert count_foreign(tmp_path / "none.csv") == 0
    path = write_decisions(predictions(**DECIDED), tmp_path / "y.csv")
    assert path is not None
    assert count_foreign(path) == 0
