"""TIFF of every layout keeps each bit of its pixels, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.data import tiff as reader
from agfnet.data.readers import decode_image
from agfnet.deidentify.photos import strip_photo
from agfnet.deidentify.tiff import strip_tiff
from agfnet.errors import ImageError

from ..data.tiffs import Page, page, tiff

SECRET = b"Anna Mueller, 1980-02-03"
TEXTS = {270: SECRET, 305: SECRET, 315: SECRET, 700: SECRET, 33723: SECRET, 65000: SECRET}


def noise(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def stored(data: bytes) -> list[list[bytes]]:
    """The strips of each page, and of the directories below it."""
    pages = reader.directories(io.BytesIO(data))
    every = [each for top in pages for each in (top, *top.sub_directories())]
    return [
        [
            reader.read_bytes(each.file, *part)
            for part in zip(each.numbers(273), each.numbers(279), strict=True)
        ]
        for each in every
    ]


def kept(data: bytes, tag: int) -> tuple[int, ...]:
    return reader.directories(io.BytesIO(data))[0].numbers(tag)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32])
def test_colours(dtype: Any, planar: int, deflate: bool, big: bool, order: str) -> None:
    image = page(
        noise(9, 7, 3, dtype=dtype), order=order, planar=planar, deflate=deflate, tags=TEXTS
    )
    before = tiff(image, order=order, big=big)
    after, suffix = strip_photo(before)
    assert suffix == ".tif"
    assert SECRET in before
    assert b"Mueller" not in after
    assert stored(after) == stored(before)
    for tag in (256, 257, 258, 259, 262, 277, 284, 339):
        assert kept(after, tag) == kept(before, tag)
    assert strip_photo(after)[0] == after


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [None, 10, 12, 14])
def test_grey(bits: int | None, photometric: int) -> None:
    values = noise(9, 7) >> (16 - (bits or 16))
    before = tiff(page(values, bits=bits, photometric=photometric, tags=TEXTS))
    after, _ = strip_photo(before)
    assert stored(after) == stored(before)
    assert kept(after, 262) == (photometric,)
    assert kept(after, 258) == (bits or 16,)


def test_pages_and_sub_directories() -> None:
    def image(size: int, nested: tuple[Page, ...] = ()) -> Page:
        return page(noise(size, size), tags=TEXTS, nested=nested)

    before = tiff(image(16, (image(8), image(4))), image(16))
    after, _ = strip_photo(before)
    assert [len(strips[0]) for strips in stored(after)] == [512, 128, 32, 512]
    assert stored(after) == stored(before)
    assert b"Mueller" not in after
    for frame in (0, 1):
        pixels = [
            decode_image(io.BytesIO(data), name="x", frame=frame).pixels for data in (before, after)
        ]
        assert (pixels[0] == pixels[1]).all()


def test_jpeg_inside() -> None:
    file = io.BytesIO()
    Pillow.fromarray(noise(32, 32, 3, dtype=np.uint8)).save(file, "TIFF", compression="jpeg")
    before = file.getvalue()
    after = strip_tiff(before)
    pixels = [decode_image(io.BytesIO(data), name="x").pixels for data in (before, after)]
    assert (pixels[0] == pixels[1]).all()


def test_comments_of_jpeg_inside_are_removed() -> None:
    file = io.BytesIO()
    grey = noise(16, 16, dtype=np.uint8)
    Pillow.fromarray(grey).save(file, "JPEG", comment=SECRET)
    layout = page(grey, tags={259: 7})
    layout.strips = [file.getvalue()]
    before = tiff(layout)
    assert SECRET in before
    after = strip_tiff(before)
    assert SECRET not in after
    pixels = [decode_image(io.BytesIO(data), name="x").pixels for data in (before, after)]
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (page(noise(4, 4), tags={50706: [1, 4, 0, 0]}), "camera raw"),
        (page(noise(4, 4), nested=[page(noise(8, 8), photometric=32803)]), "camera raw"),
        (page(noise(4, 4), nested=[page(noise(8, 8))]), "previews"),
        (page(noise(4, 4), tags={259: 6}), "obsolete JPEG compression"),
    ],
)
def test_what_is_refused(image: Page, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        strip_photo(tiff(image))


@pytest.mark.parametrize("end", [7, 40, 150])
def test_truncated(end: int) -> None:
    with pytest.raises(ImageError, match="damaged or truncated"):
        strip_photo(tiff(page(noise(9, 7)))[:end])
