"""The paragraph on methods of a paper, from the settings of a study and the records of its runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agfnet.config import CalibrationConfig, format_duration
from agfnet.files import read_record
from agfnet.metrics.seeds import MIN_NETWORKS
from agfnet.network_description import kept_epoch
from agfnet.study.characteristics import Cohort
from agfnet.study.plan import Run, Study
from agfnet.study.results import Section
from agfnet.study.schedule import seconds_of
from agfnet.study.settings import as_values
from agfnet.study.tables import count, metric_title
from agfnet.training.run_folder import differences


def methods_text(study: Study, cohort: Cohort, results: Sequence[Section]) -> list[str]:
    """Return the paragraphs: data, networks and training, statistics, software."""
    return [
        _data(study, cohort, results),
        _training(study),
        _statistics(study, results),
        _software(study),
    ]


def _listed(items: Sequence[object]) -> str:
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def _display(study: Study, name: str) -> str:
    return study.file.names.get(name, name)


def _data(study: Study, cohort: Cohort, results: Sequence[Section]) -> str:
    text = (
        f"The study includes {len(cohort.cases)} lesions of {cohort.patients} patients in "
        f"{len(cohort.classes)} classes ({', '.join(cohort.classes)}), with images of "
        f"{_listed(cohort.modalities)}. All lesions of a patient are in the same part of the data. "
    )
    if study.file.cohort is not None:
        drawn = "A separate cohort was drawn for every seed" if study.file.cohort_per_seed else ""
        text += "The cohorts are synthetic. " + (f"{drawn}. " if drawn else "")
    if study.file.folds is not None:
        text += (
            f"Cross-validation with {len(study.file.folds)} folds; an eighth of the other cases "
            "validates in each, and the test cases of all folds are pooled. "
        )
    text += " ".join(
        f"Tested on {section.title}: {section.cases} lesions of {section.patients} patients."
        for section in results
    )
    return text


def _training(study: Study) -> str:
    run = _first(study, study.reference)
    config, optim = run.config, run.config.optim
    backbone = config.model.backbone
    weights = backbone.weights or "random weights"
    seeds = _listed(study.file.seeds)
    return (
        f"Trained with {count(len(study.file.seeds), 'random seed')} each ({seeds}), "
        f"{count(len(study.runs), 'network')} in total: "
        f"{_listed([_display(study, name) for name in study.methods])}. Unless stated, all use the "
        "backbone "
        f"{backbone.name} ({weights}{', frozen' if backbone.frozen else ''}), images of "
        f"{config.data.size} x {config.data.size} pixels, AdamW with a maximum learning rate of "
        f"{optim.lr:g}, weight decay {optim.weight_decay:g}, batches of {optim.batch_size} and "
        f"{optim.epochs} epochs, with augmentation {'on' if config.data.augment else 'off'}. "
        + "".join(_changes(study, name) for name in study.methods)
        + "".join(
            f"Condition {_display(study, name)}: {_pairs(change)}. "
            for name, change in study.file.settings.items()
        )
        + f"The network of {kept_epoch(optim)} was kept, and {_scaling(config.calibration)}."
    )


def _scaling(config: CalibrationConfig) -> str:
    """State how the probabilities were calibrated, in words that follow a comma."""
    if config.scaling == "none":
        text = "probabilities were not scaled"
    else:
        text = f"probabilities were calibrated on the validation split ({config.scaling} scaling)"
    if config.logit_adjustment:
        text += f", with logit adjustment of strength {config.logit_adjustment:g}"
    return text


def _changes(study: Study, method: str) -> str:
    """State the settings in which a method differs from the reference."""
    if method == study.reference:
        return ""
    before, after = (as_values(_first(study, name).config) for name in (study.reference, method))
    names = [n for n in differences(before, after) if n.partition(".")[0] not in ("name", "runs")]
    changes = {name: _value(after, name) for name in names}
    return f"{_display(study, method)} differs from the reference in {_pairs(changes)}. "


def _value(values: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        values = values.get(part, "none") if isinstance(values, dict) else values
    return values


def _pairs(changes: Any) -> str:
    if not changes:
        return "no changes"
    pairs = [f"{name} = {json.dumps(value, default=str)}" for name, value in changes.items()]
    return ", ".join(pairs)


def _first(study: Study, method: str) -> Run:
    return next(run for run in study.runs if run.method == method)


def _statistics(study: Study, results: Sequence[Section]) -> str:
    metrics = _listed([metric_title(metric) for metric in study.file.metrics])
    if len(study.methods) == 1:
        return f"Metrics: {metrics}. {_intervals(study)}"
    text = (
        f"Metrics: {metrics}. {_intervals(study)} The methods were compared with "
        f"{_display(study, study.reference)} on the same cases and seeds; "
    )
    if _networks(study) < MIN_NETWORKS:
        text += f"no p values are given, since they need {MIN_NETWORKS} networks of each method."
    else:
        comparisons = count(len(study.methods) - 1, "comparison")
        text += f"p values are adjusted for {comparisons} (Holm)."
    if rope := next((section.rope for section in results if section.rope), None):
        margins = ", ".join(f"{metric_title(name)} {value:g}" for name, value in rope.items())
        text += (
            " Two methods were called practically the same if two one-sided tests exclude a "
            f"difference of the margin or more ({margins})."
        )
    return text


def _networks(study: Study) -> int:
    """Number of networks of each method."""
    return len(study.file.seeds) * len(study.file.folds or [None])


def _intervals(study: Study) -> str:
    """State the population of the intervals, and how they are computed (decision 018)."""
    if len(study.file.seeds) == 1 and _networks(study) >= MIN_NETWORKS:
        return (
            "The 95 % intervals hold for new patients and networks trained on others of the "
            "patients. Their variance, of a jackknife over whole patients, is at least that of the "
            "corrected resampled t test over folds (Nadeau and Bengio, 2003)."
        )
    if len(study.file.seeds) == 1:
        return (
            "The 95 % intervals, from a jackknife over whole patients, hold for new patients and "
            "these trained networks, not for networks trained with other seeds."
        )
    text = (
        "A value is the mean over seeds; its 95 % interval holds for new patients and networks "
        "trained with other seeds. "
    )
    least = (
        " Neither intervals nor p are smaller than those of a jackknife over whole patients for "
        "these trained networks."
    )
    if study.file.cohort_per_seed:
        return text + f"Every seed has a separate cohort: the test is Student's over seeds.{least}"
    text += (
        "The variance has a part of the seeds and a part of the patients (a jackknife over whole "
        "patients), each with the quantile for its own degrees of freedom (Banerjee, 1960)."
    )
    if study.file.folds is not None:
        text += " It is at least that of the corrected resampled t test (Nadeau and Bengio, 2003)."
    return text + least


def _software(study: Study) -> str:
    finished = [(run, s) for run in study.runs if (s := seconds_of(run)) is not None]
    records = [
        read_record(run.folder / "environment.json")
        for run in study.runs
        if (run.folder / "environment.json").is_file()
    ]
    if not records:
        return "No run has a record of its software."
    texts = dict.fromkeys(_environment(record) for record in records)
    text = f"Software: {'; or '.join(texts)}."
    if finished:
        total = format_duration(sum(seconds for _, seconds in finished))
        text += f" Training and evaluation of {count(len(finished), 'network')} took {total}."
    return text


def _environment(record: Any) -> str:
    commit = f" (commit {record['git']})" if record.get("git") else ""
    packages = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
    return (
        f"agfnet {record['agfnet']}{commit}, Python {record['python']}, {packages}; device: "
        f"{record['device']}, {count(record['threads'], 'thread')}"
    )
