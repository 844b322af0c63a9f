"""Loggers of a training in addition to `history.csv`: TensorBoard and MLflow, both optional."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger

from agfnet.config import FitConfig
from agfnet.config.renamed import run_settings
from agfnet.errors import ConfigError
from agfnet.files import write_json
from agfnet.training.run_folder import SETTINGS

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
"""Names of loggers and of their packages."""
MLFLOW_FILE = "mlflow.db"
"""File of the folder of run folders for MLflow without an address."""
MLFLOW_RUN = "mlflow.json"
"""File of a run folder with the id of its run in MLflow, which `--resume` continues."""
PRIVATE = ("data.cases", "data.cache", "model.backbone.weights", "runs", "fit.mlflow_uri")
"""Settings that are not logged: paths of this machine, and an address that may hold a password."""


def check_loggers(config: FitConfig) -> None:
    """Check that the packages of the loggers are installed.

    Raises:
        ConfigError: one is not.
    """
    for name in config.loggers:
        if find_spec(name) is None:
            raise ConfigError(
                f"fit.loggers: {name} is not installed; pip install 'agfnet[loggers]', or leave it"
                " out"
            )


def build_loggers(folder: Path, config: FitConfig) -> list[Logger]:
    """Build the loggers of a run.

    TensorBoard writes to `tensorboard/` in the run folder. MLflow writes to the address of
    `fit.mlflow_uri` or the environment variable MLFLOW_TRACKING_URI, otherwise to the file
    `mlflow.db` next to the run folder, and to no network.
    """
    loggers: list[Logger] = []
    if TENSORBOARD in config.loggers:
        loggers.append(
            TensorBoardLogger(folder, name=TENSORBOARD, version="", default_hp_metric=False)
        )
    if MLFLOW in config.loggers:
        # MLflow otherwise reports its use to its makers, and says that it makes tables
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        local = f"sqlite:///{(folder.parent / MLFLOW_FILE).absolute().as_posix()}"
        file = folder / MLFLOW_RUN
        loggers.append(
            MLFlowLogger(
                experiment_name="agfnet",
                run_name=folder.name,
                tracking_uri=config.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI") or local,
                run_id=json.loads(file.read_text())["run_id"] if file.is_file() else None,
            )
        )
    return loggers


def begin_logging(folder: Path, loggers: list[Logger]) -> None:
    """Log the settings of a run, without its paths, and keep the id of its run in MLflow."""
    if not loggers or not (folder / SETTINGS).is_file():
        return
    settings = {k: v for k, v in flat(run_settings(folder)).items() if k not in PRIVATE}
    for logger in loggers:
        if isinstance(logger, MLFlowLogger):
            resumed = (folder / MLFLOW_RUN).is_file()
            write_json(folder / MLFLOW_RUN, {"run_id": logger.run_id})
            if resumed:  # MLflow refuses a setting that changes, as that of a neutral one may
                continue
        logger.log_hyperparams(settings)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value if isinstance(value, int | float) else str(value)
    return result
