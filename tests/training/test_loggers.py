"""TensorBoard and MLflow, with the files that they write."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agfnet.config import DataConfig, FitConfig, TrainConfig
from agfnet.errors import ConfigError, RunError
from agfnet.training import loggers
from agfnet.training.run_folder import record

from .ramp import RampTask, rows, train


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    settings = record(TrainConfig(data=DataConfig(cases="/home/someone/data.csv")))
    settings["data"]["cache"] = settings["model"]["backbone"]["weights"] = "/home/someone/file"
    settings["fit"]["mlflow_uri"] = "https://someone:secret@example.org"
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


@pytest.mark.slow
def test_tensorboard_gets_the_losses_of_every_epoch_and_no_path(folder: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(folder, RampTask(best=0.6), fit=FitConfig(loggers=["tensorboard"]))
    written = events.EventAccumulator(str(folder / "tensorboard"))
    written.Reload()
    logged = [event.value for event in written.Scalars("val_nll")]
    assert logged == pytest.approx([float(row["val_nll"]) for row in rows(folder)], rel=1e-6)
    content = b"".join(path.read_bytes() for path in (folder / "tensorboard").iterdir())
    assert b"optim.epochs: 50" in content
    assert b"someone" not in content


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")  # of MLflow's queries
def test_mlflow_gets_them_in_one_run_that_is_continued(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    fit = FitConfig(loggers=["mlflow"])
    with pytest.raises(RunError, match="--resume"):
        train(folder, RampTask(best=0.6, stop_after=7), fit=fit)
    train(folder, RampTask(best=0.6), fit=fit)
    client = mlflow.MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("agfnet")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "first"
    values = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "val_nll")}
    assert list(values.values()) == pytest.approx(
        [float(row["val_nll"]) for row in rows(folder)], rel=1e-6
    )
    assert run.data.params["optim.epochs"] == "50"
    assert "someone" not in str(run.data.params)


def test_a_logger_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"fit\.loggers: mlflow .*agfnet\[loggers\]"):
        loggers.check_loggers(FitConfig(loggers=["mlflow"]))
    loggers.check_loggers(FitConfig())
