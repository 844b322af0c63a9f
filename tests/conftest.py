"""Fixtures of all rooms: a trained phantom network, image files, predictions tables."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    EvaluateConfig,
    FusionConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.inference.predictions import Predictions
from agfnet.phantom.cohort import make_cohort

SLOW = frozenset(Path(__file__).with_name("slow.txt").read_text(encoding="utf-8").splitlines())
"""Unmarked tests, and whole files, that `make quick` leaves out; `make times` writes the list."""

SHARED = {"trained": "trained", "cohort": "trained", "live": "live", "trees": "trees"}
"""Fixtures that take seconds, and the group of tests for which one process makes them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out slow tests")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    path = collection_path.relative_to(config.rootpath).as_posix()
    return True if config.getoption("--quick") and path in SLOW else None


def is_slow(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("slow", "browser"))
    return marked or item.nodeid.partition("[")[0] in SLOW


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests for `--quick`; of several processes, one makes what many tests share."""
    if config.getoption("--quick"):
        items[:] = [item for item in items if not is_slow(item)]
    for item in items:
        for name, group in SHARED.items():
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(group))


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
    """Run folder of a finished training, calibrated; `evaluated` is the same with a report."""
    from agfnet.evaluation.calibrate import calibrate_run
    from agfnet.training.fit import fit  # torch takes seconds to load, and most tests need none

    folder = fit(settings, progress=False)
    calibrate_run(folder)
    return folder


@pytest.fixture(scope="session")
def evaluated(trained: Path) -> Path:
    """Run folder of `trained`, evaluated on the test split: most of its time is the bootstrap."""
    from agfnet.report.run import run_evaluation

    run_evaluation(EvaluateConfig(run=str(trained)))
    return trained


@pytest.fixture(scope="session")
def trees() -> Mapping[Path, ast.Module]:
    """Syntax trees of all Python files but the tests."""
    root = Path(__file__).parents[1]
    paths = chain.from_iterable(
        root.glob(f"{folder}/**/*.py") for folder in ("src", "bench", "docs")
    )
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@pytest.fixture(scope="session")
def fits_schema() -> Callable[[str, Any], None]:
    """Raises if the content of a file does not fit its JSON Schema."""

    def fits(file: str, content: Any) -> None:
        from jsonschema import Draft202012Validator

        from agfnet.file_schemas import json_schema

        Draft202012Validator(json_schema(file)).validate(json.loads(json.dumps(content)))

    return fits


MODALITIES = ("clinical", "ultrasound")

WriteImage = Callable[..., Path]
WriteTable = Callable[..., Path]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Writes a small noise image at a path relative to `tmp_path`."""

    def write(name: str, *, height: int = 12, width: int = 16, seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(noise(height, width, seed)).save(path)
        return path

    return write


@pytest.fixture
def write_table(tmp_path: Path, write_image: WriteImage) -> WriteTable:
    """Writes a table of the given rows, and every image that they name."""

    def write(
        rows: Sequence[Mapping[str, str]], *, name: str = "cases.csv", images: bool = True
    ) -> Path:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        if images:
            names = [row.get(column, "") for row in rows for column in MODALITIES]
            for seed, image in enumerate("|".join(names).split("|")):
                if image.strip():
                    write_image(image.strip(), seed=seed)
        return path

    return write


Table = Callable[..., Predictions]


def _table(
    rows: int = 60, classes: int | tuple[str, ...] = 4, *, seed: int = 0, per_patient: int = 1
) -> Predictions:
    names = tuple(f"class {c}" for c in range(classes)) if isinstance(classes, int) else classes
    rng = np.random.default_rng(seed)
    target = rng.integers(len(names), size=rows)
    logits = rng.normal(size=(rows, len(names))) + 1.5 * np.eye(len(names))[target]
    odds = np.exp(logits)
    return Predictions(
        classes=names,
        lesion_id=tuple(f"L{row}" for row in range(rows)),
        patient_id=tuple(f"P{row // per_patient}" for row in range(rows)),
        label=tuple(names[index] for index in target),
        probabilities=odds / odds.sum(axis=1, keepdims=True),
    )


@pytest.fixture(scope="session")
def table() -> Table:
    """A cohort: table(rows, classes, seed=..., per_patient=...)."""
    return _table


@pytest.fixture(params=["random", "tied", "missing class", "one class", "two classes"])
def scored(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and target (N,) of every awkward kind."""
    rng = np.random.default_rng(7)
    classes = 2 if request.param == "two classes" else 5
    probabilities = rng.dirichlet(np.ones(classes), 200)
    target = rng.integers(classes, size=200)
    if request.param == "tied":
        grid = rng.multinomial(4, np.ones(classes) / classes, 200)
        probabilities = grid / grid.sum(axis=1, keepdims=True)
    if request.param == "missing class":
        target[target == 2] = 3
    if request.param == "one class":
        target[:] = 1
    return probabilities, target
