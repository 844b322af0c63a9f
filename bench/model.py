"""Cost of fusion: AGFnet and the baselines, against their bare backbones.

    python bench/model.py --json bench/results/model.json

Every round runs each network once; a ratio is taken within each round, and the median over the
rounds is reported.

- forward: seconds per batch against two bare backbones (their last three maps, no head).
- training step (forward, loss, backward, AdamW, with what a method adds in training): seconds
  against concatenation.
- operations: floating-point operations of both, which do not depend on the machine.
- parameters: those of the network against those of its backbones.
- fusion alone (tokens, ALL, AGL, heads), on random maps of a ResNet-50 pair: seconds and megabytes
  stored for the backward pass, each against the same at half the side.

All networks at once need 15 GB for a pair of ResNet-50 at 224 px: `--networks` names a few.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from common import Row, finish, in_rounds, options, row, rows_against, timed
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModelConfig,
    ReconstructionConfig,
    TrainConfig,
)
from agfnet.models.agfnet import AGFNet
from agfnet.models.build import METHODS, build
from agfnet.training.optim import build_optimizer
from agfnet.training.tasks import build_task
from agfnet.types import Batch

CLASSES = 10
BASELINES = [method for method in METHODS if method != "agfnet"]


class Bare(nn.Module):
    """The backbones without anything else: the lower bound."""

    def __init__(self, network: AGFNet) -> None:
        super().__init__()
        self.backbones = network.backbones

    def forward(self, images: tuple[Tensor, ...], present: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the feature maps."""
        return self.backbones(images, present)


def settings(backbone: str, method: str = "agfnet", **fusion: object) -> ModelConfig:
    """Return the settings of a network on this backbone, with random weights."""
    return ModelConfig(
        method=method,
        backbone=BackboneConfig(name=backbone),
        fusion=replace(FusionConfig(), **fusion),
    )


def network(config: ModelConfig) -> nn.Module:
    """Build a network in evaluation mode."""
    return build(config, modalities=2, classes=CLASSES).eval()


def batch(size: int, count: int) -> Batch:
    """Return random pairs of images."""
    return Batch(
        images=tuple(torch.randn(count, 3, size, size) for _ in range(2)),
        present=torch.ones(count, 2, dtype=torch.bool),
        labels=torch.arange(count) % CLASSES,
        index=torch.arange(count),
    )


