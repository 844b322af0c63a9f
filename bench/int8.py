"""What int8 costs trained networks on the lesions that neither training nor calibration has seen.

    python bench/int8.py RUN... --json bench/results/int8.json

RUN is a run folder with a test split of its own, for example `runs/paper/comparison_milk10k/runs/
agfnet-*` of `agfnet study paper/comparison_milk10k.yaml`. A copy of each is exported as by `agfnet
export --int8 true`: the ranges of the activations come from training cases. Balanced accuracy, ECE
and macro AUC of the int8 graph minus those of the fp32 graph, with intervals over patients; and the
share of lesions with the same answer. Beside it the balanced accuracy on the validation split, by
which `agfnet export` decides whether to keep the graph. Without RUN nothing is measured.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agfnet.bundle import read_bundle
from agfnet.config import ExportConfig
from agfnet.data.splits import require_split
from agfnet.evaluation.inputs import run_table, to_classes
from agfnet.export.run import answer, export_run
from agfnet.files import write_json
from agfnet.inference.onnx_backend import INT8, ONNX
from agfnet.metrics.bootstrap import paired_bootstrap
from agfnet.metrics.summary import summary
from agfnet.terminal import say, show_table
from study import row

MEASURES = ("balanced_accuracy", "macro_auc", "ece")


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not chosen.runs:
        say("Skipped: needs run folders, as `agfnet train` or `agfnet study` leave them.")
        return
    rows = [line for run in chosen.runs for line in measured(run, chosen.resamples)]
    show_table(
        ["run", "measure", "fp32", "int8", "difference"],
        [
            [
                line["name"],
                line["metric"],
                f"{line['baseline']:.3f}",
                f"{line['value']:.3f}",
                "{difference:+.4f} ({difference_low:+.4f} to {difference_high:+.4f})".format(**line)
                if "difference" in line
                else "",
            ]
            for line in rows
        ],
    )
    if chosen.json:
        write_json(chosen.json, rows)


def measured(run: Path, resamples: int) -> list[dict[str, object]]:
    """All measures of one run."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / run.name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "evaluation"))
        _, report = export_run(ExportConfig(run=str(copy), int8=True, max_loss=1.0))
        bundle = read_bundle(copy)
        table = run_table(str(copy), None, bundle.config)
        cases, _ = to_classes(require_split(table, "test"), bundle.config, table.path)
        fp32, int8 = (answer(bundle, file, cases, None) for file in (ONNX, INT8))
    name = f"{run.parent.parent.name}, {run.name}"
    rows: list[dict[str, object]] = []
    a, b = (summary(part.probabilities, part.target, MEASURES) for part in (int8, fp32))
    values, bases = (each(np.ones(len(fp32))) for each in (a, b))
    differences = paired_bootstrap(fp32.patient_id, a, b, resamples=resamples)
    for measure, difference in differences.items():
        rows.append(
            row(name, measure, values[measure], bases[measure])
            | {
                "lesions": len(fp32),
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
        )
    agreement = float((fp32.probabilities.argmax(1) == int8.probabilities.argmax(1)).mean())
    kept = report["int8"]
    value, base = kept["balanced_accuracy"], kept["balanced_accuracy_fp32"]
    return [
        *rows,
        row(name, "same answer", agreement, 1.0) | {"lesions": len(fp32)},
        row(name, "balanced_accuracy, validation", value, base) | {"lesions": kept["cases"]},
    ]


if __name__ == "__main__":
    main()
