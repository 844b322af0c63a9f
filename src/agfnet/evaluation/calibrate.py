"""Calibration of a run's bundle on its validation split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from agfnet.bundle import (
    Bundle,
    Calibration,
    Familiarity,
    SimilarIndex,
    read_bundle,
    write_calibration,
    write_similar,
)
from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.calibration.ood import fit_familiarity
from agfnet.card import refresh_card
from agfnet.config import CalibrationConfig
from agfnet.config.renamed import run_settings
from agfnet.data.cache import feature_folder
from agfnet.data.frames import expand
from agfnet.data.splits import require_split
from agfnet.data.table import Case, CasesTable
from agfnet.evaluation.inputs import VALIDATION, run_folder
from agfnet.evaluation.members import (
    cases_of,
    member_settings,
    member_tables,
    predict_untrained,
    to_classes,
    training_patients,
)
from agfnet.evaluation.network_warnings import find_problems, write_warnings
from agfnet.evaluation.observations import observe
from agfnet.evaluation.overlap import CHANGED, differs
from agfnet.evaluation.run import Progress
from agfnet.files import remove_temporary
from agfnet.inference.familiarity import image_statistics
from agfnet.inference.predictions import write_predictions
from agfnet.inference.predictor import Predictor
from agfnet.inference.similar import lesion_features
from agfnet.inference.torch_backend import TorchBackend

MAX_STATISTICS = 1000
"""Training lesions whose images are described."""


def calibrate_run(
    run: str | Path,
    *,
    config: CalibrationConfig | None = None,
    cases: str | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the calibration of a run's bundle on the validation split and store it.

    For an ensemble, these are the validation cases of all members. A member does not take part in
    the prediction of a case whose patient it was trained on.

    Also write `RUN/validation.csv`, the calibrated predictions of the validation split, from which
    `evaluate_run` takes thresholds, and `RUN/warnings.json`, the warnings about the network.

    Args:
        run: run folder.
        config: what to fit; the run's settings if None.
        cases: path of the run's table; the one that the run has recorded if None.
        progress: called with the number of finished cases and the number of all.
    """
    folder = run_folder(run)
    remove_temporary(folder, deep=False)  # of a killed calibration: nothing else writes here now
    settings = run_settings(folder)
    if config is None:
        config = CalibrationConfig(**settings.get("calibration", {}))
    predictor = neutral_predictor(read_bundle(folder), config, feature_folder(settings))
    members = member_settings(folder, settings)
    if cases is not None:
        for member in members:
            member["data"]["cases"] = cases
    tables = member_tables(members, predictor.bundle.config)
    for table in tables:
        require_split(table, "val")
    if len(tables) == 1 and differs(tables[0], predictor.bundle.config):
        logging.getLogger(__name__).warning("%s: %s", folder, CHANGED)
    held = cases_of(tables, "val")
    familiarity = training_statistics(predictor, training_cases(tables, held))
    neutral = replace(predictor.bundle.calibration, familiarity=familiarity or None)
    predictor.bundle = replace(predictor.bundle, calibration=neutral)
    scored, _ = to_classes(held, predictor.bundle.config, tables[0].path)
    trained = training_patients(tables)
    predictions = predict_untrained(predictor, scored, trained, progress)
    calibration = fit_calibration(predictions, config, familiarity)
    predictor.bundle = write_calibration(predictor.bundle, calibration)
    index = similar_index(predictor, training_cases(tables, held), config.similar)
    predictor.bundle = write_similar(predictor.bundle, index)
    predictions = apply_calibration(predictions, calibration)
    write_predictions(predictions, folder / VALIDATION)
    observations = observe(folder, predictor, scored, predictions, trained)
    write_warnings(folder, find_problems(observations))
    refresh_card(folder)
    return calibration


def similar_index(predictor: Predictor, cases: Sequence[Case], count: int) -> SimilarIndex | None:
    """Return the features of training lesions, drawn at random; None for none.

    Args:
        predictor: of the run.
        cases: training cases.
        count: the most lesions to keep.
    """
    if not count:
        return None
    rows = sorted(np.random.default_rng(0).permutation(len(cases))[:count].tolist())
    kept, features = [], []
    for case in to_classes([cases[row] for row in rows], predictor.bundle.config, Path())[0]:
        vector = lesion_features(predictor, case.images) if any(case.images.values()) else None
        if vector is not None and case.label:
            kept.append(case)
            features.append(vector)
    if not kept:
        return None
    return SimilarIndex(
        features=np.stack(features).astype(np.float16),
        labels=tuple(case.label for case in kept),
        lesion_ids=tuple(case.lesion_id for case in kept),
    )


def neutral_predictor(
    bundle: Bundle, config: CalibrationConfig, features: Path | None
) -> Predictor:
    """Return a predictor of a bundle without its calibration, with the flips of the settings.

    It runs in torch: a graph of the bundle has the flips with which it was exported.
    """
    bundle = replace(bundle, calibration=Calibration(flips=config.flips))
    return Predictor(bundle=bundle, backend=TorchBackend(bundle=bundle, features=features))


def training_cases(tables: Sequence[CasesTable], held: Sequence[Case]) -> tuple[Case, ...]:
    """Return the training cases of any of the tables, without those in `held` if some are left."""
    excluded = {case.lesion_id for case in held}
    cases = cases_of(tables, "train")
    return tuple(case for case in cases if case.lesion_id not in excluded) or cases


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
