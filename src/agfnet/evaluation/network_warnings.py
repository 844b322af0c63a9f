"""Warnings about a trained network, each with its cure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import BundleConfig
from agfnet.evaluation.members import MEMBERS
from agfnet.files import read_record, write_json
from agfnet.inference.predictions import Predictions
from agfnet.metrics.discrimination import balanced_accuracy

WARNINGS = "warnings.json"
MIN_GAIN = 0.1
"""Balanced accuracy, scaled from 0 (guessing) to 1, below which nothing is learned."""
MIN_CHANGE = 0.01
"""Mean change of the probabilities without a modality, below which it is ignored."""
MIN_PATIENTS = 50
"""Validation patients below which a calibration is hardly more than a guess."""
MIN_OF_CLASS = 5
"""Training lesions of a class below which it can hardly be learned."""
MIN_LESIONS = 2000
"""Training lesions below which random weights are a mistake."""
MAX_RISE = 1.5
"""Validation loss at the end, relative to the lowest one, from which on a network overfits."""
MIN_DEVIATION = 0.02
"""Standard deviation of a guide within an image, below which it is uniform."""
MIN_CASES = 5
"""Labelled validation cases below which their predictions are not judged."""


@dataclass(frozen=True)
class NetworkWarning:
    """A warning."""

    code: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.message} {self.cure}"


@dataclass(frozen=True)
class Observations:
    """Results that the checks look at; all predictions are of labelled validation cases."""

    config: BundleConfig
    settings: Mapping[str, Any]
    """Content of config.yaml."""
    predictions: Predictions
    """Of all cases."""
    complete: Predictions
    """Of cases with all modalities."""
    alone: Mapping[str, Predictions] = field(default_factory=dict)
    """Of the same cases with one modality only."""
    without: Mapping[str, Predictions] = field(default_factory=dict)
    """Of the same cases without one modality."""
    history: Sequence[Mapping[str, float]] = ()
    """Rows of history.csv."""
    guide_deviations: Mapping[str, float] = field(default_factory=dict)
    """By modality, the largest standard deviation of a guide within an image, over the scales."""


def find_problems(seen: Observations) -> list[NetworkWarning]:
    """Return the warnings about a network, the gravest first."""
    collapsed = list(one_class(seen))
    checks = [rare_class, small_validation, random_weights, overfitting, dead_guide]
    if not collapsed:  # otherwise they follow from it
        checks = [majority, single_modality, ignored_modality, *checks]
    return [*collapsed, *(warning for check in checks for warning in check(seen))]


def one_class(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a network that gives the same answer for all cases."""
    answers = set(seen.predictions.predicted)
    labels = set(seen.predictions.label)
    if len(seen.predictions) >= MIN_CASES and len(answers) == 1 < len(labels):
        yield NetworkWarning(
            "one_class",
            f"The network answers {_name(seen, min(answers))} for all {len(seen.predictions)}"
            " validation lesions: it has learned nothing.",
            "Check the labels and images with `agfnet check`, and train longer, with pretrained"
            " weights (`--preset auto`) or with `--optim.sampling balanced`.",
        )


