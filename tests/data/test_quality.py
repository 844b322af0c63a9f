from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from agfnet.data.quality import SWAPPED, by_hint, measure_appearance, quality_hints

TEXTURE = np.random.default_rng(0).integers(-40, 40, (300, 400, 1))


def picture(*colour: int) -> np.ndarray:
    return np.clip(np.array(colour) + TEXTURE, 0, 255).astype(np.uint8)


def blurred(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(12)))


def test_a_good_image_has_no_hint() -> None:
    assert quality_hints(measure_appearance(picture(200, 120, 100)), "photo") == ()
    assert quality_hints(measure_appearance(picture(90, 90, 90)), "ultrasound") == ()


@pytest.mark.parametrize(
    ("pixels", "hints"),
    [
        (np.full((60, 60, 3), 90, np.uint8), ("constant",)),
        (picture(0, 0, 0), ("dark", "grey_photo")),
        (np.clip(picture(250, 250, 250), 241, 255), ("bright", "grey_photo")),
        (blurred(picture(200, 120, 100)), ("flat", "blurred")),
        (picture(120, 120, 120), ("grey_photo",)),
    ],
)
def test_faults_of_a_photograph(pixels: np.ndarray, hints: tuple[str, ...]) -> None:
    seen = quality_hints(measure_appearance(pixels), "photo")
    assert set(hints) <= set(seen)
    assert seen[0] == hints[0]


def test_one_pixel_is_no_constant_image() -> None:
    pixels = np.full((600, 600, 3), 90, np.uint8)
    assert measure_appearance(pixels).constant
    pixels[5, 5] = 91
    assert not measure_appearance(pixels).constant


def test_each_kind_of_fault_is_one_message() -> None:
    quality = {"clinical": ("dark", "blurred"), "ultrasound": ("dark",)}
    assert by_hint(quality) == {"dark": ["clinical", "ultrasound"], "blurred": ["clinical"]}


def test_swapped_images_are_one_message() -> None:
    quality = {"clinical": ("dark", "grey_photo"), "ultrasound": ("colour_ultrasound",)}
    assert by_hint(quality) == {"dark": ["clinical"], SWAPPED: ["clinical", "ultrasound"]}
    del quality["ultrasound"]
    assert by_hint(quality) == {"dark": ["clinical"], "grey_photo": ["clinical"]}
