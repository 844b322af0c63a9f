"""Loss of accuracy by int8, on test lesions that neither training nor calibration has used.

    python bench/int8.py RUN... --json bench/results/int8.json

RUN is a run folder with a test split, for example `runs/paper/frozen_milk10k/runs/
agfnet-*` of `agfnet study paper/frozen_milk10k.yaml`. A copy of each is exported as by `agfnet
export --int8 true`: the ranges of the activations come from training cases. Measured are balanced
accuracy, ECE and macro AUC of the int8 graph, against the fp32 graph, with the difference and its
interval over patients; the fraction of lesions with the same prediction; and the balanced accuracy
on the validation split, by which `agfnet export` decides whether to keep the graph. Without RUN
nothing is measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import Row, finish, options, row
from resampling import paired_bootstrap

from agfnet.bundle import read_bundle
from agfnet.config import ExportConfig
from agfnet.config.renamed import run_settings
from agfnet.data.splits import require_split
from agfnet.evaluation.members import run_table, to_classes
from agfnet.export.run import export_run, predict
from agfnet.inference.onnx_backend import INT8, ONNX
from agfnet.metrics.summary import summary
from agfnet.terminal import say

MEASURES = ("balanced_accuracy", "macro_auc", "ece")


def main() -> None:
    """Export and compare every run."""
    parser = options(__doc__)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    if not arguments.runs:
        say("Skipped: needs run folders, as written by `agfnet train` or `agfnet study`.")
        return
    rows = [each for run in arguments.runs for each in measure(run, arguments.resamples)]
    finish(rows, arguments, "int8, against fp32")


def measure(run: Path, resamples: int) -> list[Row]:
    """Return all measures of one run."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / run.name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "evaluation"))
        _, report = export_run(ExportConfig(run=str(copy), int8=True, max_loss=1.0))
        bundle = read_bundle(copy)
        table = run_table(run_settings(copy), None, bundle.config)
        cases, _ = to_classes(require_split(table, "test"), bundle.config, table.path)
        fp32, int8 = (predict(bundle, file, cases, None) for file in (ONNX, INT8))
    name = f"{run.parent.parent.name}, {run.name}"
    a, b = (summary(part.probabilities, part.target, MEASURES) for part in (int8, fp32))
    values, bases = (each(np.ones(len(fp32))) for each in (a, b))
    differences = paired_bootstrap(fp32.patient_id, a, b, resamples=resamples)
    rows = [
        row(
            name,
            measure_name,
            values[measure_name],
            bases[measure_name],
            lesions=len(fp32),
            difference=difference.value,
            difference_low=difference.low,
            difference_high=difference.high,
        )
        for measure_name, difference in differences.items()
    ]
    agreement = float((fp32.probabilities.argmax(1) == int8.probabilities.argmax(1)).mean())
    kept = report["int8"]
    value, base = kept["balanced_accuracy"], kept["balanced_accuracy_fp32"]
    return [
        *rows,
        row(name, "same answer", agreement, 1.0, lesions=len(fp32)),
        row(name, "balanced_accuracy, validation", value, base, lesions=kept["cases"]),
    ]


if __name__ == "__main__":
    main()
