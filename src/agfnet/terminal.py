"""Output in the terminal: lines, tables, progress bars."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

WIDTH = 120  # of a table in a file or a pipe
SHOWN = 10  # metrics on the screen: those that every evaluation begins with
Report = Callable[[int, int], None]  # done, in all


def say(text: str, *, error: bool = False) -> None:
    """Print a text as it is; on a terminal, lines break between words, never within a path."""
    console = Console(stderr=error, soft_wrap=True)
    if console.is_terminal:
        text = "\n".join(wrap(line, console.width) for line in text.splitlines())
    console.print(text, markup=False, highlight=False)


def wrap(line: str, width: int) -> str:
    """Break a line between words; further lines keep its indentation."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


@cache
def warn(text: str) -> None:
    """Print a warning once in each process."""
    say(f"Warning: {text}", error=True)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table; columns whose cells are numbers are aligned right."""
    table = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(columns):
        numeric = all(str(row[i])[:1] in "0123456789-n" for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(str(cell)) for cell in row])  # brackets are not markup
    console = Console()
    console.print(table, width=None if console.is_terminal else WIDTH)


def show_result(folder: Path) -> None:
    """Print the figures of an evaluation and where its report is."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    count = metrics.pop("n")
    overlap = metrics.pop("training_overlap", None)
    warnings = metrics.pop("warnings", [])
    for record in ("calibration", "table"):
        metrics.pop(record, None)
    if metrics:
        rows = [
            [name, *("n/a" if metric[key] is None else f"{metric[key]:.3f}" for key in metric)]
            for name, metric in list(metrics.items())[:SHOWN]
        ]
        show_table(
            ["metric", "value", "low", "high"], rows, f"{count} labelled cases, 95 % interval"
        )
    if not count:
        say("No lesion has a label, so that there are predictions and no metrics.")
    if overlap is not None:
        say(f"Warning: {overlap['warning']}")
    show_warnings(warnings)
    say(f"Report: {folder / 'report.html'}")


def show_warnings(warnings: Iterable[object]) -> None:
    """Print the warnings about a network, each with its cure."""
    for warning in warnings:
        say(f"Warning: {warning}")


def next_steps(run: Path, images: Mapping[str, str | Path]) -> str:
    """Return commands that a user may want to type after a training.

    Args:
        run: The run folder.
        images: Modality to an image, or to `FILE`.
    """
    options = "".join(f" \\\n    --images.{name} {file}" for name, file in images.items())
    return "\n".join(
        [
            "Next:",
            f"  agfnet predict {run}{options}",
            f"  agfnet explain {run}{options}",
            f"  agfnet serve {run}",
        ]
    )


def show_comparison(folder: Path) -> None:
    """Print the differences of two runs and where the page is."""
    comparison = json.loads((folder / "compare.json").read_text(encoding="utf-8"))

    def shown(value: float | None) -> str:
        return "n/a" if value is None else f"{value:.3f}"

    rows = [
        [
            name,
            shown(row["a"]["value"]),
            shown(row["b"]["value"]),
            *(shown(row["difference"][key]) for key in ("value", "low", "high", "p")),
        ]
        for name, row in comparison["metrics"].items()
    ]
    title = f"{comparison['n']} lesions that both runs predicted; a minus b, 95 % interval"
    show_table(["metric", "a", "b", "difference", "low", "high", "p"], rows, title)
    if comparison["only_a"] or comparison["only_b"]:
        say(
            f"Left out, because only one run predicted them: {comparison['only_a']} lesions of a, "
            f"{comparison['only_b']} of b."
        )
    show_warnings(comparison["warnings"])
    say(f"Page: {folder / 'compare.html'}")


@contextmanager
def bar(text: str, *, at_once: bool = True) -> Iterator[Report]:
    """A progress bar on the error stream of a terminal; nothing in a file or a pipe.

    Args:
        text: What is done.
        at_once: Show it from the start, with the time that has passed. If false, it begins with the
            first report, as training may show another bar until then.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with ExitStack() as stack:
        progress = Progress(*columns, console=console, disable=not console.is_terminal)
        task = progress.add_task(text, total=None)
        started = False

        def start() -> None:
            nonlocal started
            if not started:
                stack.enter_context(progress)
                started = True

        def report(done: int, total: int) -> None:
            start()
            finishing = f"{text}: computing the results"
            description = finishing if done == total else text
            progress.update(task, completed=done, total=total, description=description)

        if at_once:
            start()
        yield report
