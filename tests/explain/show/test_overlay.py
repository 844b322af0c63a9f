import base64
import io

import numpy as np
import pytest
from PIL import Image

from agfnet.explain.show.overlay import bar_length, overlay, thumbnail


def test_thumbnail_is_a_small_jpeg_of_the_same_shape():
    pixels = np.zeros((600, 1200, 3), dtype=np.uint8)
    head, data = thumbnail(pixels).split(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (image.format, image.size) == ("JPEG", (320, 160))


def test_an_overlay_shows_strong_evidence_and_nothing_else():
    pixels = np.full((40, 60, 3), 200, dtype=np.uint8)
    evidence = np.zeros((4, 6), dtype=np.float32)
    assert (overlay(pixels, evidence) == pixels).all()
    evidence[0, 0] = 5
    laid = overlay(pixels, evidence)
    assert laid.shape == pixels.shape
    assert (laid[0, 0] != 200).any()
    assert (laid[20:] == 200).all()
    assert (pixels == 200).all()


def test_what_the_network_does_not_see_is_darkened():
    pixels = np.full((8, 8, 3), 200, dtype=np.uint8)
    evidence = np.zeros((8, 8), dtype=np.float32)
    evidence[:, :4] = np.nan
    laid = overlay(pixels, evidence)
    assert (laid[:, :4] == 80).all()
    assert (laid[:, 4:] == 200).all()
    evidence[0, 7] = 1
    assert (overlay(pixels, evidence)[0, 7] != 200).any()


@pytest.mark.parametrize(
    ("width", "length"),
    [(10, 2), (15, 5), (3, 1), (0.9, 0.2), (29.9, 5), (30, 10), (700, 200), (0.3, 0.05)],
)
def test_the_scale_bar_has_a_round_length_of_at_most_a_third(width, length):
    assert bar_length(width) == pytest.approx(length)
