"""TIFF: bit depths, photometric interpretations, byte orders, planes, and which page is the image.

Each layout is either read as its plain 8-bit twin, or refused with the cause.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.data.readers import count_frames, decode_image
from agfnet.errors import ImageError

from .tiffs import Page, page, tiff

RAMP = np.linspace(0, 255, 12 * 16).round().astype(np.uint8).reshape(12, 16)
COLOURS = np.stack([RAMP, 255 - RAMP, np.roll(RAMP, 5)], axis=2)


def read(data: bytes, frame: int = 0) -> np.ndarray:
    return decode_image(io.BytesIO(data), name="x", frame=frame).pixels


def fault(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read(data)
    return str(caught.value)


def deep(pixels: np.ndarray, bits: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.rint(pixels / 255 * (2**bits - 1)).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_in_16_bits(bits: int, photometric: int, deflate: bool, order: str) -> None:
    stored = deep(RAMP if photometric else 255 - RAMP, bits)
    pixels = read(
        tiff(page(stored, order=order, photometric=photometric, deflate=deflate), order=order)
    )
    assert np.abs(pixels.astype(int) - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
def test_signed_grey_without_negative_values(bits: int, deflate: bool, order: str) -> None:
    data = tiff(page(deep(RAMP, bits, np.int16), order=order, deflate=deflate), order=order)
    assert np.abs(read(data).astype(int) - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_negative_values(dtype: Any, deflate: bool, order: str) -> None:
    values = RAMP.astype(int).astype(dtype) if dtype == np.int8 else RAMP.astype(dtype) - 200
    assert "negative values (signed" in fault(
        tiff(page(values, order=order, deflate=deflate), order=order)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("deflate", [False, True])
def test_packed_12_bits(photometric: int, deflate: bool, order: str) -> None:
    stored = deep(RAMP if photometric else 255 - RAMP, 12)
    data = tiff(
        page(stored, order=order, bits=12, photometric=photometric, deflate=deflate), order=order
    )
    assert np.abs(read(data).astype(int) - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("bits", [10, 14])
@pytest.mark.parametrize("pixels", [RAMP, COLOURS], ids=["grey", "colour"])
def test_packed_bits_that_pillow_cannot_decode(bits: int, pixels: np.ndarray) -> None:
    assert f"{bits} bits per sample" in fault(tiff(page(deep(pixels, bits), bits=bits)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colours_in_16_bits(bits: int, planar: int, deflate: bool, order: str) -> None:
    data = tiff(page(deep(COLOURS, bits), order=order, planar=planar, deflate=deflate), order=order)
    if planar == 2 and bits < 16:
        assert f"uses only {bits} bits of its 16 bits" in fault(data)
    else:
        assert np.abs(read(data).astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("bits", [12, 16])
def test_a_fourth_channel_in_16_bits(bits: int, extra: int, planar: int) -> None:
    opaque = np.full((*RAMP.shape, 1), 255)
    values = deep(np.concatenate([COLOURS, opaque], axis=2), bits)
    data = tiff(page(values, planar=planar, tags={338: [extra]}))
    if planar == 2 and bits < 16:
        assert f"uses only {bits} bits of its 16 bits" in fault(data)
        return
    pixels = read(data)
    assert np.abs(pixels.astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_colours_that_are_refused(dtype: Any) -> None:
    tags = {339: [3] * 3} if dtype == np.float32 else {}
    words = fault(tiff(page(COLOURS.astype(dtype), tags=tags)))
    assert ("floating point" if tags else "signed") in words
    assert "RGB" in words


def test_lab() -> None:
    assert "CIELAB" in fault(tiff(page(COLOURS, photometric=8)))


def test_white_is_zero_is_named_where_it_is_refused() -> None:
    values = RAMP.astype(np.int16)
    assert "white is zero, signed" in fault(tiff(page(values, photometric=0)))


# pages


def image(value: int, size: int = 16, **options: Any) -> Page:
    return page(np.full((size, size), value, np.uint8), **options)


@pytest.mark.parametrize("tags", [{254: 1}, {255: 2}, {}], ids=["reduced", "old", "not declared"])
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_thumbnail_comes_first(
    tags: dict[int, int], order: str, big: bool, tmp_path: Any
) -> None:
    thumbnail = image(1, 8, order=order, tags=tags)
    data = tiff(thumbnail, image(7, order=order), image(9, order=order), order=order, big=big)
    assert [read(data, frame)[0, 0, 0] for frame in (0, 1)] == [7, 9]
    (tmp_path / "a.tif").write_bytes(data)
    assert count_frames(tmp_path / "a.tif") == 2


def test_big_tiff_in_big_endian_order_is_named() -> None:
    assert "big-endian BigTIFF" in fault(tiff(image(7, order=">"), order=">", big=True))


def test_reduced_copies_and_masks_are_no_frames(tmp_path: Any) -> None:
    mask = page(np.full((16, 16), 255, np.uint8), photometric=4)
    data = tiff(image(7), image(3, tags={254: 1}), mask, image(5, 8), image(9))
    (tmp_path / "a.tif").write_bytes(data)
    assert count_frames(tmp_path / "a.tif") == 2
    assert [read(data, frame)[0, 0, 0] for frame in (0, 1)] == [7, 9]


def test_a_pyramid_in_sub_directories_is_read() -> None:
    assert read(tiff(image(7, nested=[image(3, 8)])))[0, 0, 0] == 7


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff(image(1, 8, tags={254: 1}, nested=[image(7)])), "previews of an image"),
        (tiff(image(1, 8, tags={50706: [1, 4, 0, 0]})), "camera raw file"),
        (tiff(image(1, nested=[image(7, photometric=32803)])), "camera raw file"),
        (tiff(image(1, photometric=34892)), "camera raw file"),
    ],
)
def test_camera_raw_files(data: bytes, words: str) -> None:
    assert words in fault(data)


@pytest.mark.parametrize(
    ("mode", "description", "channels"),
    [
        ("L", "ImageJ=1.54f\nimages=3\nchannels=3\nmode=composite\n", True),
        ("L", '<?xml version="1.0"?><OME><Pixels ID="P" SizeC="3" SizeT="1"/></OME>', True),
        ("L", "ImageJ=1.54f\nimages=3\nchannels=1\nslices=3\n", False),
        ("L", "ImageJ=1.54f\nimages=3\nslices=3\n", False),
        ("L", "channels=3\n", False),  # not written by ImageJ
        ("RGB", '<OME><Pixels SizeC="3"/></OME>', False),
    ],
)
def test_pages_that_are_colour_channels(mode: str, description: str, channels: bool) -> None:
    pages = [Pillow.new(mode, (16, 16), value) for value in ("#101010", "#202020", "#303030")]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], description=description)
    single = io.BytesIO()
    pages[0].save(single, "TIFF", description=description)
    assert read(single.getvalue())[0, 0, 0] == 16
    if channels:
        assert "pages are colour channels of one image" in fault(file.getvalue())
    else:
        assert [read(file.getvalue(), frame)[0, 0, 0] for frame in range(3)] == [16, 32, 48]


def test_a_chain_of_pages_that_has_no_end() -> None:
    data = bytearray(tiff(image(7)))
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    data[start + 2 + 12 * count : start + 6 + 12 * count] = data[4:8]
    assert read(bytes(data))[0, 0, 0] == 7


@pytest.mark.parametrize("end", [6, 20, 300])
def test_truncated(end: int) -> None:
    assert "damaged or truncated" in fault(tiff(image(7))[:end])


def test_planes_of_8_bits_stay_as_they_are() -> None:
    assert (read(tiff(page(COLOURS, planar=2))) == COLOURS).all()


def test_pillow_writes_what_this_helper_reads() -> None:
    file = io.BytesIO()
    Pillow.fromarray(COLOURS).save(file, "TIFF", compression="tiff_lzw")
    assert (read(file.getvalue()) == COLOURS).all()


def test_damaged_bytes_give_an_image_or_an_image_error() -> None:
    """Errors of our own code are no `ImageError`, so that this test can fail."""
    files = [
        tiff(page(deep(COLOURS, 12), planar=2, deflate=True), image(7)),
        tiff(page(deep(RAMP, 12, np.int16), order=">"), order=">"),
        tiff(image(7, nested=[image(3, 8)]), image(9), big=True),
        tiff(page(deep(RAMP, 12), bits=12, photometric=0)),
    ]
    rng = np.random.default_rng(0)
    for number in range(600):
        damaged = bytearray(files[number % len(files)])
        for position in rng.integers(0, len(damaged), rng.integers(1, 6)):
            damaged[position] = rng.choice([0, 1, 255, rng.integers(256)])
        with contextlib.suppress(ImageError):
            read(bytes(damaged), frame=number % 2)


def test_signed_values_of_8_bits_without_negative_ones() -> None:
    half = (RAMP // 2).astype(np.int8)
    assert np.abs(read(tiff(page(half))).astype(int) - RAMP[..., None]).max() <= 2


@pytest.mark.parametrize("scale", [1, 256, 257])
def test_palette_of_8_and_of_16_bits(scale: int) -> None:
    levels = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) // 2])
    data = tiff(page(RAMP, photometric=3, tags={320: (levels * scale).ravel().tolist()}))
    assert (read(data) == levels[:, RAMP].transpose(1, 2, 0)).all()


def test_grey_that_is_multiplied_by_its_opacity():
    values = np.array([[[200, 255], [50, 128], [0, 0]]], dtype=np.uint8)
    pixels = read(tiff(page(values, tags={338: 1})))
    assert pixels[0, :, 0].tolist() == pytest.approx([200, 50, 0], abs=1)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [1, 2])
def test_missing_strips_are_not_black(planar: int, deflate: bool):
    whole = page(COLOURS, planar=planar, deflate=deflate)
    read(tiff(whole))
    half = page(COLOURS[:6], planar=planar, deflate=deflate)
    part = Page({**whole.tags, 278: 6}, half.strips)
    assert "a part of it is missing" in fault(tiff(part))


@pytest.mark.parametrize("stated", [2, 6])
@pytest.mark.parametrize("rgb", [False, True])
def test_jpeg_of_other_colours_than_the_page_states_is_refused(rgb: bool, stated: int):
    file = io.BytesIO()
    Pillow.fromarray(COLOURS).save(file, "JPEG", quality=95, subsampling=0, keep_rgb=rgb)
    tags = {**page(COLOURS, photometric=stated).tags, 259: 7, 530: [1, 1]}
    data = tiff(Page(tags, [file.getvalue()]))
    if rgb == (stated == 2):
        assert np.abs(read(data).astype(int) - COLOURS).mean() < 8
    else:
        assert "whose JPEG data are" in fault(data)