def majority(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a network that is not better than always naming the most common class."""
    cases = seen.predictions
    if len(cases) < MIN_CASES:
        return
    right = float((cases.probabilities.argmax(axis=1) == cases.target).mean())
    counts = np.bincount(cases.target, minlength=len(cases.classes))
    common = float(counts.max() / len(cases))
    guessing = 1 / int((counts > 0).sum())
    gain = (score(cases) - guessing) / max(1 - guessing, 1e-9)
    if right <= common and gain < MIN_GAIN:
        name = _name(seen, cases.classes[int(counts.argmax())])
        yield NetworkWarning(
            "majority",
            f"The network is right for {right:.0%} of the {len(cases)} validation lesions; always"
            f" answering {name} would be right for {common:.0%}.",
            "Check the labels and images with `agfnet check`, and train longer, with pretrained"
            " weights or on more lesions (`--preset best`).",
        )


def _name(seen: Observations, diagnosis: str) -> str:
    """Return the English name of a class."""
    return dict(zip(seen.config.classes, seen.config.names, strict=True))[diagnosis]


def single_modality(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a network that does not gain from having all modalities."""
    together = score(seen.complete)
    for name, predictions in seen.alone.items():
        if len(predictions) >= MIN_CASES and score(predictions) >= together:
            others = " and ".join(other for other in seen.alone if other != name)
            yield NetworkWarning(
                "single_modality",
                f"With {name} alone, the balanced accuracy on {len(predictions)} validation lesions"
                f" is {score(predictions):.3f}, and {together:.3f} with {others} as well.",
                f"Compare with a network for `--data.modalities '[{name}]'`, and check that the"
                f" images of {others} show the same lesions and are prepared well.",
            )


def ignored_modality(seen: Observations) -> Iterator[NetworkWarning]:
    """Find modalities whose removal changes nothing."""
    for name, predictions in seen.without.items():
        if not len(predictions):
            continue
        difference = np.abs(predictions.probabilities - seen.complete.probabilities)
        change = float(difference.sum(axis=1).mean() / 2)
        if change < MIN_CHANGE:
            yield NetworkWarning(
                "ignored_modality",
                f"The network ignores {name}: without it, the probabilities change by"
                f" {100 * change:.1f} points on average.",
                "Train with `--optim.modality_dropout 0.3`, so that it has to use each modality by"
                f" itself, and look at the images of {name} with `agfnet check --html`.",
            )


def rare_class(seen: Observations) -> Iterator[NetworkWarning]:
    """Find classes with hardly a lesion to learn from, or none to validate on."""
    train = (seen.config.cases or {}).get("train")
    if not train:
        return
    validated = set(seen.predictions.label)
    rare = [
        _name(seen, name)
        for name in seen.config.classes
        if train.get(name, 0) < MIN_OF_CLASS or name not in validated
    ]
    if rare:
        yield NetworkWarning(
            "rare_class",
            f"There are fewer than {MIN_OF_CLASS} training lesions, or no validation lesion, of"
            f" {', '.join(rare)}: answers and thresholds say little about them.",
            "Add such lesions, draw the split again with `agfnet split`, or join classes with"
            " `--data.labels`.",
        )


def small_validation(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a validation split that is too small for a calibration."""
    patients = len(set(seen.predictions.patient_id))
    if patients < MIN_PATIENTS:
        yield NetworkWarning(
            "small_validation",
            f"The calibration rests on {patients} validation patients, and is hardly more than a"
            f" guess below {MIN_PATIENTS}.",
            "Put more patients into the validation split, or cross-validate and join the runs with"
            " `agfnet ensemble`, which uses the validation lesions of all of them.",
        )


def random_weights(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a small cohort on which backbones have started from random weights."""
    lesions = sum((seen.config.cases or {}).get("train", {}).values())
    backbone = seen.settings.get("model", {}).get("backbone", {})
    random = backbone.get("weights", "unknown") in (None, "random")
    if random and 0 < lesions < MIN_LESIONS:
        yield NetworkWarning(
            "random_weights",
            f"The backbones started from random weights, for which {lesions} training lesions are"
            " few.",
            "Train with pretrained weights: `--model.backbone.weights timm`.",
        )


def overfitting(seen: Observations) -> Iterator[NetworkWarning]:
    """Find a validation loss that rises while the training loss falls."""
    rows = [row for row in seen.history if "val_nll" in row and "train_cross_entropy" in row]
    if len(rows) < 5:
        return
    losses = [row["val_nll"] for row in rows]
    best = int(np.argmin(losses))
    falls = rows[-1]["train_cross_entropy"] < rows[best]["train_cross_entropy"]
    if falls and losses[-1] > MAX_RISE * losses[best]:
        yield NetworkWarning(
            "overfitting",
            f"The validation loss was lowest in epoch {best + 1} of {len(rows)}"
            f" ({losses[best]:.2f}) and rose to {losses[-1]:.2f}, while the training loss"
            f" fell to {rows[-1]['train_cross_entropy']:.2f}: the network learned its lesions by"
            " heart.",
            "Train fewer epochs or with `--optim.patience 5`, frozen backbones"
            " (`--model.backbone.frozen`), more dropout (`--model.dropout 0.3`), or more lesions.",
        )


def dead_guide(seen: Observations) -> Iterator[NetworkWarning]:
    """Find guides that have the same value everywhere."""
    dead = [name for name, value in seen.guide_deviations.items() if value < MIN_DEVIATION]
    if dead:
        yield NetworkWarning(
            "dead_guide",
            f"The guide of {' and '.join(dead)} is nearly the same everywhere in an image, so that"
            " it points to nothing.",
            "Train longer, with `--reconstruction.focus_weight 3`, or leave the guide out:"
            " `--model.fusion.guide false`.",
        )


def score(cases: Predictions) -> float:
    """Return the balanced accuracy."""
    return float(balanced_accuracy(cases.probabilities, cases.target)) if len(cases) else 0.0


def write_warnings(folder: Path, warnings: Sequence[NetworkWarning]) -> None:
    """Write the warnings about the network of a run."""
    write_json(folder / WARNINGS, [asdict(warning) for warning in warnings])


def read_warnings(run: str | Path) -> list[NetworkWarning]:
    """Read the warnings about the network of a run; none if there is no file."""
    path = Path(run) / WARNINGS
    if not path.is_file():
        return []
    return [NetworkWarning(**entry) for entry in read_record(path, list)]


def read_history(run: Path) -> list[dict[str, float]]:
    """Read history.csv; the mean of those of the members, if they were trained with the run.

    There are no rows if there is no file, as in an ensemble of runs that were joined later.
    """
    files = sorted(run.glob(f"{MEMBERS}/*/history.csv")) or [run / "history.csv"]
    histories = [list(_history_rows(path)) for path in files]
    return [
        {
            name: sum(row[name] for row in epoch) / len(epoch)
            for name in epoch[0]
            if all(name in row for row in epoch)
        }
        for epoch in zip(*histories, strict=False)  # one may have stopped early
    ]


def _history_rows(path: Path) -> Iterator[dict[str, float]]:
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {k: float(v) for k, v in row.items() if v}
