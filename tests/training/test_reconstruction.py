"""FRL: what is hidden, what is rebuilt, and what must stay untouched."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from agfnet.config import (
    BackboneConfig,
    DataConfig,
    FusionConfig,
    LossConfig,
    ModalityConfig,
    ModelConfig,
    ReconstructionConfig,
    TrainConfig,
)
from agfnet.training import reconstruction
from agfnet.training.losses import consistency_loss, focus_loss, reconstruction_loss
from agfnet.training.reconstruction import (
    ReconstructionTask,
    draw_cells,
    draw_masks,
    mask_last_maps,
    token_attribution,
)
from agfnet.training.tasks import build_task
from agfnet.types import Batch, Features

CONFIG = TrainConfig(
    data=DataConfig(cases="unused"),
    model=ModelConfig(
        backbone=BackboneConfig(
            name="resnet10t",
            options={"channels": [8, 16, 24, 32], "stem_width": 8, "zero_init_last": False},
        ),
        fusion=FusionConfig(dim=16, heads=2, grid=2),
        dropout=0.0,
    ),
)
SHAPES = ((8, 8), (4, 4), (2, 2))
COUNT = 64 + 16 + 4


def task(config: TrainConfig = CONFIG) -> ReconstructionTask:
    torch.manual_seed(0)
    built = build_task(config, [0, 1, 2], 3)
    assert isinstance(built, ReconstructionTask)
    return built


def batch(size: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = tuple(torch.randn(size, 3, 64, 64, generator=generator) for _ in range(2))
    present = torch.ones(size, 2, dtype=torch.bool)
    present[0, 1] = present[1, 0] = False
    return Batch(
        images=images, present=present, labels=torch.arange(size) % 3, index=torch.arange(size)
    )


def features(model: torch.nn.Module) -> Features:
    data = batch()
    return model.forward_features(data.images, data.present)


def test_model_is_the_same_with_and_without() -> None:
    without = build_task(
        replace(CONFIG, reconstruction=ReconstructionConfig(enabled=False)), [0, 1, 2], 3
    )
    with_frl = task()
    assert list(with_frl.model.state_dict()) == list(without.model.state_dict())
    without.model.load_state_dict(with_frl.model.state_dict())
    data = batch()
    torch.testing.assert_close(
        with_frl.model.eval()(data.images, data.present).logits,
        without.model.eval()(data.images, data.present).logits,
    )


@pytest.mark.parametrize("autocast", [False, True])
def test_every_parameter_learns(autocast: bool) -> None:
    learner = task().train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        losses = learner(batch(), 1.0)
    losses["loss"].backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_batch_of_one_trains() -> None:
    data = batch()
    one = Batch(
        images=tuple(x[2:3] for x in data.images),
        present=data.present[2:3],
        labels=data.labels[2:3],
        index=data.index[2:3],
    )
    assert task().train()(one, 1.0)["loss"].isfinite()


def test_weights_rise_from_zero() -> None:
    config = replace(CONFIG, reconstruction=ReconstructionConfig(warmup=0.5), loss=LossConfig())
    learner = task(config).eval()
    start, end = learner(batch(), 0.0), learner(batch(), 0.5)
    supervised = start["cross_entropy"] + config.loss.auxiliary * start["auxiliary"]
    torch.testing.assert_close(start["loss"], supervised)
    extra = (
        end["reconstruction"]
        + config.reconstruction.cross_entropy_weight * end["reconstructed_cross_entropy"]
        + config.reconstruction.consistency_weight * end["consistency"]
        + config.reconstruction.focus_weight * end["focus"]
    )
    torch.testing.assert_close(end["loss"], supervised + extra)


def test_targets_carry_no_gradient() -> None:
    rebuilt = torch.randn(2, 5, 4, requires_grad=True)
    target = torch.randn(2, 5, 4, requires_grad=True)
    mask = torch.rand(2, 5) > 0.5
    (gradient,) = torch.autograd.grad(
        reconstruction_loss(rebuilt, target, mask), target, allow_unused=True
    )
    assert gradient is None
    logits = torch.randn(2, 3, requires_grad=True)
    reference = torch.randn(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        consistency_loss(logits, reference), reference, allow_unused=True
    )
    assert gradient is None


def test_reconstruction_loss_looks_at_hidden_tokens_only() -> None:
    rebuilt, target = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    assert reconstruction_loss(rebuilt, target, mask) == 0
    mask[1, 2] = True
    expected = 1 - torch.cosine_similarity(rebuilt[1, 2], target[1, 2], dim=0)
    torch.testing.assert_close(reconstruction_loss(rebuilt, target, mask), expected)


def test_agreement_is_the_kl_divergence() -> None:
    logits, reference = torch.randn(3, 4), torch.randn(3, 4)
    p, q = reference.softmax(dim=1), logits.softmax(dim=1)
    torch.testing.assert_close(
        consistency_loss(logits, reference), (p * (p / q).log()).sum(dim=1).mean()
    )
    assert consistency_loss(logits, logits).abs() < 1e-6


def test_rebuilding_reads_nothing_hidden() -> None:
    learner = task().eval()
    found = features(learner.model)
    hidden = tuple(torch.rand(4, guide.shape[1]) > 0.5 for guide in found.guides)
    changed = found._replace(
        tokens=tuple(
            torch.where(mask[..., None], torch.randn_like(token), token)
            for mask, token in zip(hidden, found.tokens, strict=True)
        )
    )
    for before, after in zip(
        learner.decoder(found, hidden).tokens, learner.decoder(changed, hidden).tokens, strict=True
    ):
        torch.testing.assert_close(before, after)


def test_tokens_change_only_where_they_are_hidden() -> None:
    learner = task().eval()
    found = features(learner.model)
    hidden = tuple(torch.rand(4, guide.shape[1]) > 0.5 for guide in found.guides)
    for before, after, mask in zip(
        found.tokens, learner.decoder(found, hidden).tokens, hidden, strict=True
    ):
        assert torch.equal(before[~mask], after[~mask])
        assert (before[mask] != after[mask]).any(dim=1).all()


def test_rebuilding_from_the_own_view_reads_no_other() -> None:
    config = replace(CONFIG, reconstruction=ReconstructionConfig(cross_modality=False))
    learner = task(config).eval()
    found = features(learner.model)
    hidden = tuple(torch.rand(4, guide.shape[1]) > 0.5 for guide in found.guides)
    changed = found._replace(tokens=(found.tokens[0], torch.randn_like(found.tokens[1])))
    before, after = (learner.decoder(x, hidden).tokens for x in (found, changed))
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_any_number_of_views_trains(modalities: int) -> None:
    names = ("clinical", "ultrasound", "dermoscopic")[:modalities]
    config = replace(
        CONFIG, data=replace(CONFIG.data, modalities={n: ModalityConfig() for n in names})
    )
    images = tuple(torch.randn(4, 3, 64, 64) for _ in names)
    data = Batch(
        images=images,
        present=torch.ones(4, modalities, dtype=torch.bool),
        labels=torch.arange(4) % 3,
        index=torch.arange(4),
    )
    learner = task(config).train()
    learner(data, 1.0)["loss"].backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_network_that_rebuilds_missing_views_shares_its_decoder() -> None:
    fusion = replace(CONFIG.model.fusion, reconstruct_missing=True)
    config = replace(CONFIG, model=replace(CONFIG.model, fusion=fusion))
    learner = task(config).eval()
    assert learner.decoder is learner.model.decoder
    data = batch()
    with_images = learner.model.forward_features(data.images, data.present)
    noise = tuple(
        torch.where(data.present[:, m, None, None, None], image, torch.randn_like(image))
        for m, image in enumerate(data.images)
    )
    for before, after in zip(
        with_images.tokens, learner.model.forward_features(noise, data.present).tokens, strict=True
    ):
        torch.testing.assert_close(before, after)


def test_evidence_is_gradient_times_token() -> None:
    model = task().model.eval()
    found = features(model)
    leaves = tuple(token.detach().requires_grad_() for token in found.tokens)
    model.forward_head(found._replace(tokens=leaves)).logits[:, 1].sum().backward()
    score = model.forward_head(found).logits[:, 1].sum()
    for map_, leaf in zip(token_attribution(score, found), leaves, strict=True):
        assert leaf.grad is not None
        torch.testing.assert_close(map_, (leaf.grad * leaf).sum(dim=-1).clamp_min(0))
        assert not map_.requires_grad


def drawn(weights: torch.Tensor, ratio: float, power: float) -> torch.Tensor:
    return draw_cells(weights, SHAPES, mask_ratio=ratio, attribution_power=power)


def test_a_cell_is_hidden_at_all_scales() -> None:
    torch.manual_seed(0)
    mask = drawn(torch.rand(6, COUNT), ratio=0.5, power=1.0)
    fine, middle, coarse = mask.split([64, 16, 4], dim=1)
    coarse = coarse.view(6, 2, 2)
    assert (coarse.sum(dim=(1, 2)) == 2).all()
    for finer, side in ((fine, 8), (middle, 4)):
        step = side // 2
        expected = coarse.repeat_interleave(step, 1).repeat_interleave(step, 2)
        assert (finer.view(6, side, side) == expected).all()


def test_hiding_prefers_the_evidence() -> None:
    torch.manual_seed(0)
    weights = torch.zeros(4000, COUNT)
    weights[:, -4] = 1.0  # all evidence in the first cell
    rates = {
        focus: drawn(weights, ratio=0.25, power=focus)[:, -4].float().mean().item()
        for focus in (0.0, 1.0, 4.0)
    }
    assert rates[0.0] == pytest.approx(0.25, abs=0.03)
    # evidence 1 of 1 plus a quarter, against a quarter each for the other three
    assert rates[1.0] == pytest.approx(1.25 / 2, abs=0.03)
    assert rates[4.0] > 0.98


def test_something_stays_visible_and_absent_views_are_not_hidden() -> None:
    torch.manual_seed(0)
    present = torch.ones(50, 2, dtype=torch.bool)
    present[:10, 1] = False
    found = Features(
        tokens=tuple(torch.randn(50, COUNT, 4) for _ in range(2)),
        guides=tuple(torch.rand(50, COUNT) for _ in range(2)),
        shapes=(SHAPES, SHAPES),
        last_maps=tuple(torch.randn(50, 3, *SHAPES[-1]) for _ in range(2)),
        present=present,
    )
    weights = tuple(torch.rand(50, COUNT) for _ in range(2))
    masks = draw_masks(
        found,
        weights,
        present,
        mask_ratio=0.9,
        attribution_power=1.0,
        modality_mask_prob=0.5,
    )
    share = torch.stack([mask.float().mean(dim=1) for mask in masks], dim=1)  # (50, 2)
    assert (share[:10, 1] == 0).all()
    assert (share[:10, 0] < 1).all()  # the only view is never hidden whole
    assert (share.min(dim=1).values < 1).all()
    whole = (share == 1).any(dim=1)
    assert 5 < whole.sum() < 35
    assert (share[whole].min(dim=1).values == 0).all()  # the other view stays complete


def test_masked_positions_of_the_last_maps_are_hidden_and_the_mean_is_over_the_others() -> None:
    torch.manual_seed(0)
    before = features(task().model.eval())
    masks = [torch.zeros_like(guide, dtype=torch.bool) for guide in before.guides]
    masks[0][0, -4:-1] = True  # all but the last of the four coarsest positions
    masks[1][2] = True  # a whole modality
    after = mask_last_maps(before, masks)
    pooled = after.last_maps[0].mean(dim=(2, 3))
    torch.testing.assert_close(pooled[0], before.last_maps[0][0, :, 1, 1])
    torch.testing.assert_close(after.last_maps[0][1:], before.last_maps[0][1:])
    assert not after.last_maps[1][2].any()
    expected = before.present.clone()
    expected[2, 1] = False
    assert torch.equal(after.present, expected)


def test_attribution_is_that_of_the_true_class(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, data = task().eval(), batch()
    logits = learner.model(data.images, data.present).logits.detach()
    labels = (logits.argmax(dim=1) + 1) % 3  # none is predicted
    scores: list[torch.Tensor] = []

    def watched(score: torch.Tensor, features: Features) -> tuple[torch.Tensor, ...]:
        scores.append(score.detach())
        return token_attribution(score, features)

    monkeypatch.setattr(reconstruction, "token_attribution", watched)
    learner(replace(data, labels=labels), 1.0)
    true = logits.gather(1, labels[:, None]).sum()
    torch.testing.assert_close(scores, [true])
    assert abs(float(logits.max(dim=1).values.sum() - true)) > 0.01


def test_the_reconstructed_features_are_classified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 4: cross-entropy and consistency of the prediction from the reconstructed tokens."""
    config = ReconstructionConfig(
        warmup=0.0,
        reconstruction_weight=0.0,
        consistency_weight=0.0,
        cross_entropy_weight=2.0,
        focus_weight=0.0,
    )
    learner, data = task(replace(CONFIG, reconstruction=config)).eval(), batch()
    found = features(learner.model)
    masks = tuple(torch.rand(4, guide.shape[1]) > 0.3 for guide in found.guides)
    monkeypatch.setattr(reconstruction, "draw_masks", lambda *_, **__: masks)
    losses = learner(data, 1.0)
    hidden = mask_last_maps(learner.decoder(found, masks), masks)
    second = learner.model.forward_head(hidden).logits
    expected = torch.nn.functional.cross_entropy(second, data.labels)
    torch.testing.assert_close(losses["reconstructed_cross_entropy"], expected)
    first = learner.model.forward_head(found).logits
    assert not torch.allclose(first, second)
    torch.testing.assert_close(losses["consistency"], consistency_loss(second, first))
    supervised = losses["cross_entropy"] + CONFIG.loss.auxiliary * losses["auxiliary"]
    torch.testing.assert_close(losses["loss"], supervised + 2.0 * expected)


