import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agfnet.config import EvaluateConfig
from agfnet.inference.predictions import Predictions
from agfnet.report.cases import KINDS, Example, choose_examples
from agfnet.report.run import run_evaluation


def _predictions(rows: list[tuple[str, float]]) -> Predictions:
    """Rows of label and probability of class a, of classes a and b."""
    ids = tuple(f"L{row}" for row in range(len(rows)))
    return Predictions(
        classes=("a", "b"),
        lesion_id=ids,
        patient_id=ids,
        label=tuple(label for label, _ in rows),
        probabilities=np.array([[p, 1 - p] for _, p in rows]).reshape(len(rows), 2),
    )


def test_each_kind_takes_turns_and_its_clearest_case_comes_first():
    predictions = _predictions(
        [("a", 0.7), ("a", 0.9), ("b", 0.8), ("b", 0.95), ("a", 0.55), ("b", 0.52), ("", 0.99)]
    )
    assert choose_examples(predictions, 12) == [1, 3, 5, 6, 0, 2, 4]
    assert choose_examples(predictions, 3) == [1, 3, 5]


@pytest.mark.parametrize(
    ("label", "probability", "kind"),
    [("a", 0.9, "right"), ("b", 0.9, "wrong"), ("a", 0.55, "unsure"), ("", 0.9, "unlabelled")],
)
def test_kind(label, probability, kind):
    example = Example(
        lesion_id="x",
        label=label,
        predicted="a",
        probabilities=np.array([probability, 1 - probability]),
    )
    assert example.kind == kind
    assert kind in KINDS


def test_nothing_to_choose_from():
    assert choose_examples(_predictions([]), 5) == []
    assert choose_examples(_predictions([("a", 0.9)]), 0) == []


def test_abstained_cases_are_a_separate_kind(table):
    cases = table(60)
    left = cases.probabilities.max(axis=1) < 0.5
    chosen = choose_examples(replace(cases, abstain=left), 12)
    assert sum(left[row] for row in chosen) == 3


@pytest.mark.slow
def test_a_report_shows_cases_only_if_there_are_to_be_any(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    config = EvaluateConfig(run=str(run), resamples=5, max_focus_lesions=0, examples=2)
    assert 'id="cases"' in (run_evaluation(config) / "report.html").read_text()
    assert (
        'id="cases"'
        not in (run_evaluation(replace(config, examples=0)) / "report.html").read_text()
    )
