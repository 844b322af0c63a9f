"""A tiny study of two networks, and a stand-in for its training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agfnet.config import EvaluateConfig, TrainConfig
from agfnet.files import write_json, write_text
from agfnet.inference.predictions import Predictions, write_predictions
from agfnet.study.executors import job
from agfnet.training.run_folder import record

Write = Callable[..., Path]


@pytest.fixture
def study_file(tmp_path: Path) -> Write:
    """Writes a study file: study_file(methods=..., out=...)."""

    def write(name: str = "study", **changes: Any) -> Path:
        content = {
            "out": str(tmp_path / name),
            "cohort": {"lesions": 40, "size": 32, "frames": 1, "entities": ["naevus", "melanoma"]},
            "base": {
                "data": {"size": 32},
                "model": {
                    "backbone": {
                        "name": "resnet10t",
                        "options": {"channels": [8, 16, 24, 32], "stem_width": 8},
                    },
                    "fusion": {"dim": 16, "heads": 2, "grid": 2},
                },
                "optim": {"epochs": 2, "batch_size": 16, "lr": 1e-3},
            },
            "methods": ["AGFnet", "concatenation"],
            "seeds": [0, 1],
            "metrics": ["accuracy", "macro_auc", "nll"],
            "resamples": 50,
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | changes, sort_keys=False))
        return path

    return write


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that only write their answers, by seed and method; returns the names of those done.

    A run with the dropout 0.9 fails, one with 0.8 is stopped by Ctrl-C.
    """
    done: list[str] = []

    def train_and_evaluate(config: TrainConfig, *, scoring: EvaluateConfig, bar: bool) -> Path:
        folder = begin(config)
        assert scoring.run == str(folder)
        score(folder, "test", config, fold=config.data.fold or 0)
        done.append(config.name)
        return folder

    def train(config: TrainConfig, *, bar: bool) -> Path:
        folder = begin(config)
        score(folder, "val", config)
        done.append(config.name)
        return folder

    monkeypatch.setattr(job, "train_and_evaluate", train_and_evaluate)
    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(job, "run_evaluation", only_validation)
    monkeypatch.setattr(job, "read_split", lambda *_, **__: None)
    monkeypatch.setattr(job, "require_split", lambda *_: None)
    return done


def begin(config: TrainConfig) -> Path:
    """What every run does first."""
    assert config.resume
    folder = Path(config.runs) / config.name
    write_text(folder / "config.yaml", yaml.safe_dump(record(config)))
    if config.model.dropout == 0.9:
        raise ValueError("no such luck\nand more")
    if config.model.dropout == 0.8:
        raise KeyboardInterrupt
    return folder


def only_validation(config: EvaluateConfig) -> None:
    """A trial must ask for nothing else, and of its own folder."""
    assert (Path(config.run) / "config.yaml").is_file()
    assert config.split == "val"
    assert config.cases is None


def score(folder: Path, table: str, config: TrainConfig, fold: int = 0) -> None:
    """Write answers on 60 cases of 40 patients: AGFnet knows more than its peers."""
    cases = np.random.default_rng(7 + fold)
    target = cases.integers(2, size=60)
    noise = np.random.default_rng([config.seed, len(config.model.method)]).normal(size=60)
    sure = (2.0 if config.model.method == "agfnet" else 0.3) * (1 - config.optim.lr)
    p = 1 / (1 + np.exp(-sure * (2 * target - 1) - noise - 0.5 * cases.normal(size=60)))
    names = ("naevus", "melanoma")
    answers = Predictions(
        classes=names,
        lesion_id=tuple(f"{fold}-{row}" for row in range(60)),
        patient_id=tuple(f"{fold}-{row % 40}" for row in range(60)),
        label=tuple(names[index] for index in target),
        probabilities=np.stack([1 - p, p], axis=1),
    )
    write_predictions(answers, folder / "evaluation" / table / "predictions.csv")
    write_json(folder / "evaluation" / table / "metrics.json", {"n": 60})
