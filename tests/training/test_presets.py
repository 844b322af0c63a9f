"""Settings that were left out: what is chosen, what is kept, and how time decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agfnet.config import DataConfig, ModelConfig, TrainConfig
from agfnet.config.dotted import value_of, with_value
from agfnet.training import presets
from agfnet.training.presets import FEW_STEPS, FEWEST_STEPS, Plan, as_record, make_plan
from agfnet.training.timing import Speed

ROWS = [
    {
        "lesion_id": f"L{n}",
        "label": "common" if n % 8 else "rare",
        "split": ("train", "train", "val", "test")[n // 8 % 4],
        "photo": f"{n}.png",
        "us_scan": f"u{n}.png" if n % 5 else "",
    }
    for n in range(128)
]


@pytest.fixture(autouse=True)
def _no_gpu_and_steady_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU on which the steps of an epoch at 96 pixels take ten seconds."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    trained, validated = (sum(row["split"] == part for row in ROWS) for part in ("train", "val"))
    step = 10 / trained

    def measured(config: TrainConfig, _: Any) -> Speed:
        share = 0.11 if config.model.backbone.frozen else 1  # of a step: a hundredth for the heads
        return Speed(trained, validated, file=0, cache=0, step=step * share, forward=step / 10)

    monkeypatch.setattr(presets, "measure_speed", measured)
    monkeypatch.delenv("AGFNET_WEIGHTS_DIR", raising=False)


@pytest.fixture
def table(write_table: Callable[..., Path]) -> Path:
    path = write_table(ROWS, images=False)
    for row in ROWS:
        for name in filter(None, (row["photo"], row["us_scan"])):
            (path.parent / name).write_bytes(name.encode())  # never decoded: the time is set above
    return path


def planned(table: Path, given: dict[str, Any] | None = None, **options: Any) -> Plan:
    config = TrainConfig(data=DataConfig(cases=str(table)))
    for name, value in (given or {}).items():
        config = with_value(config, name, value)
    return make_plan(config, {"data.cases", *(given or {})}, **options)


def test_columns_and_network_follow_from_the_table(table: Path) -> None:
    config = planned(table).config
    assert {n: m.modality_type for n, m in config.data.modalities.items()} == {
        "photo": "photo",
        "us_scan": "ultrasound",
    }
    assert config.model.backbone.name == "tf_efficientnet_lite0"
    assert config.model.backbone.weights == "timm"
    assert config.optim.batch_size == 16
    assert config.optim.modality_dropout == 0.2  # some lesions lack the scan


def test_a_column_without_any_image_is_named(write_table: Callable[..., Path]) -> None:
    rows = [
        {n: v for n, v in row.items() if n not in ("photo", "us_scan")}
        | {"clinical": row["photo"], "ultrasound": ""}
        for row in ROWS
    ]
    table = write_table(rows, images=False)
    for row in ROWS:
        (table.parent / str(row["photo"])).write_bytes(str(row["photo"]).encode())
    plan = planned(table)
    assert list(plan.config.data.modalities) == ["clinical"]
    (reason,) = (c.reason for c in plan.choices if c.setting == "data.modalities")
    assert reason == "the image columns of the table, which has no image of ultrasound"


def test_what_was_given_always_wins(table: Path, fits_schema: Callable[[str, Any], None]) -> None:
    given = {
        "data.size": 64,
        "optim.lr": 0.5,
        "optim.ema": None,
        "model.backbone.name": "resnet18",
    }
    plan = planned(table, given)
    assert {name: value_of(plan.config, name) for name in given} == given
    assert not set(given) & {choice.setting for choice in plan.choices}
    fits_schema("plan.json", as_record(plan))
    # a network that was named: no download unless it was asked for
    assert plan.config.model.backbone.weights == "random"
    assert not plan.config.model.backbone.frozen
    assert (
        planned(table, {"model.backbone.weights": "timm"}).config.model.backbone.weights == "timm"
    )


def test_pretrained_networks_are_not_trained_until_they_know_few_lesions_by_heart(
    table: Path,
) -> None:
    name = {"model.backbone.name": "resnet18"}
    epochs = {
        weights: planned(table, {**name, "model.backbone.weights": weights}, time_limit=600)
        for weights in ("timm", "random")
    }
    assert {name: plan.config.optim.epochs for name, plan in epochs.items()} == {
        "timm": 12,
        "random": 100,
    }
    frozen = {"model.backbone.weights": "timm", "model.backbone.frozen": True}
    assert planned(table, frozen, time_limit=600).config.optim.epochs == 100


def test_time_that_is_left_trains_an_ensemble(table: Path) -> None:
    # twelve epochs at 160 pixels take six minutes here, at 224 pixels twelve
    assert {limit: planned(table, time_limit=limit).config.members for limit in (7, 14, 600)} == {
        7: 1,
        14: 2,
        600: 3,
    }
    plan = planned(table, preset="best", time_limit=600)
    assert plan.config.members == 5
    assert plan.seconds is not None
    assert 50 * 60 < plan.seconds < 80 * 60  # of all members
    assert planned(table, preset="fast", time_limit=600).config.members == 1
    # a number that was given takes its share of the time
    given = planned(table, {"members": 3}, time_limit=7)
    assert given.config.members == 3
    assert given.config.data.size < planned(table, time_limit=7).config.data.size
    assert given.seconds is not None
    assert given.seconds < 7 * 60
    assert any(choice.reason.endswith("within 7 min") for choice in given.choices)
    assert "members" not in {choice.setting for choice in given.choices}
    # so has who sets the epochs
    assert planned(table, {"optim.epochs": 12}, time_limit=600).config.members == 1


def test_auto_trains_an_ensemble_of_few_lesions_only(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "FEW_LESIONS", 10)
    assert planned(table, time_limit=600).config.members == 1
    assert planned(table, preset="best", time_limit=600).config.members == 5


def test_the_rate_suits_the_number_of_steps(table: Path) -> None:
    rates = {
        epochs: planned(table, {"optim.epochs": epochs}, time_limit=600).config.optim.lr
        for epochs in (FEW_STEPS // 4 - 1, FEW_STEPS // 4)  # four steps in an epoch
    }
    assert list(rates.values()) == [4e-3, 1e-3]
    assert planned(table, {"optim.lr": 0.5}).config.optim.lr == 0.5


def test_a_given_group_is_given_as_a_whole(table: Path) -> None:
    backbone = replace(ModelConfig().backbone, name="resnet18", options={"stem_width": 8})
    plan = planned(table, {"model.backbone": backbone})
    assert plan.config.model.backbone == backbone


def test_time_decides_on_size_epochs_and_frozen_backbones(table: Path) -> None:
    epochs = planned(table).config.optim.epochs
    counts = [sum(row["split"] == part for row in ROWS) for part in ("train", "val")]
    epoch = 10 * (1 + counts[1] / counts[0] / 10)  # training and validation
    per_size = {size: epoch * epochs * (size / 96) ** 2 / 60 for size in (160, 128, 96)}
    for size, minutes in per_size.items():
        plan = planned(table, time_limit=minutes * 1.01)
        assert plan.config.data.size == size
        assert plan.config.optim.epochs == epochs
        assert plan.seconds == pytest.approx(60 * minutes)
        assert not plan.config.model.backbone.frozen
    for share in (0.95, 0.85):  # fewer epochs come before frozen backbones
        plan = planned(table, time_limit=per_size[96] * share)
        assert not plan.config.model.backbone.frozen
        assert plan.config.data.size == 96
        assert plan.config.optim.epochs == math.floor(epochs * share)
        assert plan.seconds is not None
        assert plan.seconds <= 60 * per_size[96] * share
    fewest = math.ceil(FEWEST_STEPS / (counts[0] / 16))
    assert not planned(table, time_limit=(fewest + 0.1) * epoch / 60).config.model.backbone.frozen
    short = planned(table, time_limit=(fewest - 0.1) * epoch / 60).config
    assert short.model.backbone.frozen
    assert short.data.feature_variants == 8


def test_frozen_backbones_keep_to_the_time_as_well(table: Path) -> None:
    many = planned(table, time_limit=1.5)
    few = planned(table, time_limit=0.12)
    for plan, minutes in ((many, 1.5), (few, 0.12)):
        assert plan.config.model.backbone.frozen
        assert plan.seconds is not None
        assert plan.seconds <= 60 * minutes
        assert plan.config.optim.epochs >= 2 * plan.config.data.feature_variants
    assert few.config.data.feature_variants < many.config.data.feature_variants
    never = planned(table, time_limit=1 / 600)
    assert never.config.data.feature_variants == never.config.optim.epochs == 1
    (reason,) = (c.reason for c in never.choices if c.setting == "data.size")
    assert "the shortest plan here; the limit is" in reason


@pytest.mark.parametrize("frozen", [True, False])
def test_a_short_time_leaves_fewer_epochs(table: Path, frozen: bool) -> None:
    given = {"model.backbone.weights": "timm", "model.backbone.frozen": frozen}
    usual = planned(table, given)
    for seconds in (7, 11) if frozen else (20, 60):
        plan = planned(table, given, time_limit=seconds / 60)
        assert plan.seconds is not None
        assert plan.seconds <= seconds
        assert 1 <= plan.config.optim.epochs < usual.config.optim.epochs
        assert 0.9 <= plan.config.optim.ema < 1  # type: ignore[operator]


def test_the_average_of_the_weights_suits_the_epochs_that_were_given(table: Path) -> None:
    steps = 40 * sum(row["split"] == "train" for row in ROWS) / 16  # 40 epochs in batches of 16
    given: dict[str, Any] = {
        "optim.epochs": 40,
        "optim.batch_size": 16,
        "model.backbone.weights": "timm",
    }
    for frozen in (True, False):
        for minutes in (1 / 600, 600):  # a slow machine and a fast one train the same network
            plan = planned(table, {**given, "model.backbone.frozen": frozen}, time_limit=minutes)
            assert plan.config.optim.epochs == 40
            assert plan.config.optim.ema == round(1 - 1 / max(10, 0.03 * steps), 4)


def test_presets_differ_in_effort_and_none_chooses_nothing(table: Path) -> None:
    fast, auto, best = (planned(table, preset=name).config for name in ("fast", "auto", "best"))
    assert fast.data.size <= auto.data.size <= best.data.size
    assert not fast.calibration.flips
    assert auto.calibration.flips
    assert best.calibration.flips
    assert fast.optim.epochs <= auto.optim.epochs <= best.optim.epochs
    none = planned(table, preset="none")
    assert none.choices == ()
    assert none.config == TrainConfig(data=DataConfig(cases=str(table)))


def test_each_choice_has_a_reason_and_is_in_effect(table: Path) -> None:
    plan = planned(table)
    assert plan.choices
    for choice in plan.choices:
        assert choice.reason
        assert value_of(plan.config, choice.setting) == choice.value
    assert len({choice.setting for choice in plan.choices}) == len(plan.choices)


def test_a_decision_on_frozen_backbones_is_kept(table: Path) -> None:
    """However little time there is."""
    weights = {"model.backbone.weights": "timm"}
    given = {**weights, "model.backbone.frozen": False}
    for preset in ("fast", "auto"):
        config = planned(table, given, preset=preset, time_limit=0.1).config
        assert not config.model.backbone.frozen
        assert not config.data.feature_variants
    assert planned(table, {**weights, "model.backbone.frozen": True}).config.model.backbone.frozen
