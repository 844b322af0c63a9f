"""What fusion costs: AGFnet and its peers beside their bare backbones, interleaved in one run.

    python bench/model.py --json bench/results/model.json

Every round runs each network once; a ratio is taken within each round, and the median over the
rounds is reported, so that a slow moment of the machine meets all networks alike.

- forward: seconds per batch against two bare backbones (their last three maps, no head).
- training step (forward, loss, backward, AdamW, with what a method adds in training): seconds
  against concatenation.
- parameters: those of the network against those of its backbones.
- fusion alone (tokens, ALL, AGL, heads), on random maps of a ResNet-50 pair: seconds and megabytes
  kept for the backward pass, each against the same at half the side.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModelConfig,
    ReconstructionConfig,
    TrainConfig,
)
from agfnet.files import write_json
from agfnet.models.agfnet import AGFNet
from agfnet.models.build import METHODS, build
from agfnet.terminal import show_table
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import build_task
from agfnet.types import Batch

CLASSES = 10
PAUSE = 0.05  # seconds
PEERS = [method for method in METHODS if method != "agfnet"]
Rows = list[dict[str, object]]


class Bare(nn.Module):
    """The backbones and nothing else: the floor."""

    def __init__(self, network: AGFNet) -> None:
        super().__init__()
        self.backbones = network.backbones

    def forward(self, images: tuple[Tensor, ...], present: Tensor) -> list[tuple[Tensor, ...]]:
        """Images and present to maps."""
        return self.backbones(images, present)


def settings(backbone: str, method: str = "agfnet", **fusion: object) -> ModelConfig:
    """A network on this backbone, random weights."""
    return ModelConfig(
        method=method,
        backbone=BackboneConfig(name=backbone),
        fusion=replace(FusionConfig(), **fusion),
    )


def network(config: ModelConfig) -> nn.Module:
    """The network, ready to answer."""
    return build(config, modalities=2, classes=CLASSES).eval()


def batch(size: int, count: int) -> Batch:
    """Random pairs."""
    return Batch(
        images=tuple(torch.randn(count, 3, size, size) for _ in range(2)),
        present=torch.ones(count, 2, dtype=torch.bool),
        labels=torch.arange(count) % CLASSES,
        index=torch.arange(count),
    )


def interleaved(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every work in every round; the first round only warms up.

    The pause lets the threads of another library, which wait for work at full speed, fall asleep.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def compared(times: dict[str, list[float]], baseline: str, title: str, metric: str) -> Rows:
    """A row for each work: its median, the baseline's, and the median of the rounds' ratios."""
    base = times[baseline]
    return [
        {
            "name": f"{title}, {name}",
            "metric": metric,
            "value": statistics.median(seconds),
            "baseline": statistics.median(base),
            "ratio": statistics.median(a / b for a, b in zip(seconds, base, strict=True)),
        }
        for name, seconds in times.items()
    ]


def forward(backbone: str, size: int, count: int, rounds: int) -> Rows:
    """Forward pass without gradients."""
    data = batch(size, count)
    agfnet = network(settings(backbone))
    assert isinstance(agfnet, AGFNet)
    networks = {
        "two bare backbones": Bare(agfnet).eval(),
        **{method: network(settings(backbone, method)) for method in PEERS},
        "AGFnet": agfnet,
        "AGFnet, d = 128": network(settings(backbone, dim=128)),
        "AGFnet, rebuilds missing views": network(settings(backbone, reconstruct_missing=True)),
    }

    def work(model: nn.Module) -> Callable[[], object]:
        return lambda: model(data.images, data.present)

    with torch.inference_mode():
        times = interleaved({name: work(model) for name, model in networks.items()}, rounds)
    return compared(times, "two bare backbones", f"{backbone}, {size} px x {count}", "forward s")


def training(backbone: str, size: int, count: int, rounds: int) -> Rows:
    """A whole step of the optimiser."""
    data = batch(size, count)
    base = TrainConfig(data=DataConfig(cases="none"), model=settings(backbone))
    configs = {
        **{method: replace(base, model=settings(backbone, method)) for method in PEERS},
        "AGFnet without FRL": replace(base, reconstruction=ReconstructionConfig(enabled=False)),
        "AGFnet": base,
    }

    def work(config: TrainConfig) -> Callable[[], object]:
        task = build_task(config, data.labels.tolist(), CLASSES).train()
        optimizer = build_optimizer(task, config.optim)

        def step() -> None:
            optimizer.zero_grad()
            task(data, 1.0)["loss"].backward()
            optimizer.step()

        return step

    times = interleaved({name: work(config) for name, config in configs.items()}, rounds)
    return compared(times, "concatenation", f"{backbone}, {size} px x {count}", "training step s")


def parameters(backbone: str) -> Rows:
    """Parameters of the whole network against its two backbones."""
    rows: Rows = []
    for name, config in {
        **{method: settings(backbone, method) for method in PEERS},
        "AGFnet": settings(backbone),
        "AGFnet, d = 128": settings(backbone, dim=128),
    }.items():
        model = network(config)
        total, floor = (
            sum(p.numel() for p in part.parameters())
            for part in (model, model.get_submodule("backbones"))
        )
        rows.append(
            {
                "name": f"{backbone}, {name}",
                "metric": "parameters",
                "value": total,
                "baseline": floor,
                "ratio": total / floor,
            }
        )
    return rows


class Maps(nn.Module):
    """Stands in for a backbone: hands on random maps, whatever the image."""

    channels = (512, 1024, 2048)

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.maps = tuple(
            torch.randn(count, channels, size // stride, size // stride)
            for channels, stride in zip(self.channels, (8, 16, 32), strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The maps."""
        return self.maps


