"""The bundle, which is what gets shipped: weights, settings, calibration and card in one folder.

A bundle holds no pickle. SHA256SUMS lists its files, and a change of several files takes place as a
whole (see `agfnet.files.staged_files`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agfnet import __version__
from agfnet.config import DiagnosisConfig, ModalityConfig, ModelConfig, SetScore
from agfnet.config.renamed import update, with_former_defaults
from agfnet.diagnoses import describe_classes, members
from agfnet.errors import BundleError
from agfnet.files import SUMS, finish_change, staged_files, verify, write_json, write_text

T = TypeVar("T")
SCHEMA = 6
"""6: flips, ensembles.
5: the second design of AGFnet, whose weights do not fit the first (docs/decisions/022).
4: present names of settings (see `agfnet.config.renamed`).
3: `model.fusion.resolution`, without which a network uses every place of its feature maps.
2: SHA256SUMS, which schema 1 does not have."""
WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "calibration.json", WEIGHTS)
EXPORT = "export.json"
"""Measurements of the exported graphs (see `agfnet.export`)."""
EVALUATIONS = "evaluations.json"
"""Results of evaluations, for the description of the model."""
EXPORTS = ("model.onnx", "model_int8.onnx", EXPORT)
"""Files that `agfnet export` adds; they depend on weights and calibration."""


@dataclass(frozen=True)
class BundleConfig:
    """Everything that inference needs in addition to the weights: `config.json`."""

    classes: tuple[str, ...]
    """Class names in the order of the logits."""
    labels: list[str] | dict[str, list[str]] | None
    """How a table's labels become classes, as in `data.labels`."""
    modalities: dict[str, ModalityConfig]
    """Image inputs in order."""
    size: int
    """Side of the square input, in pixels."""
    mean: tuple[float, ...]
    """Mean per RGB channel on a 0 to 1 scale."""
    std: tuple[float, ...]
    """Standard deviation per RGB channel on a 0 to 1 scale."""
    model: ModelConfig
    """The network, without its initial weights."""
    data_hash: str
    """SHA-256 of the training table (see `environment.json` of the run)."""
    cases: dict[str, dict[str, int]] | None = None
    """Numbers of labelled cases in training (`train`) and calibration (`val`), by class."""
    diagnoses: dict[str, DiagnosisConfig] = field(default_factory=dict)
    """Names and group of every class; those of the dictionary in bundles without them."""
    simulated: bool = False
    """The training lesions were simulated (see `agfnet phantom`)."""
    members: int = 1
    """Number of networks; with two or more, the bundle holds an ensemble."""
    optional: tuple[str, ...] | None = None
    """Modalities that the network was trained to do without; None if unknown."""
    agfnet: str = __version__
    """Version of agfnet that wrote the bundle."""
    schema: int = SCHEMA
    """Version of this layout."""

    def __post_init__(self) -> None:
        settings = {name: self.diagnoses[name] for name in self.classes if name in self.diagnoses}
        described = describe_classes(self.classes, settings, self.labels)
        object.__setattr__(self, "diagnoses", described)

    @property
    def network(self) -> str:
        """Name of the network, or what the ensemble consists of."""
        name: str = self.model.method
        return name if self.members == 1 else f"ensemble of {self.members} x {name}"

    @property
    def names(self) -> tuple[str, ...]:
        """English names of the classes, in the order of the logits."""
        return tuple(entry.en or name for name, entry in self.diagnoses.items())

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Classes of each group, the group `malignant` first."""
        return members(self.diagnoses)

    @property
    def group_numbers(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the classes of each group, in the order of `groups`."""
        return tuple(tuple(map(self.classes.index, names)) for names in self.groups.values())


@dataclass(frozen=True)
class PredictionSets:
    """Conformal prediction sets: a class is in the set while its score is within the quantile."""

    score: SetScore
    """What is compared with the quantile (see `agfnet.inference.postprocessing`)."""
    coverage: float
    """Minimum fraction of lesions of new patients whose true class is in the set."""
    by_class: bool
    """The coverage holds within every class, not only over all."""
    quantiles: tuple[float | None, ...]
    """Maximum score of a class in the set, per class; None if every score is accepted."""
    penalty: float = 0.0
    """RAPS: added to the score for every rank beyond `rank`."""
    rank: int = 1
    """RAPS: number of classes without penalty."""
    consider: float = 0.1
    """Classes with at least this probability, in whole per cent, are in every set."""


