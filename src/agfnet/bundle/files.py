"""Reading and writing of bundles, with a check of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agfnet.bundle.calibration import Calibration, Evaluated
from agfnet.bundle.config import SCHEMA, BundleConfig
from agfnet.config.renamed import update, with_former_defaults
from agfnet.errors import BundleError
from agfnet.files import SUMS, finish_change, staged_files, verify, write_json, write_text
from agfnet.translation import Language

T = TypeVar("T")
COPY_AGAIN = "copy the whole folder again"
WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "calibration.json", WEIGHTS)
CARDS: Mapping[Language, str] = {"en": "card.md", "zh": "card.zh.md"}
"""Model card by language; a bundle may have the English one only."""
EXPORT = "export.json"
"""Measurements of the exported graphs (see `agfnet.export`)."""
EVALUATIONS = "evaluations.json"
"""Results of evaluations, for the description of the model."""
EXPORTS = ("model.onnx", "model_int8.onnx", EXPORT)
"""Files that `agfnet export` adds; they depend on weights and calibration."""


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
    with staged_files(folder, drop=(*EXPORTS, *CARDS.values())) as new:
        (new / WEIGHTS).write_bytes(save(dict(weights)))  # save_file hides it from other users
        write_text(new / CARDS["en"], card)
        write_json(new / "calibration.json", asdict(Calibration()))
        write_json(new / "config.json", asdict(config))
    return read_bundle(folder)


def write_calibration(bundle: Bundle, calibration: Calibration) -> Bundle:
    """Replace the calibration of a bundle, and drop exported graphs, which contain the old one."""
    with staged_files(bundle.folder, drop=EXPORTS) as new:
        write_json(new / "calibration.json", asdict(calibration))
    return read_bundle(bundle.folder)


def replace_cards(
    bundle: Bundle, cards: Mapping[Language, str], tests: Mapping[str, Evaluated] | None = None
) -> None:
    """Replace the cards of a verified bundle by language, and its evaluations unless None."""
    with staged_files(bundle.folder) as new:
        for language, text in cards.items():
            write_text(new / CARDS[language], text)
        if tests is not None:
            write_json(new / EVALUATIONS, {name: asdict(test) for name, test in tests.items()})


def read_cards(bundle: Bundle) -> dict[Language, str]:
    """Read the cards of a bundle, by language."""
    files = {language: name for language, name in CARDS.items() if name in bundle.files}
    return {k: (bundle.folder / name).read_text(encoding="utf-8") for k, name in files.items()}


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
        raise BundleError(f"{path}: damaged: {error or 'no schema'}; {COPY_AGAIN}") from error
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
        raise BundleError(f"{path}: damaged: {error}; {COPY_AGAIN}") from error
    return parse(path, json.dumps(update(values, kind)), kind)


def parse(path: Path, text: str | bytes, kind: type[T]) -> T:
    """Convert the JSON of a file to a dataclass and check every field."""
    try:
        return adapter(kind).validate_json(text)  # type: ignore[arg-type]
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise BundleError(f"{path}: damaged: {' '.join(first[:3])}; {COPY_AGAIN}") from error


@cache
def adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return the validator of a dataclass; it is built once, which takes time."""
    return TypeAdapter(kind)