def test_the_focus_loss_is_zero_where_the_guide_has_the_distribution_of_the_attribution() -> None:
    attribution = torch.tensor([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 2.0]])
    present = torch.tensor([True, True, False])  # the second has no attribution
    torch.testing.assert_close(
        focus_loss(attribution / 4 + 1e-12, attribution, present), torch.tensor(0.0)
    )
    guide = torch.full((3, 3), 0.5, requires_grad=True)
    loss = focus_loss(guide, attribution.requires_grad_(), present)
    expected = 0.25 * math.log(0.25 * 3) + 0.75 * math.log(0.75 * 3)
    torch.testing.assert_close(loss, torch.tensor(expected))
    loss.backward()
    assert attribution.grad is None
    assert guide.grad is not None
    assert guide.grad[0, 1] < 0 < guide.grad[0, 2]  # it rises where the attribution is
    assert not guide.grad[1:].any()


def test_the_guide_learns_only_by_the_focus_loss_where_its_weight_is_all() -> None:
    """After some steps, the guide lies where the attribution lies."""
    config = ReconstructionConfig(
        warmup=0.0, reconstruction_weight=0, consistency_weight=0, cross_entropy_weight=0,
        focus_weight=1.0,
    )  # fmt: skip
    learner, data = task(replace(CONFIG, reconstruction=config)), batch()
    losses = []
    optimizer = torch.optim.Adam([*learner.model.tokenizers.parameters()], lr=0.01)
    for _ in range(20):
        loss = learner(data, 1.0)["focus"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
