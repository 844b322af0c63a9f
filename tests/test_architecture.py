"""The walls of the house: who may import whom, what is public, what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import agfnet

ROOT = Path(__file__).parents[1] / "src" / "agfnet"
GROUND = {
    "",
    "allocation",
    "cluster",
    "types",
    "config",
    "diagnoses",
    "errors",
    "files",
    "locks",
    "parallel",
    "threads",
    "translation",
}
"""Rooms that all may import; "" is agfnet/__init__.py."""

# room -> rooms it may import; what those may import, it may import too
ARROWS = {
    "": {"api", "models"},  # public names, imported when they are used
    "api": {"study", "phantom", "export", "explain.run"},
    "__main__": {"cli"},
    "cli": {
        "check",
        "deidentify",
        "demo",
        "doctor",
        "export",
        "file_schemas",
        "hub",
        "importing",
        "remote",
        "serve",
        "terminal",
    },
    "doctor": {"training", "phantom", "export", "inference"},
    "demo": {"study", "phantom", "terminal"},
    "study": {"training", "report", "explain.run", "phantom", "terminal"},
    "explain.run": {"explain.show"},
    "report": {"evaluation", "explain.show"},
    "pages": set(),
    "evaluation": {"calibration", "robustness", "card"},
    "calibration": {"metrics", "inference"},
    "robustness": {"metrics", "explain.compute"},
    "metrics": set(),
    "remote": set(),
    "explain.show": {"explain.compute", "pages"},
    "explain.compute": {"inference"},
    "explain": set(),
    "training": {"models", "data", "bundle", "card", "terminal"},
    "serve": {"explain.compute", "check", "terminal"},
    "inference": {"data", "bundle"},
    "check": {"data", "pages"},
    "deidentify": {"data"},
    "importing": {"data", "pages"},
    "phantom": {"data"},
    "models": set(),
    "data": set(),
    "bundle": set(),
    "card": {"inference", "network_description"},
    "network_description": {"bundle"},
    "export": {"models", "evaluation"},
    "hub": {"bundle"},
    "file_schemas": {"bundle"},
    "terminal": set(),
}
INNER = {"explain"}  # rooms whose inner rooms have arrows of their own
# file -> a room that only this file of its room may import
EXCEPTIONS = {
    "inference/torch_backend.py": {"models"},
}
FILES = sorted(ROOT.rglob("*.py"))


def reachable(room: str) -> set[str]:
    below = ARROWS.get(room, set())
    return {room} | below | {far for near in below for far in reachable(near)}


def imports(tree: ast.Module) -> set[str]:
    """Rooms of agfnet that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            module = node.module or ""
            names = [module]
            if module == "agfnet":
                names = [f"agfnet.{alias.name}" for alias in node.names]
        found |= {room_named(n.partition(".")[2]) for n in names if n.startswith("agfnet.")}
    return {name for name in found if name.islower() and not name.startswith("_")}


def room_named(module: str) -> str:
    """Room of a module's name below agfnet."""
    first, *rest = module.split(".")
    return f"{first}.{rest[0]}" if first in INNER and rest else first


def room_of(path: Path) -> str:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return room_named(module.removesuffix("__init__").removesuffix("."))


@pytest.mark.parametrize("room", sorted({room_of(path) for path in FILES}))
def test_imports_follow_the_arrows(room: str, trees: Mapping[Path, ast.Module]) -> None:
    assert room in ARROWS or room in GROUND, f"{room} is not a room of the house"
    allowed = GROUND | reachable(room)
    for path in FILES:
        if room_of(path) == room:
            file = str(path.relative_to(ROOT))
            assert imports(trees[path]) <= allowed | EXCEPTIONS.get(file, set()), file


def test_ground_imports_only_ground(trees: Mapping[Path, ast.Module]) -> None:
    files = [path for path in FILES if room_of(path) in GROUND - {""}]
    assert {room_of(path) for path in files} == GROUND - {""}
    for path in files:
        assert imports(trees[path]) <= GROUND


def test_data_and_models_never_meet() -> None:
    assert "models" not in reachable("data")
    assert "data" not in reachable("models")


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {module.split(".")[0] for module in done.stdout.splitlines()[-1].split()}


def test_help_loads_nothing_heavy() -> None:
    code = "from agfnet.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass"
    heavy = {"torch", "torchvision", "timm", "lightning", "scipy", "sklearn", "matplotlib", "PIL"}
    assert not heavy & loaded_by(code)


def test_a_table_that_is_not_there_is_refused_before_torch_is_loaded() -> None:
    code = "from agfnet.cli import main\nassert main(['train', '--data.cases', 'no.csv']) == 1"
    assert "torch" not in loaded_by(code)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "agfnet.api.commands",
        "agfnet.api.model",
        "agfnet.data.table",
        "agfnet.data.splits",
        "agfnet.data.readers",
        "agfnet.data.preprocess",
        "agfnet.inference.predictor",
        "agfnet.evaluation.run",
        "agfnet.report.run",
        "agfnet.phantom.cohort",
        "agfnet.bundle",
        "agfnet.serve.app",
        "agfnet.serve.worker",
    ],
)
def test_rooms_that_need_no_torch_load_none(module: str) -> None:
    assert "torch" not in loaded_by(f"import {module}")


@pytest.mark.slow
def test_a_worker_of_the_server_starts_without_scipy() -> None:
    assert "scipy" not in loaded_by("import agfnet.serve.worker")


PUBLIC = {
    "agfnet": {
        *("AGFNetClassifier", "Model", "NOTICE", "Result", "__version__", "compare"),
        *("create_model", "load", "make_phantom", "split", "train"),
    },
    "agfnet.models": {"AGFNet", "create_model"},
    "agfnet.data.table": {"Case", "CasesTable", "map_labels", "read_cases", "write_cases"},
    "agfnet.inference.predictor": {"Backend", "Diagnosis", "Predictor"},
    "agfnet.inference.predictions": {"Predictions", "read_predictions", "write_predictions"},
    "agfnet.bundle": {"Bundle", "BundleConfig", "Calibration", "read_bundle", "write_bundle"},
    "agfnet.models.build": {"build"},
    "agfnet.models.agfnet": {"AGFNet"},
    "agfnet.training.fit": {"fit"},
    "agfnet.explain.run": {"explain"},
    "agfnet.study.run": {"run"},
    "agfnet.evaluation.calibrate": {"calibrate_run"},
    "agfnet.evaluation.run": {"evaluate_run"},
    "agfnet.report.run": {"run_comparison", "run_evaluation"},
    "agfnet.phantom.cohort": {"make_cohort"},
    "agfnet.types": {"Batch", "Features", "Output"},
    "agfnet.errors": {
        "AgfnetError",
        "BundleError",
        "ConfigError",
        "DataError",
        "ImageError",
        "RunError",
    },
}


@pytest.mark.parametrize("module", PUBLIC)
def test_names_that_users_build_on_stay(module: str) -> None:
    __import__(module)
    assert all(hasattr(sys.modules[module], name) for name in PUBLIC[module])


def test_public_names_are_pinned() -> None:
    assert set(agfnet.__all__) == PUBLIC["agfnet"]
    assert set(agfnet._MODULES) | {"NOTICE", "__version__"} == PUBLIC["agfnet"]


def test_import_is_light() -> None:
    packages = {"numpy", "torch", "PIL", "yaml", "rich", "jsonargparse", "pydantic", "scipy"}
    assert not packages & loaded_by("import agfnet; dir(agfnet)")
