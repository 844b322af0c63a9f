"""An ensemble against one of its members, and against one network of the same time.

    python bench/members.py --lesions 100 300 --members 3 --minutes 3 --json members.json

`auto` trains an ensemble with the time limit, whose members share the time, and one network with
the whole time for itself. The cohorts are of the `hard` phantom, with this number of lesions for
training (80 %) and validation and 600 more for the test, or, with `--cases`, tables with a split.
Rows: balanced accuracy, macro AUC, negative log-likelihood and ECE on the test split, of the
ensemble (value), and of the mean over its members or of the one network (baseline). Time is that of
the CPU with one thread. The runs are kept in `--out`, and finished ones are not repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from common import Row, drawn_cohort, finish, options, row
from runs import plan_by_time_of_the_cpu, quick_evaluation, tested

from agfnet.config import DataConfig, TrainConfig
from agfnet.metrics.summary import METRICS
from agfnet.study.run import run
from agfnet.training.presets import as_record, make_plan

REPORTED = ("balanced_accuracy", "macro_auc", "nll", "ece")


def trained(base: TrainConfig, minutes: float) -> Path:
    """Train, calibrate and test a network or an ensemble, or return the finished run."""
    folder = Path(base.runs) / base.name
    if not (folder / "evaluation").is_dir():
        decided = {"data.cases", "runs", "name", "members"}
        plan = make_plan(base, decided, time_limit=minutes)
        config = replace(plan.config, resume=True)
        run(config, plan=as_record(plan), scoring=quick_evaluation(folder), bar=False)
    return folder


def figures(folder: Path) -> dict[str, float]:
    """Return the metrics of a run on its test split."""
    cases = tested(folder)
    return {name: float(METRICS[name](cases.probabilities, cases.target)) for name in REPORTED}


def cohort_rows(table: Path, runs: Path, name: str, members: int, minutes: float) -> Iterator[Row]:
    """Yield the rows of one cohort."""
    base = TrainConfig(data=DataConfig(cases=str(table)), runs=str(runs))
    ensemble = trained(replace(base, name="ensemble", members=members), minutes)
    single = figures(trained(replace(base, name="single"), minutes))
    parts = [figures(folder) for folder in sorted((ensemble / "members").iterdir())]
    for metric, value in figures(ensemble).items():
        label = metric.replace("_", " ")
        mean = sum(part[metric] for part in parts) / len(parts)
        yield row(f"{name}, mean of {members} members", label, value, mean)
        yield row(f"{name}, one network of {minutes:g} minutes", label, value, single[metric])


def main() -> None:
    """Run the comparison."""
    parser = options(__doc__)
    parser.add_argument("--lesions", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--cases", type=Path, nargs="*", default=[], help="tables with a split")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0, help="time of each training")
    parser.add_argument("--seed", type=int, default=5, help="of the cohorts")
    parser.add_argument("--out", type=Path, default=Path("runs/members"))
    arguments = parser.parse_args()
    plan_by_time_of_the_cpu()
    cohorts = {f"{table.parent.name}": table for table in arguments.cases}
    for lesions in arguments.lesions:
        folder = arguments.out / f"phantom-{lesions}"
        table = drawn_cohort(folder, lesions, preset="hard", seed=arguments.seed)
        cohorts[f"{lesions} lesions"] = table
    rows = [
        each
        for name, table in cohorts.items()
        for each in cohort_rows(
            table,
            arguments.out / f"runs-{name.replace(' ', '-')}",
            name,
            arguments.members,
            arguments.minutes,
        )
    ]
    finish(rows, arguments, "an ensemble (value) against single networks (baseline)")


if __name__ == "__main__":
    main()
