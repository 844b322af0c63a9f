"""What each part of AGFnet is worth on MILK10k (clinical close-up and dermoscopy), cross-validated.

    python bench/ablation_milk10k.py --source FOLDER --weights FILE --json FILE
    python bench/ablation_milk10k.py --source FOLDER --weights FILE --json FILE \
        --size 224 --every 2 --out runs/resolution_milk10k --variants AGFnet "full resolution"

Two CPU cores cannot train the backbones of so many networks. They are frozen here (ImageNet
weights, nothing learned from skin), and their maps are computed once: of each image as it is, in
three random variations for training, and under four corruptions for testing. What follows them is
the package's own code. `bench/milk10k.py` trains whole networks; configs/milk10k_gpu.yaml has the
GPU size.

A patient is in one fold only; the epoch is chosen on a validation part of the other folds. Every
case is tested once per seed, so that a measure covers the whole set. Intervals resample patients
and seeds together; a difference is from AGFnet, on the same patients and seeds. Probabilities are
those of the network itself, before calibration. Finished runs are not made again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ablation import CORRUPTIONS
from milk10k import settings
from torch import Tensor, nn

from agfnet.config import OptimConfig, TrainConfig
from agfnet.data.folds import draw_folds, fold_split
from agfnet.data.preprocess import load, normalise
from agfnet.data.table import Case, map_labels, read_cases
from agfnet.data.transforms import augment
from agfnet.files import replacing, write_json
from agfnet.importing.milk10k import import_milk10k
from agfnet.metrics.summary import LOWER_IS_BETTER, METRICS
from agfnet.models.build import build_backbones
from agfnet.study.variants import VARIANTS
from agfnet.terminal import bar, say, show_table
from agfnet.training.tasks import build_task
from agfnet.training.trainer import run_trainer
from agfnet.types import Batch

VIEWS = ("clinical", "dermoscopic")
VARIATIONS = 3
FOLDS = 2
RESAMPLES = 400
PLAIN = ("balanced_accuracy", "macro_auc", "nll", "ece", "aurc")
SHOWN = (*PLAIN, "corrupted", "missing")
SETS = ("clean", *CORRUPTIONS, *(f"without {view}" for view in VIEWS))
Scores = dict[str, list[float]]  # measure to its value in every resample, all cases first


def main() -> None:
    """Make what is not there yet, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--source", default=os.environ.get("AGFNET_MILK10K"))
    parser.add_argument("--weights", default=os.environ.get("AGFNET_WEIGHTS"))
    parser.add_argument("--out", type=Path, default=Path("runs/ablation_milk10k"))
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--folds", nargs="*", type=int, default=list(range(FOLDS)))
    parser.add_argument(
        "--size", type=int, default=96, help="side of the images, pixels; --out holds one"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="only each so many-th lesion; likewise"
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not (chosen.source and chosen.weights):
        say("Skipped: needs --source (or AGFNET_MILK10K) and --weights (or AGFNET_WEIGHTS).")
        return
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    table = chosen.out / "cases.csv"
    if not table.exists():
        import_milk10k(chosen.source, chosen.out)
    base = settings(table, chosen.weights, chosen.out)
    base = replace(base, data=replace(base.data, size=chosen.size))
    cases, classes, _ = map_labels(read_cases(table, modalities=VIEWS), base.data.labels)
    cases = draw_folds(cases[:: chosen.every], folds=FOLDS)
    maps = feature_maps(base, cases, chosen.out / f"maps-{chosen.size}")
    base = replace(
        base,
        optim=OptimConfig(
            epochs=chosen.epochs, batch_size=64, lr=5e-4, precision="32-true", modality_dropout=0.1
        ),
    )
    for seed in chosen.seeds:
        for variant in chosen.variants:
            for fold in chosen.folds:
                measured(chosen.out, base, cases, classes, maps, (variant, seed, fold))
    rows = compare(chosen.out, cases, classes)
    if chosen.json:
        write_json(chosen.json, rows)


def feature_maps(config: TrainConfig, cases: tuple[Case, ...], folder: Path) -> list[Path]:
    """One folder per view with the maps of all cases, as it is, varied and corrupted."""
    mean, std = (config.model.backbone.mean, config.model.backbone.std)
    assert mean
    assert std
    size = config.data.size
    backbone = build_backbones(config.model, 1, scales=3).part(0).eval()
    for view in VIEWS:
        done = folder / view / "done"
        if done.exists():
            continue
        (folder / view).mkdir(parents=True, exist_ok=True)
        images = np.stack(
            [
                load(c.images[view][0], size=size, modality=config.data.modalities[view])
                for c in cases
            ]
        )
        versions = ["clean", *(f"varied {k}" for k in range(VARIATIONS)), *CORRUPTIONS]
        with bar(f"maps of {view}") as progress:
            for number, version in enumerate(versions):
                changed = images
                if version in CORRUPTIONS:
                    changed = CORRUPTIONS[version](images)
                elif version != "clean":
                    rng = np.random.default_rng((number, VIEWS.index(view)))
                    changed = np.stack([augment(x, kind="photo", rng=rng) for x in images])
                parts: list[list[Tensor]] = [[], [], []]
                with torch.inference_mode():
                    for i in range(0, len(changed), 64):
                        pixels = normalise(changed[i : i + 64], mean=mean, std=std)
                        for part, found in zip(
                            parts, backbone(torch.from_numpy(pixels)), strict=True
                        ):
                            part.append(found.half())
                for scale, part in enumerate(parts):
                    target = folder / view / f"{version}-{scale}.npy"
                    with replacing(target) as path, path.open("wb") as file:
                        np.save(file, torch.cat(part).numpy())
                progress(number + 1, len(versions))
        done.touch()
    return [folder / view for view in VIEWS]


class Maps(nn.Module):
    """Stands in for a frozen backbone: an "image" (B, 3, 1, 1) holds the number of its case."""

    def __init__(self, folder: Path, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.folder = folder
        self.channels = channels
        self.version = "clean"
        self.opened: dict[str, list[np.ndarray]] = {}

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The case's maps, finest first, in the version that is set."""
        version = self.version
        if self.training:
            version = f"varied {int(torch.randint(VARIATIONS, ()))}"
        if version not in self.opened:
            self.opened[version] = [
                np.load(self.folder / f"{version}-{scale}.npy", mmap_mode="r") for scale in range(3)
            ]
        rows = image[:, 0, 0, 0].long().numpy()
        found = self.opened[version][-len(self.channels) :]
        return tuple(torch.from_numpy(part[rows]).float() for part in found)


class Loader:
    """Batches of case numbers; another order in every epoch."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray, *, shuffle: bool, seed: int) -> None:
        self.rows, self.labels, self.shuffle = rows, labels, shuffle
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.rows) // 64)

    def __iter__(self) -> Iterator[Batch]:
        rows = self.rng.permutation(self.rows) if self.shuffle else self.rows
        for part in np.array_split(rows, len(self)):
            yield numbered(part, self.labels)


def numbered(rows: np.ndarray, labels: np.ndarray) -> Batch:
    """A batch whose images hold the numbers of the cases."""
    image = torch.from_numpy(rows).float()[:, None, None, None].expand(-1, 3, 1, 1)
    return Batch(
        images=(image, image),
        present=torch.ones(len(rows), 2, dtype=torch.bool),
        labels=torch.from_numpy(labels[rows]),
        index=torch.from_numpy(rows),
    )


def measured(
    out: Path,
    base: TrainConfig,
    cases: tuple[Case, ...],
    classes: tuple[str, ...],
    maps: list[Path],
    run: tuple[str, int, int],
) -> None:
    """Train and test one network on one fold, unless that is done."""
    variant, seed, fold = run
    result = answers(out, variant, seed, fold)
    if result.is_file():
        return
    torch.manual_seed(seed)
    labels = np.array([classes.index(case.label) for case in cases])
    split = np.array([case.split for case in fold_split(cases, fold)])
    parts = {name: np.flatnonzero(split == name) for name in ("train", "val", "test")}
    config = VARIANTS[variant](base)
    config = replace(
        config,
        data=replace(config.data, modalities={v: config.data.modalities[v] for v in VIEWS}),
        model=replace(config.model, backbone=replace(config.model.backbone, weights=None)),
    )
    task = build_task(config, labels[parts["train"]].tolist(), len(classes))
    network = task.model
    for m, folder in enumerate(maps):
        network.backbones[m] = Maps(folder, network.backbones.channels[m])
    folder = result.with_suffix("")
    run_trainer(
        folder=folder,
        task=task,
        train=Loader(parts["train"], labels, shuffle=True, seed=seed),
        val=Loader(parts["val"], labels, shuffle=False, seed=seed),
        config=config.optim,
        seed=seed,
        progress=False,
    )
    state = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    task.load_state_dict({name.removeprefix("task."): value for name, value in state.items()})
    network.eval()
    with torch.inference_mode():
        found = {name: answer(network, parts["test"], labels, name) for name in SETS}
    with replacing(result) as path, path.open("wb") as file:
        np.savez(file, rows=parts["test"], **found)
    right = (found["clean"].argmax(axis=1) == labels[parts["test"]]).mean()
    say(f"seed {seed}, fold {fold}, {variant}: accuracy {right:.3f}")


def answers(out: Path, variant: str, seed: int, fold: int) -> Path:
    """Where the answers of one run go."""
    return out / "answers" / f"{variant.replace(' ', '-').lower()}-{seed}-{fold}.npz"


def answer(network: nn.Module, rows: np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    """Probabilities (N, C) on one version of the test cases, or with a view missing."""
    for backbone in network.backbones:
        backbone.version = name if name in CORRUPTIONS else "clean"
    logits = []
    for part in np.array_split(rows, -(-len(rows) // 256)):
        batch = numbered(part, labels)
        for m, view in enumerate(VIEWS):
            batch.present[:, m] = name != f"without {view}"
        logits.append(network(batch.images, batch.present).logits)
    return torch.cat(logits).double().softmax(dim=1).numpy()


def compare(
    out: Path, cases: tuple[Case, ...], classes: tuple[str, ...]
) -> list[dict[str, object]]:
    """Print and return every measure and its difference from AGFnet, with intervals."""
    labels = np.array([classes.index(case.label) for case in cases])
    _, patient = np.unique([case.patient_id for case in cases], return_inverse=True)
    names = list(VARIANTS)
    seeds = {
        name: [
            seed
            for seed in range(100)
            if all(answers(out, name, seed, fold).is_file() for fold in range(FOLDS))
        ]
        for name in names
    }
    common = seeds[names[0]]
    scores = {
        name: resampled(out, name, common, labels, patient)
        for name in names
        if common and set(common) <= set(seeds[name])
    }
    rows: list[dict[str, object]] = []
    printed = []
    for name, found in scores.items():
        line: list[object] = [name]
        for metric in SHOWN:
            values, base = np.array(found[metric]), np.array(scores[names[0]][metric])
            low, high = np.quantile(values[1:], [0.025, 0.975])
            row: dict[str, object] = {
                "name": name,
                "metric": metric,
                "value": values[0],
                "low": low,
                "high": high,
                "baseline": base[0],
                "ratio": values[0] / base[0],
                "seeds": common,
            }
            text = f"{values[0]:.3f}"
            if name != names[0]:
                differences = values - base
                low, high = np.quantile(differences[1:], [0.025, 0.975])
                row |= {
                    "difference": differences[0],
                    "difference_low": low,
                    "difference_high": high,
                }
                if low > 0 or high < 0:
                    text += " +" if (low > 0) != (metric in LOWER_IS_BETTER) else " -"
            rows.append(row)
            line.append(text)
        printed.append(line)
    show_table(
        ["variant", *SHOWN],
        printed,
        f"{len(cases)} cases, {FOLDS} folds x {len(common)} seeds; - worse, + better without it:"
        " 95 % interval excludes 0",
    )
    return rows


def resampled(
    out: Path, name: str, seeds: list[int], labels: np.ndarray, patient: np.ndarray
) -> Scores:
    """Every measure, mean over seeds: first of all cases, then of resampled patients and seeds."""
    weighted = []
    for seed in seeds:
        tables = {part: np.zeros((len(labels), labels.max() + 1)) for part in SETS}
        for fold in range(FOLDS):
            with np.load(answers(out, name, seed, fold)) as found:
                for part, table in tables.items():
                    table[found["rows"]] = found[part]
        clean = {m: METRICS[m].prepare(tables["clean"], labels) for m in PLAIN}
        accuracy = METRICS["balanced_accuracy"]
        hard = {part: accuracy.prepare(tables[part], labels) for part in SETS[1:]}
        weighted.append((clean, hard))
    rng = np.random.default_rng(0)  # the same draws for every variant
    scores: Scores = {metric: [] for metric in SHOWN}
    count = patient.max() + 1
    for turn in range(RESAMPLES + 1):
        weights, drawn = np.ones(len(labels)), range(len(seeds))
        if turn:
            weights = np.bincount(rng.integers(count, size=count), minlength=count)[patient]
            drawn = rng.integers(len(seeds), size=len(seeds))
        found = [weighted[seed] for seed in drawn]
        for metric in PLAIN:
            scores[metric].append(float(np.mean([clean[metric](weights) for clean, _ in found])))
        for metric, parts in (("corrupted", SETS[1:-2]), ("missing", SETS[-2:])):
            scores[metric].append(
                float(np.mean([hard[part](weights) for _, hard in found for part in parts]))
            )
    return scores


if __name__ == "__main__":
    main()
