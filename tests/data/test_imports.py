from __future__ import annotations

import subprocess
import sys

import pytest

TORCH_FREE = [
    "data.folds",
    "data.preprocess",
    "data.problems",
    "data.readers",
    "data.rows",
    "data.splits",
    "data.table",
    "data.transforms",
    "deidentify.copy",
    "importing.derm7pt",
    "importing.folder",
    "importing.milk10k",
]


@pytest.mark.parametrize("heavy", ["torch", "sklearn", "scipy"])
def test_modules_for_commands_and_serving_do_without(heavy: str):
    imports = "; ".join(f"import agfnet.{name}" for name in TORCH_FREE)
    code = f"{imports}; import sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
