"""Colours of attribution maps."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

from agfnet.explain.compute.colours import LOW, colour_map, cover


def test_the_colours_are_viridis() -> None:
    levels = np.linspace(0, 1, 101)
    np.testing.assert_allclose(colour_map(levels), colormaps["viridis"](levels)[:, :3], atol=0.02)


def test_low_attribution_is_transparent() -> None:
    assert cover(np.array([0, LOW, 1])).tolist() == [0, 0, 1]
