"""`agfnet compare`: two run folders to compare.json and compare.html. Needs no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agfnet.bundle import read_bundle
from agfnet.config import CompareConfig
from agfnet.data.preprocess import load
from agfnet.errors import AgfnetError, DataError
from agfnet.evaluation.compare import Pair, compare, paired
from agfnet.evaluation.runs import run_table
from agfnet.files import write_json
from agfnet.inference.predictions import Predictions, read_predictions
from agfnet.report.compare import Disagreement, write_comparison
from agfnet.report.example_images import SIDE

SHOWN = 12  # cases in the gallery


def compare_runs(config: CompareConfig) -> Path:
    """Compare the predictions of two runs on the lesions that both have judged.

    Returns:
        The folder with compare.json and compare.html.

    Raises:
        DataError: a run has no such evaluation, or the two have no lesion in common.
    """
    runs = Path(config.run_a), Path(config.run_b)
    pair = paired(*(_read(run, config.name) for run in runs))
    found = compare(pair, resamples=config.resamples, seed=config.seed)
    names = (runs[0].resolve().name, runs[1].resolve().name)
    if names[0] == names[1]:
        names = (f"first {names[0]}", f"second {names[1]}")
    folder = Path(config.out) if config.out else runs[0] / "comparison" / runs[1].resolve().name
    write_json(folder / "compare.json", {"a": str(runs[0]), "b": str(runs[1])} | found)
    write_comparison(
        folder / "compare.html",
        names=names,
        evaluation=config.name,
        found=found,
        cases=_shown(config, pair),
    )
    return folder


def disagreements(pair: Pair, most: int = SHOWN) -> list[tuple[int, int]]:
    """Lesions that only one of the two named correctly: who (0 or 1), and the row.

    As many of each side as there are, up to half of all; the surest mistakes first.
    """
    tables = pair.a, pair.b
    right = [np.array(table.predicted) == np.array(table.label) for table in tables]
    sides = []
    for side, other in ((0, 1), (1, 0)):
        sure = tables[other].probabilities.max(axis=1)
        rows = np.flatnonzero(right[side] & ~right[other])
        sides.append(rows[np.argsort(-sure[rows], kind="stable")].tolist())
    room = [max(most // 2, most - len(rows)) for rows in reversed(sides)]
    return [
        (side, row)
        for side, (rows, count) in enumerate(zip(sides, room, strict=True))
        for row in rows[:count]
    ]


def _shown(config: CompareConfig, pair: Pair) -> list[Disagreement]:
    """The cases of the gallery, with the first image of each view as either network sees it."""
    chosen = disagreements(pair)
    images: dict[str, dict[str, NDArray[np.uint8]]] = {}
    wanted = {pair.a.lesion_id[row] for _, row in chosen}
    for run in (config.run_a, config.run_b):
        try:
            bundle = read_bundle(run).config
            table = run_table(run, config.cases, bundle)
            for case in table.cases:
                if case.lesion_id in wanted:
                    for name, modality in bundle.modalities.items():
                        seen = images.setdefault(case.lesion_id, {})
                        if case.images[name] and name not in seen:
                            side = bundle.size if modality.pixel_spacing else SIDE
                            seen[name] = load(case.images[name][0], size=side, modality=modality)
        except (AgfnetError, OSError):
            continue  # the numbers need no images: they may have been moved since
    return [
        Disagreement(
            lesion_id=pair.a.lesion_id[row],
            label=pair.a.label[row],
            answers=(pair.a.predicted[row], pair.b.predicted[row]),
            confidence=(
                float(pair.a.probabilities[row].max()),
                float(pair.b.probabilities[row].max()),
            ),
            right=side,
            images=images.get(pair.a.lesion_id[row], {}),
        )
        for side, row in chosen
    ]


def _read(run: Path, name: str) -> Predictions:
    path = run / "evaluation" / name / "predictions.csv"
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; run `agfnet evaluate {run}` first, and name its result with "
            "--name"
        )
    return read_predictions(path)
