"""Learning a question that only both modalities together can answer.

    python bench/both_views.py --json bench/results/both_views.json

Each image is a noisy gradient of brightness in one of two directions. Two questions are asked of
the same pairs of images: *which* of the four pairs it is, to which each modality contributes by
itself; and whether the two are *alike*, to which neither contributes without the other (exclusive
or). A sum of what each modality shows answers the first question and never the second. The classes
of the phantom are of the first kind.

Every network has the same tiny backbones, the same batches in the same order, and the same number
of steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from statistics import mean

import torch
from common import finish, options, row
from torch import Tensor

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from agfnet.models.build import METHODS
from agfnet.study.variants import VARIANTS
from agfnet.terminal import bar
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
PARTS = ("without ALL", "without AGL", "without FRL", "without correlation term")
NETWORKS = {
    "AGFnet": BASE,
    **{name: VARIANTS[name](BASE) for name in PARTS},
} | {
    name: replace(BASE, model=replace(BASE.model, method=name))
    for name in METHODS
    if name != "agfnet"
}


def main() -> None:
    """Train every network on both questions."""
    parser = options(__doc__)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    rows = []
    runs = list(product(QUESTIONS, arguments.networks))
    with bar("training") as progress:
        for number, (question, name) in enumerate(runs, start=1):
            values = [accuracy(name, question, seed, arguments.steps) for seed in arguments.seeds]
            rows.append(
                row(
                    name,
                    f"accuracy, {question}",
                    mean(values),
                    1 / QUESTIONS[question],
                    seeds=arguments.seeds,
                    values=values,
                )
            )
            progress(number, len(runs))
    finish(rows, arguments, f"Mean over {len(arguments.seeds)} seeds, against chance")


def accuracy(name: str, question: str, seed: int, steps: int) -> float:
    """Train one network, and return its accuracy on new images."""
    config = NETWORKS[name]
    torch.manual_seed(seed)
    task = build_task(config, list(range(QUESTIONS[question])), QUESTIONS[question]).train()
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
    accuracies = []
    with torch.inference_mode():
        for _ in range(16):
            batch = next(batches)
            predicted = network(batch.images, batch.present).logits.argmax(dim=1)
            accuracies.append((predicted == batch.labels).float().mean().item())
    return mean(accuracies)


def draw(question: str, seed: int) -> Iterator[Batch]:
    """Yield batches without end."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(-0.7, 0.7, SIZE).expand(SIZE, SIZE)

    def draw_images(direction: Tensor, pattern: Tensor) -> Tensor:
        """Draw images (B, 3, H, W) of a pattern (H, W) in a direction, (B,) 0 or 1."""
        noise = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
        return (2 * direction - 1)[:, None, None, None] * pattern + 0.5 * noise

    while True:
        first, second = torch.randint(2, (2, BATCH), generator=generator)
        yield Batch(
            images=(draw_images(first, ramp), draw_images(second, ramp.T)),
            present=torch.ones(BATCH, 2, dtype=torch.bool),
            labels=2 * first + second if question == "which" else (first == second).long(),
            index=torch.arange(BATCH),
        )


if __name__ == "__main__":
    main()
