"""A training that is stopped at a file operation is finished by the same command."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agfnet.config import PhantomConfig, TrainConfig
from agfnet.errors import RunError
from agfnet.phantom.cohort import make_cohort
from agfnet.study.run import run

from ..interruption import interruptions


@pytest.mark.slow
def test_every_stop_from_the_last_epoch_to_the_calibration_is_finished(
    settings: TrainConfig, tmp_path: Path
) -> None:
    """Checkpoints, history, bundle and calibration; without a test split nothing is evaluated.

    Before every fourth change: those of checkpoints and of bundles have tests of their own.
    """
    table = make_cohort(
        PhantomConfig(
            out=str(tmp_path / "cohort"),
            lesions=16,
            size=32,
            frames=1,
            split=(0.6, 0.4, 0.0),
            entities=["naevus", "melanoma"],
        )
    )
    config = replace(
        settings,
        data=replace(settings.data, cases=str(table), size=32),
        model=replace(settings.model, method="concatenation"),
        optim=replace(settings.optim, epochs=1),
        runs=str(tmp_path / "runs"),
        resume=True,
    )
    folder = tmp_path / "runs" / config.name

    def results() -> dict[str, bytes]:
        """All files, without the content of pickles and of the file that names the commit."""
        return {
            path.relative_to(folder).as_posix(): b""
            if path.suffix == ".ckpt" or path.name == "environment.json"
            else path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    run(config, bar=False)
    expected = results()
    assert {"history.csv", "bundle/SHA256SUMS", "bundle/calibration.json"} <= expected.keys()
    for interruption in interruptions(folder, most=200, step=4):
        shutil.rmtree(folder)
        with interruption, contextlib.suppress(RunError):  # the message of a stopped training
            run(config, bar=False)
        (folder / ".lock").unlink(missing_ok=True)  # of a dead process: taken over
        run(config, bar=False)
        assert results() == expected, interruption.number
    assert interruption.number > 70
