"""MixUp and CutMix: shares, pairs, and what is never mixed."""

from __future__ import annotations

import torch

from agfnet.training.mixing import mix
from agfnet.types import Batch


def batch_of(size: int = 16, *, maps: bool = False) -> Batch:
    """Images whose pixels are the number of their case."""
    values = torch.arange(size, dtype=torch.float32)
    shape = (size, 5) if maps else (size, 3, 8, 12)
    image = values.view(-1, *[1] * (len(shape) - 1)).expand(shape)
    present = torch.ones(size, 2, dtype=torch.bool)
    present[::4, 1] = False
    return Batch((image, image), present, torch.arange(size), torch.arange(size))


def test_mixup_blends_both_modalities_by_the_share_of_the_labels() -> None:
    torch.manual_seed(0)
    for maps in (False, True):
        batch = batch_of(maps=maps)
        mixed = mix(batch, mixup=1.0, cutmix=0.0)
        assert mixed.partner is not None
        assert mixed.share is not None
        expected = mixed.share * batch.labels + (1 - mixed.share) * mixed.partner
        for image in mixed.images:
            torch.testing.assert_close(image.flatten(1).mean(dim=1), expected)


def test_cutmix_replaces_an_area_of_one_minus_the_share() -> None:
    torch.manual_seed(0)
    for _ in range(5):
        batch = batch_of()
        mixed = mix(batch, mixup=0.0, cutmix=1.0)
        assert mixed.partner is not None
        assert mixed.share is not None
        for image in mixed.images:
            own = (image == batch.images[0]).float().mean(dim=(1, 2, 3))
            foreign = (image == mixed.partner.view(-1, 1, 1, 1)).float().mean(dim=(1, 2, 3))
            changed = (mixed.partner != batch.labels) & (mixed.share < 1)
            torch.testing.assert_close(own[changed], mixed.share[changed])
            torch.testing.assert_close((own + foreign)[changed], torch.ones(int(changed.sum())))


def test_only_cases_with_the_same_modalities_are_mixed() -> None:
    torch.manual_seed(1)
    batch = batch_of()
    mixed = mix(batch, mixup=0.5, cutmix=0.5)
    assert mixed.partner is not None
    assert mixed.share is not None
    other = (batch.present != batch.present[mixed.partner]).any(dim=1)
    assert other.any()
    assert (mixed.share[other] == 1).all()
    torch.testing.assert_close(mixed.images[0][other], batch.images[0][other])


def test_the_probabilities_decide_how_many_batches_are_mixed() -> None:
    torch.manual_seed(0)
    batch = batch_of(4)
    drawn = [mix(batch, mixup=0.2, cutmix=0.1).partner is not None for _ in range(600)]
    assert abs(sum(drawn) / 600 - 0.3) < 0.06
    assert mix(batch, mixup=0.0, cutmix=0.0) is batch
    assert mix(batch_of(1), mixup=1.0, cutmix=0.0).partner is None
