"""The results of an evaluation or a comparison, as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_ROWS_SHOWN = 10


@dataclass(frozen=True)
class Scores:
    """The results of an evaluation.

    Attributes:
        folder: Folder with metrics.json, predictions.csv, report.html and the other files.

    Examples:
        >>> scores = Scores(run / "evaluation" / "test")  # or the result of `Model.evaluate`
        >>> row = scores.metrics["balanced_accuracy"]
        >>> row["low"] <= row["value"] <= row["high"]
        True
        >>> scores.report.name
        'report.html'
    """

    folder: Path

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Metric to `value`, `low` and `high` (95 % interval over patients)."""
        content = json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))
        return {
            name: row for name, row in content.items() if isinstance(row, dict) and "value" in row
        }

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        from agfnet.pages.render import render

        rows = [(name, *_interval(row)) for name, row in self.metrics.items()]
        return render(
            "scores.html.jinja",
            heading=["metric", "value", "95 % interval"],
            rows=rows[:MAX_ROWS_SHOWN],
            page=self.report,
        )


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison of two runs.

    Attributes:
        folder: Folder with compare.json and compare.html.

    Examples:
        >>> comparison = agfnet.compare(run, other, resamples=10)
        >>> sorted(comparison.metrics["nll"])[:2], comparison.page.name
        (['a', 'b'], 'compare.html')
    """

    folder: Path

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Metric to `a`, `b` and `difference` (a minus b), with intervals and p."""
        content = json.loads((self.folder / "compare.json").read_text(encoding="utf-8"))
        metrics: dict[str, dict[str, Any]] = content["metrics"]
        return metrics

    @property
    def page(self) -> Path:
        """The comparison as an HTML page."""
        return self.folder / "compare.html"

    def _repr_html_(self) -> str:
        from agfnet.pages.render import render

        rows = [(name, *_interval(row["difference"])) for name, row in self.metrics.items()]
        return render(
            "scores.html.jinja",
            heading=["metric", "difference, a minus b", "95 % interval"],
            rows=rows[:MAX_ROWS_SHOWN],
            page=self.page,
        )


def _interval(row: dict[str, Any]) -> tuple[str, str]:
    """Return a value and its interval as text."""
    value, low, high = (
        "n/a" if row[key] is None else f"{row[key]:.3f}" for key in ("value", "low", "high")
    )
    return value, f"{low} to {high}"
