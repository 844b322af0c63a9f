"""`agfnet explain`: one pair of images or a table to maps, numbers and pages."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agfnet.bundle import Bundle, sha256
from agfnet.config import ExplainConfig
from agfnet.data.table import JOIN, Case, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.explain.compute.explanation import describe
from agfnet.explain.compute.images import PreparedImage, load_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.explain.compute.sanity import GRID, NOISE, SAME, TILES, check_methods
from agfnet.explain.compute.sanity_json import SANITY, read_sanity
from agfnet.explain.show.write import SHEET, Told, write_case, write_overview
from agfnet.files import write_json
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend

BATCH = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Explained:
    """What the command wrote."""

    folder: Path
    cases: int
    missing: tuple[str, ...]  # methods that this network cannot have, and why
    failed: Mapping[str, Sequence[str]] | None  # method to failed checks; None if never checked


def explain(config: ExplainConfig, *, progress: Progress | None = None) -> Explained:
    """Explain the answers of a bundle.

    Raises:
        BundleError: not a bundle.
        ConfigError: a class, region or modality that the model does not know, or captum is needed.
        DataError: problems in the table or its images.
    """
    predictor = Predictor.load(config.model, backend="torch")
    assert isinstance(predictor.backend, TorchBackend)
    bundle = predictor.bundle
    classes = chosen_classes(config, bundle.config.classes)
    regions = chosen_regions(config, tuple(bundle.config.modalities))
    methods = chosen_methods(config)
    cases = chosen_cases(config, predictor)
    explainer = Explainer(backend=predictor.backend)
    folder = Path(config.out)
    if config.sanity:
        write_sanity(config, bundle, explainer, cases, methods, folder, progress)
    checked = read_sanity(config.model, bundle) or read_sanity(folder, bundle)
    failed = checked and {name: row["failed"] for name, row in checked["methods"].items()}
    told: list[Told] = []
    for start in range(0, len(cases), BATCH):
        part = cases[start : start + BATCH]
        loaded = [load_images(case.images, case.masks, bundle.config) for case in part]
        for case, found in zip(
            part,
            describe(predictor, explainer, loaded, methods, classes, regions),
            strict=True,
        ):
            target = folder if config.cases is None else folder / file_name(case, len(told))
            told.append(write_case(target, case, found, bundle.config, failed or {}))
            if progress is not None:
                progress(len(told), len(cases))
    if config.cases is not None:
        write_overview(folder / SHEET, told, bundle.config)
    drawn = set(told[0].methods)
    return Explained(
        folder=folder,
        cases=len(told),
        missing=tuple(
            f"{METHODS[name].title}: this network has no {METHODS[name].needs.removeprefix('a ')}"
            for name in methods
            if name in METHODS and name not in drawn
        ),
        failed=failed and {name: found for name, found in failed.items() if name in drawn},
    )


def chosen_methods(config: ExplainConfig) -> list[str]:
    """The methods that are asked for, or all for which the packages are there."""
    if config.methods is not None:
        return list(dict.fromkeys(config.methods))
    captum = importlib.util.find_spec("captum") is not None
    return [
        *(name for name in METHODS if captum or name != "integrated"),
        "attention",
        "modalities",
    ]


def chosen_classes(config: ExplainConfig, known: Sequence[str]) -> list[int] | None:
    """Indices of the classes that are asked for; None for the answer of each case."""
    if config.classes is None:
        return None
    if config.classes == ["all"] and "all" not in known:
        return list(range(len(known)))
    for name in config.classes:
        if name not in known:
            raise ConfigError(
                f"classes: '{name}' is not a class of this model; it knows {', '.join(known)}"
            )
    return [known.index(name) for name in dict.fromkeys(config.classes)]


def chosen_regions(
    config: ExplainConfig, modalities: tuple[str, ...]
) -> dict[str, tuple[float, float, float, float]]:
    """The regions to cover, checked."""
    for name, (left, top, right, bottom) in (config.hide or {}).items():
        if name not in modalities:
            raise ConfigError(
                f"hide: no modality '{name}'; this model reads {', '.join(modalities)}"
            )
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ConfigError(
                f"hide.{name}: {[left, top, right, bottom]}; expected left, top, right, bottom as"
                " shares of the image, 0 to 1, for example [0.2, 0.3, 0.5, 0.6]"
            )
    return config.hide or {}


def chosen_cases(config: ExplainConfig, predictor: Predictor) -> list[Case]:
    """The one pair as a case, or lesions of the table that have an image, drawn if too many."""
    modalities = tuple(predictor.bundle.config.modalities)
    if config.cases is None:
        images = {
            name: tuple(Path(path) for path in cell.split(JOIN) if path)
            for name, cell in (config.images or {}).items()
        }
        predictor.diagnose(images)  # which says what is wrong with them
        empty = dict.fromkeys(modalities, ())
        return [Case("lesion", "lesion", "", empty | images, {}, "", {}, 0)]
    table = read_cases(config.cases, modalities=modalities)
    usable = [case for case in table if any(case.images[name] for name in modalities)]
    if not usable:
        raise DataError(f"{table.path}: no case has an image of {', '.join(modalities)}")
    rows = np.random.default_rng(config.seed).permutation(len(usable))[: config.most]
    return [usable[row] for row in sorted(rows.tolist())]


def file_name(case: Case, number: int) -> str:
    """A folder for a case, whatever its name."""
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
    """Check the methods on these cases; the result lies in the folder, and in the run."""
    maps = [name for name in methods if name in METHODS]
    loaded: list[dict[str, PreparedImage]] = [
        load_images(case.images, case.masks, bundle.config) for case in cases
    ]
    found = {
        "weights": sha256(bundle.weights),
        "cases": len(cases),
        "seed": config.seed,
        "checks": {name: check.text for name, check in CHECKS.items()},
        "limits": {"same": SAME, "noise": NOISE, "tiles": TILES, "grid": GRID},
        "methods": check_methods(
            explainer, loaded, maps, bundle.config, seed=config.seed, progress=progress
        ),
    }
    write_json(folder / SANITY, found)
    if (Path(config.model) / "bundle").is_dir():
        write_json(Path(config.model) / SANITY, found)
