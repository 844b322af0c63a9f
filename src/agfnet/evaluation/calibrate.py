"""Calibration of a run's bundle on its validation split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agfnet.bundle import Calibration, write_calibration
from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.card import refresh_card
from agfnet.config import CalibrationConfig
from agfnet.config.renamed import run_settings
from agfnet.data.splits import require_split
from agfnet.evaluation.inputs import VALIDATION, feature_folder, run_folder, run_table, to_classes
from agfnet.evaluation.run import Progress
from agfnet.inference.predictions import write_predictions
from agfnet.inference.predictor import Predictor


def calibrate_run(
    run: str | Path,
    *,
    config: CalibrationConfig | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the calibration of a run's bundle on the validation split and store it.

    Also write `RUN/validation.csv`: the calibrated predictions of the validation split, from which
    `evaluate_run` takes thresholds.

    Args:
        run: run folder.
        config: what to fit; the run's settings if None.
        progress: called with the number of finished cases and the number of all.
    """
    folder = run_folder(run)
    settings = run_settings(folder)
    predictor = Predictor.load(folder, features=feature_folder(settings))
    predictor.bundle = replace(predictor.bundle, calibration=Calibration())
    table = run_table(settings, None, predictor.bundle.config)
    cases, _ = to_classes(require_split(table, "val"), predictor.bundle.config, table.path)
    predictions = predictor.predict(
        cases, progress=progress and (lambda done: progress(done, len(cases)))
    )
    if config is None:
        config = CalibrationConfig(**settings.get("calibration", {}))
    calibration = fit_calibration(predictions, config)
    write_calibration(predictor.bundle, calibration)
    write_predictions(apply_calibration(predictions, calibration), folder / VALIDATION)
    refresh_card(folder)
    return calibration
