from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from .test_dicom import dataset, fault, grey, read, written


def photograph() -> np.ndarray:
    """A dark spot on skin, with noise."""
    y, x = np.mgrid[:48, :64]
    spot = np.exp(-((x - 30) ** 2 + (y - 25) ** 2) / 150)
    light = np.stack([200 - 60 * spot, 150 - 80 * spot, 130 - 70 * spot], axis=-1)
    return (light + np.random.default_rng(0).normal(0, 4, light.shape)).astype(np.uint8)


def speckle() -> np.ndarray:
    """Grey texture as of ultrasound, from 0 to 255."""
    noise = np.random.default_rng(0).rayleigh(size=(50, 66))
    smooth = (
        noise[:-2, :-2] + noise[1:-1, :-2] + noise[2:, :-2] + noise[1:-1, 1:-1] + noise[1:-1, 2:]
    )
    depth = np.linspace(1, 0.3, len(smooth))[:, None]
    return np.clip(40 * (smooth - 3) * depth, 0, 255).astype(np.uint8)


def planes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(pixels.shape)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("pixels", [photograph(), np.repeat(speckle()[..., None], 3, axis=2)])
def test_the_order_of_colours_is_that_of_the_picture(pixels: np.ndarray, planar: int, kind: Any):
    scaled = pixels.astype(kind) * (257 if kind is np.uint16 else 1)
    for stored in (scaled, planes(scaled)):
        bits = 8 * scaled.dtype.itemsize
        made = dataset(stored, "RGB", bits, PlanarConfiguration=planar)
        assert np.array_equal(read(written(made)).pixels, pixels)


def test_a_small_image_is_taken_as_it_is_stated():
    pixels = photograph()[:20, :20]
    made = dataset(planes(pixels), "RGB", PlanarConfiguration=0)
    assert np.array_equal(read(written(made)).pixels, planes(pixels))


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("mode", ["RGB", "YCbCr"])
def test_colours_are_those_of_the_picture(mode: str, stated: str):
    pixels = photograph()
    stored = np.asarray(Pillow.fromarray(pixels).convert(mode))
    found = read(written(dataset(stored, stated))).pixels
    assert np.abs(found.astype(int) - pixels).max() <= 3


def test_saturated_colours_stay_as_they_are():
    flow = np.zeros((64, 64, 3), dtype=np.uint8)
    flow[8:30, 8:30, 0] = np.arange(100, 188)[::4][:, None]
    flow[34:56, 34:56, 2] = 200
    assert np.array_equal(read(written(dataset(flow, "RGB"))).pixels, flow)


def test_unsigned_values_that_are_stated_as_signed():
    pixels = speckle()
    made = dataset(pixels, PixelRepresentation=1)
    assert np.array_equal(grey(written(made)), pixels)
    made = dataset((pixels - 128).astype(np.int8))
    assert np.array_equal(grey(written(made)), pixels)


@pytest.mark.parametrize("spelling", [str.lower, lambda text: f" {text}"])
def test_colours_in_small_letters_and_after_a_space(spelling: Callable[[str], str]):
    for pixels, name in ((photograph(), "RGB"), (speckle(), "MONOCHROME2")):
        other = spelling(name).ljust(len(name) + 1).encode()
        data = written(dataset(pixels, name)).replace(f"{name} ".encode(), other)
        found = read(data).pixels
        assert np.array_equal(found if name == "RGB" else found[..., 0], pixels)


@pytest.mark.parametrize(
    ("name", "value"), [("BitsStored", 0), ("BitsStored", 12), ("BitsAllocated", 7)]
)
def test_impossible_numbers_of_bits_are_named(name: str, value: int):
    made = dataset(speckle(), **{name: value})
    assert fault(written(made)) == f"x.dcm: has no valid number in {name} ({value}); correct it"


def test_unknown_colours_are_named():
    assert "has XYB colours, which are not read" in fault(written(dataset(photograph(), "XYB")))


@pytest.mark.parametrize("stated", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("mode", ["RGB", "YCbCr"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_colours_are_those_of_the_picture(syntax: str, mode: str, stated: str):
    pixels = photograph()
    made = dataset(np.asarray(Pillow.fromarray(pixels).convert(mode)), "RGB")
    made.compress(syntax)
    made.PhotometricInterpretation = stated
    found = read(written_as(made, syntax)).pixels
    assert np.abs(found.astype(int) - pixels).max() <= 3


def test_jpeg_2000_of_rgb_that_is_stated_as_ycbcr_without_a_transform():
    encode_array = pytest.importorskip("openjpeg.utils").encode_array
    pixels = photograph()
    made = dataset(pixels, "YBR_FULL")
    stream = encode_array(pixels, photometric_interpretation=1, use_mct=False, codec_format=0)
    made.PixelData = encapsulate([stream])
    made["PixelData"].is_undefined_length = True
    assert np.array_equal(read(written_as(made, JPEG2000Lossless)).pixels, pixels)


def written_as(made: Any, syntax: str) -> bytes:
    """Write a dataset whose pixel data are compressed already."""
    made.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("bits", [8, 10, 11])
def test_values_with_more_bits_than_are_stated(bits: int, syntax: str):
    levels = np.add.outer(np.arange(64), np.arange(48)) * 4095 // 110
    if syntax == RLELossless and bits == 8:
        pytest.skip("then its segments are too many")
    made = dataset(levels.astype(np.uint16), bits=12)
    if syntax != ExplicitVRLittleEndian:
        made.compress(syntax)
    made.BitsStored, made.HighBit = bits, bits - 1
    assert f"states {bits} in BitsStored, but its values have more bits" in fault(
        written_as(made, syntax)
    )


def test_an_overlay_in_the_higher_bits_is_left_out():
    pixels = speckle().astype(np.uint16)
    for shift in (8, 9, 15):
        drawn = pixels.copy()
        drawn[10:20, 20:40] |= 1 << shift
        assert np.array_equal(grey(written(dataset(drawn, bits=8))), pixels)


@pytest.mark.parametrize("window", [(2048, 4096), (512, 1024), (5000, 100), (-90, 20)])
def test_a_window_of_other_values_is_ignored(window: tuple[float, float]):
    pixels = speckle()
    made = dataset(pixels, WindowCenter=window[0], WindowWidth=window[1])
    assert np.array_equal(grey(written(made)), pixels)


@pytest.mark.parametrize("window", [(128, 256), (127.5, 255)])
def test_a_window_of_8_bits_is_ignored_for_12(window: tuple[float, float]):
    values = speckle().astype(np.uint16) * 16
    plain = grey(written(dataset(values, bits=12)))
    made = dataset(values, bits=12, WindowCenter=window[0], WindowWidth=window[1])
    assert np.array_equal(grey(written(made)), plain)


def test_ycbcr_of_more_than_8_bits_is_refused():
    made = dataset(photograph().astype(np.uint16) * 257, "YBR_FULL", 16)
    assert "has YBR_FULL colours of 16 bits, which are not read" in fault(written(made))
