"""Attributes that a network also learns to predict."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    LossConfig,
    ModelConfig,
    TrainConfig,
)
from agfnet.data.table import Case
from agfnet.errors import ConfigError, DataError
from agfnet.training.attributes import attribute_targets
from agfnet.training.supervised import SupervisedTask
from agfnet.training.tasks import build_task
from agfnet.types import Batch


def case(number: int, **attributes: str) -> Case:
    return Case(f"L{number}", f"P{number}", "a", {}, {}, "train", attributes, number + 2)


def cases(name: str, *cells: str) -> list[Case]:
    return [case(number, **{name: cell}) for number, cell in enumerate(cells)]


def test_values_are_classes_and_empty_cells_unknown() -> None:
    assert attribute_targets(cases("site", "arm", "", "leg", " arm "), ["site"]).tolist() == [
        *([0], [-1], [1], [0])
    ]


def test_many_numbers_are_divided_into_quarters() -> None:
    ages = attribute_targets(cases("age", *map(str, range(12)), ""), ["age"]).flatten()
    assert ages[:-1].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert ages[-1] == -1
    names = attribute_targets(cases("site", *"abcdefghijkl"), ["site"])
    assert names.max() == 11  # words, however many


def test_columns_that_teach_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no column 'sight'.*site"):
        attribute_targets(cases("site", "arm", "leg"), ["sight"])
    with pytest.raises(DataError, match="1 value"):
        attribute_targets(cases("site", "arm", "arm", ""), ["site"])


def config(method: str, **changes: Any) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(cases="x.csv", attributes=["site", "sex"]),
        model=ModelConfig(
            method=method,  # type: ignore[arg-type]
            backbone=BackboneConfig(
                name="resnet10t", options={"channels": [8, 16, 24, 32], "stem_width": 8}
            ),
            fusion=FusionConfig(dim=16, heads=2, grid=2),
        ),
        **changes,
    )


def batch(size: int = 4, **options: Any) -> Batch:
    images = tuple(torch.randn(size, 3, 64, 64) for _ in range(2))
    return Batch(
        images=images,
        present=torch.ones(size, 2, dtype=torch.bool),
        labels=torch.arange(size) % 2,
        index=torch.arange(size),
        **options,
    )


TRAIN = [
    case(number, site=("arm", "leg", "")[number % 3], sex="mf"[number % 2]) for number in range(6)
]


@pytest.mark.parametrize("method", ["agfnet", "concatenation", "amfam"])
def test_the_loss_teaches_the_network_and_no_attribute_is_in_the_bundle(method: str) -> None:
    torch.manual_seed(0)
    task = build_task(config(method), [0, 1] * 3, 2, TRAIN).train()
    plain = build_task(config(method, loss=LossConfig(attribute_weight=0)), [0, 1] * 3, 2, TRAIN)
    assert plain.model.state_dict().keys() == task.model.state_dict().keys()
    losses = task(batch(), 0.5)
    assert losses["attributes"] > 0
    gradient = torch.autograd.grad(
        losses["attributes"],
        list(task.model.backbones.parameters()),
        allow_unused=True,
        retain_graph=True,
    )
    assert any(part is not None and part.abs().max() > 0 for part in gradient)
    losses["loss"].backward()
    copy.deepcopy(task)  # as the moving average of the weights does
    task.eval().model(batch().images, batch().present)  # leaves nothing behind
    copy.deepcopy(task)


def test_unknown_attributes_do_not_count() -> None:
    torch.manual_seed(0)
    task = build_task(config("concatenation"), [0, 1] * 3, 2, TRAIN).train()
    assert isinstance(task, SupervisedTask)
    heads = task.attributes
    assert heads is not None
    features = torch.randn(4, heads.heads[0].in_features)
    heads.features = features
    value = heads.loss(batch())
    expected = [
        torch.nn.functional.cross_entropy(head(features)[known], target[known], reduction="sum")
        for head, target in zip(heads.heads, heads.targets[:4].unbind(dim=1), strict=True)
        for known in [target >= 0]
    ]
    torch.testing.assert_close(value, sum(expected) / 7)  # three sites and four sexes


def test_a_mixed_case_counts_by_its_share() -> None:
    task = build_task(config("concatenation"), [0, 1] * 3, 2, TRAIN).train()
    assert isinstance(task, SupervisedTask)
    heads = task.attributes
    assert heads is not None
    features = torch.randn(4, heads.heads[0].in_features)
    values = []
    for share in (1.0, 0.25):
        heads.features = features
        mixed = batch(partner=torch.zeros(4, dtype=torch.long), share=torch.full((4,), share))
        values.append(heads.loss(mixed).item())
    assert values[1] == pytest.approx(0.25 * values[0])


def test_a_network_without_common_features_is_refused() -> None:
    with pytest.raises(ConfigError, match="late_fusion"):
        build_task(config("late_fusion"), [0, 1] * 3, 2, TRAIN)
