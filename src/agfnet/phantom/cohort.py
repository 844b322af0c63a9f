"""Write a cohort: images, masks, the cases table and the truth."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from agfnet.config import PhantomConfig
from agfnet.data.table import SPLITS
from agfnet.errors import DataError
from agfnet.parallel import ordered_map
from agfnet.phantom.entities import Array
from agfnet.phantom.observer import VIEWS, Observer
from agfnet.phantom.plan import centre, observers, plans
from agfnet.phantom.presets import Recipe, resolve
from agfnet.phantom.render import write_lesion

COLUMNS = (
    *("lesion_id", "patient_id", "label", "split"),
    *("clinical", "ultrasound", "clinical_mask", "ultrasound_mask"),
    *("site", "skin_tone", "age", "sex", "centre"),
)
"""Columns of `cases.csv`."""
TRUTH = (
    *("lesion_id", "truth", "surface", "depth", "ruler", "callipers"),
    *("width_mm", "ita_degrees", "frequency_mhz", "ultrasound_mm_per_pixel"),
)
"""First columns of `truth.csv`; one per view and class follows, with the ideal posterior."""


def make_cohort(
    config: PhantomConfig, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write a synthetic cohort to the folder `config.out`.

    The folder appears only when all of it is written. The same configuration writes the same
    bytes on any number of workers. With several workers, a script must call this under
    `if __name__ == "__main__":`, because each worker starts by importing it.

    Args:
        config: See `PhantomConfig`.
        progress: Called with the number of finished lesions and of all lesions.

    Returns:
        The path of `cases.csv`. The folder also holds `images/`, `masks/`, `truth.json` (classes,
        table and Bayes-optimal accuracies) and `truth.csv` (class, phenotypes, annotations and
        ideal posteriors of each lesion).

    Raises:
        ConfigError: A setting is out of range.
        DataError: The folder exists and is not empty, or cannot be written.
    """
    recipe = resolve(config)
    models = observers(recipe)
    out = Path(config.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; choose another folder or delete it first")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        _write_all(config, recipe, models, part, progress)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out / "cases.csv"


def _write_all(
    config: PhantomConfig,
    recipe: Recipe,
    models: dict[str, Observer],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    scores = {split: _Score() for split in SPLITS}
    draw = partial(write_lesion, config=config, recipe=recipe, folder=folder)
    with (
        (folder / "cases.csv").open("w", encoding="utf-8", newline="") as cases_file,
        (folder / "truth.csv").open("w", encoding="utf-8", newline="") as truth_file,
        closing(ordered_map(draw, plans(config, recipe), workers=config.workers)) as lesions,
    ):
        cases, truths = csv.writer(cases_file), csv.writer(truth_file)
        cases.writerow(COLUMNS)
        classes = models["test"].table.classes
        truths.writerow([*TRUTH, *(f"p_{view}_{name}" for view in VIEWS for name in classes)])
        for done, (plan, files) in enumerate(lesions, start=1):
            clinic = centre(config.seed, plan.centre, recipe)
            posteriors = [models[plan.split].posterior(view, plan.seen) for view in VIEWS]
            scores[plan.split].add(classes.index(plan.label), posteriors)
            cases.writerow(
                (
                    *(plan.lesion_id, plan.patient_id, plan.label, plan.split),
                    *(files.clinical, files.ultrasound),
                    *(files.clinical_mask, files.ultrasound_mask),
                    *(plan.site, plan.tone, plan.age, plan.sex, clinic.name),
                )
            )
            truths.writerow(
                (
                    *(plan.lesion_id, plan.truth, plan.surface or "", plan.depth or ""),
                    *(int(plan.seen.ruler), int(plan.seen.calliper)),
                    *(f"{plan.width:.2f}", f"{plan.ita:.1f}", f"{clinic.scanner.frequency:.2f}"),
                    f"{clinic.scanner.field / config.size:.6g}",
                    *(f"{p:.6f}" for posterior in posteriors for p in posterior),
                )
            )
            if progress is not None:
                progress(done, config.lesions)
    truth = _truth(config, recipe, models, scores)
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


class _Score:
    """Accuracy of the ideal observer on the lesions of one split."""

    def __init__(self) -> None:
        self.count = 0
        self.correct = dict.fromkeys(VIEWS, 0)

    def add(self, label: int, posteriors: list[Array]) -> None:
        self.count += 1
        for view, posterior in zip(VIEWS, posteriors, strict=True):
            self.correct[view] += int(posterior.argmax() == label)

    def result(self) -> dict[str, float]:
        accuracy = {view: hits / max(self.count, 1) for view, hits in self.correct.items()}
        return {"lesions": self.count, **accuracy}


def _truth(
    config: PhantomConfig, recipe: Recipe, models: dict[str, Observer], scores: dict[str, _Score]
) -> dict[str, Any]:
    """Return the content of `truth.json`."""
    test = models["test"]
    return {
        "note": "Synthetic. Research use only; no evidence of clinical performance.",
        "preset": config.preset,
        "seed": config.seed,
        "size": config.size,
        "recipe": asdict(recipe),
        "classes": list(test.table.classes),
        "surface": list(test.table.surfaces),
        "depth": list(test.table.depths),
        "table": test.table.rows(),
        "limits": test.limits(),
        "limits_by_split": {split: model.limits() for split, model in models.items()},
        "limits_without_marks": test.without_marks().limits(),
        "ideal_observer": {split: score.result() for split, score in scores.items()},
    }
