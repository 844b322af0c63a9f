from __future__ import annotations

from agfnet.pages.blocks import Figure
from agfnet.report.learning import learning

HISTORY = [
    {"epoch": epoch, "train_cross_entropy": loss, "val_nll": nll, "val_balanced_accuracy": 0.5}
    for epoch, (loss, nll) in enumerate([(1.5, 1.4), (1.2, 1.1), (0.9, 1.3)])
]


def test_the_curves_mark_the_epoch_of_the_lowest_validation_loss() -> None:
    section = learning(HISTORY)
    assert section is not None
    (figure,) = section.blocks
    assert isinstance(figure, Figure)
    assert "lowest validation loss" in figure.svg
    other = learning([*HISTORY[:2], HISTORY[2] | {"val_nll": 0.5}])
    assert other is not None
    assert other.blocks[0].svg != figure.svg  # type: ignore[attr-defined]


def test_a_run_without_a_finished_epoch_has_no_curves() -> None:
    assert learning([]) is None
    assert learning([{"epoch": 0.0, "val_nll": float("nan")}]) is None
    assert learning(HISTORY[:1]) is not None
