"""AGL: who reads what, and how the guide weighs it."""

from __future__ import annotations

import torch
from torch import nn

from agfnet.models.global_learning import GlobalLearning
from agfnet.types import Features

SHAPES = (((2, 2), (1, 1)), ((2, 2), (1, 1)))


def learning(layers: int) -> GlobalLearning:
    torch.manual_seed(0)
    return GlobalLearning(modalities=2, dim=8, heads=2, layers=layers, dropout=0.0)


def features() -> Features:
    generator = torch.Generator().manual_seed(1)
    return Features(
        tokens=tuple(torch.randn(1, 5, 8, generator=generator) for _ in range(2)),
        guides=tuple(torch.rand(1, 5, generator=generator) for _ in range(2)),
        shapes=SHAPES,
    )


def changed(before: Features, modality: int, token: int) -> Features:
    tokens = [x.clone() for x in before.tokens]
    tokens[modality][:, token] += 5 * torch.randn(8)
    return before._replace(tokens=tuple(tokens))


def test_a_modality_query_reads_only_its_own_tokens() -> None:
    model = learning(layers=1)
    exchange = model.layers[0].self_attention.out
    exchange.weight.data.zero_()  # without exchange, nothing of the others may arrive
    exchange.bias.data.zero_()
    before = model(features())
    after = model(changed(features(), modality=1, token=2))
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])
    assert not torch.allclose(before[:, 2], after[:, 2])


def test_queries_exchange() -> None:
    model = learning(layers=2)
    before, after = model(features()), model(changed(features(), modality=1, token=2))
    assert before.shape == (1, 3, 8)
    assert not torch.allclose(before[:, 0], after[:, 0])


def test_what_the_guide_rules_out_is_not_read() -> None:
    model = learning(layers=2)
    guided = features()
    guided.guides[1][:, 2] = 0
    torch.testing.assert_close(
        model(guided), model(changed(guided, modality=1, token=2)), atol=1e-4, rtol=1e-4
    )


def test_without_layers_it_is_the_mean_of_the_coarsest_tokens() -> None:
    model = learning(layers=0)
    found = features()
    means = [norm(x[:, 4:]).mean(dim=1) for norm, x in zip(model.norms, found.tokens, strict=True)]
    expected = torch.stack([*means, (means[0] + means[1]) / 2], dim=1) + model.queries
    torch.testing.assert_close(model(found), expected)


def test_learns_what_only_both_views_tell() -> None:
    """Whether two views agree: no sum of what each says can tell, and a mean of tokens cannot."""

    def accuracy(layers: int) -> float:
        model, head = learning(layers), nn.Linear(8, 2)
        parameters = [*model.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=3e-3)
        generator = torch.Generator().manual_seed(0)
        right = []
        for _ in range(100):
            told = torch.randint(2, (32, 2), generator=generator)
            tokens = torch.randn(2, 32, 5, 8, generator=generator)
            tokens[..., 0] += 4 * (2 * told.T[..., None] - 1)
            found = Features(tokens=tuple(tokens), guides=(torch.ones(32, 5),) * 2, shapes=SHAPES)
            logits = head(model(found)[:, -1])
            agree = (told[:, 0] == told[:, 1]).long()
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, agree).backward()
            optimizer.step()
            right.append((logits.argmax(dim=1) == agree).float().mean().item())
        return sum(right[-20:]) / 20

    assert accuracy(layers=2) > 0.95
    assert accuracy(layers=0) < 0.8
