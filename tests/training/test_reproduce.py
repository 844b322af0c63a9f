"""A run that is trained again from its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agfnet.cli import main
from agfnet.config import FitConfig, PhantomConfig, TrainConfig
from agfnet.phantom.cohort import make_cohort
from agfnet.training.fit import fit


@pytest.mark.slow
def test_a_run_is_reproduced_with_other_workers_and_checkpoints(
    settings: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a copy of the run and of its table; with the same weights on any number of workers."""
    table = make_cohort(
        PhantomConfig(
            out=str(tmp_path / "a" / "cohort"),
            lesions=16,
            size=32,
            frames=2,
            split=(0.6, 0.4, 0.0),
            entities=["naevus", "melanoma"],
        )
    )
    optim = replace(settings.optim, epochs=1, batch_size=4, mixup=0.5, accumulate=2)
    config = replace(
        settings,
        data=replace(settings.data, cases=str(table), size=32, cache_mb=0),
        model=replace(settings.model, method="concatenation"),
        optim=optim,
        fit=FitConfig(checkpoint_minutes=0),
        runs=str(tmp_path / "a" / "runs"),
        name="first",
    )
    fit(config, progress=False)
    run = (tmp_path / "a").rename(tmp_path / "b") / "runs" / "first"
    record = json.loads((run / "environment.json").read_text())
    record["packages"]["torch"] = "1.0"
    (run / "environment.json").write_text(json.dumps(record))

    command = ["train", "--reproduce", str(run), "--runs", str(tmp_path / "again")]
    assert main([*command, "--optim.lr", "0.1"]) == 2
    assert "leave out optim.lr" in capsys.readouterr().err
    assert main([*command, "--data.workers", "2"]) == 0
    out = capsys.readouterr().out
    assert "What differs" in out
    assert "torch" in out
    assert f"The weights are those of {run}, to the last bit." in out
    assert (tmp_path / "again" / "first-reproduced" / "bundle").is_dir()
    (tmp_path / "b" / "cohort" / "cases.csv").unlink()
    assert main(["evaluate", str(run), "--split", "val"]) == 1
    assert "name it with --cases" in capsys.readouterr().err
