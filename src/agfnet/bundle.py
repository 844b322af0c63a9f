"""The thing you ship: one folder with weights, settings, calibration and a card. No pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors.numpy import save_file

from agfnet import __version__
from agfnet.config import ModalityConfig, ModelConfig
from agfnet.errors import BundleError
from agfnet.files import replacing, write_json, write_text

T = TypeVar("T")
SCHEMA = 1
WEIGHTS = "model.safetensors"


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
    agfnet: str = __version__
    """Version that wrote the bundle."""
    schema: int = SCHEMA
    """Version of this layout."""


@dataclass(frozen=True)
class Calibration:
    """What was fitted on the validation split after training: `calibration.json`."""

    temperature: float = 1.0
    """Divides the log-probabilities before the final softmax."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, read and checked."""

    folder: Path
    config: BundleConfig
    calibration: Calibration

    @property
    def weights(self) -> Path:
        """Path of the safetensors file."""
        return self.folder / WEIGHTS


def write_bundle(
    folder: Path, weights: Mapping[str, np.ndarray[Any, Any]], config: BundleConfig, card: str
) -> Bundle:
    """Write a new bundle with a neutral calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        save_file(dict(weights), temporary)
    write_text(folder / "card.md", card)
    bundle = write_calibration(Bundle(folder, config, Calibration()), Calibration())
    write_json(folder / "config.json", asdict(config))  # last: a bundle with it is complete
    return bundle


def write_calibration(bundle: Bundle, calibration: Calibration) -> Bundle:
    """Replace the calibration of a bundle."""
    write_json(bundle.folder / "calibration.json", asdict(calibration))
    return Bundle(bundle.folder, bundle.config, calibration)


def read_bundle(folder: str | Path) -> Bundle:
    """Read a bundle, or the bundle inside a run folder.

    Raises:
        BundleError: not a bundle, a file missing or damaged, or a schema newer than this version.
    """
    folder = Path(folder)
    if (folder / "bundle" / "config.json").is_file():
        folder = folder / "bundle"
    for name in ("config.json", "calibration.json", WEIGHTS):
        if not (folder / name).is_file():
            raise BundleError(
                f"{folder}: no {name}; expected a bundle, or a run folder that has one"
            )
    config = read_json(folder / "config.json", BundleConfig)
    if config.schema > SCHEMA:
        raise BundleError(
            f"{folder}: written by agfnet {config.agfnet} with schema {config.schema}, newer than"
            f" {SCHEMA}; update agfnet"
        )
    return Bundle(folder, config, read_json(folder / "calibration.json", Calibration))


def read_json(path: Path, kind: type[T]) -> T:
    """Read JSON into a dataclass, every field checked."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise BundleError(f"{path}: damaged: {' '.join(first[:3])}") from error
