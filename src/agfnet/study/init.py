"""Write a study file for a cases table: methods, seeds, folds and settings that suit it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agfnet.config import (
    DataConfig,
    TrainConfig,
    default_modality,
    format_duration,
    names_ultrasound,
)
from agfnet.config.dotted import plain
from agfnet.data.folds import FOLD
from agfnet.data.table import CasesTable, find_modalities, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.files import write_text
from agfnet.study.plan import read_study
from agfnet.study.timing import Estimate, estimate
from agfnet.training.presets import Choice, make_plan

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
    modalities:
{modalities}
    # Classes: {labels}
    # labels: [...]  # keep only these classes, or merge some: {{malignant: [melanoma, ...]}}
  # chosen by the preset auto of `agfnet train`, for this table and machine
{choices}
methods:  # the first is the reference; tune the settings of the others as well (key search)
{methods}
seeds: [0, 1, 2]  # p values need three; five tell more
{folds}metrics: [balanced_accuracy, macro_auc, nll, ece, aurc]
# rope: 0.02  # a difference below this is practically the same
scoring: {{max_focus_lesions: 0, examples: 0, resamples: 200}}  # the report has its own intervals
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
    choices = choose_settings(table, cases)
    write_text(path, study_text(table, cases, path, "Time: not estimated yet.", choices))
    try:
        timed = estimate(read_study(path))
    except BaseException:
        path.unlink()
        raise
    note = f"Time: about {format_duration(timed.seconds)}, one run after the other,"
    write_text(path, study_text(table, cases, path, f"{note}\n# {timed.how}.", choices))
    return timed


def choose_settings(table: CasesTable, cases: str) -> tuple[Choice, ...]:
    """Choose the settings that all methods share, as `agfnet train` does.

    Raises:
        DataError: The table has neither split nor folds.
    """
    folds = _folds(table)
    if not folds and not any(case.split == "train" and case.label for case in table):
        raise DataError(
            f"{cases}: has neither a column split nor a column fold; draw folds with `agfnet split "
            f"{cases} folds.csv --folds 5` (or a split without --folds), and name that table"
        )
    modalities = {name: default_modality(name) for name in table.modalities}
    data = DataConfig(cases=cases, modalities=modalities, fold=folds[0] if folds else None)
    # not an ensemble: the seeds are runs of the study
    decided = {"data.cases", "data.fold", "data.modalities", "members"}
    return make_plan(TrainConfig(data=data), decided).choices


def study_text(
    table: CasesTable, cases: str, file: Path, time: str, choices: Sequence[Choice]
) -> str:
    """Return the content of the study file.

    Args:
        table: The cases table.
        cases: Its path.
        file: The study file.
        time: A comment on the time of the study.
        choices: Settings of the base.

    Raises:
        DataError: No lesion has a label.
    """
    labelled = [case for case in table if case.label]
    counts = Counter(case.label for case in labelled)
    if not counts:
        raise DataError(f"{cases} column label: no lesion has a label; a study needs them")
    return TEMPLATE.format(
        table=cases,
        cases=len(table),
        patients=len({case.patient_id for case in table}),
        file=file,
        time=time,
        out=json.dumps(f"runs/{file.stem}"),
        title=json.dumps(f"Comparison on {Path(cases).stem}"),
        path=json.dumps(cases),
        modalities=_modalities(table),
        labels=", ".join(_count(name, number) for name, number in counts.most_common()),
        choices=_choices(choices),
        methods=_methods(table),
        folds=f"folds: {folds}\n" if (folds := _folds(table)) else "",
    )


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


def _choices(choices: Sequence[Choice]) -> str:
    return "\n".join(f"  {c.setting}: {json.dumps(plain(c.value))}  # {c.reason}" for c in choices)


def _folds(table: CasesTable) -> list[int]:
    folds = sorted({int(cell) for case in table if (cell := case.attributes.get(FOLD, ""))})
    return folds if len(folds) > 1 else []
