"""Write a cohort: images, masks, the cases table and the truth."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from agfnet.config import PhantomConfig
from agfnet.errors import DataError
from agfnet.phantom.lesions import VIEWS
from agfnet.phantom.plan import Plan, centre, observers, plans
from agfnet.phantom.presets import Recipe, resolve
from agfnet.phantom.render import write

COLUMNS = (
    *("lesion_id", "patient_id", "label", "split"),
    *("clinical", "ultrasound", "clinical_mask", "ultrasound_mask"),
    *("site", "skin_tone", "ita", "age", "sex", "centre"),
)
"""Columns of `cases.csv`."""


def make_cohort(
    config: PhantomConfig, *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write a synthetic cohort to the folder `config.out`.

    The folder appears only when all of it is written. The same configuration writes the same
    bytes on any number of workers.

    Args:
        config: What to make; see `PhantomConfig`.
        progress: Called with lesions done and lesions in all.

    Returns:
        The path of `cases.csv`. Beside it: `images/`, `masks/`, `truth.json` (classes, table and
        limits) and `truth.csv` (per lesion: class, phenotypes, marks and posteriors).

    Raises:
        ConfigError: A setting is out of range.
        DataError: The folder exists and is not empty, or cannot be written.
    """
    recipe = resolve(config)
    out = Path(config.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; choose another folder or delete it first")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        _write_all(config, recipe, part, progress)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out / "cases.csv"


def _write_all(
    config: PhantomConfig,
    recipe: Recipe,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    models = observers(recipe)
    table = models["test"].table
    truth = {
        "seed": config.seed,
        "preset": config.preset,
        "recipe": asdict(recipe),
        "classes": list(table.classes),
        "surface": list(table.surfaces),
        "depth": list(table.depths),
        "table": table.rows(),
        "limits": models["test"].limits(),
        "limits_by_split": {split: model.limits() for split, model in models.items()},
        "limits_without_marks": models["test"].without_marks().limits(),
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    posteriors = [f"p_{view}_{name}" for view in VIEWS for name in table.classes]
    with (
        (folder / "cases.csv").open("w", encoding="utf-8", newline="") as cases_file,
        (folder / "truth.csv").open("w", encoding="utf-8", newline="") as truth_file,
    ):
        cases, truths = csv.writer(cases_file), csv.writer(truth_file)
        cases.writerow(COLUMNS)
        truths.writerow(
            ["lesion_id", "truth", "surface", "depth", "ruler", "callipers", "width_mm"]
            + posteriors
        )
        for done, (plan, cells) in enumerate(_rendered(config, recipe, folder), start=1):
            place = centre(config.seed, plan.centre, recipe).name
            cases.writerow(
                [plan.lesion_id, plan.patient_id, plan.label, plan.split]
                + [cells[name] for name in COLUMNS[4:8]]
                + [plan.site, plan.tone, f"{plan.ita:.1f}", plan.age, plan.sex, place]
            )
            model, seen = models[plan.split], plan.seen
            truths.writerow(
                [plan.lesion_id, plan.truth, plan.surface or "", plan.depth or ""]
                + [int(seen.ruler), int(seen.calliper), f"{plan.width:.2f}"]
                + [f"{p:.6f}" for view in VIEWS for p in model.posterior(view, seen)]
            )
            if progress is not None:
                progress(done, config.lesions)


def _draw(plan: Plan, *, config: PhantomConfig, recipe: Recipe, folder: Path) -> dict[str, str]:
    """One lesion, in whichever process."""
    return write(
        plan,
        centre(config.seed, plan.centre, recipe),
        folder=folder,
        seed=config.seed,
        size=config.size,
        nuisance=recipe.nuisance,
    )


def _rendered(
    config: PhantomConfig, recipe: Recipe, folder: Path
) -> Iterator[tuple[Plan, dict[str, str]]]:
    """Plans in order, each with the cells of its files, written by then."""
    draw = partial(_draw, config=config, recipe=recipe, folder=folder)
    if config.workers == 1:
        for plan in plans(config, recipe):
            yield plan, draw(plan)
        return
    waiting: deque[tuple[Plan, Future[Any]]] = deque()
    pool = ProcessPoolExecutor(config.workers)
    try:
        todo = plans(config, recipe)
        for plan in islice(todo, 8 * config.workers):
            waiting.append((plan, pool.submit(draw, plan)))
        while waiting:
            plan, future = waiting.popleft()
            yield plan, future.result()
            for following in islice(todo, 1):
                waiting.append((following, pool.submit(draw, following)))
    finally:
        pool.shutdown(cancel_futures=True)