def operations(work: Callable[[], object]) -> int:
    """Count floating-point operations: convolutions, matrix products and attention."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def measured(
    works: dict[str, Callable[[], object]], base: str, title: str, what: str, rounds: int
) -> list[Row]:
    """Return seconds and operations of each network, against those of one of them."""
    counts = {name: operations(work) for name, work in works.items()}
    times = in_rounds({name: timed(work) for name, work in works.items()}, rounds)
    return [
        *rows_against(times, base, title, f"{what} s"),
        *(
            row(f"{title}, {name}", f"{what} operations", count, counts[base])
            for name, count in counts.items()
        ),
    ]


def forward(names: list[str], backbone: str, size: int, count: int, rounds: int) -> list[Row]:
    """Measure the forward pass without gradients."""
    data = batch(size, count)
    agfnet = network(settings(backbone))
    assert isinstance(agfnet, AGFNet)
    base = "two bare backbones"
    networks = {base: Bare(agfnet).eval()} | {
        name: network(config)
        for name, config in forward_settings(backbone).items()
        if name in names
    }

    def work_of(model: nn.Module) -> Callable[[], object]:
        return lambda: model(data.images, data.present)

    works = {name: work_of(model) for name, model in networks.items()}
    with torch.inference_mode():
        return measured(works, base, f"{backbone}, {size} px x {count}", "forward", rounds)


def forward_settings(backbone: str) -> dict[str, ModelConfig]:
    """Return the networks whose forward pass is measured."""
    return {
        **{method: settings(backbone, method) for method in BASELINES},
        "AGFnet": settings(backbone),
        "AGFnet, d = 128": settings(backbone, dim=128),
        "AGFnet, rebuilds missing views": settings(backbone, reconstruct_missing=True),
    }


def training(names: list[str], backbone: str, size: int, count: int, rounds: int) -> list[Row]:
    """Measure a whole step of the optimiser."""
    data = batch(size, count)
    configs = training_settings(backbone)

    def step_of(config: TrainConfig) -> Callable[[], object]:
        task = build_task(config, data.labels.tolist(), CLASSES).train()
        optimizer = build_optimizer(task, config.optim)

        def step() -> None:
            optimizer.zero_grad()
            task(data, 1.0)["loss"].backward()
            optimizer.step()

        return step

    base = "concatenation"
    works = {name: step_of(configs[name]) for name in configs if name in {*names, base}}
    title = f"{backbone}, {size} px x {count}"
    return measured(works, base, title, "training step", rounds)


def training_settings(backbone: str) -> dict[str, TrainConfig]:
    """Return the trainings whose step is measured."""
    base = TrainConfig(data=DataConfig(cases="none"), model=settings(backbone))
    return {
        **{method: replace(base, model=settings(backbone, method)) for method in BASELINES},
        "AGFnet without FRL": replace(base, reconstruction=ReconstructionConfig(enabled=False)),
        "AGFnet": base,
    }


def parameters(names: list[str], backbone: str) -> list[Row]:
    """Count the parameters of the whole network, against its two backbones."""
    rows = []
    for name, config in forward_settings(backbone).items():
        if name not in names:
            continue
        model = network(config)
        total, floor = (
            sum(p.numel() for p in part.parameters())
            for part in (model, model.get_submodule("backbones"))
        )
        rows.append(row(f"{backbone}, {name}", "parameters", total, floor))
    return rows


class Maps(nn.Module):
    """Replacement of a backbone: returns the same random maps for every image."""

    channels = (512, 1024, 2048)
    synchronised = False

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.maps = tuple(
            torch.randn(count, channels, size // stride, size // stride)
            for channels, stride in zip(self.channels, (8, 16, 32), strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps."""
        return self.maps


def fusion_alone(sizes: list[int], count: int, rounds: int) -> list[Row]:
    """Measure time and stored activations of the fusion part by the size of the images."""
    agfnet = network(settings("resnet50"))
    assert isinstance(agfnet, AGFNet)
    agfnet.train()
    present = torch.ones(count, 2, dtype=torch.bool)
    times: dict[int, float] = {}
    stored: dict[int, float] = {}
    for size in sizes:
        maps = Maps(size, count)
        for m in range(2):
            agfnet.backbones[m] = maps
        images = (torch.empty(count, 3, 1, 1),) * 2

        def step(images: tuple[Tensor, ...] = images) -> None:
            agfnet(images, present).logits.sum().backward()

        times[size] = statistics.median(in_rounds({"step": timed(step)}, rounds)["step"])
        stored[size] = stored_megabytes(
            lambda images=images: agfnet(images, present).logits, maps.maps
        )
    return [
        row(f"fusion alone, {size} px x {count}", metric, values[size], values.get(size // 2))
        for metric, values in (("forward and backward s", times), ("activations MB", stored))
        for size in sizes
    ]


def stored_megabytes(work: Callable[[], Tensor], inputs: tuple[Tensor, ...]) -> float:
    """Return the memory that autograd stores for the backward pass, without the inputs."""
    storages = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = work()
    excluded = {tensor.untyped_storage().data_ptr() for tensor in inputs}
    del result
    return sum(size for pointer, size in storages.items() if pointer not in excluded) / 1e6


def main() -> None:
    """Measure all networks on all backbones and sizes."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    every = list(dict.fromkeys([*forward_settings("resnet18"), *training_settings("resnet18")]))
    parser.add_argument("--networks", nargs="*", default=every, choices=every)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[128, 224])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = []
    for backbone in arguments.backbones:
        rows += parameters(arguments.networks, backbone)
        for size in arguments.sizes:
            rows += forward(arguments.networks, backbone, size, arguments.batch, arguments.rounds)
            rows += training(arguments.networks, backbone, size, arguments.batch, arguments.rounds)
    rows += fusion_alone([128, 256, 512, 1024], 1, arguments.rounds)
    finish(rows, arguments, f"{arguments.threads} threads, medians of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
