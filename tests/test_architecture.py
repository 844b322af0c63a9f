"""The walls of the house: who may import whom, what is public, what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import agfnet

ROOT = Path(agfnet.__file__).parent
GROUND = {"", "types", "config", "errors", "files"}  # "" is agfnet/__init__.py

# room -> rooms it may import; what those may import, it may import too
ARROWS = {
    "__main__": {"cli"},
    "cli": {"demo", "export", "hub", "serve", "terminal"},
    "demo": {"study", "phantom", "terminal"},
    "study": {"learning", "evaluation", "phantom", "terminal"},
    "evaluation": {"explain", "card"},
    "explain": {"inference"},
    "learning": {"models", "data", "bundle", "card"},
    "serve": {"explain", "terminal"},
    "inference": {"data", "bundle"},
    "phantom": {"data"},
    "models": set(),
    "data": set(),
    "bundle": set(),
    "card": {"bundle"},
    "export": {"models", "evaluation"},
    "hub": {"bundle"},
    "terminal": set(),
}
# file -> a room that only this file of its room may import
EXCEPTIONS = {"inference/torch_backend.py": {"models"}, "explain/recording.py": {"models"}}
FILES = sorted(ROOT.rglob("*.py"))


def reachable(room: str) -> set[str]:
    below = ARROWS.get(room, set())
    return {room} | below | {far for near in below for far in reachable(near)}


def imports(path: Path) -> set[str]:
    """Rooms of agfnet that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names = [module]
            if module == "agfnet":
                names = [f"agfnet.{alias.name}" for alias in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("agfnet.")}
    return {name for name in found if name.islower() and not name.startswith("_")}


def room_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    allowed = GROUND | reachable(room) | EXCEPTIONS.get(str(path.relative_to(ROOT)), set())
    assert room in ARROWS or room in GROUND, f"{room} is not a room of the house"
    assert imports(path) <= allowed


def test_ground_imports_only_ground() -> None:
    files = [path for path in FILES if room_of(path) in GROUND - {""}]
    assert {room_of(path) for path in files} == GROUND - {""}
    for path in files:
        assert imports(path) <= GROUND


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


@pytest.mark.parametrize(
    "module",
    [
        "agfnet.data.cases",
        "agfnet.data.splits",
        "agfnet.data.readers",
        "agfnet.data.preprocess",
        "agfnet.inference.predictor",
        "agfnet.evaluation.runs",
        "agfnet.phantom.cohort",
        "agfnet.bundle",
        "agfnet.serve.app",
        "agfnet.serve.worker",
    ],
)
def test_rooms_that_need_no_torch_load_none(module: str) -> None:
    assert "torch" not in loaded_by(f"import {module}")


PUBLIC = {
    "agfnet": {"NOTICE", "__version__"},
    "agfnet.data.cases": {"Case", "CasesTable", "map_labels", "read_cases", "write_cases"},
    "agfnet.inference.predictor": {"Backend", "Diagnosis", "Predictor"},
    "agfnet.inference.predictions": {"Predictions", "read_predictions", "write_predictions"},
    "agfnet.bundle": {"Bundle", "BundleConfig", "Calibration", "read_bundle", "write_bundle"},
    "agfnet.models.build": {"build"},
    "agfnet.models.agfnet": {"AGFNet"},
    "agfnet.learning.fit": {"fit"},
    "agfnet.explain.run": {"explain"},
    "agfnet.study.run": {"run"},
    "agfnet.evaluation.runs": {"calibrate_run", "evaluate_run"},
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
    assert PUBLIC[module] <= set(dir(sys.modules[module]))
