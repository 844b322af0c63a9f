"""Write the results of a search: all trials, the best settings as YAML, and a report."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from agfnet import NOTICE
from agfnet.files import write_json, write_text
from agfnet.pages.blocks import Block, Figure, Section, Table, Text, page
from agfnet.report.plots.style import to_svg
from agfnet.study.plan import Study
from agfnet.study.plots import search_history
from agfnet.study.report import REPORT, TABLES
from agfnet.study.search import Trial, best_trials
from agfnet.study.tables import format_number, metric_title

BEST = "best.yaml"
HEADER = f"""# Best settings of each method on validation cases, {{metric}}. Add them to the changes
# of the method in a study file. {NOTICE}
"""


def write_search(study: Study, trials: Sequence[Trial]) -> Path:
    """Write `tables/search.{csv,json,svg}`, `best.yaml` and `report.html`; return its path."""
    assert study.file.search is not None
    metric = study.file.search.metric
    folder = study.out / TABLES
    best = best_trials(trials, metric)
    write_text(folder / "search.csv", _csv(trials))
    rows = [asdict(t) | {"value": t.value if math.isfinite(t.value) else None} for t in trials]
    write_json(folder / "search.json", {"note": NOTICE, "metric": metric, "trials": rows})
    settings = {method: trial.parameters for method, trial in best.items()}
    text = HEADER.format(metric=metric) + yaml.safe_dump(settings, sort_keys=False)
    write_text(study.out / BEST, text)
    values = {
        method: [trial.value for trial in trials if trial.method == method]
        for method in study.methods
    }
    drawn = to_svg(
        search_history(values, metric), "History of the search: every trial, and the best so far"
    )
    write_text(folder / "search.svg", drawn)
    parts = [
        Section("history", "History", [Figure(drawn, "Every trial, and the best so far.")]),
        Section("trials", "All trials", [_table(trials, metric)]),
    ]
    lead: list[Block] = [
        Text(
            f"{method}: {metric_title(metric)} {format_number(trial.value)} with "
            f"{describe_settings(trial.parameters)}"
        )
        for method, trial in best.items()
    ]
    lead.append(
        Text(
            "Measured on the validation cases that also selected the epoch: these figures are "
            "optimistic for new cases.",
            "soft",
        )
    )
    path = study.out / REPORT
    write_text(path, page(f"{study.title}: search", lead, parts))
    return path


def describe_settings(parameters: dict[str, Any]) -> str:
    """Format settings in one line."""
    return ", ".join(f"{name} {_short(value)}" for name, value in parameters.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def _table(trials: Sequence[Trial], metric: str) -> Table:
    rows = [
        (
            trial.method,
            trial.state,
            format_number(trial.value),
            describe_settings(trial.parameters),
            trial.error,
        )
        for trial in trials
    ]
    head = ("Method", "Outcome", metric_title(metric), "Settings", "Error")
    return Table("Trials", head, rows, words=True)


def _csv(trials: Sequence[Trial]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "state", "value", *names, "error"])
    for trial in trials:
        value = trial.value if math.isfinite(trial.value) else ""
        cells = [trial.parameters.get(name, "") for name in names]
        writer.writerow([trial.method, trial.state, value, *cells, trial.error])
    return text.getvalue()
