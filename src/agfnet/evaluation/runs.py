"""Scoring a run: its bundle on a table, into `RUN/evaluation/NAME/`; and calibrating it before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from agfnet.bundle import Bundle, BundleConfig, Calibration, write_calibration
from agfnet.config import EvaluateConfig, ModalityConfig
from agfnet.data.cases import Case, CasesTable, map_labels, read_cases
from agfnet.data.folds import read_split
from agfnet.data.preprocess import load
from agfnet.data.splits import require_split
from agfnet.errors import ConfigError, DataError, RunError
from agfnet.evaluation.calibration import fit_temperature
from agfnet.evaluation.evaluate import evaluate
from agfnet.evaluation.examples import Example, choose_examples
from agfnet.evaluation.report import write_report
from agfnet.files import write_json
from agfnet.inference.frames import frames_table
from agfnet.inference.predictions import Predictions, write_predictions
from agfnet.inference.predictor import Diagnosis, Predictor

Progress = Callable[[int, int], None]  # cases done, cases in all


def evaluate_run(config: EvaluateConfig, *, progress: Progress | None = None) -> Path:
    """Score a run on a table.

    Returns:
        The folder with predictions.csv, frames.csv, metrics.json and report.html.

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
    metrics = evaluate(predictions, resamples=config.resamples, seed=config.seed)
    limit = accuracy_limit(table.path, table.modalities, split)
    write_predictions(predictions, folder / "predictions.csv")
    write_json(folder / "metrics.json", metrics)
    write_report(
        folder / "report.html",
        title=f"{Path(config.run).name}: {name}",
        predictions=predictions,
        metrics=metrics,
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
        examples=examples(predictions, cases, bundle),
    )
    return folder


def calibrate_run(run: str | Path, *, progress: Progress | None = None) -> float:
    """Fit the temperature of a run's bundle on the validation split and store it.

    Temperature scaling (Guo et al., 2017, arXiv:1706.04599).
    """
    predictor = Predictor.load(run_folder(run))
    predictor.bundle = replace(predictor.bundle, calibration=Calibration())
    table = run_table(run, None, predictor.bundle.config)
    cases, _ = to_classes(require_split(table, "val"), predictor.bundle.config, table.path)
    predictions = predict(predictor, cases, progress).labelled()
    temperature = fit_temperature(predictions.probabilities, predictions.target)
    write_calibration(predictor.bundle, Calibration(temperature=temperature))
    return temperature


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
    settings = yaml.safe_load((Path(run) / "config.yaml").read_text(encoding="utf-8"))["data"]
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


def examples(predictions: Predictions, cases: Sequence[Case], bundle: Bundle) -> list[Example]:
    """Cases for the gallery, with the first image of each modality as the network sees it."""

    def side(modality: ModalityConfig) -> int:
        """Finer than the network's, unless the side decides how many millimetres are seen."""
        return bundle.config.size if modality.mm_per_pixel else 192

    return [
        Example(
            lesion_id=predictions.lesion_id[row],
            label=predictions.label[row],
            predicted=predictions.predicted[row],
            probabilities=predictions.probabilities[row],
            images={
                name: load(cases[row].images[name][0], size=side(modality), modality=modality)
                for name, modality in bundle.config.modalities.items()
                if cases[row].images[name]
            },
        )
        for row in choose_examples(predictions)
    ]
