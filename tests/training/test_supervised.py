"""Supervised losses: class weights, present modalities, and modality dropout."""

from __future__ import annotations

import pytest
import torch

from agfnet.config import LossConfig
from agfnet.training.supervised import SupervisedTask, balanced_weights, draw_modality
from agfnet.types import Batch, Output


def test_balanced_weights_are_inverse_to_the_frequency() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2)
    weights = balanced_weights(labels, 2)
    torch.testing.assert_close(weights, torch.tensor([8 / 12, 8 / 4]))
    assert weights[labels].mean() == pytest.approx(1)


def test_a_rare_class_weighs_more_in_the_loss() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(),
        class_weights=balanced_weights(labels, 2),
        modality_dropout=0.0,
    )
    losses = task.cross_entropy(torch.zeros(4, 2), labels)
    torch.testing.assert_close(losses, 0.693147 * torch.tensor([2 / 3, 2 / 3, 2 / 3, 2.0]))


def test_heads_of_missing_modalities_are_not_supervised() -> None:
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(auxiliary=0.5),
        class_weights=None,
        modality_dropout=0.0,
    )
    batch = Batch(
        images=(torch.zeros(2, 3, 8, 8),) * 2,
        present=torch.tensor([[True, True], [True, False]]),
        labels=torch.tensor([0, 1]),
        index=torch.arange(2),
    )
    heads = (torch.randn(2, 2), torch.randn(2, 2))
    losses = task.losses(Output(torch.zeros(2, 2), heads), batch)
    parts = [heads[0][0, 0], heads[0][1, 1], heads[1][0, 0]]
    rows = [heads[0][0], heads[0][1], heads[1][0]]
    expected = sum(row.logsumexp(0) - part for row, part in zip(rows, parts, strict=True)) / 3
    torch.testing.assert_close(losses["auxiliary"], expected)
    torch.testing.assert_close(losses["loss"], losses["cross_entropy"] + 0.5 * expected)


def test_a_drawn_modality_is_present_and_never_the_only_one() -> None:
    torch.manual_seed(0)
    present = torch.tensor([[True, True, False], [False, True, False]]).repeat(500, 1)
    drawn = draw_modality(present, 0.4)
    assert not (drawn & ~present).any()
    assert not drawn[1::2].any()
    rates = drawn[::2].float().mean(dim=0)
    torch.testing.assert_close(rates, torch.tensor([0.2, 0.2, 0.0]), atol=0.06, rtol=0)
