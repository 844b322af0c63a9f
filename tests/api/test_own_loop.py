"""The network in a training loop outside of this package, as docs/api.md shows it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import agfnet
from agfnet.errors import ConfigError
from agfnet.models import AGFNet

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def examples() -> list[str]:
    """The examples of the page, of plain PyTorch and of Lightning, with a smaller backbone."""
    section = PAGE.read_text().partition("## The network in your own loop\n")[2]
    code = re.findall(r"^```python\n(.*?)^```", section, re.S | re.M)
    return [example.replace("resnet18", "resnet10t") for example in code]


def names(steps: int) -> dict[str, Any]:
    """Names that the examples use: the packages, and a loader of one batch of 4 cases."""
    labels = torch.tensor([0, 1, 2, 3])
    images = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    present = torch.tensor([[True, True], [True, True], [True, False], [False, True]])
    batches: Any = [(images, present, labels)] * steps
    loader = DataLoader(batches, batch_size=None)  # not a list, which Lightning takes for several
    return {"agfnet": agfnet, "torch": torch, "nn": nn, "loader": loader}


def test_the_loop_of_the_documentation_learns() -> None:
    torch.manual_seed(0)
    losses: list[float] = []
    step = "    optimizer.step()\n"
    code = examples()[0].replace(step, f"{step}    losses.append(loss.item())\n")
    exec(code, names(6) | {"losses": losses})
    assert losses[-1] < losses[0]


def test_the_lightning_module_of_the_documentation_learns() -> None:
    torch.manual_seed(0)
    quiet = "max_epochs=1, accelerator='cpu', logger=False, enable_checkpointing=False"
    quiet += ", enable_progress_bar=False, enable_model_summary=False"
    end = "pl.Trainer(max_epochs=20).fit(LesionModule(), loader)"
    code = examples()[1]
    assert end in code
    scope = names(6) | {"__name__": "example"}
    exec(code.replace(end, f"module = LesionModule(); trainer = pl.Trainer({quiet})"), scope)
    (batch, *_), module = scope["loader"], scope["module"]
    before = module.training_step(batch, 0).item()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about workers and logging
        scope["trainer"].fit(module, scope["loader"])
    assert module.train().training_step(batch, 0).item() < before


def test_the_class_is_public() -> None:
    network = agfnet.create_model("agfnet", backbone="resnet10t", classes=2, dim=16, grid=2)
    assert isinstance(network, AGFNet)
    assert isinstance(network, nn.Module)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": "agfnet2"}, "no method 'agfnet2'; there are agfnet, concatenation"),
        ({"modality": ("clinical",)}, "no setting 'modality'"),
        ({"modalities": "clinical"}, "modalities: 'clinical'; expected a number"),
        ({"modalities": ()}, "expected one or more"),
    ],
)
def test_wrong_arguments_of_create_model(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        agfnet.create_model(**{"classes": 2, "backbone": "resnet10t", **arguments})
