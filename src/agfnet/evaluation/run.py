"""Scoring of a run: inputs, predictions, results. Nothing is written here but by `write`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agfnet.allocation import keep_freed_memory
from agfnet.config import EvaluateConfig
from agfnet.data.table import Case
from agfnet.evaluation.evaluate import result_files
from agfnet.evaluation.image_warnings import image_warnings
from agfnet.evaluation.inputs import EvaluationInputs, read_inputs
from agfnet.evaluation.overlap import CHANGED, has_changed, overlap_sentence, training_overlap
from agfnet.evaluation.subgroups import case_attributes
from agfnet.explain.compute.sanity_json import SANITY
from agfnet.files import sha256
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.predictions import Predictions
from agfnet.robustness.conditions import complete, predict_conditions
from agfnet.robustness.focus import measure_focus
from agfnet.robustness.scores import ROBUSTNESS, score_conditions

Progress = Callable[[int, int], None]  # cases done, cases in all
FOCUS = "focus.json"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A scored run."""

    inputs: EvaluationInputs
    predictions: Predictions  # of the cases, in their order
    diagnoses: tuple[Diagnosis, ...]  # the same with every frame
    results: dict[str, Any]  # content of the JSON files by name; metrics.json is always there
    overlap: Mapping[str, int] | None  # lesions seen in training; None if unknown

    @property
    def metrics(self) -> dict[str, Any]:
        """Content of metrics.json."""
        metrics: dict[str, Any] = self.results["metrics.json"]
        return metrics


@keep_freed_memory()
def evaluate_run(config: EvaluateConfig, *, progress: Progress | None = None) -> Evaluation:
    """Score a run on a table. `agfnet.report.run.run_evaluation` also writes the results.

    Args:
        config: the run, the table and what to measure.
        progress: called with the number of finished cases and the number of all.

    Raises:
        AgfnetError: see `read_inputs`.
    """
    inputs = read_inputs(config)
    diagnoses: list[Diagnosis] = []

    def keep(_: Case, diagnosis: Diagnosis) -> None:
        diagnoses.append(diagnosis)
        if progress is not None:
            progress(len(diagnoses), len(inputs.cases))

    predictions = inputs.predictor.predict(inputs.cases, each=keep)
    results = result_files(
        predictions,
        attributes=case_attributes(inputs.cases),
        malignant=inputs.malignant,
        validation=inputs.validation,
        sensitivities=config.sensitivities,
        resamples=config.resamples,
        seed=config.seed,
    )
    results |= image_results(inputs, progress)
    if inputs.sanity is not None:
        results[SANITY] = dict(inputs.sanity)
    bundle = inputs.predictor.bundle.folder
    results["metrics.json"]["calibration"] = sha256(bundle / "calibration.json")
    table = inputs.table.path
    results["metrics.json"]["table"] = {"path": str(table.resolve()), "sha256": sha256(table)}
    overlap = training_overlap(inputs)
    if overlap is not None and overlap["lesions"]:
        results["metrics.json"]["training_overlap"] = dict(overlap) | {
            "warning": overlap_sentence(overlap)
        }
    warnings = image_warnings(diagnoses, inputs.predictor.bundle.config)
    if has_changed(inputs):
        warnings.insert(0, CHANGED)
    if warnings:
        results["metrics.json"]["warnings"] = warnings
    return Evaluation(
        inputs=inputs,
        predictions=predictions,
        diagnoses=tuple(diagnoses),
        results=results,
        overlap=overlap,
    )


def image_results(
    inputs: EvaluationInputs, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """robustness.json and focus.json, if the settings ask for them and the table allows them."""
    config, predictor = inputs.config, inputs.predictor
    options: dict[str, Any] = {"resamples": config.resamples, "seed": config.seed}
    results: dict[str, dict[str, Any]] = {}
    if config.robustness:
        cases = complete(inputs.cases, tuple(predictor.bundle.config.modalities))
        answers = predict_conditions(predictor, cases, seed=config.seed, progress=progress)
        results[ROBUSTNESS] = score_conditions(answers, reference=inputs.reference, **options)
    if config.max_focus_lesions:
        focus = measure_focus(
            predictor,
            inputs.cases,
            max_lesions=config.max_focus_lesions,
            progress=progress,
            **options,
        )
        if focus is not None:
            results[FOCUS] = focus
    return results
