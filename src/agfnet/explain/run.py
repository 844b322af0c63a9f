"""The command `explain`: explain the answer for one lesion, or for the lesions of a table."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agfnet.allocation import keep_freed_memory
from agfnet.bundle import Bundle
from agfnet.config import ExplainConfig
from agfnet.data.table import Case, cell_paths, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.explain.compute.explanation import explain_batch
from agfnet.explain.compute.images import PreparedImage, load_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.explain.compute.order import GRID
from agfnet.explain.compute.sanity import NOISE, SAME, TILES, check_methods
from agfnet.explain.compute.sanity_json import SANITY, read_sanity
from agfnet.explain.show.write import SHEET, SheetRow, write_case, write_overview
from agfnet.files import sha256, write_json
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend

BATCH = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExplainResult:
    """The files that the command wrote."""

    folder: Path
    cases: int
    missing: tuple[str, ...]  # methods that this network does not support, and why
    failed: Mapping[str, Sequence[str]] | None  # method to failed checks; None if not run
    foreign: tuple[str, ...]  # lesions with a picture of another kind


@keep_freed_memory()
def explain(config: ExplainConfig, *, progress: Progress | None = None) -> ExplainResult:
    """Explain the answers of a bundle.

    Raises:
        BundleError: not a bundle.
        ConfigError: an unknown class or modality, a region out of range, or captum is missing.
        DataError: problems in the table or its images.
    """
    predictor = Predictor.load(config.model, backend="torch")
    assert isinstance(predictor.backend, TorchBackend)
    bundle = predictor.bundle
    classes = select_classes(config, bundle.config.classes)
    regions = check_regions(config, tuple(bundle.config.modalities))
    methods = select_methods(config)
    cases = select_cases(config, predictor)
    explainer = Explainer(backend=predictor.backend)
    folder = Path(config.out)
    if config.sanity:
        write_sanity(config, bundle, explainer, cases, methods, folder, progress)
    sanity = read_sanity(config.model, bundle) or read_sanity(folder, bundle)
    failed = sanity and {name: row["failed"] for name, row in sanity["methods"].items()}
    rows: list[SheetRow] = []
    foreign: list[str] = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        images = [load_images(case.images, case.masks, bundle.config) for case in batch]
        explanations = explain_batch(predictor, explainer, images, methods, classes, regions)
        for case, explanation in zip(batch, explanations, strict=True):
            target = folder if config.cases is None else folder / folder_name(case, len(rows))
            rows.append(write_case(target, case, explanation, bundle.config, failed or {}))
            if explanation.foreign:
                foreign.append(case.lesion_id)
            if progress is not None:
                progress(len(rows), len(cases))
    if config.cases is not None:
        write_overview(folder / SHEET, rows, bundle.config)
    drawn = set(rows[0].methods)
    return ExplainResult(
        folder=folder,
        cases=len(rows),
        missing=tuple(
            f"{METHODS[name].title}: this network has no {METHODS[name].needs.removeprefix('a ')}"
            for name in methods
            if name in METHODS and name not in drawn
        ),
        failed=failed and {name: checks for name, checks in failed.items() if name in drawn},
        foreign=tuple(foreign),
    )


def select_methods(config: ExplainConfig) -> list[str]:
    """Return the methods of the settings, or all whose packages are installed."""
    if config.methods is not None:
        return list(dict.fromkeys(config.methods))
    captum = importlib.util.find_spec("captum") is not None
    return [
        *(name for name in METHODS if captum or name != "integrated"),
        "attention",
        "modalities",
    ]


def select_classes(config: ExplainConfig, known: Sequence[str]) -> list[int] | None:
    """Return the indices of the classes of the settings; None for the answer of each case."""
    if config.classes is None:
        return None
    if config.classes == ["all"] and "all" not in known:
        return list(range(len(known)))
    for name in config.classes:
        if name not in known:
            raise ConfigError(
                f"classes: '{name}' is not a class of this model ({', '.join(known)})"
            )
    return [known.index(name) for name in dict.fromkeys(config.classes)]


def check_regions(
    config: ExplainConfig, modalities: tuple[str, ...]
) -> dict[str, tuple[float, float, float, float]]:
    """Return the regions to cover, after checking them."""
    for name, box in (config.hide or {}).items():
        if name not in modalities:
            raise ConfigError(
                f"hide: no modality '{name}'; this model reads {', '.join(modalities)}"
            )
        if not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
            raise ConfigError(
                f"hide.{name}: {list(box)}; expected left, top, right, bottom as"
                " fractions of the image, 0 to 1, for example [0.2, 0.3, 0.5, 0.6]"
            )
    return config.hide or {}


def select_cases(config: ExplainConfig, predictor: Predictor) -> list[Case]:
    """Return the lesion of the settings, or those of the table with an image; a sample if many."""
    modalities = tuple(predictor.bundle.config.modalities)
    if config.cases is None:
        images = {name: cell_paths(cell) for name, cell in (config.images or {}).items()}
        predictor.diagnose(images)  # raises if they cannot be read
        empty = dict.fromkeys(modalities, ())
        return [Case("lesion", "lesion", "", empty | images, {}, "", {}, 0)]
    table = read_cases(config.cases, modalities=modalities)
    usable = [case for case in table if any(case.images[name] for name in modalities)]
    if not usable:
        raise DataError(f"{table.path}: no case has an image of {', '.join(modalities)}")
    rows = np.random.default_rng(config.seed).permutation(len(usable))[: config.max_lesions]
    return [usable[row] for row in sorted(rows.tolist())]


def folder_name(case: Case, number: int) -> str:
    """Return a valid name of a folder for any lesion id."""
    return f"{number + 1:03d}-" + re.sub(r"[^\w.-]+", "_", case.lesion_id)[:60]


def write_sanity(
    config: ExplainConfig,
    bundle: Bundle,
    explainer: Explainer,
    cases: Sequence[Case],
    methods: Sequence[str],
    folder: Path,
    progress: Progress | None,
) -> None:
    """Run the sanity checks on these cases; write the result to the folder and to the run."""
    maps = [name for name in methods if name in METHODS]
    loaded: list[dict[str, PreparedImage]] = [
        load_images(case.images, case.masks, bundle.config) for case in cases
    ]
    results = {
        "weights": sha256(bundle.weights),
        "cases": len(cases),
        "seed": config.seed,
        "checks": {name: check.text for name, check in CHECKS.items()},
        "limits": {"same": SAME, "noise": NOISE, "tiles": TILES, "grid": GRID},
        "methods": check_methods(
            explainer,
            loaded,
            [case.patient_id for case in cases],
            maps,
            bundle.config,
            seed=config.seed,
            progress=progress,
        ),
    }
    write_json(folder / SANITY, results)
    if (Path(config.model) / "bundle").is_dir():
        write_json(Path(config.model) / SANITY, results)
