"""Scoring a run: its bundle on a table, into `RUN/evaluation/NAME/`; and calibrating it before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from agfnet.bundle import BundleConfig, Calibration, write_calibration
from agfnet.calibration.fit import apply_calibration, fit_calibration
from agfnet.card import refresh_card
from agfnet.config import CalibrationConfig, EvaluateConfig, TrainConfig
from agfnet.config.renamed import update
from agfnet.data.folds import read_split
from agfnet.data.splits import require_split
from agfnet.data.table import Case, CasesTable, map_labels, read_cases
from agfnet.errors import ConfigError, DataError, RunError
from agfnet.evaluation.description import facts
from agfnet.evaluation.evaluate import FILES, result_files
from agfnet.evaluation.malignant import check_group
from agfnet.evaluation.subgroups import case_attributes
from agfnet.explain.compute.sanity_json import SANITY, read_sanity
from agfnet.files import write_json
from agfnet.inference.decisions_table import write_decisions
from agfnet.inference.frames_table import frames_table
from agfnet.inference.predictions import Predictions, read_predictions, write_predictions
from agfnet.inference.predictor import Diagnosis, Predictor
from agfnet.report.example_images import examples
from agfnet.report.write import write_report
from agfnet.robustness.conditions import complete, predict_conditions
from agfnet.robustness.focus import measure_focus
from agfnet.robustness.scores import score_conditions

Progress = Callable[[int, int], None]  # cases done, cases in all
VALIDATION = "validation.csv"
ROBUSTNESS, FOCUS = "robustness.json", "focus.json"


def evaluate_run(config: EvaluateConfig, *, progress: Progress | None = None) -> Path:
    """Score a run on a table.

    Returns:
        The folder with predictions.csv, frames.csv, report.html and the numbers (see
        `result_files`).

    Raises:
        RunError: no such run.
        BundleError: its bundle is missing or damaged.
        DataError: problems in the table or its images, or labels that the network does not know.
    """
    predictor = Predictor.load(run_folder(config.run))
    bundle = predictor.bundle
    name = config.name or (Path(config.cases).stem if config.cases else config.split or "test")
    if Path(name).name != name or name.startswith("."):
        raise ConfigError(f"name: {name!r} must be a plain name, not a path")
    if config.malignant is not None:
        check_group(bundle.config.classes, config.malignant)
    split = config.split or (None if config.cases else "test")
    table = run_table(config.run, config.cases, bundle.config)
    chosen = table.cases if split is None else require_split(table, split)
    cases, left_out = to_classes(chosen, bundle.config, table.path)
    folder = Path(config.run) / "evaluation" / name
    with frames_table(
        folder / "frames.csv",
        classes=bundle.config.classes,
        modalities=table.modalities,
        folder=table.path.parent,
    ) as write:
        predictions = predict(predictor, cases, progress, write)
    validation = Path(config.run) / VALIDATION
    results = result_files(
        predictions,
        attributes=case_attributes(cases),
        malignant=config.malignant or (),
        validation=read_predictions(validation) if validation.is_file() else None,
        sensitivities=config.sensitivities,
        resamples=config.resamples,
        seed=config.seed,
    )
    results |= trials(config, predictor, cases, name, progress)
    if checked := read_sanity(config.run, bundle):
        results[SANITY] = checked
    metrics = results["metrics.json"]
    limit = accuracy_limit(table.path, table.modalities, split)
    write_predictions(predictions, folder / "predictions.csv")
    write_decisions(predictions, folder / "predictions.csv")
    for file in (*FILES, ROBUSTNESS, FOCUS):
        if file in results:
            write_json(folder / file, results[file])
        else:  # of an earlier evaluation with other settings
            (folder / file).unlink(missing_ok=True)
    write_report(
        folder / "report.html",
        title=f"{Path(config.run).name}: {name}",
        predictions=predictions,
        metrics=metrics,
        results=results,
        limits={} if limit is None else {"accuracy": limit},
        context={
            "Network": bundle.config.model.method,
            "Backbone": bundle.config.model.backbone.name,
            "Modalities": ", ".join(bundle.config.modalities),
            "Image size": f"{bundle.config.size} px",
            "Table": table.path.name,
            "Split": split or "all cases",
            "Left out (labels that the network does not know)": left_out,
            "Temperature": f"{bundle.calibration.temperature:.3g}",
            "agfnet": bundle.config.agfnet,
        },
        facts=facts(
            bundle=bundle.config,
            calibration=bundle.calibration,
            settings=run_settings(config.run),
            environment=json.loads((Path(config.run) / "environment.json").read_text("utf-8")),
            table=table,
            own=config.cases is None,
            split=split,
            scored=metrics["n"],
            left_out=left_out,
            resamples=config.resamples,
            results=results,
        ),
        examples=examples(predictions, cases, predictor),
    )
    refresh_card(config.run)
    return folder


def trials(
    config: EvaluateConfig,
    predictor: Predictor,
    cases: Sequence[Case],
    name: str,
    progress: Progress | None,
) -> dict[str, dict[str, Any]]:
    """robustness.json and focus.json, as far as they are asked for and the table allows."""
    options = {"resamples": config.resamples, "seed": config.seed}
    found: dict[str, dict[str, Any]] = {}
    if config.robustness:
        other = None if config.reference is None else read_reference(config.reference, name)
        whole = complete(cases, tuple(predictor.bundle.config.modalities))
        answers = predict_conditions(predictor, whole, seed=config.seed, progress=progress)
        found[ROBUSTNESS] = score_conditions(answers, reference=other, **options)
    if config.max_focus_lesions:
        focus = measure_focus(
            predictor, cases, max_lesions=config.max_focus_lesions, progress=progress, **options
        )
        found |= {} if focus is None else {FOCUS: focus}
    return found


def read_reference(run: str | Path, name: str) -> dict[str, Any]:
    """The robustness of another run on the evaluation of the same name.

    Raises:
        DataError: it has none, or it is damaged.
    """
    path = Path(run) / "evaluation" / name / ROBUSTNESS
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"lesions", "clean", "conditions"} <= set(found):
            raise ValueError("it holds no conditions")
    except OSError as error:
        raise DataError(
            f"reference: {path}: cannot be read ({error.strerror}); run `agfnet evaluate {run} "
            "--robustness` on the same table first"
        ) from error
    except ValueError as error:
        raise DataError(f"reference: {path}: is damaged ({error}); evaluate {run} again") from error
    return found


def run_settings(run: str | Path) -> dict[str, Any]:
    """Content of a run's config.yaml."""
    values = yaml.safe_load((Path(run) / "config.yaml").read_text(encoding="utf-8"))
    settings: dict[str, Any] = update(values, TrainConfig)
    return settings


