"""What each part of AGFnet is worth, on a phantom cohort made hard, over several seeds.

    python bench/ablation.py --json bench/results/ablation.json
    python bench/ablation.py --json bench/results/resolution.json --out runs/resolution \
        --size 160 --epochs 16 --seeds 0 1 2 --variants AGFnet "full resolution"

Every seed has a cohort of its own: overlapping phenotypes, strong nuisance, wrong labels in
training, few cases, and rulers and callipers that betray malignancy in training only. All variants
of a seed see the same cases, in the same order, with the same budget; the epoch is chosen on the
validation split. The test split is scored as it is, and

- with the marks exchanged (now they go with benign lesions): the same lesions otherwise;
- under corruptions of the pixels: noise, blur, gain, and a covered part;
- with either view missing.

Focus is the share of |gradient x pixel| of the predicted class that lies inside the lesion masks.
Probabilities are those of the network itself, before calibration. The difference from AGFnet is
taken within each seed; its interval is Student's over the seeds, so it holds for other cohorts and
other starting weights. Finished runs are not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage, stats
from torch import Tensor, nn

from agfnet.bundle import read_bundle
from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModalityConfig,
    ModelConfig,
    OptimConfig,
    PhantomConfig,
    TrainConfig,
)
from agfnet.data.preprocess import load, normalise
from agfnet.data.splits import require_split
from agfnet.data.table import Case, read_cases
from agfnet.demo import PHOTO, ULTRASOUND
from agfnet.evaluation.inputs import optimal_accuracy
from agfnet.files import write_json
from agfnet.inference.torch_backend import TorchBackend
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS
from agfnet.phantom.cohort import make_cohort
from agfnet.study.variants import VARIANTS, Variant
from agfnet.terminal import say, show_table
from agfnet.training.fit import fit

VIEWS = PHOTO | ULTRASOUND
PLAIN_VIEW = ModalityConfig(resize="stretch")  # the images have the size of the network's input
SINGLE: dict[str, Variant] = {
    f"{view} only": lambda base, view=view: replace(
        base, data=replace(base.data, modalities={view: VIEWS[view]})
    )
    for view in VIEWS
}
NETWORKS = VARIANTS | SINGLE
CLAIMS = {
    "discrimination": ("accuracy", "macro_auc"),
    "focus": ("inside", "accuracy_exchanged"),
    "robustness": ("accuracy_corrupted", "accuracy_missing"),
    "certainty": ("nll", "ece", "aurc"),
}
PLAIN = ("accuracy", "macro_auc", "nll", "ece", "aurc")
SHOWN = [metric for metrics in CLAIMS.values() for metric in metrics]
Pixels = np.ndarray  # (N, H, W, 3) uint8


def main() -> None:
    """Make the runs that are not there yet, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--variants", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--lesions", type=int, default=1600)
    parser.add_argument(
        "--size", type=int, default=64, help="side of the images, pixels; --out holds one"
    )
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    for seed in chosen.seeds:
        for variant in chosen.variants:
            measured(chosen, seed, variant)
    rows = compare(chosen.out)
    if chosen.json:
        write_json(chosen.json, rows)


def measured(chosen: argparse.Namespace, seed: int, variant: str) -> None:
    """Train and score one network, unless that is done."""
    folder = chosen.out / f"seed-{seed}"
    name = variant.replace(" ", "-").lower()
    result = folder / name / "result.json"
    if result.is_file():
        return
    table, twin = (
        cohort(folder / part, chosen, seed, shortcut)
        for part, shortcut in (("cohort", 0.0), ("exchanged", -0.9))
    )
    base = TrainConfig(
        data=DataConfig(cases=str(table), modalities=VIEWS, size=chosen.size),
        model=ModelConfig(
            backbone=BackboneConfig(name="resnet10t", options={"channels": [32, 64, 128, 256]}),
            fusion=FusionConfig(grid=4),
        ),
        optim=OptimConfig(
            epochs=chosen.epochs, batch_size=32, lr=1e-3, precision="32-true", modality_dropout=0.1
        ),
        runs=str(folder),
        name=name,
        seed=seed,
        resume=True,
    )
    config = NETWORKS[variant](base)
    fit(config, progress=False)
    network = TorchBackend(bundle=read_bundle(folder / name)).model
    scores = score(network, tuple(config.data.modalities), table, twin, chosen.size)
    write_json(result, scores)
    say(f"seed {seed}, {variant}: " + ", ".join(f"{k} {v:.3f}" for k, v in scores.items()))


