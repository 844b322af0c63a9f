"""JSON Schemas of the JSON files that other programs read: `agfnet schema FILE` prints one."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from agfnet.bundle import BundleConfig, Calibration


class Closed(TypedDict):
    """A mapping without further keys."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]


class Interval(Closed):
    """A metric with its 95 % interval over patients; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Difference(Interval):
    """A paired difference, first minus second; `p_holm` is adjusted for the number of metrics."""

    p: float | None
    p_holm: NotRequired[float | None]


class Overlap(TypedDict):
    """Lesions of the table that the network was trained on."""

    warning: str


class Metrics(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """metrics.json: the number of labelled cases, and an interval for each metric."""

    n: int
    training_overlap: NotRequired[Overlap]


class ClassMetrics(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """Metrics of one class against the others."""

    n: int


class Pair(Closed):
    """A metric of both runs, and its difference."""

    a: Interval
    b: Interval
    difference: Difference


class Comparison(TypedDict):
    """compare.json: two runs on the lesions that both predicted."""

    a: str
    b: str
    n: int
    metrics: dict[str, Pair]
    classes: dict[str, dict[str, Any]]


class Finding(TypedDict):
    """A finding of `agfnet check`."""

    severity: Literal["error", "warning", "note"]
    name: str
    message: str


class Findings(TypedDict):
    """The file of `agfnet check --json`."""

    cases: str
    lesions: int
    images: int
    counts: dict[str, int]
    names: dict[str, int]
    findings: list[Finding]


class Environment(TypedDict):
    """environment.json: the program and the data of a run."""

    agfnet: str
    git: str | None
    python: str
    platform: str
    device: str
    threads: int
    packages: dict[str, str]
    seed: int
    data_sha256: str
    table: dict[str, Any]
    cases: NotRequired[str]  # path of the table, relative to the run folder


class Explanation(TypedDict):
    """explanation.json: the numbers of an explained lesion."""

    notice: str
    lesion_id: str
    label: str
    answer: str
    probabilities: dict[str, float]
    images: dict[str, Any]
    shapley: dict[str, dict[str, float]] | None
    answers: dict[str, dict[str, float]] | None
    without_region: dict[str, float] | None
    maps: list[dict[str, Any]]
    attention: list[dict[str, Any]]
    update_norms: list[dict[str, Any]]


class Answer(Closed):
    """`Result.to_dict()`: the answer for one lesion."""

    lesion_id: str
    label: str
    probabilities: dict[str, float]
    groups: dict[str, float]
    prediction_set: list[str] | None
    abstain: bool | None
    out_of_distribution: bool | None
    warnings: list[str]
    contributions: dict[str, float] | None
    notice: str


class StudyTable(TypedDict):
    """The JSON of a table of a study."""

    note: str
    setting: str
    table: str
    reference: str
    patients: int
    cases: int
    ranked_runs: int
    friedman_p: dict[str, float | None]
    rows: list[dict[str, Any]]


FILES: dict[str, Any] = {
    "answer.json": Answer,
    "bundle/config.json": BundleConfig,
    "bundle/calibration.json": Calibration,
    "classes.json": dict[str, ClassMetrics],
    "compare.json": Comparison,
    "environment.json": Environment,
    "explanation.json": Explanation,
    "findings.json": Findings,
    "metrics.json": Metrics,
    "study.json": StudyTable,
}
"""File to the type of its content."""


def json_schema(file: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file.

    Args:
        file: A key of `FILES`.
    """
    schema = TypeAdapter(FILES[file]).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": file} | schema
