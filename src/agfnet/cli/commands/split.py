"""Assign cases to splits or folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import SplitConfig
from agfnet.terminal import say, show_table


def split(config: SplitConfig) -> None:
    from agfnet.data.folds import FOLD, centre_names, rare_labels, split_table
    from agfnet.data.table import find_modalities, read_cases, write_cases

    modalities = config.modalities or find_modalities(config.cases)
    cases = split_table(read_cases(config.cases, modalities=modalities), config)
    write_cases(cases, config.out, modalities=modalities)
    if cases[0].split:
        show_split(cases, "split")
    else:
        show_split(cases, FOLD, centre_names(cases, config.centre) if config.centre else ())
        if rare := ", ".join(f"{name} ({count})" for name, count in rare_labels(cases).items()):
            say(
                f"Note: labels with fewer patients than folds: {rare}. A fold that tests all "
                "patients of a label cannot learn it: leave it out with --data.labels."
            )
    say(f"Wrote {config.out}")


def show_split(cases: Sequence[Any], column: str, centres: Sequence[str] = ()) -> None:
    from agfnet.data.splits import split_summary

    rows = [
        *split_summary(cases, column=column),
        *split_summary([replace(case, label="all") for case in cases], column=column),
    ]
    counts: dict[str, list[str]] = {}
    for row in rows:
        counts.setdefault(row.label, []).append(f"{row.cases} ({row.patients})")
    parts = dict.fromkeys(row.split for row in rows)
    names = [f"{part} {centres[int(part)]}" for part in parts] if centres else list(parts)
    show_table([column, *names], [[label, *cells] for label, cells in counts.items()])
    say("Cases, and patients in brackets.")


COMMAND = Command(
    SplitConfig,
    split,
    examples=(
        "agfnet split cases.csv data.csv",
        "agfnet split cases.csv folds.csv --folds 5",
        "agfnet split cases.csv centres.csv --centre hospital",
    ),
    docs="data.md",
    columns=CASES_COLUMNS,
)