def cohort(folder: Path, chosen: argparse.Namespace, seed: int, shortcut_test: float) -> Path:
    """The cases table of a hard cohort with a planted shortcut."""
    table = folder / "cases.csv"
    if not table.is_file():
        make_cohort(
            PhantomConfig(
                out=str(folder),
                preset="hard",
                lesions=chosen.lesions,
                size=chosen.size,
                seed=seed,
                split=(0.25, 0.10, 0.65),
                frames=1,
                annotation_rate=0.25,
                shortcut_train=0.9,
                shortcut_test=shortcut_test,
            )
        )
    return table


def score(
    network: nn.Module, views: tuple[str, ...], table: Path, twin: Path, size: int
) -> dict[str, float]:
    """Every measure of the claims, on the test split."""
    cases, exchanged = (
        require_split(read_cases(file, modalities=views), "test") for file in (table, twin)
    )
    classes = sorted({case.label for case in cases})
    target = np.array([classes.index(case.label) for case in cases])  # the twins' are the same
    images = [pixels(cases, view, size) for view in views]
    everything = np.ones((len(cases), len(views)), dtype=bool)

    def accuracy(images: list[Pixels], present: np.ndarray = everything) -> float:
        return METRICS["accuracy"](answer(network, images, present), target)

    clean = answer(network, images, everything)
    corrupted = {
        f"accuracy_{name}": accuracy([change(part) for part in images])
        for name, change in CORRUPTIONS.items()
    }
    missing = {
        f"accuracy_without_{view}": accuracy(images, everything & (np.arange(len(views)) != m))
        for m, view in enumerate(views)
        if len(views) > 1
    }
    return {
        **{name: METRICS[name](clean, target) for name in PLAIN},
        "inside": focus(network, images, [masks(cases, view, size) for view in views]),
        "accuracy_exchanged": accuracy([pixels(exchanged, view, size) for view in views]),
        "accuracy_corrupted": statistics.mean(corrupted.values()),
        **({"accuracy_missing": statistics.mean(missing.values())} if missing else {}),
        **corrupted,
        **missing,
        "limit": optimal_accuracy(table, views, "test") or 0.0,
    }


@torch.inference_mode()
def answer(network: nn.Module, images: list[Pixels], present: np.ndarray) -> np.ndarray:
    """Probabilities (N, C), not calibrated."""
    logits = [
        network(
            [batch(part[i : i + 64]) for part in images], torch.from_numpy(present[i : i + 64])
        ).logits
        for i in range(0, len(present), 64)
    ]
    return torch.cat(logits).double().softmax(dim=1).numpy()


def pixels(cases: tuple[Case, ...], view: str, size: int) -> Pixels:
    """All images of one view."""
    return np.stack([load(case.images[view][0], size=size, modality=PLAIN_VIEW) for case in cases])


def masks(cases: tuple[Case, ...], view: str, size: int) -> np.ndarray:
    """All lesion masks of one view, (N, H, W) in 0 to 1."""
    found = [load(case.masks[view][0], size=size, modality=PLAIN_VIEW) for case in cases]
    return np.stack(found)[..., 0] / 255.0


