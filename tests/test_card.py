"""The model card: hubs read its head, people its figures, and it never lags behind the run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from agfnet.bundle import (
    Abstention,
    Calibration,
    PredictionSets,
    read_bundle,
    read_tests,
    replace_cards,
    write_calibration,
)
from agfnet.card import card, refresh_card
from agfnet.config import EvaluateConfig, ModalityConfig
from agfnet.report.run import run_evaluation


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated, tmp_path / "run"))


def metrics(run: Path, name: str = "test") -> dict[str, Any]:
    path = run / "evaluation" / name / "metrics.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_finished_run_has_its_figures_in_the_card(run: Path) -> None:
    """`train` has calibrated and evaluated it."""
    found = ModelCard((run / "bundle" / "card.md").read_text())
    assert found.data.license == "other"
    assert found.data.pipeline_tag == "image-classification"
    assert found.data.library_name == "agfnet"
    assert found.data.eval_results is not None
    results = {one.metric_type: one.metric_value for one in found.data.eval_results}
    expected = metrics(run)
    assert results["balanced_accuracy"] == expected["balanced_accuracy"]["value"]
    assert {one.dataset_name for one in found.data.eval_results} == {"test"}
    auc = expected["macro_auc"]
    assert f"| {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}) |" in found.text
    assert "Research use only, not a medical device." in found.text
    assert "(14 validation cases)" in found.text


def test_training_data_are_counted_by_class(run: Path) -> None:
    config = read_bundle(run).config
    assert config.cases is not None
    text = card(config)
    for name in config.classes:
        counts = (config.cases[split].get(name, 0) for split in ("train", "val"))
        assert f"| {name} | {' | '.join(map(str, counts))} |" in text
    assert f"SHA-256 `{config.data_hash}`" in text
    assert "Fewer than 30 training cases: " in text
    assert "Not evaluated yet" in text
    assert "Not calibrated" in text
    assert "cases" not in card(replace(config, cases=None)).split("## Training data")[1][:20]


def test_another_evaluation_and_calibration_come_in(run: Path) -> None:
    before = read_bundle(run)
    other = run / "evaluation" / "elsewhere: 2026"
    other.mkdir()
    content = metrics(run) | {"accuracy": {"value": 0.125, "low": None, "high": None}, "n": 9}
    del content["calibration"]  # of a version that did not record it
    (other / "metrics.json").write_text(json.dumps(content))
    unlabelled = run / "evaluation" / "unlabelled"
    unlabelled.mkdir()
    (unlabelled / "metrics.json").write_text('{"n": 0}')
    bundle = write_calibration(before, Calibration(temperature=2.5, cases=14))
    refresh_card(run)
    assert read_bundle(run).files == bundle.files  # and sealed
    text = (run / "bundle" / "card.md").read_text()
    results = ModelCard(text).data.eval_results
    assert results is not None
    assert {one.dataset_name for one in results} == {"elsewhere: 2026"}
    assert "| 0.125 |" in text
    assert "unlabelled" not in text
    assert "temperature 2.5 (14 validation cases)" in text
    assert "No evaluation on lesions from elsewhere" in text


def test_without_scaling_no_temperature_is_named(run: Path) -> None:
    write_calibration(read_bundle(run), Calibration(cases=14))
    refresh_card(run)
    text = (run / "bundle" / "card.md").read_text()
    assert "Probabilities: not scaled (14 validation cases)" in text


def test_figures_from_before_a_calibration_are_left_out(run: Path) -> None:
    before = metrics(run)["balanced_accuracy"]
    figures = f"{before['value']:.3f} ({before['low']:.3f} to {before['high']:.3f})"
    refresh_card(run)
    assert figures in (run / "bundle" / "card.md").read_text()
    assert list(read_tests(read_bundle(run))) == ["test"]
    calibration = read_bundle(run).calibration
    write_calibration(read_bundle(run), replace(calibration, temperature=2.5))
    refresh_card(run)
    text = (run / "bundle" / "card.md").read_text()
    assert "Left out, since the network was calibrated again after them: test." in text
    assert figures not in text
    assert "Not evaluated yet" not in text
    assert read_tests(read_bundle(run)) == {}
    write_calibration(read_bundle(run), calibration)  # the same as before
    refresh_card(run)
    assert figures in (run / "bundle" / "card.md").read_text()


def test_figures_of_training_lesions_are_called_so(run: Path) -> None:
    folder = run_evaluation(EvaluateConfig(run=str(run), split="train", resamples=5, examples=0))
    assert folder.name == "train"
    text = (run / "bundle" / "card.md").read_text()
    count = metrics(run, "train")["n"]
    assert f"train: {count} of these lesions were used to train or validate this network" in text
    assert "test: " not in text.split("## Evaluation")[1].split("## Calibration")[0]
    assert "No evaluation on lesions from elsewhere" in text
    results = ModelCard(text).data.eval_results
    assert results is not None
    assert {one.dataset_name for one in results} == {"test"}
    tests = read_tests(read_bundle(run))
    assert {name: test.held_out for name, test in tests.items()} == {"test": True, "train": False}


def test_guarantees_are_not_rounded(run: Path) -> None:
    """97.5 % are not 98 %, and 99.9 % are no certainty."""
    config = read_bundle(run).config
    sets = PredictionSets(score="aps", coverage=0.975, by_class=False, quantiles=(0.9,))
    abstention = Abstention(
        threshold=0.7, target_risk=0.025, confidence=0.999, bound=0.02, coverage=0.5
    )
    text = card(config, calibration=Calibration(sets=sets, abstention=abstention, cases=99))
    assert "hold the true class in 97.5% of new lesions" in text
    assert "at most 2.5% of the others are wrong, with probability 99.9%" in text


def test_exported_graphs_are_named(run: Path) -> None:
    config = read_bundle(run).config
    fp32 = {"rows": 84, "probabilities": 3e-7, "logits": 1e-6}
    assert "at most 3.0e-07 on 84 rows" in card(config, exported={"fp32": fp32})
    assert "`agfnet export RUN` adds one" in card(config)


def test_odd_names_do_not_break_the_card(run: Path) -> None:
    config = read_bundle(run).config
    odd = replace(
        config,
        classes=("a|b: c", "---"),
        modalities={
            "no": ModalityConfig(
                modality_type="ultrasound", crop_field_of_view=True, skin_surface="flatten"
            )
        },
        cases={"train": {"a|b: c": 3}, "val": {}},
    )
    name = "x: [1]\n---\nlicense: mit"
    text = card(odd, evaluations={name: {"n": 3, "ece": {"value": None}}})
    front = ModelCard(text).data
    assert front.license == "other"
    assert front.tags is not None
    assert front.tags[-1] == "no"
    assert "| a\\|b: c | 3 | 0 |" in text
    assert "cropped to the field of view, crop to" in text


def test_a_card_is_replaced_and_nothing_else(run: Path) -> None:
    bundle = read_bundle(run)
    sums = (bundle.folder / "SHA256SUMS").read_text()
    replace_cards(bundle, {"en": "Grüße\n"})
    assert read_bundle(run).files == bundle.files
    after = (bundle.folder / "SHA256SUMS").read_text()
    changed = set(sums.splitlines()) ^ set(after.splitlines())
    assert {line.split()[1] for line in changed} == {"card.md"}