@dataclass(frozen=True)
class Abstention:
    """Minimum confidence at which the error rate is guaranteed."""

    threshold: float
    """Lesions with a lower confidence are referred to a clinician."""
    target_risk: float
    """Requested maximum error rate among the lesions that are not referred."""
    confidence: float
    """Probability that the error rate is at most `bound`."""
    bound: float
    """Guaranteed error rate."""
    coverage: float
    """Fraction of the validation patients whose lesion is not referred."""


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % interval; None where there are no cases."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OperatingPoint:
    """Threshold of a group's probability, and the rates there on the validation split.

    The same cases set the threshold and give the rates: the sensitivity in new cases is as likely
    to be a little lower as higher.
    """

    group: str
    """Name of the group."""
    members: tuple[bool, ...]
    """Classes of the group, in the order of the logits."""
    target_sensitivity: float
    """Sensitivity that the threshold had to reach."""
    threshold: float
    """Minimum probability of the group at which a lesion counts as positive."""
    sensitivity: Rate
    """Fraction of the group's lesions that are positive."""
    specificity: Rate
    """Fraction of the other lesions that are negative."""
    positives: int
    """Number of validation lesions of the group."""
    negatives: int
    """Number of other labelled validation lesions."""


@dataclass(frozen=True)
class Familiarity:
    """Statistics of the training images of a modality (see `agfnet.inference.familiarity`)."""

    mean: tuple[float, ...]
    """Means of the K statistics."""
    precision: tuple[tuple[float, ...], ...]
    """Inverse of their covariance, (K, K)."""
    threshold: float
    """Distance above which an image is unlike the training images."""


@dataclass(frozen=True)
class Calibration:
    """Parameters that were fitted on the validation split: `calibration.json`."""

    temperature: float = 1.0
    """Divides the log-probabilities before the final softmax."""
    scale: tuple[float, ...] | None = None
    """Vector scaling instead: multiplies the log-probability of each class."""
    bias: tuple[float, ...] | None = None
    """Vector scaling: added to the log-probability of each class after `scale`."""
    logit_adjustment: float = 0.0
    """Strength of the logit adjustment that `bias` holds."""
    offsets: tuple[float, ...] | None = None
    """Its part of `bias`."""
    sets: PredictionSets | None = None
    """Conformal prediction sets."""
    abstention: Abstention | None = None
    """Referral of uncertain lesions; None if no error rate could be guaranteed."""
    operating_point: OperatingPoint | None = None
    """Operating point of the group `malignant`; None without such a group or its lesions."""
    ood_threshold: float | None = None
    """Energy above which a case is out-of-distribution; used without `familiarity`."""
    accuracy: Rate | None = None
    """Fraction of the validation lesions whose most probable class is right."""
    majority: float | None = None
    """Fraction of the validation lesions of the most common class."""
    familiarity: dict[str, Familiarity] | None = None
    """Statistics of the training images by modality; None in bundles of earlier versions."""
    cases: int | None = None
    """Number of labelled validation cases."""
    patients: int | None = None
    """Number of their patients."""
    flips: bool = False
    """Logits are averaged over flips of the images (see `agfnet.inference.flips`)."""

    def scaling(self, classes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the factors and offsets (C,) of the log-probabilities of `classes` classes."""
        if self.scale is None or self.bias is None:
            return (1 / self.temperature,) * classes, (0.0,) * classes
        return self.scale, self.bias

    @property
    def ood_limit(self) -> float | None:
        """Out-of-distribution score above which a case gets a warning."""
        return self.ood_threshold if self.familiarity is None else 1.0


@dataclass(frozen=True)
class Evaluated:
    """Results of an evaluation of the network: an entry of `evaluations.json`."""

    n: int
    """Number of labelled lesions."""
    balanced_accuracy: Rate
    """Mean over classes of the sensitivity."""
    sensitivities: dict[str, Rate]
    """Sensitivity of each class."""
    sensitivity: Rate | None = None
    """Sensitivity for the malignant group at the operating point."""
    specificity: Rate | None = None
    """Specificity there."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk that has been read and verified."""

    folder: Path
    config: BundleConfig
    calibration: Calibration
    files: tuple[str, ...]  # verified; other files in the folder are ignored

    @property
    def weights(self) -> Path:
        """Path of the safetensors file."""
        return self.folder / WEIGHTS


def write_bundle(
    folder: Path, weights: Mapping[str, np.ndarray[Any, Any]], config: BundleConfig, card: str
) -> Bundle:
    """Write a new bundle with a neutral calibration."""
    with staged_files(folder, drop=EXPORTS) as new:
        (new / WEIGHTS).write_bytes(save(dict(weights)))  # save_file hides it from other users
        write_text(new / "card.md", card)
        write_json(new / "calibration.json", asdict(Calibration()))
        write_json(new / "config.json", asdict(config))
    return read_bundle(folder)


def write_calibration(bundle: Bundle, calibration: Calibration) -> Bundle:
    """Replace the calibration of a bundle, and drop exported graphs, which contain the old one."""
    with staged_files(bundle.folder, drop=EXPORTS) as new:
        write_json(new / "calibration.json", asdict(calibration))
    return read_bundle(bundle.folder)


def replace_card(bundle: Bundle, card: str, tests: Mapping[str, Evaluated] | None = None) -> None:
    """Replace the card of a verified bundle, and its evaluations unless they are None."""
    with staged_files(bundle.folder) as new:
        write_text(new / "card.md", card)
        if tests is not None:
            write_json(new / EVALUATIONS, {name: asdict(test) for name, test in tests.items()})


def read_tests(bundle: Bundle) -> dict[str, Evaluated]:
    """Read the evaluations of a bundle, by name."""
    if EVALUATIONS not in bundle.files:
        return {}
    return read_json(bundle.folder / EVALUATIONS, dict[str, Evaluated])


def read_bundle(folder: str | Path) -> Bundle:
    """Read and verify a bundle, or the bundle inside a run folder.

    Raises:
        BundleError: Not a bundle; a file is missing, changed or damaged; or the schema is newer
            than this version.
    """
    folder = Path(folder)
    if not folder.exists():
        raise BundleError(f"{folder}: no such folder; expected a bundle or a run folder")
    if not (folder / "config.json").is_file() and (folder / "bundle").is_dir():
        folder = folder / "bundle"
    finish_change(folder)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder}: no {name}; expected a bundle, or a run folder that contains one"
            )
    config = read_config(folder / "config.json")
    files = verify(folder) if (folder / SUMS).exists() or config.schema > 1 else NEEDED
    if absent := ", ".join(sorted(set(NEEDED) - set(files))):
        raise BundleError(f"{folder / SUMS}: does not list {absent}; copy the whole folder again")
    check_weights(folder / WEIGHTS)
    calibration = read_json(folder / "calibration.json", Calibration)
    if abs(calibration.ood_threshold or 1.0) < 1e-5:
        # fitted to normalised logits, whose energies are rounding errors around 0
        calibration = replace(calibration, ood_threshold=None)
    return Bundle(folder, config, calibration, files)


