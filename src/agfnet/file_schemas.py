"""JSON Schemas of the JSON files that other programs read: `agfnet schema FILE` prints one."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from agfnet.bundle import BundleConfig, Calibration, Evaluated


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
    cases: NotRequired[str]  # path of the table, relative to the run folder
    table: dict[str, Any]


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
    quality: dict[str, Any]
    foreign: list[str]
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


class GraphDifference(Closed):
    """Maximum differences between torch and the fp32 graph."""

    rows: int
    probabilities: float
    logits: float


class Quantised(Closed):
    """Measurements of the int8 graph on the validation split."""

    cases: int
    balanced_accuracy: float
    balanced_accuracy_fp32: float
    ece: float
    ece_fp32: float
    agreement: float
    probabilities: float


class Export(Closed):
    """export.json: the exported graphs of a bundle, compared with torch."""

    fp32: GraphDifference
    int8: NotRequired[Quantised]


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


class Choice(Closed):
    """plan.json: a setting that `agfnet train` chose, and why."""

    setting: str
    value: Any
    reason: str


class Nonfinite(Closed):
    """nonfinite.json: the step of a training whose loss or gradient is not a number."""

    epoch: int
    step: int
    value: str
    lesions: list[str]


class NetworkWarning(Closed):
    """warnings.json: a warning about a trained network, and what to do."""

    code: str
    message: str
    cure: str


class EnsembleMember(TypedDict):
    """A run of an ensemble: its folder when it was joined, and its settings."""

    run: str
    settings: dict[str, Any]


class Ensemble(Closed):
    """ensemble.json: the runs that were joined."""

    members: list[EnsembleMember]


class Trial(Closed):
    """A trial of settings; `value` is null unless it is complete."""

    method: str
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    parameters: dict[str, Any]
    error: str


class Search(Closed):
    """search.json: the trials of a search of settings."""

    note: str
    metric: str
    trials: list[Trial]


class DemoRow(Closed):
    """summary.json: a network of the demo on the test lesions."""

    method: str
    accuracy: float
    limit: float
    macro_auc: float
    ece: float
    seconds: float


class Truth(TypedDict):
    """truth.json: how a phantom cohort was made, and the Bayes-optimal accuracy on it."""

    note: str
    preset: str
    seed: int
    size: int
    classes: list[str]
    limits: dict[str, Any]
    limits_by_split: dict[str, dict[str, Any]]


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
