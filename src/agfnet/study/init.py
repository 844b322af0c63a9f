"""Write a study file for a cases table: methods, seeds, folds and settings that suit it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import torch

from agfnet.config import format_duration, names_ultrasound
from agfnet.data.folds import FOLD
from agfnet.data.table import CasesTable, find_modalities, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.files import write_text
from agfnet.study.plan import read_study
from agfnet.study.timing import Estimate, estimate

STEPS = 3000  # of a training: enough for fine-tuning on a few hundred to a few thousand cases
EPOCHS = (10, 60)
IMBALANCED = 3.0  # most frequent by least frequent class, above which the loss is weighted
FEW_CASES = 20  # of a class: its results say little

TEMPLATE = """\
# Comparison of methods on {table} ({cases} lesions of {patients} patients).
# Made with --init; read it through, and change what does not fit. To list the runs:
#
#   agfnet study {file} --dry-run
#
# To do them, to continue after an interruption, and to write the report:
#
#   agfnet study {file}
#
# {time}

out: {out}
title: {title}
base:
  data:
    cases: {path}
    size: {size}  # side of the images in pixels
    modalities:
{modalities}
    # Classes: {labels}
    # labels: [...]  # keep only these classes, or merge some: {{malignant: [melanoma, ...]}}
  model:
    backbone:
      name: resnet18
      weights: timm  # published weights, a download; or a .safetensors file; random if left out
  loss: {{class_weights: {weights}}}
  optim:
    epochs: {epochs}
    patience: 10  # epochs without a better validation loss, after which training stops
    batch_size: {batch}
    lr: 0.0003
    backbone_lr: 0.3  # of lr, since the backbone is pretrained
    modality_dropout: {dropout}
methods:  # the first is the reference; tune the settings of the others as well (key search)
{methods}
seeds: [0, 1, 2]  # p values need three; five tell more
{folds}metrics: [balanced_accuracy, macro_auc, nll, ece, aurc]
# rope: 0.02  # a difference below this is practically the same
scoring: {{max_focus_lesions: 0, resamples: 200}}  # less per run; the report has its own intervals
"""


def init_study(cases: str, file: str) -> Estimate:
    """Write a study file for a table with a split or folds, with an estimate of its time.

    Args:
        cases: The cases table.
        file: The study file to write.

    Raises:
        ConfigError: The file exists.
        DataError: The table has problems, or neither split nor folds.
    """
    path = Path(file)
    if path.exists():
        raise ConfigError(
            f"{file}: exists; name another file, as in agfnet study other.yaml --init"
        )
    table = read_cases(cases, modalities=find_modalities(cases))
    write_text(path, study_text(table, cases, path, "Time: not estimated yet."))
    try:
        timed = estimate(read_study(path))
    except BaseException:
        path.unlink()
        raise
    note = f"Time: about {format_duration(timed.seconds)}, one run after the other,"
    write_text(path, study_text(table, cases, path, f"{note}\n# {timed.how}."))
    return timed


def study_text(table: CasesTable, cases: str, file: Path, time: str) -> str:
    """Return the content of the study file.

    Raises:
        DataError: The table has neither split nor folds.
    """
    labelled = [case for case in table if case.label]
    counts = Counter(case.label for case in labelled)
    if not counts:
        raise DataError(f"{cases} column label: no lesion has a label; a study needs them")
    train = _training_cases(table, cases)
    batch = 32 if train >= 300 else 16 if train >= 100 else 8
    epochs = min(max(STEPS * batch // train, EPOCHS[0]), EPOCHS[1])
    missing = any(not case.images[name] for case in table for name in table.modalities)
    ratio = max(counts.values()) / min(counts.values())
    return TEMPLATE.format(
        table=cases,
        cases=len(table),
        patients=len({case.patient_id for case in table}),
        file=file,
        time=time,
        out=json.dumps(f"runs/{file.stem}"),
        title=json.dumps(f"Comparison on {Path(cases).stem}"),
        path=json.dumps(cases),
        size=224 if torch.cuda.is_available() else 128,
        modalities=_modalities(table),
        labels=", ".join(_count(name, number) for name, number in counts.most_common()),
        weights="balanced" if ratio > IMBALANCED else "none",
        epochs=epochs,
        batch=batch,
        dropout=0.2 if missing else 0.1,
        methods=_methods(table),
        folds=_folds(table),
    )


def _training_cases(table: CasesTable, cases: str) -> int:
    """Return the number of labelled training cases of a run."""
    folds = {case.attributes.get(FOLD, "") for case in table} - {""}
    if len(folds) > 1:
        return max(1, round(len(table) * (1 - 1 / len(folds)) * 7 / 8))
    train = sum(case.split == "train" and bool(case.label) for case in table)
    if not train:
        raise DataError(
            f"{cases}: has neither a column split nor a column fold; draw folds with `agfnet split "
            f"{cases} folds.csv --folds 5` (or a split without --folds), and name that table"
        )
    return train


def _count(name: str, number: int) -> str:
    return f"{name} {number}" + (" (few)" if number < FEW_CASES else "")


def _modalities(table: CasesTable) -> str:
    lines = []
    for name in table.modalities:
        scan = names_ultrasound(name)
        kind, resize = ("ultrasound", "pad") if scan else ("photo", "crop")
        lines.append(f"      {json.dumps(name)}: {{modality_type: {kind}, resize: {resize}}}")
    return "\n".join(lines)


def _methods(table: CasesTable) -> str:
    lines = ["  AGFnet:", "  concatenation:"]
    if len(table.modalities) > 1:
        lines.append("  late_fusion:")
        lines += [
            f"  {json.dumps(name + ' only')}: {{model.method: concatenation, "
            f"data.modalities: [{json.dumps(name)}]}}"
            for name in table.modalities
        ]
    return "\n".join(lines)


def _folds(table: CasesTable) -> str:
    folds = sorted({int(cell) for case in table if (cell := case.attributes.get(FOLD, ""))})
    return f"folds: {folds}\n" if len(folds) > 1 else ""