def check_weights(path: Path) -> None:
    """Check that the weights are a safetensors file, without reading them.

    Raises:
        BundleError: They are a pickle, which could run code, or anything else.
    """
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path}: is not a safetensors file ({error}); copy the bundle from its origin again,"
            " and do not load the file by other means"
        ) from error


def read_config(path: Path) -> BundleConfig:
    """Read `config.json` of this schema or an older one.

    Raises:
        BundleError: The file is damaged, or newer than this version.
    """
    try:
        settings = json.loads(path.read_bytes())
        schema = int(settings["schema"])
        if schema < 3:
            settings["model"]["fusion"]["resolution"] = 4096
        settings = with_former_defaults(update(settings, BundleConfig))
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path}: damaged: {error or 'no schema'}") from error
    if schema > SCHEMA:
        raise BundleError(
            f"{path.parent}: written by agfnet {settings.get('agfnet', 'unknown')} with schema"
            f" {schema}, newer than {SCHEMA}; update agfnet"
        )
    if schema < 5 and settings["model"].get("method", "agfnet") == "agfnet":
        version = settings.get("agfnet", "0.1")
        raise BundleError(
            f"{path.parent}: holds AGFnet of the first design, which agfnet {version} wrote and"
            " this version cannot compute; train the network again with the same settings, or"
            f" install agfnet {version} to use it as it is"
        )
    return parse(path, json.dumps(settings), BundleConfig)


def describe(bundle: Bundle) -> dict[str, str]:
    """Describe a bundle, for display."""
    config, calibration = bundle.config, bundle.calibration
    return {
        "network": f"{config.network}, backbone {config.model.backbone.name}",
        "modalities": ", ".join(config.modalities),
        "classes": ", ".join(config.classes),
        **{f"group {group}": ", ".join(classes) for group, classes in config.groups.items()},
        "input": f"{config.size} x {config.size} pixels",
        "temperature": f"{calibration.temperature:.3g}",
        "flips": "averaged" if calibration.flips else "none",
        "training table": f"SHA-256 {config.data_hash}",
        "written by": f"agfnet {config.agfnet}, schema {config.schema}",
        "files": ", ".join(bundle.files),
    }


def read_json(path: Path, kind: type[T]) -> T:
    """Read JSON into a dataclass and check every field; former names are accepted."""
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    return parse(path, json.dumps(update(values, kind)), kind)


def parse(path: Path, text: str | bytes, kind: type[T]) -> T:
    """Convert the JSON of a file to a dataclass and check every field."""
    try:
        return _adapter(kind).validate_json(text)  # type: ignore[arg-type]
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise BundleError(f"{path}: damaged: {' '.join(first[:3])}") from error


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return what checks the fields of a class; it is built once, which takes time."""
    return TypeAdapter(kind)
