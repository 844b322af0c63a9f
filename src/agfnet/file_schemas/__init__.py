"""JSON Schemas of the JSON files that other programs read: `agfnet schema FILE` prints one."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from agfnet.bundle import BundleConfig, Calibration, Evaluated
from agfnet.file_schemas.cases import Answer, Explanation, Findings
from agfnet.file_schemas.evaluation import (
    ClassMetrics,
    Comparison,
    Focus,
    Malignant,
    Metrics,
    Robustness,
    Sanity,
    Subgroups,
)
from agfnet.file_schemas.runs import (
    Choice,
    DemoRow,
    Ensemble,
    Environment,
    Export,
    NetworkWarning,
    Nonfinite,
    Search,
    StudyTable,
    Truth,
)

FILES: dict[str, Any] = {
    "answer.json": Answer,
    "bundle/calibration.json": Calibration,
    "bundle/config.json": BundleConfig,
    "bundle/evaluations.json": dict[str, Evaluated],
    "bundle/export.json": Export,
    "classes.json": dict[str, ClassMetrics],
    "compare.json": Comparison,
    "ensemble.json": Ensemble,
    "environment.json": Environment,
    "explanation.json": Explanation,
    "findings.json": Findings,
    "focus.json": Focus,
    "malignant.json": Malignant,
    "metrics.json": Metrics,
    "nonfinite.json": Nonfinite,
    "plan.json": list[Choice],
    "robustness.json": Robustness,
    "sanity.json": Sanity,
    "search.json": Search,
    "study.json": StudyTable,
    "subgroups.json": Subgroups,
    "summary.json": list[DemoRow],
    "truth.json": Truth,
    "unreadable.json": list[str],
    "warnings.json": list[NetworkWarning],
}
"""File to the type of its content."""


def json_schema(file: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file.

    Args:
        file: A key of `FILES`.
    """
    schema = TypeAdapter(FILES[file]).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": file} | schema
