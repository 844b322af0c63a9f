"""AGL: the fused vector, the correlation term, and the enhancement of each modality's features."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agfnet.models.global_learning import Correlation, GlobalLearning, signed_root


def learning(modalities: int = 2, **parts: bool) -> GlobalLearning:
    torch.manual_seed(0)
    return GlobalLearning(channels=(6, 5, 4)[:modalities], dim=8, **parts)


def draw(modalities: int = 2, batch: int = 3) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(batch, 8, generator=generator) for _ in range(modalities)]
    pooled = [torch.randn(batch, c, generator=generator) for c in (6, 5, 4)[:modalities]]
    return vectors, pooled


def test_the_correlation_term_adds_the_products_of_all_pairs() -> None:
    torch.manual_seed(0)
    layer = Correlation(modalities=3, dim=8)
    vectors, _ = draw(3)
    a, b, c = (factor(x) for factor, x in zip(layer.factors, vectors, strict=True))
    expected = layer.out(layer.norm(signed_root(a * b + a * c + b * c)))
    torch.testing.assert_close(layer(vectors), expected)


def test_the_signed_root_is_odd_and_has_a_gradient_at_zero() -> None:
    x = torch.tensor([-4.0, 0.0, 4.0], requires_grad=True)
    y = signed_root(x)
    torch.testing.assert_close(y, torch.tensor([-1.999, 0.0, 1.999]), atol=1e-4, rtol=0)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_the_fused_vector_gates_the_features_of_each_modality(modalities: int) -> None:
    model = learning(modalities)
    vectors, pooled = draw(modalities)
    fused, enhanced = model(vectors, pooled)
    assert fused.shape == (3, 8)
    assert (model.correlation is None) == (modalities == 1)
    for before, after, gate in zip(pooled, enhanced, model.gates, strict=True):
        torch.testing.assert_close(after, before * 2 * gate(fused).sigmoid())


def test_without_enhancement_the_features_stay_as_they_are() -> None:
    vectors, pooled = draw()
    _, enhanced = learning(enhance=False)(vectors, pooled)
    for before, after in zip(pooled, enhanced, strict=True):
        assert after is before


def test_the_correlation_term_answers_what_only_both_modalities_tell() -> None:
    """No linear function of two modalities can tell whether they agree."""

    def accuracy(correlation: bool) -> float:
        model = learning(correlation=correlation)
        head = nn.Linear(8, 2)
        parameters = [*model.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=1e-2)
        generator = torch.Generator().manual_seed(0)
        correct = []
        for _ in range(150):
            signs = torch.randint(2, (32, 2), generator=generator)
            vectors = torch.randn(2, 32, 8, generator=generator)
            vectors[..., 0] += 4 * (2 * signs.T - 1)
            fused, _ = model(list(vectors), draw(batch=32)[1])
            agree = (signs[:, 0] == signs[:, 1]).long()
            logits = head(fused)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, agree).backward()
            optimizer.step()
            correct.append((logits.argmax(dim=1) == agree).float().mean().item())
        return sum(correct[-30:]) / 30

    assert accuracy(correlation=True) > 0.95
    assert accuracy(correlation=False) < 0.7