def fusion_alone(sizes: list[int], count: int, rounds: int) -> Rows:
    """Time and kept activations of the fusion part over the size of the images."""
    agfnet = network(settings("resnet50"))
    assert isinstance(agfnet, AGFNet)
    agfnet.train()
    present = torch.ones(count, 2, dtype=torch.bool)
    times: dict[int, float] = {}
    kept: dict[int, float] = {}
    for size in sizes:
        maps = Maps(size, count)
        for m in range(2):
            agfnet.backbones[m] = maps
        images = (torch.empty(count, 3, 1, 1),) * 2

        def step(images: tuple[Tensor, ...] = images) -> None:
            agfnet(images, present).logits.sum().backward()

        times[size] = statistics.median(interleaved({"step": step}, rounds)["step"])
        kept[size] = kept_megabytes(lambda images=images: agfnet(images, present).logits, maps.maps)
    return [
        {
            "name": f"fusion alone, {size} px x {count}",
            "metric": metric,
            "value": values[size],
            "baseline": values.get(size // 2),
            "ratio": values[size] / values[size // 2] if size // 2 in values else None,
        }
        for metric, values in (("forward and backward s", times), ("activations MB", kept))
        for size in sizes
    ]


def kept_megabytes(work: Callable[[], Tensor], given: tuple[Tensor, ...]) -> float:
    """Memory that autograd keeps for the backward pass, each storage once, without `given`."""
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = work()
    ours = {tensor.untyped_storage().data_ptr() for tensor in given}
    del result
    return sum(size for pointer, size in storages.items() if pointer not in ours) / 1e6


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[128, 224])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    rows: Rows = []
    for backbone in chosen.backbones:
        rows += parameters(backbone)
        for size in chosen.sizes:
            rows += forward(backbone, size, chosen.batch, chosen.rounds)
            rows += training(backbone, size, chosen.batch, chosen.rounds)
    rows += fusion_alone([128, 256, 512, 1024], 1, chosen.rounds)
    show_table(
        ["", "metric", "value", "baseline", "ratio"],
        [
            [
                row["name"],
                row["metric"],
                *("n/a" if row[k] is None else f"{row[k]:.4g}" for k in ("value", "baseline")),
                "n/a" if row["ratio"] is None else f"{row['ratio']:.3f}",
            ]
            for row in rows
        ],
        f"{chosen.threads} threads, medians of {chosen.rounds} rounds",
    )
    if chosen.json:
        write_json(chosen.json, rows)


if __name__ == "__main__":
    main()
