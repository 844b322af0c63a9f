"""The thing you ship: one folder with weights, settings, calibration and a card. No pickle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agfnet import __version__
from agfnet.config import ModalityConfig, ModelConfig, SetScore
from agfnet.config.renamed import update
from agfnet.errors import BundleError
from agfnet.files import replacing, write_json, write_text

T = TypeVar("T")
SCHEMA = 4
"""4: present names of settings (see `agfnet.config.renamed`).
3: `model.fusion.resolution`, without which a network uses every place of its feature maps.
2: SHA256SUMS, which schema 1 does not have."""
WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "calibration.json", WEIGHTS)
SUMS = "SHA256SUMS"
EXPORT = "export.json"
"""What the exported graphs were found to be worth (see `agfnet.export`)."""
SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_-][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class BundleConfig:
    """Everything that inference needs to know beside the weights: `config.json`."""

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
    """The network, without its starting weights."""
    data_hash: str
    """SHA-256 of the training table (see `environment.json` of the run)."""
    cases: dict[str, dict[str, int]] | None = None
    """Labelled cases that it was trained (`train`) and calibrated (`val`) on, by class."""
    agfnet: str = __version__
    """Version that wrote the bundle."""
    schema: int = SCHEMA
    """Version of this layout."""


@dataclass(frozen=True)
class PredictionSets:
    """Conformal prediction sets: a class is in the set while its score is within the quantile."""

    score: SetScore
    """What is compared with the quantile (see `agfnet.inference.postprocessing`)."""
    coverage: float
    """Share of new patients' lesions whose true class the set holds, at least."""
    by_class: bool
    """Whether that holds within every class, and not only over all."""
    quantiles: tuple[float | None, ...]
    """Largest score of a class in the set, per class; None where no score is too large."""
    penalty: float = 0.0
    """RAPS: added to the score for every rank beyond `rank`."""
    rank: int = 1
    """RAPS: classes that cost no penalty."""


@dataclass(frozen=True)
class Abstention:
    """The least confidence of an answer that is given at a guaranteed risk."""

    threshold: float
    """Answers with less confidence than this are left to a person."""
    target_risk: float
    """Largest share of wrong answers among those given that was asked for."""
    confidence: float
    """Probability that the guarantee holds."""
    bound: float
    """The share of wrong answers that is guaranteed."""
    coverage: float
    """Share of the validation patients whose lesion is answered."""


@dataclass(frozen=True)
class Calibration:
    """What was fitted on the validation split after training: `calibration.json`."""

    temperature: float = 1.0
    """Divides the log-probabilities before the final softmax."""
    scale: tuple[float, ...] | None = None
    """Vector scaling instead: multiplies the log-probability of each class."""
    bias: tuple[float, ...] | None = None
    """Vector scaling: added to the log-probability of each class after `scale`."""
    sets: PredictionSets | None = None
    """Which classes an answer cannot rule out."""
    abstention: Abstention | None = None
    """When an answer is left to a person; None where no risk could be guaranteed."""
    ood_threshold: float | None = None
    """Energy above which a case is unlike those of the validation split."""
    cases: int | None = None
    """Labelled validation cases that all this was fitted on."""
    patients: int | None = None
    """Their patients."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, read and checked."""

    folder: Path
    config: BundleConfig
    calibration: Calibration
    files: tuple[str, ...]  # that were verified; nothing else in the folder is used

    @property
    def weights(self) -> Path:
        """Path of the safetensors file."""
        return self.folder / WEIGHTS


