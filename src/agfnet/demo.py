"""The whole job in minutes: a phantom cohort, four networks, one table, one new lesion."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agfnet import NOTICE
from agfnet.config import (
    BackboneConfig,
    DataConfig,
    DemoConfig,
    FusionConfig,
    ModalityConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.data.table import Case, read_cases
from agfnet.errors import ConfigError
from agfnet.explain.compute.explanation import explain_batch
from agfnet.explain.compute.images import load_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.show.overlay import overlay
from agfnet.explain.show.write import draw_maps, original_image
from agfnet.files import write_json
from agfnet.inference.figure import save_picture
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend
from agfnet.inference.wording import sentence
from agfnet.phantom.cohort import make_cohort
from agfnet.report.description import optimal_accuracy
from agfnet.study.run import run
from agfnet.terminal import bar, next_steps, say, show_table

PHOTO = {"clinical": ModalityConfig(modality_type="photo")}
ULTRASOUND = {"ultrasound": ModalityConfig(modality_type="ultrasound")}
MARKER = ".agfnet-demo"
SPLIT = (0.36, 0.09, 0.55)
DRAWN_SIZE = 224
"""Side of the images, at least; the networks see them smaller. All lesions are drawn alike, because
the new one, which is large for the eyes of the reader, would otherwise be of another kind."""


@dataclass(frozen=True)
class Row:
    """One network's line in the table and in `summary.json`."""

    method: str
    accuracy: float
    limit: float
    macro_auc: float
    ece: float
    seconds: float


def run_demo(config: DemoConfig) -> None:
    """Do everything, and leave cohort, runs, `summary.json` and `diagnosis.png` in `config.out`.

    Raises:
        AgfnetError: the output folder holds something else.
    """
    start = time.monotonic()
    folder = Path(config.out)
    clear(folder)
    with bar("rendering a phantom cohort") as progress:
        table = make_cohort(
            PhantomConfig(
                out=str(folder / "cohort"),
                lesions=config.lesions,
                size=max(config.size, DRAWN_SIZE),
                seed=config.seed,
                workers=2,
                split=SPLIT,
            ),
            progress=progress,
        )
    settings = base_settings(config, table)
    networks = {
        "photo only": concatenation(settings, "photo_only", PHOTO),
        "ultrasound only": concatenation(settings, "ultrasound_only", ULTRASOUND),
        "concatenation": concatenation(settings, "concatenation", PHOTO | ULTRASOUND),
        "AGFnet": replace(settings, name="agfnet"),
    }
    rows = []
    for number, (method, network) in enumerate(networks.items(), start=1):
        say(f"[{number}/{len(networks)}] training {method}")
        rows.append(measure(method, network))
    write_json(folder / "summary.json", [asdict(row) for row in rows])
    show_summary(rows)
    case = diagnose(folder, config)
    say(f"Report of AGFnet: {folder / 'agfnet' / 'evaluation' / 'test' / 'report.html'}")
    say(f"The demo took {time.monotonic() - start:.0f} s. {NOTICE}")
    images = {name: os.path.relpath(paths[0]) for name, paths in case.images.items()}
    say(next_steps(folder / "agfnet", images))


def clear(folder: Path) -> None:
    """Remove an earlier demo; anything else in the folder stays, and is an error."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise ConfigError(f"out: {folder} is not empty and no earlier demo; give another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def base_settings(config: DemoConfig, table: Path) -> TrainConfig:
    """AGFnet at a size that two CPU cores train from nothing in a minute or two."""
    return TrainConfig(
        data=DataConfig(cases=str(table), modalities=PHOTO | ULTRASOUND, size=config.size),
        model=ModelConfig(
            backbone=BackboneConfig(name="resnet10t", options={"channels": [32, 64, 128, 256]}),
            fusion=FusionConfig(dim=64, grid=4),
        ),
        optim=OptimConfig(epochs=config.epochs, batch_size=32, lr=1e-3),
        runs=config.out,
        seed=config.seed,
    )


def concatenation(
    settings: TrainConfig, name: str, modalities: dict[str, ModalityConfig]
) -> TrainConfig:
    """The same settings with the concatenation network on these modalities."""
    return replace(
        settings,
        name=name,
        data=replace(settings.data, modalities=modalities),
        model=replace(settings.model, method="concatenation"),
    )


def measure(method: str, settings: TrainConfig) -> Row:
    """Train and evaluate one network."""
    start = time.monotonic()
    with bar("evaluating", at_once=False) as progress:
        folder = run(settings, progress=progress)
    metrics = json.loads(
        (folder / "evaluation" / "test" / "metrics.json").read_text(encoding="utf-8")
    )
    limit = optimal_accuracy(Path(settings.data.cases), tuple(settings.data.modalities), "test")
    assert limit is not None  # a phantom cohort states it
    return Row(
        method=method,
        accuracy=metrics["accuracy"]["value"],
        limit=limit,
        macro_auc=metrics["macro_auc"]["value"],
        ece=metrics["ece"]["value"],
        seconds=round(time.monotonic() - start, 1),
    )


def show_summary(rows: list[Row]) -> None:
    """Print the table."""
    show_table(
        ["method", "accuracy", "limit", "macro AUC", "ECE", "seconds"],
        [
            [
                row.method,
                f"{row.accuracy:.3f}",
                f"{row.limit:.3f}",
                f"{row.macro_auc:.3f}",
                f"{row.ece:.3f}",
                f"{row.seconds:.0f}",
            ]
            for row in rows
        ],
        "Test split of the phantom cohort; limit: the best accuracy that anyone could reach",
    )


def diagnose(folder: Path, config: DemoConfig) -> Case:
    """Render a lesion that no network has seen, diagnose it, and save a picture of the answer.

    Returns:
        The lesion.
    """
    size = max(config.size, DRAWN_SIZE)
    new = make_cohort(
        PhantomConfig(out=str(folder / "new"), lesions=1, size=size, seed=config.seed + 1)
    )
    case = read_cases(new, modalities=("clinical", "ultrasound")).cases[0]
    predictor = Predictor.load(folder / "agfnet", backend="torch")
    names = predictor.bundle.config.names
    diagnosis = predictor.diagnose(case.images)
    truth = dict(zip(predictor.bundle.config.classes, names, strict=True)).get(case.label)
    save_picture(
        folder / "diagnosis.png",
        classes=names,
        diagnosis=diagnosis,
        images=with_maps(predictor, case),
        note=f"Truth: {truth or case.label}. Coloured: the image regions that support the answer.",
    )
    say(f"A new lesion, in truth {truth or case.label}: {sentence(names, diagnosis)}")
    say(f"Picture: {folder / 'diagnosis.png'}")
    return case


def with_maps(predictor: Predictor, case: Case) -> dict[str, np.ndarray[Any, Any]]:
    """Return the first image of each modality, and the same with its attribution map."""
    assert isinstance(predictor.backend, TorchBackend)
    config = predictor.bundle.config
    prepared = load_images(case.images, case.masks, config)
    (explanation,) = explain_batch(
        predictor, Explainer(backend=predictor.backend), [prepared], ["layercam"], None, {}
    )
    originals = {
        name: original_image(image, config.modalities[name]) for name, image in prepared.items()
    }
    ((_, maps),) = explanation.maps.items()
    drawn = draw_maps("layercam", maps, prepared, originals)
    pictures = {}
    for name, image in originals.items():
        pictures[name] = image.pixels
        pictures[f"{name}, attribution"] = overlay(image.pixels, drawn[name].attribution)
    return pictures
