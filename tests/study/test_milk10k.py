"""From the downloaded MILK10k folder to a trained network, on a few of its lesions."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from agfnet.config import ModalityConfig, TrainConfig
from agfnet.data.splits import split_cases
from agfnet.data.table import read_cases, write_cases
from agfnet.importing.milk10k import import_milk10k
from agfnet.study.run import run

SOURCE = os.environ.get("AGFNET_MILK10K")
VIEWS = ("clinical", "dermoscopic")


@pytest.mark.slow
@pytest.mark.skipif(not SOURCE, reason="AGFNET_MILK10K does not name the folder")
def test_import_split_train(settings: TrainConfig, tmp_path: Path) -> None:
    assert SOURCE is not None
    table = import_milk10k(SOURCE, tmp_path).table
    kept = [c for c in read_cases(table, modalities=VIEWS) if c.label in ("BCC", "NV")][:80]
    write_cases(split_cases(kept), tmp_path / "few.csv", modalities=VIEWS)
    folder = run(
        replace(
            settings,
            runs=str(tmp_path),
            data=replace(
                settings.data,
                cases=str(tmp_path / "few.csv"),
                modalities={name: ModalityConfig(modality_type="photo") for name in VIEWS},
            ),
        ),
        bar=False,
    )
    metrics = json.loads((folder / "evaluation" / "test" / "metrics.json").read_text())
    assert metrics["n"] == sum(case.split == "test" for case in split_cases(kept))
    assert 0 <= metrics["accuracy"]["value"] <= 1