def write_bundle(
    folder: Path, weights: Mapping[str, np.ndarray[Any, Any]], config: BundleConfig, card: str
) -> Bundle:
    """Write a new bundle with a neutral calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    drop_exports(folder)
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(dict(weights)))  # save_file hides it from other users
    write_text(folder / "card.md", card)
    write_json(folder / "calibration.json", asdict(Calibration()))
    write_json(folder / "config.json", asdict(config))
    seal(folder)  # last: a bundle with it is complete
    return read_bundle(folder)


def write_calibration(bundle: Bundle, calibration: Calibration) -> Bundle:
    """Replace the calibration of a bundle; exported graphs, which hold the old one, go."""
    drop_exports(bundle.folder)
    write_json(bundle.folder / "calibration.json", asdict(calibration))
    seal(bundle.folder)
    return read_bundle(bundle.folder)


def replace_card(bundle: Bundle, card: str) -> None:
    """Replace the card of a bundle that has been verified."""
    path, sums = bundle.folder / "card.md", bundle.folder / SUMS
    if sums.is_file():
        lines = sums.read_text(encoding="utf-8").splitlines()
        others = [line for line in lines if not line.endswith("  card.md")]
        mine = f"{hashlib.sha256(card.encode()).hexdigest()}  card.md"
        listed = "".join(f"{line}\n" for line in sorted([*others, mine], key=lambda x: x[66:]))
        # one right after the other: between them the bundle is not sound
        write_text(path, card)
        write_text(sums, listed)
    else:
        write_text(path, card)


def drop_exports(folder: Path) -> None:
    """Remove what was exported from weights or a calibration that are about to be replaced."""
    for path in (*folder.glob("*.onnx"), folder / EXPORT):
        path.unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write SHA256SUMS over all files of a bundle; `sha256sum -c SHA256SUMS` reads it as well."""
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and path.name != SUMS and not path.name.startswith(".")
    )
    write_text(folder / SUMS, "".join(f"{sha256(folder / name)}  {name}\n" for name in names))


def verify(folder: Path) -> tuple[str, ...]:
    """Compare every file of a bundle with its SHA-256; their names.

    Raises:
        BundleError: a file that is missing, changed, a link, or named by a path; or no sums.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{folder}: no readable {SUMS}; copy the whole folder again from where it was made"
        ) from error
    names = []
    for number, line in enumerate(lines, start=1):
        found = SUM.fullmatch(line)
        if found is None:
            raise BundleError(
                f"{folder / SUMS}:{number}: {line[:80]!r}; expected a SHA-256 and the plain name of"
                " a file in this folder"
            )
        digest, name = found.groups()
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{folder}: no {name}, or it is a link; copy the whole folder again")
        if sha256(path) != digest:
            raise BundleError(
                f"{path}: is not the file that was written (its SHA-256 differs); copy the whole"
                " folder again"
            )
        names.append(name)
    return tuple(names)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bundle(folder: str | Path) -> Bundle:
    """Read and verify a bundle, or the bundle inside a run folder.

    Raises:
        BundleError: not a bundle, a file missing, changed or damaged, or a schema newer than this
            version.
    """
    folder = Path(folder)
    if (folder / "bundle" / "config.json").is_file():
        folder = folder / "bundle"
    for name in NEEDED:
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder}: no {name}; expected a bundle, or a run folder that has one"
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
    """Look that the weights are what their name says, without reading them.

    Raises:
        BundleError: they are a pickle, which could run code, or anything else.
    """
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path}: is not a safetensors file ({error}); take the bundle from where it was made,"
            " and never load it by other means"
        ) from error


def read_config(path: Path) -> BundleConfig:
    """Read `config.json` of this schema or an older one.

    Raises:
        BundleError: damaged, or newer than this version.
    """
    try:
        settings = json.loads(path.read_bytes())
        schema = int(settings["schema"])
        if schema < 3:
            settings["model"]["fusion"]["resolution"] = 4096
        settings = update(settings, BundleConfig)
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path}: damaged: {error or 'no schema'}") from error
    if schema > SCHEMA:
        raise BundleError(
            f"{path.parent}: written by agfnet {settings.get('agfnet', 'unknown')} with schema"
            f" {schema}, newer than {SCHEMA}; update agfnet"
        )
    return parse(path, json.dumps(settings), BundleConfig)


def describe(bundle: Bundle) -> dict[str, str]:
    """What a bundle is, in words."""
    config, calibration = bundle.config, bundle.calibration
    return {
        "network": f"{config.model.method}, backbone {config.model.backbone.name}",
        "modalities": ", ".join(config.modalities),
        "classes": ", ".join(config.classes),
        "input": f"{config.size} x {config.size} pixels",
        "temperature": f"{calibration.temperature:.3g}",
        "training table": f"SHA-256 {config.data_hash}",
        "written by": f"agfnet {config.agfnet}, schema {config.schema}",
        "files": ", ".join(bundle.files),
    }


def read_json(path: Path, kind: type[T]) -> T:
    """Read JSON into a dataclass, every field checked; former names of fields are accepted."""
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    return parse(path, json.dumps(update(values, kind)), kind)


def parse(path: Path, text: str | bytes, kind: type[T]) -> T:
    """A file's JSON as a dataclass, every field checked."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise BundleError(f"{path}: damaged: {' '.join(first[:3])}") from error
