"""Every ready-made settings file is valid and headed by the command that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.cli import build_parser

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config(path: Path) -> None:
    header = path.read_text().split("\n\n")[0]
    assert header.startswith("#")
    assert f"agfnet train --config configs/{path.name}" in header
    arguments = ["train", "--config", str(path), "--data.cases", "cases.csv"]
    assert build_parser().parse_args(arguments).train.data.cases == "cases.csv"


def test_there_are_configs() -> None:
    assert CONFIGS
