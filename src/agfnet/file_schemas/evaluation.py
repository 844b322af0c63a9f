"""Files of evaluations and comparisons."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict


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


class EvaluatedTable(Closed):
    """The table of an evaluation."""

    path: str
    sha256: str


class Metrics(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """metrics.json: the number of labelled cases, and an interval for each metric."""

    n: int
    calibration: NotRequired[str]
    """SHA-256 of the calibration.json of the network."""
    table: NotRequired[EvaluatedTable]
    training_overlap: NotRequired[Overlap]
    warnings: NotRequired[list[str]]
    """On the table of the training, and on images that are missing or of another kind."""


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
    warnings: NotRequired[list[str]]
    """Why a difference may not be one of the networks."""


class OperatingPoint(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """Rates at the threshold that reaches a sensitivity on the validation split."""

    target_sensitivity: float
    threshold: float | None


class DecisionCurve(Closed):
    """Net benefit of the network, with its 95 % interval, and of treating all, by threshold."""

    threshold: list[float]
    model: list[float | None]
    low: list[float | None]
    high: list[float | None]
    treat_all: list[float | None]


class Malignant(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """malignant.json: a group of classes against the others."""

    classes: list[str]
    n: int
    positives: int
    operating_points: list[OperatingPoint]
    decision_curve: DecisionCurve


class Group(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """Metrics of the lesions with one value of a column, or within its quartile."""

    group: str
    n: int
    patients: int
    few: bool


class Worst(Interval):
    """The group with the worst value of a metric, and the value over all lesions."""

    group: str
    overall: float | None


class Column(TypedDict):
    """The groups of a column."""

    kind: Literal["category", "quartile"]
    groups: list[Group]
    worst: dict[str, Worst | None]


class Subgroups(TypedDict):
    """subgroups.json: metrics in the groups of the further columns of the table."""

    n: int
    overall: dict[str, Interval]
    columns: dict[str, Column]
    skipped: dict[str, str]


class Condition(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """Metrics under a corruption of one modality."""

    modality: str
    corruption: str
    severity: int


class Robustness(TypedDict):
    """robustness.json: metrics under corrupted images, and their means."""

    n: int
    lesions: str
    clean: dict[str, Interval]
    means: dict[str, Interval]
    conditions: list[Condition]


class FocusOfModality(TypedDict, extra_items=Interval):  # type: ignore[call-arg]
    """Attribution maps of a modality against lesion masks."""

    n: int


class Focus(TypedDict):
    """focus.json: attribution maps against lesion masks."""

    method: str
    n: int
    modalities: dict[str, FocusOfModality]
    left_out: list[str]


class Sanity(Closed):
    """sanity.json: sanity checks of attribution methods (`explain --sanity`)."""

    weights: str
    cases: int
    seed: int
    checks: dict[str, str]
    limits: dict[str, float]
    methods: dict[str, dict[str, Any]]
