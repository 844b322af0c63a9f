"""The network in a training loop outside of this package, as docs/api.md shows it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

import agfnet
from agfnet.models import AGFNet

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_loop_of_the_documentation_learns() -> None:
    (code,) = re.findall(
        r"## The network in your own loop\n\n```python\n(.*?)```", PAGE.read_text(), re.S
    )
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 2, 3])
    images = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    present = torch.tensor([[True, True], [True, True], [True, False], [False, True]])
    names = {"agfnet": agfnet, "loader": [(images, present, labels)] * 6}
    losses: list[float] = []
    step = "    optimizer.step()\n"
    code = code.replace("resnet18", "resnet10t")
    code = code.replace(step, f"{step}    losses.append(loss.item())\n")
    exec(code, names | {"losses": losses})
    assert losses[-1] < losses[0]


def test_the_class_is_public() -> None:
    network = agfnet.create_model("agfnet", backbone="resnet10t", classes=2, dim=16, grid=2)
    assert isinstance(network, AGFNet)
    assert isinstance(network, nn.Module)
