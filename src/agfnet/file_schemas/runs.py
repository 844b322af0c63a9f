"""Files of runs, exports and studies."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from agfnet.file_schemas.evaluation import Closed


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
