"""Settings of a resumed training: those of the run, and given ones that must agree with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agfnet.cli import main
from agfnet.config import DataConfig, ModalityConfig, OptimConfig, TrainConfig
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError, RunError
from agfnet.study.preset import plan_training
from agfnet.training.run_folder import PLAN, check_run, write_run

ROWS = [
    {
        "lesion_id": f"L{n}",
        "label": "ab"[n % 2],
        "split": ("train", "val")[n // 4],
        "photo": "x.png",
    }
    for n in range(8)
]
CHOSEN = [{"setting": "data.size", "value": 96, "reason": "for a CPU"}]


@pytest.fixture
def started(tmp_path: Path, write_table: Callable[..., Path]) -> TrainConfig:
    """Settings of a run that was stopped."""
    table = write_table(ROWS, images=False)
    (tmp_path / "x.png").write_bytes(b"x")
    data = DataConfig(cases=str(table), size=96, modalities={"photo": ModalityConfig()})
    config = TrainConfig(data=data, runs=str(tmp_path / "runs"), name="run")
    write_run(
        Path(config.runs) / config.name, config, read_cases(table, modalities=("photo",)), CHOSEN
    )
    return config


def resumed(started: TrainConfig, explicit: set[str], **changes: Any) -> TrainConfig:
    given = TrainConfig(
        data=DataConfig(cases=started.data.cases), runs=started.runs, name="run", resume=True
    )
    return plan_training(replace(given, **changes), explicit).config


def test_a_resumed_run_keeps_its_settings_and_its_plan(started: TrainConfig) -> None:
    config = resumed(started, {"name"})
    assert config == replace(started, resume=True)
    plan = Path(started.runs) / "run" / PLAN
    assert json.loads(plan.read_text()) == CHOSEN
    table = read_cases(config.data.cases, modalities=("photo",))
    write_run(plan.parent, config, table)  # as the resumed run does, without a plan
    assert json.loads(plan.read_text()) == CHOSEN


def test_a_given_part_of_a_modality_that_differs_is_refused(started: TrainConfig) -> None:
    name = "data.modalities.photo.resize"
    table = read_cases(started.data.cases, modalities=("photo",))
    for resize in ("crop", "pad"):
        modalities = {"photo": ModalityConfig(resize=resize)}
        data = replace(started.data, modalities=modalities)
        config = resumed(started, {name}, data=data)
        if resize == "crop":
            check_run(Path(started.runs) / "run", config, table)
            continue
        with pytest.raises(RunError, match=r"other settings \(data\.modalities\.photo\.resize\)"):
            check_run(Path(started.runs) / "run", config, table)


def test_the_command_refuses_it_as_well(
    started: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--runs={started.runs}", "--name=run", f"--data.cases={started.data.cases}"]
    for given, message in (
        ("--data.modalities.photo.resize=pad", "(data.modalities.photo.resize)"),
        ("--data.modalities.scan.resize=pad", "there is no scan; expected photo"),
    ):
        assert main(["train", *words, "--resume", given]) != 0
        assert message in capsys.readouterr().err


def test_a_modality_that_the_run_lacks_is_an_error(started: TrainConfig) -> None:
    data = replace(started.data, modalities={"scan": ModalityConfig()})
    with pytest.raises(ConfigError, match="there is no scan"):
        resumed(started, {"data.modalities.scan.resize"}, data=data)


def test_other_settings_that_differ_are_refused(started: TrainConfig) -> None:
    config = resumed(started, {"optim.epochs"}, optim=OptimConfig(epochs=3))
    with pytest.raises(RunError, match=r"optim\.epochs"):
        check_run(
            Path(started.runs) / "run",
            config,
            read_cases(started.data.cases, modalities=("photo",)),
        )
