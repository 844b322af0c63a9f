"""What the maps of several networks show of a planted mark, and which of them can be believed.

    python bench/explain.py --json bench/results/explain.json

On the `shortcut` phantom rulers (photograph) and callipers (ultrasound) betray malignancy in
training, and in the test they say nothing. AGFnet is trained with and without feature
reconstruction, and three peers as they are; one seed each.

- Share of the evidence for the answer that lies on the mark, in test lesions that have one, beside
  the share that the mark has of the image, and that of a network with shuffled weights: what the
  look of a mark does by itself. Where the mark lies is known from the same cohort drawn without
  marks. Intervals: 95 %, bootstrap over lesions; the difference is taken lesion by lesion.
- Every method put to the sanity checks of `agfnet explain --sanity`, for every network.
- What guide and LayerCAM of 100 pairs cost, in passes and in times of predicting them.

Contact sheets of each network lie in `--out`. Finished runs and measurements are not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.special import softmax

from agfnet.bundle import Bundle, read_bundle
from agfnet.config import (
    BackboneConfig,
    DataConfig,
    ExplainConfig,
    FusionConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.data.splits import require_split
from agfnet.data.table import Case, read_cases, write_cases
from agfnet.explain.compute.images import load_images, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.measures import relevance_mass_accuracy
from agfnet.explain.compute.methods import METHODS
from agfnet.explain.compute.sanity import SAME, shuffled
from agfnet.explain.compute.sanity_json import SANITY, read_sanity
from agfnet.explain.run import explain
from agfnet.explain.show.write import SHEET
from agfnet.files import write_json
from agfnet.inference.torch_backend import TorchBackend
from agfnet.phantom.cohort import make_cohort
from agfnet.terminal import say, show_table
from agfnet.training.fit import fit

SIZE = 64
VIEWS = ("clinical", "ultrasound")
NETWORKS: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "AGFnet": lambda base: base,
    "without FRL": lambda base: replace(
        base, reconstruction=replace(base.reconstruction, enabled=False)
    ),
    **{
        name: lambda base, name=name: replace(base, model=replace(base.model, method=name))
        for name in ("concatenation", "mmtm", "cross_attention")
    },
}
CORRELATIONS = ("parameter_randomisation", "heads", "tiles", "noise")


def main() -> None:
    """Train what is not there yet, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("runs/explain"))
    parser.add_argument("--lesions", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--marked", type=int, default=30, help="lesions with each mark")
    parser.add_argument("--checked", type=int, default=20, help="lesions in the sanity checks")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the docs")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    table, twin = (cohort(chosen.out, chosen.lesions, marks) for marks in (True, False))
    for name in chosen.networks:
        if not (chosen.out / folder_of(name) / "bundle").is_dir():
            train(chosen.out, name, NETWORKS[name], table, chosen.epochs)
    if chosen.train:
        return
    marks = {view: marked(table, twin, view)[: chosen.marked] for view in VIEWS}
    shares = {
        (name, view): on_mark(chosen.out / folder_of(name), marks[view], view)
        for name in chosen.networks
        for view in VIEWS
    }
    rows = [*mark_rows(shares), *difference_rows(shares)]
    cases = subset(chosen.out / "marked.csv", [mark.case for mark in marks["clinical"]])
    for name in chosen.networks:
        run = chosen.out / folder_of(name)
        sheet = ExplainConfig(
            model=str(run),
            cases=str(cases),
            out=str(run / "marked"),
            most=8,
            methods=["layercam", "gradcam"],
        )
        explain(sheet)
        if name != "without FRL":
            rows += sanity_rows(name, run, table, chosen.checked)
    rows += cost_rows(chosen.out / folder_of("AGFnet"), table)
    if chosen.pictures:
        pictures(chosen.out, cases, chosen.pictures)
    if chosen.json:
        write_json(chosen.json, rows)


def subset(path: Path, cases: Sequence[Case]) -> Path:
    """A table of some cases, made anew."""
    path.unlink(missing_ok=True)
    write_cases(cases, path, modalities=VIEWS)
    return path


def folder_of(name: str) -> str:
    """Run folder of a network."""
    return name.replace(" ", "-").lower()


def cohort(out: Path, lesions: int, marks: bool) -> Path:
    """The cases table of the cohort, or of the same lesions without marks."""
    folder = out / ("cohort" if marks else "plain")
    if not (folder / "cases.csv").is_file():
        plain = {} if marks else {"annotation_rate": 0.0, "shortcut_train": 0.0}
        make_cohort(
            PhantomConfig(
                out=str(folder),
                preset="shortcut",
                lesions=lesions,
                size=SIZE,
                split=(0.4, 0.1, 0.5),
                **plain,
            )
        )
    return folder / "cases.csv"


def train(
    out: Path, name: str, change: Callable[[TrainConfig], TrainConfig], table: Path, epochs: int
) -> None:
    """One run."""
    base = TrainConfig(
        data=DataConfig(cases=str(table), size=SIZE),
        model=ModelConfig(
            backbone=BackboneConfig(name="resnet10t", options={"channels": [32, 64, 128, 256]}),
            fusion=FusionConfig(grid=4),
        ),
        optim=OptimConfig(
            epochs=epochs, batch_size=32, lr=1e-3, precision="32-true", modality_dropout=0.1
        ),
        runs=str(out),
        name=folder_of(name),
        resume=True,
    )
    start = time.process_time()
    fit(change(base), progress=False)
    say(f"{name}: trained in {time.process_time() - start:.0f} CPU seconds")


class Mark(NamedTuple):
    """A test lesion with a planted mark."""

    case: Case
    twin: Case  # the same lesion without marks
    place: np.ndarray  # (SIZE, SIZE) bool, where the mark lies


def marked(table: Path, twin: Path, view: str) -> list[Mark]:
    """All test lesions with a mark in this view; the images differ from their twins there."""
    cases, plain = (
        {case.lesion_id: case for case in require_split(read_cases(path, modalities=VIEWS), "test")}
        for path in (table, twin)
    )
    with (table.parent / "truth.csv").open(encoding="utf-8", newline="") as file:
        column = {"clinical": "ruler", "ultrasound": "callipers"}[view]
        names = [row["lesion_id"] for row in csv.DictReader(file) if row[column] == "1"]
    find = ruler if view == "clinical" else callipers
    return [
        Mark(cases[name], plain[name], find(difference(cases[name], plain[name], view)))
        for name in names
        if name in cases
    ]


def difference(case: Case, twin: Case, view: str) -> np.ndarray:
    """Grey levels (SIZE, SIZE) by which a mark changed an image."""
    one, other = (
        np.asarray(Image.open(x.images[view][0]).convert("L"), dtype=int) for x in (case, twin)
    )
    return abs(one - other)


def ruler(change: np.ndarray) -> np.ndarray:
    """The ruler covers one edge, to a known depth; camera noise differs everywhere."""
    depth = max(6, round(0.11 * SIZE))  # as `agfnet.phantom.photo` lays it
    edges = []
    for side in (np.s_[:depth], np.s_[-depth:], np.s_[:, :depth], np.s_[:, -depth:]):
        place = np.zeros(change.shape, dtype=bool)
        place[side] = True
        edges.append(place)
    return max(edges, key=lambda place: change[place].mean())


def callipers(change: np.ndarray) -> np.ndarray:
    """Nothing but the callipers differs."""
    return change > 0


def on_mark(run: Path, marks: list[Mark], view: str) -> dict[str, list[float]]:
    """By method, the share of the view's evidence for the answer that lies on each mark.

    Also `area`, the share that the mark has of the image; `answer`, what the answer loses of its
    probability when the mark was never there; and, of rulers, `shuffled METHOD`, the share of a
    network with shuffled weights: what the look of the ruler does by itself.
    """
    kept = run / f"marks-{view}-{len(marks)}.json"
    if kept.is_file():
        read = json.loads(kept.read_text(encoding="utf-8"))
        return {name: [math.nan if x is None else x for x in row] for name, row in read.items()}
    bundle = read_bundle(run)
    backend = TorchBackend(bundle=bundle)
    m = VIEWS.index(view)
    images, present = loaded([mark.case for mark in marks], bundle)
    logits = backend.logits(images, present)
    answers = logits.argmax(axis=1)
    plain = images.copy()
    plain[m] = loaded([mark.twin for mark in marks], bundle)[0][m]
    rows = np.arange(len(marks))
    before, after = (
        softmax(x, axis=1)[rows, answers] for x in (logits, backend.logits(plain, present))
    )
    found: dict[str, list[float]] = {
        "area": [float(mark.place.mean()) for mark in marks],
        "answer": (before - after).tolist(),
    }
    networks = {"": backend}
    if view == "clinical":
        networks["shuffled "] = shuffled(backend, 0)
    for prefix, network in networks.items():
        maps = Explainer(backend=network).maps(METHODS, images, present, answers)
        for method, parts in maps.items():
            found[prefix + method] = [
                relevance_mass_accuracy(one, mark.place)
                for one, mark in zip(parts[m], marks, strict=True)
            ]
    # a map without evidence has no share
    write_json(
        kept, {n: [x if math.isfinite(x) else None for x in row] for n, row in found.items()}
    )
    return found


def loaded(cases: Sequence[Case], bundle: Bundle) -> tuple[list[np.ndarray], np.ndarray]:
    """Images per view, and which are there."""
    return stack_images(
        [load_images(case.images, {}, bundle.config) for case in cases], bundle.config
    )


def mark_rows(shares: dict[tuple[str, str], dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Mean share of the evidence on the mark, beside the mark's share of the image."""
    rows = []
    for (name, view), found in shares.items():
        area = float(np.mean(found["area"]))
        for method, values in found.items():
            if method == "area":
                continue
            metric = f"{view}: {'lost without mark' if method == 'answer' else 'share on mark'}"
            base = 0.0 if method == "answer" else area
            rows.append(row(f"{name}, {method}", metric, np.array(values), base))
    cells = {(x["name"], x["metric"]): interval(x) for x in rows}
    for metric in dict.fromkeys(x["metric"] for x in rows):
        names = list(dict.fromkeys(name for name, _ in shares))
        methods = dict.fromkeys(method for found in shares.values() for method in found)
        lines = [[m, *(cells.get((f"{n}, {m}", metric), "") for n in names)] for m in methods]
        show_table([metric, *names], [line for line in lines if any(line[1:])])
    return rows


def interval(x: dict[str, Any]) -> str:
    """A value with its interval."""
    return f"{x['value']:.3f} ({x['low']:.3f} to {x['high']:.3f})"


def difference_rows(shares: dict[tuple[str, str], dict[str, list[float]]]) -> list[dict[str, Any]]:
    """AGFnet with FRL less without, lesion by lesion."""
    rows = []
    for view in VIEWS:
        with_frl, without = shares.get(("AGFnet", view)), shares.get(("without FRL", view))
        if with_frl is None or without is None:
            continue
        for method in with_frl:
            if method != "area" and not method.startswith("shuffled"):
                change = np.subtract(with_frl[method], without[method])
                metric = f"{view}: FRL less without"
                rows.append(row(f"AGFnet, {method}", metric, change, float("nan")))
                rows[-1] |= {"baseline": float(np.nanmean(without[method])), "ratio": None}
    show_table(
        ["method", "metric", "difference", "without FRL"],
        [[x["name"], x["metric"], interval(x), f"{x['baseline']:.3f}"] for x in rows],
    )
    return rows


def row(name: str, metric: str, values: np.ndarray, baseline: float) -> dict[str, Any]:
    """Mean over lesions with its bootstrap interval; lesions without evidence are left out."""
    known = values[np.isfinite(values)]
    if not len(known):  # no map shows any evidence
        known = np.zeros(1)
    draws = np.random.default_rng(0).integers(len(known), size=(1000, len(known)))
    low, high = np.quantile(known[draws].mean(axis=1), [0.025, 0.975])
    value = float(known.mean())
    return {
        "name": name,
        "metric": metric,
        "value": value,
        "baseline": baseline,
        "ratio": value / baseline if baseline else None,
        "low": float(low),
        "high": float(high),
        "lesions": int(np.isfinite(values).sum()),
    }


def sanity_rows(name: str, run: Path, table: Path, checked: int) -> list[dict[str, Any]]:
    """Every method through every check."""
    cases = require_split(read_cases(table, modalities=VIEWS), "test")
    test = subset(run.parent / "test.csv", cases)
    config = ExplainConfig(
        model=str(run),
        cases=str(test),
        out=str(run / "checked"),
        most=checked,
        methods=list(METHODS),
        sanity=True,
    )
    kept = read_sanity(run, read_bundle(run))
    if kept is None or kept["cases"] != checked:
        explain(config)
        kept = json.loads((run / SANITY).read_text(encoding="utf-8"))
    found = kept["methods"]
    rows = []
    for method, result in found.items():
        values = {
            **{check: result[check] for check in CORRELATIONS},
            "order": result["order"]["value"],
            **{f"inside {m}": value for m, value in result["relevance_mass_accuracy"].items()},
        }
        limits = {"parameter_randomisation": SAME, "tiles": SAME, "noise": SAME, "order": 0.0}
        limits |= {f"inside {m}": area for m, area in result["lesion_area"].items()}
        for metric, value in values.items():
            base = limits.get(metric)
            rows.append(
                {
                    "name": f"{name}, {method}",
                    "metric": metric,
                    "value": value,
                    "baseline": base,
                    "ratio": value / base if base else None,
                    "failed": metric in result["failed"],
                }
            )
    columns = [
        "weights",
        "heads",
        "tiles",
        "noise",
        "order",
        "inside clinical",
        "inside ultrasound",
    ]
    cells = {(x["name"], x["metric"]): f"{x['value']:.2f}" + "*" * x["failed"] for x in rows}
    show_table(
        [name, *columns],
        [[method, *(cells.get((f"{name}, {method}", c), "") for c in columns)] for method in found],
        "Sanity checks; a star: failed",
    )
    return rows


def cost_rows(run: Path, table: Path) -> list[dict[str, Any]]:
    """Guide, queries and both CAMs of 100 pairs, against predicting them."""
    bundle = read_bundle(run)
    explainer = Explainer(backend=TorchBackend(bundle=bundle))
    cases = require_split(read_cases(table, modalities=VIEWS), "test")[:100]
    images, present = loaded(cases, bundle)
    seen = 0

    def count(module: object, inputs: tuple[Any, ...], output: object) -> None:
        nonlocal seen
        seen += len(inputs[1])

    handle = explainer.backend.model.register_forward_hook(count)
    zeros = np.zeros(len(cases), dtype=np.int64)
    times: dict[str, list[float]] = {"predict": [], "explain": []}
    for _ in range(3):
        start = time.process_time()
        explainer.backend.logits(images, present)
        times["predict"].append(time.process_time() - start)
        seen = 0
        start = time.process_time()
        explainer.maps(
            ["guide", "fusion_query", "view_query", "layercam", "gradcam"], images, present, zeros
        )
        times["explain"].append(time.process_time() - start)
    handle.remove()
    base, value = min(times["predict"]), min(times["explain"])
    rows: list[dict[str, Any]] = [
        {
            "name": "AGFnet, guide, queries and CAM",
            "metric": "passes per pair",
            "value": seen / len(cases),
            "baseline": 1.0,
            "ratio": seen / len(cases),
        },
        {
            "name": "AGFnet, guide, queries and CAM",
            "metric": "CPU seconds for 100 pairs",
            "value": value,
            "baseline": base,
            "ratio": value / base,
        },
    ]
    show_table(
        ["", "metric", "value", "prediction"],
        [[x["name"], x["metric"], f"{x['value']:.2f}", f"{x['baseline']:.2f}"] for x in rows],
    )
    return rows


def pictures(out: Path, cases: Path, folder: Path) -> None:
    """The contact sheets without and with FRL side by side, and all maps of one lesion."""
    names = ("without FRL", "AGFnet")
    sheets = [Image.open(out / folder_of(name) / "marked" / SHEET) for name in names]
    both = Image.new("RGB", (sum(x.width for x in sheets), max(x.height for x in sheets)), "white")
    both.paste(sheets[0].convert("RGB"), (0, 0))
    both.paste(sheets[1].convert("RGB"), (sheets[0].width, 0))
    both.save(folder / "explain-marked.jpg", quality=80)
    run = out / folder_of("AGFnet")
    config = ExplainConfig(model=str(run), cases=str(cases), out=str(run / "maps"), max_lesions=1)
    explain(config)
    (maps,) = (run / "maps").glob("*/maps-*.png")
    Image.open(maps).convert("RGB").save(folder / "explain-maps.jpg", quality=80)
    (attention,) = (run / "maps").glob("*/attention.png")
    Image.open(attention).convert("RGB").save(folder / "explain-attention.jpg", quality=80)


if __name__ == "__main__":
    main()
