"""Section on the course of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from agfnet.pages.blocks import Figure, Section
from agfnet.report.plots.curves import learning_curves
from agfnet.translation import t


def learning(history: Sequence[Mapping[str, float]]) -> Section | None:
    """Return the learning curves; None without a finished epoch.

    Args:
        history: rows of history.csv.
    """
    if not any(math.isfinite(row.get("val_nll", math.nan)) for row in history):
        return None
    caption = (
        "Loss and balanced accuracy after every epoch. A validation loss that rises while the "
        "training loss falls is overfitting; losses that still fall at the end suggest more "
        "epochs. The training loss is that of augmented images, with dropout, so that it may be "
        "the higher one. Of an ensemble, these are the means over its members."
    )
    figure = Figure(learning_curves(history), t(caption), wide=True)
    return Section("training", t("Training"), [figure])
