"""Attribution maps of several networks on lesions with a planted mark, and their sanity checks.

    python bench/explain.py --json bench/results/explain.json

In the `shortcut` phantom, rulers (photograph) and callipers (ultrasound) are associated with
malignancy in training, and not in the test. AGFnet is trained with and without feature
reconstruction, and three baselines without changes; three seeds each.

- Fraction of the attribution to the predicted class that lies on the mark, in test lesions with a
  mark. Baseline: the fraction of the image that the mark covers. The same for a network with
  shuffled weights shows the effect of the appearance of the mark alone. The position of the mark is
  known from the same cohort drawn without marks. Means over the seeds, with 95 % intervals for new
  lesions and new seeds.
- The sanity checks of `agfnet explain --sanity` for every method and network of the first seed.
- Cost of the guide and both CAMs of 100 pairs, in forward passes and relative to predicting them.

Contact sheets of each network are in `--out`. Finished runs and measurements are reused.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Row, finish, options, row
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
from agfnet.metrics.seeds import over_seeds
from agfnet.phantom.cohort import make_cohort
from agfnet.terminal import say
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
    """Train the networks that do not exist yet, then measure."""
    parser = options(__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/explain"))
    parser.add_argument("--lesions", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--marked", type=int, default=30, help="lesions with each mark")
    parser.add_argument("--checked", type=int, default=20, help="lesions in the sanity checks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the docs")
    arguments = parser.parse_args()
    out = arguments.out
    table, twin = (cohort(out, arguments.lesions, marks) for marks in (True, False))
    for name in arguments.networks:
        for seed in arguments.seeds:
            if not (out / folder_of(name, seed) / "bundle").is_dir():
                train(out, name, seed, table, arguments.epochs)
    if arguments.train:
        return
    marks = {view: marked(table, twin, view)[: arguments.marked] for view in VIEWS}
    on_marks = {
        (name, view): stacked(
            on_mark(out / folder_of(name, seed), marks[view], view) for seed in arguments.seeds
        )
        for name in arguments.networks
        for view in VIEWS
    }
    rows = [*mark_rows(on_marks), *difference_rows(on_marks)]
    cases = subset(out / "marked.csv", [mark.case for mark in marks["clinical"]])
    for name in arguments.networks:
        run = out / folder_of(name, arguments.seeds[0])
        sheet = ExplainConfig(
            model=str(run),
            cases=str(cases),
            out=str(run / "marked"),
            max_lesions=8,
            methods=["layercam", "gradcam"],
        )
        explain(sheet)
        rows += sanity_rows(name, run, table, arguments.checked)
    rows += cost_rows(out / folder_of("AGFnet", arguments.seeds[0]), table)
    if arguments.pictures:
        pictures(out, arguments.seeds[0], cases, arguments.pictures)
    finish(rows, arguments)


def subset(path: Path, cases: Sequence[Case]) -> Path:
    """Write a table of some cases."""
    path.unlink(missing_ok=True)
    write_cases(cases, path, modalities=VIEWS)
    return path


def folder_of(name: str, seed: int) -> str:
    """Return the name of the run folder of a network."""
    return f"{name.replace(' ', '-').lower()}-seed{seed}"


def stacked(seeds: Iterable[dict[str, list[float]]]) -> dict[str, np.ndarray]:
    """Join the measures of several seeds: method to (seeds, lesions)."""
    measures = list(seeds)
    return {name: np.array([seed[name] for seed in measures]) for name in measures[0]}


def cohort(out: Path, lesions: int, marks: bool) -> Path:
    """Return the cases table of the cohort, or of the same lesions without marks."""
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


def train(out: Path, name: str, seed: int, table: Path, epochs: int) -> None:
    """Train one network."""
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
        name=folder_of(name, seed),
        seed=seed,
        resume=True,
    )
    start = time.process_time()
    fit(NETWORKS[name](base), progress=False)
    say(f"{name}, seed {seed}: trained in {time.process_time() - start:.0f} CPU seconds")


class Mark(NamedTuple):
    """A test lesion with a planted mark."""

    case: Case
    twin: Case  # the same lesion without marks
    region: np.ndarray  # (SIZE, SIZE) bool, position of the mark


def marked(table: Path, twin: Path, view: str) -> list[Mark]:
    """Return all test lesions with a mark in this view; only there the images differ."""
    cases, plain = (
        {case.lesion_id: case for case in require_split(read_cases(path, modalities=VIEWS), "test")}
        for path in (table, twin)
    )
    with (table.parent / "truth.csv").open(encoding="utf-8", newline="") as file:
        column = {"clinical": "ruler", "ultrasound": "callipers"}[view]
        names = [line["lesion_id"] for line in csv.DictReader(file) if line[column] == "1"]
    find = ruler if view == "clinical" else callipers
    return [
        Mark(cases[name], plain[name], find(difference(cases[name], plain[name], view)))
        for name in names
        if name in cases
    ]


def difference(case: Case, twin: Case, view: str) -> np.ndarray:
    """Return the grey levels (SIZE, SIZE) by which a mark changed an image."""
    marked_image, plain = (
        np.asarray(Image.open(x.images[view][0]).convert("L"), dtype=int) for x in (case, twin)
    )
    return abs(marked_image - plain)


def ruler(change: np.ndarray) -> np.ndarray:
    """Return the edge that the ruler covers; camera noise differs everywhere."""
    depth = max(6, round(0.11 * SIZE))  # as in `agfnet.phantom.photo`
    edges = []
    for side in (np.s_[:depth], np.s_[-depth:], np.s_[:, :depth], np.s_[:, -depth:]):
        edge = np.zeros(change.shape, dtype=bool)
        edge[side] = True
        edges.append(edge)
    return max(edges, key=lambda edge: change[edge].mean())


def callipers(change: np.ndarray) -> np.ndarray:
    """Return the callipers: nothing else differs."""
    return change > 0


def on_mark(run: Path, marks: list[Mark], view: str) -> dict[str, list[float]]:
    """Return the fraction of the attribution that lies on each mark, by method.

    Also `area`, the fraction of the image that the mark covers; `answer`, the loss of the predicted
    probability in the image without the mark; and, for rulers, `shuffled METHOD`, the fraction in a
    network with shuffled weights.
    """
    kept = run / f"marks-{view}-{len(marks)}.json"
    if kept.is_file():
        read = json.loads(kept.read_text(encoding="utf-8"))
        return {name: [math.nan if x is None else x for x in v] for name, v in read.items()}
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
    measures: dict[str, list[float]] = {
        "area": [float(mark.region.mean()) for mark in marks],
        "answer": (before - after).tolist(),
    }
    networks = {"": backend}
    if view == "clinical":
        networks["shuffled "] = shuffled(backend, 0)
    for prefix, network in networks.items():
        maps = Explainer(backend=network).maps(METHODS, images, present, answers)
        for method, parts in maps.items():
            measures[prefix + method] = [
                relevance_mass_accuracy(values, mark.region)
                for values, mark in zip(parts[m], marks, strict=True)
            ]
    # an empty map has no fraction: nan, None in JSON
    write_json(kept, {n: [x if math.isfinite(x) else None for x in v] for n, v in measures.items()})
    return measures


def loaded(cases: Sequence[Case], bundle: Bundle) -> tuple[list[np.ndarray], np.ndarray]:
    """Load the images per modality, and which of them are present."""
    return stack_images(
        [load_images(case.images, {}, bundle.config) for case in cases], bundle.config
    )


def mark_rows(on_marks: Mapping[tuple[str, str], Mapping[str, np.ndarray]]) -> list[Row]:
    """Return the mean fraction of the attribution on the mark, for every network and method."""
    rows = []
    for (name, view), measures in on_marks.items():
        area = float(np.mean(measures["area"]))
        for method, values in measures.items():
            if method == "answer":
                rows.append(mean_row(f"{name}, answer", f"{view}: lost without mark", values, 0.0))
            elif method != "area":
                rows.append(mean_row(f"{name}, {method}", f"{view}: share on mark", values, area))
    return rows


def difference_rows(on_marks: Mapping[tuple[str, str], Mapping[str, np.ndarray]]) -> list[Row]:
    """Return AGFnet with FRL minus without, paired by lesion."""
    rows = []
    for view in VIEWS:
        with_frl, without = on_marks.get(("AGFnet", view)), on_marks.get(("without FRL", view))
        if with_frl is None or without is None:
            continue
        for method in with_frl:
            if method != "area" and not method.startswith("shuffled"):
                change = with_frl[method] - without[method]
                base = float(np.nanmean(without[method]))
                rows.append(
                    mean_row(f"AGFnet, {method}", f"{view}: FRL less without", change, base)
                )
    return rows


def mean_row(name: str, metric: str, values: np.ndarray, baseline: float) -> Row:
    """Return the mean of (seeds, lesions), without lesions with nan, and its interval."""
    lesions = values[:, np.isfinite(values).all(axis=0)]
    count = lesions.shape[1]
    if not count:  # all maps are empty
        lesions = np.zeros((len(values), 2))
    left_out = np.array(
        [np.delete(lesions, each, axis=1).mean(axis=1) for each in range(lesions.shape[1])]
    )
    mean = over_seeds(lesions.mean(axis=1), left_out)
    low, high = (x if math.isfinite(x) else mean.value for x in mean.interval()[1:])
    return row(
        name, metric, mean.value, baseline, low=low, high=high, lesions=count, seeds=len(values)
    )


def sanity_rows(name: str, run: Path, table: Path, checked: int) -> list[Row]:
    """Return the results of every method in every sanity check."""
    cases = require_split(read_cases(table, modalities=VIEWS), "test")
    test = subset(run.parent / "test.csv", cases)
    config = ExplainConfig(
        model=str(run),
        cases=str(test),
        out=str(run / "checked"),
        max_lesions=checked,
        methods=list(METHODS),
        sanity=True,
    )
    kept = read_sanity(run, read_bundle(run))
    if kept is None or kept["cases"] != checked:
        explain(config)
        kept = json.loads((run / SANITY).read_text(encoding="utf-8"))
    rows = []
    for method, result in kept["methods"].items():
        values = {
            **{check: result[check] for check in CORRELATIONS},
            "order": result["order"]["value"],
            **{f"inside {m}": value for m, value in result["relevance_mass_accuracy"].items()},
        }
        limits = {"parameter_randomisation": SAME, "tiles": SAME, "noise": SAME, "order": 0.0}
        limits |= {f"inside {m}": area for m, area in result["lesion_area"].items()}
        for metric, value in values.items():
            failed = metric in result["failed"]
            rows.append(row(f"{name}, {method}", metric, value, limits.get(metric), failed=failed))
    return rows


def cost_rows(run: Path, table: Path) -> list[Row]:
    """Measure the guide and both CAMs of 100 pairs, against predicting them."""
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
        explainer.maps(["guide", "layercam", "gradcam"], images, present, zeros)
        times["explain"].append(time.process_time() - start)
    handle.remove()
    base, value = min(times["predict"]), min(times["explain"])
    name, passes = "AGFnet, guide and CAM", seen / len(cases)
    return [
        row(name, "passes per pair", passes, 1.0),
        row(name, "CPU seconds for 100 pairs", value, base),
    ]


def pictures(out: Path, seed: int, cases: Path, folder: Path) -> None:
    """Save the contact sheets without and with FRL side by side, and all maps of one lesion."""
    names = ("without FRL", "AGFnet")
    sheets = [Image.open(out / folder_of(name, seed) / "marked" / SHEET) for name in names]
    both = Image.new("RGB", (sum(x.width for x in sheets), max(x.height for x in sheets)), "white")
    both.paste(sheets[0].convert("RGB"), (0, 0))
    both.paste(sheets[1].convert("RGB"), (sheets[0].width, 0))
    both.save(folder / "explain-marked.jpg", quality=80)
    run = out / folder_of("AGFnet", seed)
    config = ExplainConfig(model=str(run), cases=str(cases), out=str(run / "maps"), max_lesions=1)
    explain(config)
    (maps,) = (run / "maps").glob("*/maps-*.png")
    Image.open(maps).convert("RGB").save(folder / "explain-maps.jpg", quality=80)
    (attention,) = (run / "maps").glob("*/attention.png")
    Image.open(attention).convert("RGB").save(folder / "explain-attention.jpg", quality=80)


if __name__ == "__main__":
    main()
