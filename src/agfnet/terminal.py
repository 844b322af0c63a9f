"""Output in the terminal: lines, tables, progress bars."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

WIDTH = 120  # of a table in a file or a pipe
SHOWN = 10  # metrics on the screen: those that every evaluation begins with
Report = Callable[[int, int], None]  # done, in all


def say(text: str, *, error: bool = False) -> None:
    """Print a text as it is."""
    Console(stderr=error, soft_wrap=True).print(text, markup=False, highlight=False)


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
    if metrics:
        rows = [
            [name, *("n/a" if metric[key] is None else f"{metric[key]:.3f}" for key in metric)]
            for name, metric in list(metrics.items())[:SHOWN]
        ]
        show_table(
            ["metric", "value", "low", "high"], rows, f"{count} labelled cases, 95 % interval"
        )
    if overlap is not None:
        say(f"Warning: {overlap['warning']}")
    say(f"Report: {folder / 'report.html'}")


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
    say(f"Page: {folder / 'compare.html'}")


@contextmanager
def bar(text: str) -> Iterator[Report]:
    """A progress bar on the error stream from the first report on; none where no one watches."""
    columns = (
        TextColumn(text, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with ExitStack() as stack:
        progress = Progress(*columns, console=console, disable=not console.is_terminal)
        task = progress.add_task(text, total=None)
        started = False

        def report(done: int, total: int) -> None:
            nonlocal started
            if not started:  # not before: training may show another bar until then
                stack.enter_context(progress)
                started = True
            progress.update(task, completed=done, total=total)

        yield report
