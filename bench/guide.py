"""Does the guide point to what the answer rests on? Networks with and without FRL, real lesions.

    python bench/guide.py --runs runs/paper/whole_milk10k/runs --json bench/results/guide.json

The networks are those of a study on MILK10k (`agfnet study paper/whole_milk10k.yaml`): each name of
`--networks` with each seed. On the same test lesions, drawn by lot, the order check of `agfnet
explain --sanity` is computed for the guide: the area under the insertion curve minus that under the
deletion curve, less the same for a random order. Above 0, it points to what the answer rests on.
Rows: the mean of each network, and the first network of `--networks` minus the second one, by
lesion and seed, with 95 % intervals for new lesions and new seeds. Networks that were measured
before are not measured again (`--out`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from common import Row, finish, options, row

from agfnet.bundle import read_bundle
from agfnet.config.renamed import run_settings
from agfnet.data.splits import require_split
from agfnet.evaluation.members import run_table
from agfnet.explain.compute.images import load_images, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.measures import cells
from agfnet.explain.compute.order import GRID, order_areas, order_gains, random_orders
from agfnet.files import write_json
from agfnet.inference.torch_backend import TorchBackend
from agfnet.metrics.seeds import over_seeds

BATCH = 16


def gains(run: Path, lesions: int) -> list[float]:
    """Return the gain of the guide over a random order, for each lesion."""
    bundle = read_bundle(run)
    backend = TorchBackend(bundle=bundle)
    table = run_table(run_settings(run), None, bundle.config, split=True)
    rng = np.random.default_rng(0)
    test = [c for c in require_split(table, "test") if c.label in bundle.config.classes]
    drawn = rng.permutation(len(test))[:lesions]
    results: list[float] = []
    for start in range(0, len(drawn), BATCH):
        cases = [test[i] for i in drawn[start : start + BATCH]]
        images, present = stack_images(
            [load_images(case.images, {}, bundle.config) for case in cases], bundle.config
        )
        answers = backend.logits(images, present).argmax(axis=1)
        chance = order_areas(backend.logits, random_orders(images, rng), images, present, answers)
        guide = Explainer(backend=backend).maps(["guide"], images, present, answers)["guide"]
        pooled = [np.stack([cells(single, GRID) for single in part]) for part in guide]
        areas = order_areas(backend.logits, pooled, images, present, answers)
        results += order_gains(areas, chance).tolist()
    return results


def measured(run: Path, lesions: int, out: Path) -> np.ndarray:
    """Return the gains of a run (lesions,), which are kept."""
    kept = out / f"{run.name}-{lesions}.json"
    if not kept.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(kept, gains(run, lesions))
    return np.array(json.loads(kept.read_text(encoding="utf-8")))


def mean_row(name: str, values: np.ndarray) -> Row:
    """Return the mean of (seeds, lesions) with its interval."""
    count = values.shape[1]
    left_out = (values.sum(axis=1) - values.T) / (count - 1)
    mean = over_seeds(values.mean(axis=1), left_out)
    _, low, high = mean.interval()
    details = {"low": low, "high": high, "p": mean.p(), "lesions": count, "seeds": len(values)}
    return row(name, "guide, gain over a random order", mean.value, **details)


def main() -> None:
    """Measure the networks that were not measured before, and compare them."""
    parser = options(__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="run folders of the study")
    parser.add_argument("--networks", nargs="+", default=["AGFnet", "AGFnet without FRL"])
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lesions", type=int, default=200, help="test lesions, drawn by lot")
    parser.add_argument("--out", type=Path, default=Path("runs/guide"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    values = {
        name: np.stack(
            [
                measured(
                    arguments.runs / run_name(name, arguments.fold, seed),
                    arguments.lesions,
                    arguments.out,
                )
                for seed in arguments.seeds
            ]
        )
        for name in arguments.networks
    }
    first, second = arguments.networks[:2]
    rows = [mean_row(name, gain) for name, gain in values.items()]
    rows.append(mean_row(f"{first} minus {second}", values[first] - values[second]))
    finish(rows, arguments, "Order check on real lesions")


def run_name(network: str, fold: int, seed: int) -> str:
    """Return the folder of a run of a study."""
    return f"{network.lower().replace(' ', '-')}-fold{fold}-seed{seed}"


if __name__ == "__main__":
    main()