def batch(images: Pixels) -> Tensor:
    """As the network reads them; phantom networks use ImageNet's statistics."""
    return torch.from_numpy(
        normalise(images, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    )


def focus(network: nn.Module, images: list[Pixels], masks: list[np.ndarray]) -> float:
    """Share of |gradient x pixel| inside the lesion masks, mean over cases and views."""
    shares = []
    for i in range(0, len(images[0]), 64):
        parts = [batch(part[i : i + 64]).requires_grad_() for part in images]
        present = torch.ones(len(parts[0]), len(parts), dtype=torch.bool)
        network(parts, present).logits.max(dim=1).values.sum().backward()
        for part, mask in zip(parts, masks, strict=True):
            assert part.grad is not None
            weight = (part.grad * part).abs().sum(dim=1).detach().numpy()  # (B, H, W)
            inside = (weight * mask[i : i + 64]).sum(axis=(1, 2))
            shares.append(inside / weight.sum(axis=(1, 2)).clip(1e-12))
    return float(np.concatenate(shares).mean())


def noise(images: Pixels) -> Pixels:
    """Gaussian noise of 10 % of full scale."""
    rng = np.random.default_rng(0)
    return (images + 25.5 * rng.standard_normal(images.shape)).clip(0, 255).astype(np.uint8)


def blur(images: Pixels) -> Pixels:
    """Gaussian blur of 1.2 pixels."""
    return ndimage.gaussian_filter(images, sigma=(0, 1.2, 1.2, 0))


def gain(images: Pixels) -> Pixels:
    """Half as bright again."""
    return (images * 1.5).clip(0, 255).astype(np.uint8)


def cover(images: Pixels) -> Pixels:
    """A grey square over a ninth of the image, somewhere."""
    side = images.shape[1] // 3
    corners = np.random.default_rng(0).integers(images.shape[1] - side, size=(len(images), 2))
    covered = images.copy()
    for image, (y, x) in zip(covered, corners, strict=True):
        image[y : y + side, x : x + side] = 128
    return covered


CORRUPTIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "noise": noise,
    "blur": blur,
    "gain": gain,
    "cover": cover,
}


def compare(out: Path) -> list[dict[str, object]]:
    """Print and return means, differences from AGFnet, and from single views."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for name in NETWORKS:
        for path in sorted(out.glob(f"seed-*/{name.replace(' ', '-').lower()}/result.json")):
            seed = int(path.parent.parent.name.removeprefix("seed-"))
            found.setdefault(name, {})[seed] = json.loads(path.read_text(encoding="utf-8"))
    reference = found[next(iter(VARIANTS))]
    rows = []
    printed = []
    for name in VARIANTS:
        if name not in found:
            continue
        line: list[object] = [name, len(found[name])]
        for metric in SHOWN:
            row = row_of(name, metric, found[name], metric, reference)
            better = (row.get("difference", 0.0) > 0) != (metric in LOWER_IS_BETTER)
            line.append(f"{row['value']:.3f}" + mark(row, better))
            rows.append(row)
        printed.append(line)
    show_table(
        ["variant", "seeds", *SHOWN],
        printed,
        "Mean over seeds; - worse, + better than AGFnet: p < 0.05, paired over seeds",
    )
    printed = []
    for view, missing in zip(VIEWS, reversed(VIEWS), strict=True):
        alone = found.get(f"{view} only", {})
        for name in VARIANTS:
            if alone and name in found:
                metric = f"accuracy_without_{missing}"
                row = row_of(name, metric, found[name], "accuracy", alone)
                rows.append(row)
                text = f"{row['value']:.3f}{mark(row, row.get('difference', 0.0) > 0)}"
                printed.append([f"without {missing}", name, text, f"{row['baseline']:.3f}"])
    show_table(
        ["", "variant", "accuracy", "trained on the other view alone"],
        printed,
        "A view missing; - worse, + better than a network of the other view alone",
    )
    return rows


def row_of(
    name: str,
    metric: str,
    runs: dict[int, dict[str, float]],
    base_metric: str,
    base_runs: dict[int, dict[str, float]],
) -> dict[str, Any]:
    """One line of the result: means over the seeds that both have, and their paired difference."""
    seeds = sorted(set(runs) & set(base_runs))
    values = [runs[seed][metric] for seed in seeds]
    base = [base_runs[seed][base_metric] for seed in seeds]
    row = {
        "name": name,
        "metric": metric,
        "value": statistics.mean(values),
        "baseline": statistics.mean(base),
        "ratio": statistics.mean(values) / statistics.mean(base),
        "seeds": seeds,
        "values": values,
    }
    return row if values == base or len(seeds) < 2 else row | paired(values, base)


def mark(row: dict[str, Any], better: bool) -> str:
    """Whether a difference is beyond noise, and in which direction."""
    return "" if row.get("p", 1.0) >= 0.05 else " +" if better else " -"


def paired(values: list[float], base: list[float]) -> dict[str, float]:
    """Mean difference, its 95 % interval and p, by Student's paired test."""
    differences = np.subtract(values, base)
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(0.95)
    return {
        "difference": float(differences.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(test.pvalue),
    }


if __name__ == "__main__":
    main()