def calibrate_run(
    run: str | Path,
    *,
    config: CalibrationConfig | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the calibration of a run's bundle on the validation split and store it.

    Also writes `RUN/validation.csv`: how the calibrated bundle answers the validation split, from
    which `evaluate_run` takes thresholds.

    Args:
        run: run folder.
        config: what to fit; the run's own settings if unset.
        progress: told how many cases are done.
    """
    folder = run_folder(run)
    predictor = Predictor.load(folder)
    predictor.bundle = replace(predictor.bundle, calibration=Calibration())
    table = run_table(run, None, predictor.bundle.config)
    cases, _ = to_classes(require_split(table, "val"), predictor.bundle.config, table.path)
    predictions = predict(predictor, cases, progress)
    if config is None:
        config = CalibrationConfig(**run_settings(folder).get("calibration", {}))
    calibration = fit_calibration(predictions, config)
    write_calibration(predictor.bundle, calibration)
    write_predictions(apply_calibration(predictions, calibration), folder / VALIDATION)
    refresh_card(folder)
    return calibration


def run_folder(run: str | Path) -> Path:
    """The run's folder, if it is one with a finished training."""
    folder = Path(run)
    if not (folder / "config.yaml").is_file():
        raise RunError(f"{folder}: not a run folder (no config.yaml); expected runs/NAME")
    if not (folder / "bundle").is_dir():
        raise RunError(f"{folder}: training has not finished; go on with `train --resume`")
    return folder


def run_table(run: str | Path, cases: str | None, config: BundleConfig) -> CasesTable:
    """The given table, or the one that the run was trained on, split as it was there."""
    modalities = tuple(config.modalities)
    if cases is not None:
        return read_cases(cases, modalities=modalities)
    settings = run_settings(run)["data"]
    return read_split(settings["cases"], modalities=modalities, fold=settings.get("fold"))


def to_classes(
    cases: Sequence[Case], config: BundleConfig, path: Path
) -> tuple[tuple[Case, ...], int]:
    """Name labels as the network does; unlabelled cases stay, and left-out ones are counted.

    Raises:
        DataError: a label that is no class, when the network was trained on all labels.
    """
    if config.labels is None:
        for case in cases:
            if case.label not in ("", *config.classes):
                raise DataError(
                    f"{path}:{case.row} column label: '{case.label}' is not a class of this network"
                    f" ({', '.join(config.classes)}); correct it, or leave the cell empty"
                )
    kept, _, left_out = map_labels(cases, config.labels or config.classes, missing_ok=True)
    if not kept:
        raise DataError(f"{path}: no case has one of the classes {', '.join(config.classes)}")
    return kept, left_out


def predict(
    predictor: Predictor,
    cases: Sequence[Case],
    progress: Progress | None,
    each: Callable[[Case, Diagnosis], None] | None = None,
) -> Predictions:
    """Predict with progress against the total."""
    return predictor.predict(
        cases, progress=progress and (lambda done: progress(done, len(cases))), each=each
    )


def accuracy_limit(cases: Path, modalities: Sequence[str], split: str | None) -> float | None:
    """Best reachable accuracy, from the `truth.json` beside a phantom cohort's table."""
    path = cases.parent / "truth.json"
    if not path.is_file():
        return None
    truth = json.loads(path.read_text(encoding="utf-8"))
    limits = truth["limits_by_split"].get(split, truth["limits"])
    value = limits.get("both" if len(modalities) > 1 else modalities[0])
    return None if value is None else float(value)
