"""Every number of the result files, from one seed, as version 0.1 computed it.

The intervals and p of a comparison are those of the jackknife, and the intervals of `ece` in a
comparison and under corruptions are reflected as elsewhere, since version 0.3. A change here is a
change of results: intervals, random draws or definitions.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from agfnet.evaluation.compare import compare, paired
from agfnet.evaluation.evaluate import result_files
from agfnet.inference.predictions import Predictions
from agfnet.robustness.conditions import CLEAN, Condition
from agfnet.robustness.scores import score_conditions

PINNED = json.loads(Path(__file__).with_name("pinned.json").read_text(encoding="utf-8"))
PINNED_ECE = pytest.approx(PINNED["metrics.json"]["ece"])
"""The same lesions have the same interval in every result file."""
ROWS = 70
OPTIONS = {"resamples": 60, "seed": 3}


def _cases(seed, sharpness=2.0):
    rng = np.random.default_rng(0)
    patient, label = rng.integers(0, 45, ROWS), rng.integers(0, 4, ROWS)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(ROWS, 4))
    logits[np.arange(ROWS), label] += 1.2
    probabilities = np.exp(sharpness * logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    probabilities = np.round(probabilities, 2) + 1e-9  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Predictions(
        classes=tuple("abcd"),
        lesion_id=tuple(f"L{row}" for row in range(ROWS)),
        patient_id=tuple(f"P{number}" for number in patient),
        label=tuple("" if row % 17 == 5 else "abcd"[c] for row, c in enumerate(label)),
        probabilities=probabilities,
        prediction_set=probabilities > 0.1,
        abstain=probabilities.max(axis=1) < 0.5,
        ood_score=rng.normal(size=ROWS),
        out_of_distribution=rng.random(ROWS) < 0.1,
    )


def _differences(pinned, found, path=""):
    """Paths at which two structures differ; only the pinned part is compared."""
    if isinstance(pinned, Mapping):
        for key, value in pinned.items():
            yield from _differences(value, found.get(key), f"{path}/{key}")
    elif isinstance(pinned, list):
        if len(pinned) != len(found):
            yield f"{path}: {len(found)} items"
        for index, (value, other) in enumerate(zip(pinned, found, strict=False)):
            yield from _differences(value, other, f"{path}/{index}")
    elif found != (pytest.approx(pinned, abs=1e-9) if isinstance(pinned, float) else pinned):
        yield f"{path}: {found}, not {pinned}"


def test_result_files_are_the_same_to_the_last_digit():
    files = result_files(
        _cases(1),
        attributes={
            "sex": ["mf"[row % 2] for row in range(ROWS)],
            "age": [str(row % 23) for row in range(ROWS)],
            "one": ["x"] * ROWS,
        },
        malignant=["a", "c"],
        validation=_cases(3),
        **OPTIONS,
    )
    curve = files["malignant.json"]["decision_curve"]
    curve.update({name: values[9::20] for name, values in curve.items()})
    assert list(files["metrics.json"]) == list(PINNED["metrics.json"])
    assert not list(_differences({name: PINNED[name] for name in files}, files))


def test_compare_is_the_same_to_the_last_digit():
    found = compare(paired(_cases(1), _cases(2)), **OPTIONS)
    assert found["metrics"]["ece"]["a"] == PINNED_ECE
    assert not list(_differences(PINNED["compare"], found))


def test_robustness_is_the_same_to_the_last_digit():
    conditions = [
        CLEAN,
        *(
            Condition(modality, corruption, severity)
            for modality, corruption in (
                ("clinical", "blur"),
                ("clinical", "noise"),
                ("ultrasound", "gain"),
            )
            for severity in range(1, 6)
        ),
        Condition("clinical", "missing", 0),
        Condition("", "frames_lost", 1),
    ]
    seeds = [1, *range(11, 26), 50, 51]
    answers = {
        condition: _cases(seed, 2.0 if seed in (1, 50, 51) else 1.5).labelled()
        for condition, seed in zip(conditions, seeds, strict=True)
    }
    other = {c: _cases(60 + row).labelled() for row, c in enumerate(conditions)}
    reference = score_conditions(other, resamples=2)
    found = score_conditions(answers, reference=reference, **OPTIONS)
    assert found["clean"]["ece"] == PINNED_ECE
    found["conditions"] = found["conditions"][::6]
    assert not list(_differences(PINNED["robustness"], found))
