"""`agfnet evaluate` and `agfnet compare`: settings, results, files."""

from __future__ import annotations

from pathlib import Path

from agfnet.config import CompareConfig, EvaluateConfig
from agfnet.evaluation.compare_runs import compare_runs
from agfnet.evaluation.run import Progress, evaluate_run
from agfnet.evaluation.write import write_evaluation
from agfnet.files import write_json, write_text
from agfnet.report.comparison import comparison_page
from agfnet.report.evaluation import evaluation_page


def run_evaluation(config: EvaluateConfig, *, progress: Progress | None = None) -> Path:
    """Score a run on a table and write the results with a report.

    Args:
        config: the run, the table and what to measure.
        progress: called with the number of finished cases and the number of all.

    Returns:
        The folder with predictions.csv, frames.csv, the JSON files and report.html.

    Raises:
        AgfnetError: see `agfnet.evaluation.inputs.read_inputs`.
    """
    evaluation = evaluate_run(config, progress=progress)
    return write_evaluation(evaluation, report=evaluation_page(evaluation))


def run_comparison(config: CompareConfig) -> Path:
    """Compare two runs and write the results with a page.

    Returns:
        The folder with compare.html and compare.json.

    Raises:
        DataError: a run has no such evaluation, or the two have no lesion in common.
    """
    comparison = compare_runs(config)
    write_text(comparison.folder / "compare.html", comparison_page(comparison))
    write_json(comparison.folder / "compare.json", comparison.results)
    return comparison.folder
