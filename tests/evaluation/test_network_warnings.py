"""Warnings about a trained network: each with data that triggers it and data that does not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from agfnet.bundle import BundleConfig, read_bundle
from agfnet.card import refresh_card
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.network_warnings import (
    WARNINGS,
    NetworkWarning,
    Observations,
    find_problems,
    read_warnings,
    write_warnings,
)
from agfnet.files import seal
from agfnet.inference.predictions import Predictions
from agfnet.models.build import build
from agfnet.report.evaluation import report_page

ROWS = 120


def predictions(right: float = 0.9, *, answer: int | None = None, seed: int = 0) -> Predictions:
    """Predictions of which a fraction is right; or all with the same answer."""
    rng = np.random.default_rng(seed)
    target = np.repeat([0, 1, 2], (60, 40, 20))
    answers = np.where(rng.random(ROWS) < right, target, (target + 1) % 3)
    if answer is not None:
        answers = np.full(ROWS, answer)
    probabilities = np.full((ROWS, 3), 0.1)
    probabilities[np.arange(ROWS), answers] = 0.8
    names = ("BCC", "MEL", "NV")
    return Predictions(
        classes=names,
        lesion_id=tuple(f"L{row}" for row in range(ROWS)),
        patient_id=tuple(f"P{row}" for row in range(ROWS)),
        label=tuple(names[index] for index in target),
        probabilities=probabilities,
    )


def history(*val: float) -> list[dict[str, float]]:
    """Rows in which the training loss falls."""
    return [
        {"epoch": epoch, "val_nll": loss, "train_cross_entropy": 1 / (1 + epoch)}
        for epoch, loss in enumerate(val)
    ]


def sound(**changes: Any) -> Observations:
    """A network without a problem."""
    good = predictions(0.9)
    partly = {"clinical": predictions(0.7, seed=1), "ultrasound": predictions(0.6, seed=2)}
    seen = Observations(
        config=cast(
            BundleConfig,
            SimpleNamespace(
                cases={"train": {"BCC": 150, "MEL": 150, "NV": 5}},
                classes=("BCC", "MEL", "NV"),
                names=("basal cell carcinoma", "melanoma", "melanocytic nevus"),
            ),
        ),
        settings={"model": {"backbone": {"weights": "timm"}}},
        predictions=good,
        complete=good,
        alone=partly,
        without={"ultrasound": partly["clinical"], "clinical": partly["ultrasound"]},
        history=history(2.0, 1.0, 0.8, 0.7, 0.8, 1.0),
        guide_deviations={"clinical": 0.2, "ultrasound": 0.15},
    )
    return replace(seen, **changes)


def codes(**changes: Any) -> list[str]:
    return [warning.code for warning in find_problems(sound(**changes))]


def test_a_sound_network_has_no_warning() -> None:
    assert codes() == []


def test_one_answer_for_all() -> None:
    assert codes(predictions=predictions(answer=0)) == ["one_class"]  # and nothing that follows
    first = find_problems(sound(predictions=predictions(answer=0)))[0]
    assert "answers basal cell carcinoma for all" in first.message
    only = replace(predictions(answer=0), label=("BCC",) * ROWS)
    assert "one_class" not in codes(predictions=only)


def test_not_better_than_the_majority() -> None:
    assert codes(predictions=predictions(0.4)) == ["majority"]
    first = find_problems(sound(predictions=predictions(0.4)))[0]
    assert "always answering basal cell carcinoma" in first.message
    # less often right than the most common class, but with equal errors in all classes
    fair = predictions(0.9)
    rare = fair.select([*range(60), *range(60, 62), *range(100, 102)])
    assert "majority" not in codes(predictions=rare)


def test_not_better_than_one_modality() -> None:
    alone = {"clinical": predictions(0.95, seed=3), "ultrasound": predictions(0.5)}
    found = find_problems(sound(alone=alone))
    assert [warning.code for warning in found] == ["single_modality"]
    assert "'[clinical]'" in found[0].cure


def test_an_ignored_modality() -> None:
    seen = sound()
    without = {"ultrasound": seen.complete, "clinical": seen.alone["ultrasound"]}
    found = find_problems(replace(seen, without=without))
    assert [warning.code for warning in found] == ["ignored_modality"]
    assert "ignores ultrasound" in found[0].message


def test_overfitting() -> None:
    rising = history(2.0, 1.0, 0.8, 0.9, 1.1, 1.3)
    assert codes(history=rising) == ["overfitting"]
    assert codes(history=[row | {"train_cross_entropy": 1.0} for row in rising]) == []


def test_a_small_validation_split() -> None:
    rows = [*range(30, 79), 100]  # of every class
    assert codes(predictions=sound().predictions.select(rows[1:])) == ["small_validation"]
    assert codes(predictions=sound().predictions.select(rows)) == []


def test_a_rare_class() -> None:
    cases = {"train": {"BCC": 150, "MEL": 150, "NV": 4}}
    config = SimpleNamespace(**{**vars(sound().config), "cases": cases})
    (warning,) = find_problems(sound(config=config))
    assert warning.code == "rare_class"
    assert "of melanocytic nevus: " in warning.message
    (warning,) = find_problems(sound(predictions=sound().predictions.select(range(100))))
    assert "of melanocytic nevus: " in warning.message  # none validates it


@pytest.mark.parametrize("weights", [None, "random"])
def test_random_weights_on_a_small_cohort(weights: str | None) -> None:
    settings = {"model": {"backbone": {"weights": weights}}}
    assert codes(settings=settings) == ["random_weights"]
    large = SimpleNamespace(
        **{**vars(sound().config), "cases": {"train": dict.fromkeys(["BCC", "MEL", "NV"], 5000)}}
    )
    assert codes(settings=settings, config=large) == []


def test_a_dead_guide() -> None:
    assert codes(guide_deviations={"clinical": 0.2, "ultrasound": 0.001}) == ["dead_guide"]


def test_every_warning_has_a_message_and_a_cure_of_whole_sentences() -> None:
    worst = sound(
        predictions=predictions(0.4).select(range(20, 60)),
        alone={"clinical": predictions(0.95), "ultrasound": predictions(0.5)},
        without={"ultrasound": sound().complete},
        history=history(2.0, 1.0, 0.8, 0.9, 1.1, 1.3),
        settings={"model": {"backbone": {"weights": None}}},
        guide_deviations={"clinical": 0.0},
    )
    found = find_problems(worst)
    assert len(found) >= 5
    for warning in found:
        assert warning.message.endswith(".")
        assert warning.cure.endswith(".")


def test_warnings_are_on_top_of_the_report_and_the_card(trained: Path, tmp_path: Path) -> None:
    page = report_page(
        title="Report",
        predictions=replace(predictions(), label=("",) * ROWS),
        results={"metrics.json": {"n": 0}},
        warnings=["The network ignores <b>. Cure."],
    )
    assert page.index("ignores &lt;b&gt;") < page.index("Limitations")
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    write_warnings(run, [NetworkWarning("x", "It is wrong.", "Do it right.")])
    assert read_warnings(run) == [NetworkWarning("x", "It is wrong.", "Do it right.")]
    refresh_card(run)
    card = (run / "bundle" / "card.md").read_text()
    assert card.index("It is wrong. Do it right.") < card.index("## Intended use")


def test_a_training_writes_its_warnings(trained: Path) -> None:
    found = {warning.code: warning for warning in read_warnings(trained)}
    # two epochs from random weights on sixty lesions, of which a few validate
    assert {"random_weights", "small_validation"} <= set(found)
    assert found["random_weights"].message in (trained / "bundle" / "card.md").read_text()
    assert (trained / WARNINGS).is_file()
    assert read_bundle(trained).config.members == 1


def test_the_guide_of_a_network_whose_guide_layer_is_zero_is_dead(
    trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    path = run / "bundle" / "model.safetensors"
    weights = load_file(path)
    save_file(
        {k: 0 * v if ".guide." in k else v for k, v in weights.items()},
        path,
    )
    seal(run / "bundle")
    calibrate_run(run)
    assert "dead_guide" in [warning.code for warning in read_warnings(run)]
    assert "dead_guide" not in [warning.code for warning in read_warnings(trained)]


def test_a_network_without_all_has_no_guides(trained: Path, tmp_path: Path) -> None:
    """Its setting `guide` may be on: without attention there is no context to weigh."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    path = run / "bundle" / "config.json"
    config = json.loads(path.read_text())
    fusion = {"intra": False, "inter": False, "multi_scale": False}
    config["model"]["fusion"] |= fusion
    path.write_text(json.dumps(config))
    model = read_bundle(trained).config.model
    model = replace(model, fusion=replace(model.fusion, **fusion))
    network = build(model, modalities=len(config["modalities"]), classes=len(config["classes"]))
    save_file(
        {name: value.numpy() for name, value in network.state_dict().items()},
        run / "bundle" / "model.safetensors",
    )
    seal(run / "bundle")
    calibrate_run(run)
    assert "dead_guide" not in [warning.code for warning in read_warnings(run)]
