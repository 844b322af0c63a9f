"""Which networks can learn what neither view tells without the other.

    python bench/both_views.py --json bench/results/both_views.json

Each view is a noisy gradient of brightness that runs one way or the other. Two questions about the
same images: *which* of the four pairs it is, to which each view contributes on its own; and whether
the two are *alike*, to which neither contributes anything without the other (exclusive or). Adding
up what each view says answers the first and never the second. The phantom's classes are of the
first kind: there, a view's look tells as much about the class whatever the other view shows.

Every network has the same tiny backbones, the same batches in the same order, and the same number
of steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from agfnet.files import write_json
from agfnet.models.build import METHODS
from agfnet.study.variants import VARIANTS
from agfnet.terminal import bar, show_table
from agfnet.training.optim import build_optimizer, build_schedule
from agfnet.training.tasks import build_task
from agfnet.types import Batch

SIZE = 64
BATCH = 16
QUESTIONS = {"which": 4, "alike": 2}  # and their classes
BASE = TrainConfig(
    data=DataConfig(cases="drawn here"),
    model=ModelConfig(
        backbone=BackboneConfig(
            name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
        ),
        fusion=FusionConfig(dim=16, heads=2, grid=3),
    ),
    optim=OptimConfig(lr=3e-3),
)
PARTS = ("without ALL", "without AGL", "without FRL")
FULL = ", exchange in full"  # the scale of the exchange between views begins at 1, not at 0.1
NETWORKS = {
    "AGFnet": BASE,
    f"AGFnet{FULL}": BASE,
    **{f"{name}{FULL}": VARIANTS[name](BASE) for name in PARTS},
} | {
    name: replace(BASE, model=replace(BASE.model, method=name))
    for name in METHODS
    if name != "agfnet"
}


def main() -> None:
    """Train every network on both questions, and print how often it is right on new images."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows = []
    runs = [(q, name) for q in QUESTIONS for name in chosen.networks]
    with bar("training") as progress:
        for done, (question, name) in enumerate(runs):
            values = [accuracy(name, question, seed, chosen.steps) for seed in chosen.seeds]
            chance = 1 / QUESTIONS[question]
            rows.append(
                {
                    "name": name,
                    "metric": f"accuracy, {question}",
                    "value": mean(values),
                    "baseline": chance,
                    "ratio": mean(values) / chance,
                    "seeds": chosen.seeds,
                    "values": values,
                }
            )
            progress(done + 1, len(runs))
    show_table(
        ["network", *QUESTIONS],
        [[n, *(f"{r['value']:.3f}" for r in rows if r["name"] == n)] for n in chosen.networks],
        f"Accuracy on new images, mean over {len(chosen.seeds)} seeds; chance 0.25 and 0.5",
    )
    if chosen.json:
        write_json(chosen.json, rows)


def accuracy(name: str, question: str, seed: int, steps: int) -> float:
    """Train one network and test it."""
    config = NETWORKS[name]
    torch.manual_seed(seed)
    task = build_task(config, list(range(QUESTIONS[question])), QUESTIONS[question]).train()
    if name.endswith(FULL):
        for layer in task.model.global_learning.layers:
            layer.layer_scale_self_attention.data.fill_(1.0)
            layer.layer_scale_feed_forward.data.fill_(1.0)
    optimizer = build_optimizer(task, config.optim)
    schedule = build_schedule(optimizer, config.optim, steps=steps)
    batches = draw(question, seed)
    for step in range(steps):
        optimizer.zero_grad()
        task(next(batches), step / steps)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network = task.model.eval()
    if hasattr(network, "tune"):  # FusionM4Net searches the weights of its branches
        network.tune([next(batches) for _ in range(4)])
    right = []
    with torch.inference_mode():
        for _ in range(16):
            batch = next(batches)
            found = network(batch.images, batch.present).logits.argmax(dim=1)
            right.append((found == batch.labels).float().mean().item())
    return mean(right)


def draw(question: str, seed: int) -> Iterator[Batch]:
    """Batches without end."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(-0.7, 0.7, SIZE).expand(SIZE, SIZE)

    def view(way: Tensor, pattern: Tensor) -> Tensor:
        """Images (B, 3, H, W) of a pattern (H, W) that runs one way or the other, (B,) 0 or 1."""
        noise = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
        return (2 * way - 1)[:, None, None, None] * pattern + 0.5 * noise

    while True:
        first, second = torch.randint(2, (2, BATCH), generator=generator)
        yield Batch(
            images=(view(first, ramp), view(second, ramp.T)),
            present=torch.ones(BATCH, 2, dtype=torch.bool),
            labels=2 * first + second if question == "which" else (first == second).long(),
            index=torch.arange(BATCH),
        )


if __name__ == "__main__":
    main()
