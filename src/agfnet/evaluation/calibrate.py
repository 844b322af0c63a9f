"""Calibration of a run's bundle on its validation split."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from agfnet.bundle import Bundle, Calibration, Familiarity, read_bundle, write_calibration
from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.calibration.ood import fit_familiarity
from agfnet.card import refresh_card
from agfnet.config import CalibrationConfig
from agfnet.config.renamed import run_settings
from agfnet.data.frames import expand
from agfnet.data.splits import require_split
from agfnet.data.table import Case
from agfnet.evaluation.inputs import VALIDATION, feature_folder, run_folder, run_table, to_classes
from agfnet.evaluation.run import Progress
from agfnet.inference.familiarity import image_statistics
from agfnet.inference.predictions import write_predictions
from agfnet.inference.predictor import Predictor, open_backend

MAX_STATISTICS = 1000
"""Training lesions whose images are described."""


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
    if config is None:
        config = CalibrationConfig(**settings.get("calibration", {}))
    predictor = neutral_predictor(read_bundle(folder), config, feature_folder(settings))
    table = run_table(settings, None, predictor.bundle.config)
    familiarity = training_statistics(predictor, require_split(table, "train"))
    neutral = replace(predictor.bundle.calibration, familiarity=familiarity or None)
    predictor.bundle = replace(predictor.bundle, calibration=neutral)
    cases, _ = to_classes(require_split(table, "val"), predictor.bundle.config, table.path)
    predictions = predictor.predict(
        cases, progress=progress and (lambda done: progress(done, len(cases)))
    )
    calibration = fit_calibration(predictions, config, familiarity)
    write_calibration(predictor.bundle, calibration)
    write_predictions(apply_calibration(predictions, calibration), folder / VALIDATION)
    refresh_card(folder)
    return calibration


def neutral_predictor(
    bundle: Bundle, config: CalibrationConfig, features: Path | None
) -> Predictor:
    """Return a predictor of a bundle without its calibration, with the flips of the settings.

    A graph of the bundle has the flips of the calibration with which it was exported.
    """
    same = bundle.calibration.flips == config.flips
    bundle = replace(bundle, calibration=Calibration(flips=config.flips))
    backend = open_backend(bundle, "auto" if same else "torch", features=features)
    return Predictor(bundle=bundle, backend=backend)


def training_statistics(predictor: Predictor, cases: Sequence[Case]) -> dict[str, Familiarity]:
    """Fit the statistics of training images, of the first frame of some lesions drawn at random.

    Args:
        predictor: prepares the images.
        cases: training cases.
    """
    rows = np.random.default_rng(0).permutation(len(cases))[:MAX_STATISTICS]
    statistics = {}
    with ThreadPoolExecutor(predictor.threads) as pool:
        for name in predictor.bundle.config.modalities:
            paths = [cases[row].images[name][0] for row in rows if cases[row].images.get(name)]
            frames = [(name, expand([path])[0]) for path in paths]
            images = pool.map(predictor.prepare, frames)
            statistics[name] = np.array([image_statistics(image) for image in images])
    return fit_familiarity(statistics)
