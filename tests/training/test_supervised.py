"""Supervised losses: class weights, present modalities, and modality dropout."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from agfnet.config import LossConfig
from agfnet.training.supervised import SupervisedTask, balanced_weights, draw_modality
from agfnet.types import Batch, Output


def test_balanced_weights_are_inverse_to_the_frequency() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2)
    weights = balanced_weights(labels.bincount())
    torch.testing.assert_close(weights, torch.tensor([8 / 12, 8 / 4]))
    assert weights[labels].mean() == pytest.approx(1)


def test_a_rare_class_weighs_more_in_the_loss() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(class_weights="balanced"),
        counts=labels.bincount(),
        modality_dropout=0.0,
    )
    losses = task.label_losses(torch.zeros(4, 2), labels)
    torch.testing.assert_close(losses, 0.693147 * torch.tensor([2 / 3, 2 / 3, 2 / 3, 2.0]))


def loss_of(logits: torch.Tensor, labels: torch.Tensor, **settings: Any) -> torch.Tensor:
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(**settings),
        counts=torch.tensor([16, 1]),
        modality_dropout=0.0,
    )
    return task.label_losses(logits, labels)


def test_logit_adjustment_adds_the_log_frequencies() -> None:
    logits, labels = torch.tensor([[0.3, -0.2], [1.0, 2.0]]), torch.tensor([0, 1])
    shifted = logits + torch.tensor([16 / 17, 1 / 17]).log()
    expected = F.cross_entropy(shifted, labels, reduction="none")
    torch.testing.assert_close(loss_of(logits, labels, logit_adjustment=1.0), expected)
    # at the optimum of these losses, equal logits mean that the case is as likely as its class
    plain = loss_of(logits, labels)
    assert loss_of(logits, labels, logit_adjustment=1.0)[1] > plain[1]


def test_focal_loss_plays_down_what_is_predicted_well() -> None:
    logits, labels = torch.tensor([[4.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0])
    p = logits.softmax(dim=1)[:, 0]
    expected = -((1 - p) ** 2) * p.log()
    torch.testing.assert_close(loss_of(logits, labels, kind="focal"), expected)
    torch.testing.assert_close(
        loss_of(logits, labels, kind="focal", focal_gamma=0.0), loss_of(logits, labels)
    )


def test_ldam_wants_a_larger_margin_of_the_rare_class() -> None:
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    losses = loss_of(logits, labels, kind="ldam", ldam_margin=0.5)  # margins 0.25 and 0.5
    expected = torch.tensor([1 + math.exp(0.25), 1 + math.exp(0.5)]).log()
    torch.testing.assert_close(losses, expected)


def test_a_mixed_case_has_the_loss_of_both_labels_by_their_shares() -> None:
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(),
        counts=torch.ones(2),
        modality_dropout=0.0,
    )
    batch = Batch(
        images=(torch.zeros(2, 3, 8, 8),),
        present=torch.ones(2, 1, dtype=torch.bool),
        labels=torch.tensor([0, 1]),
        index=torch.arange(2),
        partner=torch.tensor([1, 0]),
        share=torch.tensor([0.25, 1.0]),
    )
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = task.losses(Output(logits, ()), batch)["loss"]
    log_p = logits.log_softmax(dim=1)[0]
    expected = -((0.25 * log_p[0] + 0.75 * log_p[1]) + log_p[1]) / 2
    torch.testing.assert_close(loss, expected)


def test_heads_of_missing_modalities_are_not_supervised() -> None:
    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(auxiliary=0.5),
        counts=torch.ones(2),
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


def test_the_loss_of_attributes_has_its_weight() -> None:
    class Heads(torch.nn.Module):
        def loss(self, batch: Batch, *_: object) -> torch.Tensor:
            return torch.tensor(3.0)

    task = SupervisedTask(
        model=torch.nn.Identity(),  # type: ignore[arg-type]
        config=LossConfig(attribute_weight=0.2),
        counts=torch.ones(2),
        modality_dropout=0.0,
        attributes=Heads(),  # type: ignore[arg-type]
    )
    batch = Batch(
        images=(torch.zeros(1, 3, 8, 8),),
        present=torch.ones(1, 1, dtype=torch.bool),
        labels=torch.tensor([0]),
        index=torch.arange(1),
    )
    losses = task.losses(Output(torch.zeros(1, 2), ()), batch)
    torch.testing.assert_close(losses["loss"], losses["cross_entropy"] + 0.6)
