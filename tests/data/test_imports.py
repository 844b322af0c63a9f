from __future__ import annotations

import subprocess
import sys

import pytest

TORCH_FREE = [
    "cases",
    "deidentify.copy",
    "folds",
    "importers.derm7pt",
    "importers.folder",
    "importers.milk10k",
    "preprocess",
    "problems",
    "readers",
    "rows",
    "splits",
    "transforms",
]


@pytest.mark.parametrize("heavy", ["torch", "sklearn", "scipy"])
def test_modules_for_commands_and_serving_do_without(heavy: str):
    imports = "; ".join(f"import agfnet.data.{name}" for name in TORCH_FREE)
    code = f"{imports}; import sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
