"""Figures of explanations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from agfnet.data.readers import Image
from agfnet.explain.show.figures import DrawnMap, save_maps, save_sheet


def test_a_long_text_stays_in_the_figure(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 3), 128, dtype=np.uint8)
    drawn = DrawnMap(np.ones((32, 32), dtype=np.float32), 1.0)
    save_maps(
        tmp_path / "maps.png",
        title="lesion: attribution maps for seborrhoeic keratosis (15%)",
        text="Answer.\n" + "Contribution of each image in points of probability, " * 4,
        images={"clinical": Image(pixels)},
        columns={"LayerCAM": {"clinical": drawn}},
        failed_checks={},
    )
    figure = np.asarray(Picture.open(tmp_path / "maps.png").convert("L"))
    assert (figure[:, [0, 1, -2, -1]] == 255).all()


def test_letters_without_a_font_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plotting library would warn of each letter in each figure."""
    rows = [("\U00013000 naevus", [np.zeros((8, 8, 3), np.uint8)])]  # hieroglyph
    for name in ("a.png", "b.png"):
        save_sheet(tmp_path / name, title="cases", rows=rows, columns=["clinical"])
        assert (tmp_path / name).stat().st_size > 1000
    assert len(caplog.records) <= 1
