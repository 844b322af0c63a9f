"""A network that sets something on the validation split does so before it is bundled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from agfnet.config import TrainConfig
from agfnet.training.fit import fit


def test_searched_weights_reach_the_bundle(settings: TrainConfig, tmp_path: Path) -> None:
    config = replace(
        settings,
        model=replace(settings.model, method="fusionm4net"),
        optim=replace(settings.optim, epochs=1),
        runs=str(tmp_path),
    )
    folder = fit(config, progress=False)
    weights = load_file(folder / "bundle" / "model.safetensors")["weights"]
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    torch.testing.assert_close(
        10 * weights, (10 * weights).round()
    )  # equal thirds are none of these
