from __future__ import annotations

import torch

from agfnet.models.global_learning import GlobalLayer, GlobalLearning

SHAPES = (((2, 2), (1, 1)), ((2, 2), (1, 1)))


def test_a_modality_query_reads_only_its_own_tokens() -> None:
    torch.manual_seed(0)
    layer = GlobalLayer(dim=8, heads=2)
    layer.exchange.out.weight.data.zero_()  # without exchange, nothing of the others may arrive
    layer.exchange.out.bias.data.zero_()
    queries, tokens = torch.randn(1, 3, 8), torch.randn(1, 10, 8)
    sees = torch.zeros(3, 10, dtype=torch.bool)
    sees[0, :5] = sees[1, 5:] = sees[2] = True
    before = layer(queries, tokens, sees)
    changed = tokens.clone()
    changed[:, 7] += 5
    after = layer(queries, changed, sees)
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])
    assert not torch.allclose(before[:, 2], after[:, 2])


def test_queries_exchange() -> None:
    torch.manual_seed(0)
    model = GlobalLearning(modalities=2, dim=8, heads=2, layers=2)
    photo, scan = torch.randn(2, 1, 5, 8)
    before = model([photo, scan], SHAPES)
    after = model([photo, scan + torch.randn(5, 8)], SHAPES)
    assert before.shape == (1, 3, 8)
    assert not torch.allclose(before[:, 0], after[:, 0])
