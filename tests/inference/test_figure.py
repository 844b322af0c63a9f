"""The picture of a diagnosis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager

from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.figure import save_picture
from agfnet.inference.fonts import LAST_RESORT, font_families

DIAGNOSIS = Diagnosis(probabilities=np.array([0.7, 0.3]), frames=np.empty((0, 2)), images=())


def test_the_default_font_is_enough_for_latin() -> None:
    assert font_families("naevus é (42 %)") == (["DejaVu Sans"], "")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_labels_in_any_script_and_with_any_sign(suffix: str, tmp_path: Path) -> None:
    classes = ("黑色素瘤 $x_1$ [/b]", "naevus")
    images = {"clinical": np.zeros((8, 8, 3), np.uint8)}
    path = tmp_path / f"answer.{suffix}"
    if font_families(classes[0])[1]:
        pytest.skip("no font with Chinese letters is installed")
    missing = save_picture(path, classes=classes, diagnosis=DIAGNOSIS, images=images)
    assert path.stat().st_size > 1000
    assert missing == ""  # and the plotting library did not warn
    assert b"LastResort" not in path.read_bytes()


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_label_is_no_formula(suffix: str, tmp_path: Path) -> None:
    images = {"clinical": np.zeros((8, 8, 3), np.uint8)}
    path = tmp_path / f"answer.{suffix}"
    classes = (r"naevus $\foo$", "costs $5 or $6")
    assert save_picture(path, classes=classes, diagnosis=DIAGNOSIS, images=images) == ""
    assert suffix == "png" or b"costs $5 or $6" in path.read_bytes()


def test_letters_that_no_font_has_are_returned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fonts = font_manager.fontManager.ttflist
    few = [font for font in fonts if font.name.startswith((LAST_RESORT, "DejaVu Sans"))]
    assert any(font.name.startswith(LAST_RESORT) for font in few)  # it has a box for each letter
    monkeypatch.setattr(font_manager.fontManager, "ttflist", few)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert font_families("黑a黑") == (["DejaVu Sans"], "黑")
    images = {"clinical": np.zeros((8, 8, 3), np.uint8)}
    path = tmp_path / "answer.png"
    classes = ("黑", "naevus")
    assert save_picture(path, classes=classes, diagnosis=DIAGNOSIS, images=images) == "黑"


def test_a_font_installed_after_the_list_was_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    if font_families("黑")[1]:
        pytest.skip("no font with Chinese letters is installed")
    stored = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", stored)
    families, missing = font_families("黑")
    assert (len(families), missing) == (2, "")
