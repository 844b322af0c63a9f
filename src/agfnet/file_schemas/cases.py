"""Files about single lesions: findings, answers and explanations."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from agfnet.file_schemas.evaluation import Closed


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


class Explanation(TypedDict):
    """explanation.json: the numbers of an explained lesion."""

    notice: str
    lesion_id: str
    label: str
    answer: str
    probabilities: dict[str, float]
    foreign: NotRequired[list[str]]
    """Modalities with a picture of another kind; the answer then has no meaning."""
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
