"""Former names of settings: accepted everywhere, with one warning for what a user wrote."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

import agfnet
import agfnet.bundle
import agfnet.config
from agfnet.bundle import Abstention, BundleConfig
from agfnet.config import CheckConfig, ExplainConfig, ModelConfig, StudyConfig, TrainConfig
from agfnet.config.renamed import NAMES, REMOVED, REMOVED_IN, VALUES, update, update_arguments
from agfnet.errors import ConfigError


def lines_of(values: Any, kind: type) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return update(values, kind, warn=lines.append), lines


def test_the_table_names_settings_that_exist() -> None:
    for title, names in (*NAMES.items(), *REMOVED.items(), *VALUES.items()):
        kind = getattr(agfnet.config, title, None) or getattr(agfnet.bundle, title)
        fields = {field.name for field in dataclasses.fields(kind)}
        if title in NAMES:
            assert set(NAMES[title].values()) <= fields
            assert not set(NAMES[title]) & fields
        if title in VALUES:
            assert set(VALUES[title]) <= fields
        assert not set(REMOVED.get(title, {})) & fields, names


def test_the_version_that_ends_the_former_names_is_not_there_yet() -> None:
    def parts(version: str) -> list[int]:
        return [int(part) for part in version.split(".")[:2]]

    assert parts(agfnet.__version__) < parts(REMOVED_IN), "remove NAMES, VALUES and their warnings"


@pytest.mark.parametrize(
    "values",
    [
        {"optim": {"clip": 2}},
        {"optim.clip": 2},
    ],
)
def test_one_warning_names_the_new_setting(values: dict[str, Any]) -> None:
    updated, lines = lines_of(values, TrainConfig)
    assert json.dumps(updated) == json.dumps(values).replace("clip", "gradient_clip_norm")
    assert lines == [
        "optim.clip is now optim.gradient_clip_norm; version 0.4 will not accept the old name"
    ]
    assert update(updated, TrainConfig) == updated


def test_settings_of_every_depth() -> None:
    former = {
        "data": {"modalities": {"us": {"kind": "ultrasound", "crop_field": True}}},
        "data.modalities.us.mm_per_pixel": 0.1,
        "model": {"method": "hyper_branch", "fusion": {"exchange": 0.1, "rebuild_missing": True}},
        "reconstruction": {"hide": 0.4, "warmup": 0.1},
        "calibration": {"delta": 0.05, "strangers": 0.1},
    }
    updated, lines = lines_of(former, TrainConfig)
    assert updated == {
        "data": {"modalities": {"us": {"modality_type": "ultrasound", "crop_field_of_view": True}}},
        "data.modalities.us.pixel_spacing": 0.1,
        "model": {"method": "hccnn", "fusion": {"reconstruct_missing": True}},
        "reconstruction": {"mask_ratio": 0.4, "warmup": 0.1},
        "calibration": {"confidence": 0.95, "ood_rate": 0.1},
    }
    assert len(lines) == 8
    assert not any("exchange" in line for line in lines)  # it had the value that it always has now
    assert "model.method: hyper_branch is now hccnn" in " ".join(lines)


def test_a_setting_without_effect_is_dropped_with_a_warning() -> None:
    updated, lines = lines_of({"model.fusion.exchange": 1.0}, TrainConfig)
    assert updated == {}
    assert lines == ["model.fusion.exchange has no effect any more; leave it out"]


def test_former_and_present_name_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"keep optim\.gradient_clip_norm"):
        update({"optim": {"clip": 1, "gradient_clip_norm": 2}}, TrainConfig)


def test_files_of_a_bundle() -> None:
    former = {"threshold": 0.5, "risk": 0.1, "delta": 0.05, "bound": 0.1, "coverage": 0.8}
    assert Abstention(**update(former, Abstention)).confidence == 0.95
    config = {"labels": {"a.kind": ["b"]}, "modalities": {"us.x": {"kind": "ultrasound"}}}
    assert update(config, BundleConfig) == {
        "labels": {"a.kind": ["b"]},
        "modalities": {"us.x": {"modality_type": "ultrasound"}},
    }


@pytest.mark.parametrize(
    ("kind", "former", "present"),
    [
        (TrainConfig, ["--optim.clip", "1"], ["--optim.gradient_clip_norm=1"]),
        (TrainConfig, ["--optim.clip=1"], ["--optim.gradient_clip_norm=1"]),
        (TrainConfig, ["--optim.batch-size", "8"], ["--optim.batch_size=8"]),
        (TrainConfig, ["--calibration.delta", "0.1"], ["--calibration.confidence=0.9"]),
        (TrainConfig, ["--model.method", "sum"], ["--model.method=addition"]),
        (TrainConfig, ["--model", "{method: sum}"], ['--model={"method": "addition"}']),
        (TrainConfig, ["--model.fusion.exchange", "0.1"], []),
        (TrainConfig, ["--seed", "-1", "--resume"], ["--seed=-1", "--resume"]),
        (StudyConfig, ["x.yaml", "--only", "1/2"], ["x.yaml", "--shard=1/2"]),
        (CheckConfig, ["x.csv", "--json", "a=b"], ["x.csv", "--json=a=b"]),
        (ExplainConfig, ["--images.us-b", "x.png"], ["--images.us-b=x.png"]),
        (ModelConfig, ["-h", "--help", "--backbone.name="], ["-h", "--help", "--backbone.name="]),
    ],
)
def test_options(kind: type, former: list[str], present: list[str]) -> None:
    assert update_arguments(former, kind, lambda line: None) == present
