"""A small phantom cohort and a network trained on it, made once per test process."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.phantom.cohort import make_cohort
from agfnet.study.run import run


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cases.csv of a cohort."""
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    return make_cohort(PhantomConfig(out=str(folder), lesions=84, size=64, seed=3))


@pytest.fixture(scope="session")
def settings(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Settings of a very small AGFnet."""
    return TrainConfig(
        data=DataConfig(cases=str(cohort), size=64),
        model=ModelConfig(
            backbone=BackboneConfig(
                name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
            ),
            fusion=FusionConfig(dim=16, heads=2, grid=2),
        ),
        optim=OptimConfig(epochs=2, batch_size=16, lr=1e-3),
        runs=str(tmp_path_factory.mktemp("runs")),
        name="small",
    )


@pytest.fixture(scope="session")
def trained(settings: TrainConfig) -> Path:
    """Run folder of a finished run."""
    return run(settings, bar=False)
