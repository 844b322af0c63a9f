from __future__ import annotations

import contextlib
import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from agfnet.data import readers
from agfnet.data.paths import named_frame
from agfnet.data.readers import count_frames, decode_image, is_animation, read_image
from agfnet.errors import ImageError

from .pngs import png


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Pillow.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes, *, side: int | None = None) -> np.ndarray:
    pixels = decode_image(io.BytesIO(data), name="x", side=side).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    return pixels


def fault(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decoded(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lossless_jpeg(values: np.ndarray) -> bytes:
    """Process 14 of JPEG, which Pillow cannot write: differences to the left, coded in 8 bits.

    Each Huffman code has 4 bits, one for each of 9 sizes of a difference.
    """
    channels = values.reshape(*values.shape[:2], -1).astype(int)
    height, width, count = channels.shape
    predicted = np.roll(channels, 1, axis=1)
    predicted[1:, 0], predicted[0, 0] = channels[:-1, 0], 128
    bits = ""
    for difference in (channels - predicted).ravel():
        size = int(abs(difference)).bit_length()
        bits += format(size, "04b")
        if size:
            bits += format(difference if difference > 0 else difference + 2**size - 1, f"0{size}b")
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    names = range(1, count + 1) if count == 1 else b"RGB"
    head = struct.pack(">BHHB", 8, height, width, count) + bytes(
        byte for name in names for byte in (name, 0x11, 0)
    )
    table = bytes([0, 0, 0, 0, 9, *[0] * 12, *range(9)])
    start = bytes([count, *(byte for name in names for byte in (name, 0)), 1, 0, 0])
    parts = [segment(0xC3, head), segment(0xC4, table), segment(0xDA, start)]
    return b"\xff\xd8" + b"".join(parts) + scan + b"\xff\xd9"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_kinds(kind: str):
    pixels = noise(5, 7)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (decoded(encoded(Pillow.fromarray(pixels), kind, **options)) == pixels).all()


def test_content_decides_and_not_the_name(tmp_path: Path):
    path = tmp_path / "photo.png"
    Pillow.fromarray(noise(8, 8)).save(path, "JPEG")
    image = read_image(path)
    assert image.pixels.shape == (8, 8, 3)
    assert image.spacing is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind: str, orientation: int):
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :16] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    image = Pillow.fromarray(np.ascontiguousarray(stored))
    pixels = decoded(encoded(image, kind, exif=exif))
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff"])
def test_damaged_exif_does_not_hide_the_pixels(exif: bytes):
    assert decoded(encoded(Pillow.fromarray(noise(8, 8)), "JPEG", exif=exif)).shape == (8, 8, 3)


def test_grey_palette_and_bilevel():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey = Pillow.fromarray(ramp)
    for image in (grey, grey.convert("P")):
        assert (decoded(encoded(image, "PNG")) == ramp[..., None]).all()
    bits = Pillow.fromarray(ramp > 127)
    assert (decoded(encoded(bits, "PNG")) == np.where(ramp > 127, 255, 0)[..., None]).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey(kind: str):
    full = np.array([[0, 256, 257, 32896, 65535]], dtype=np.uint16)
    assert decoded(encoded(Pillow.fromarray(full), kind))[0, :, 0].tolist() == [0, 1, 1, 128, 255]
    for bits in (10, 12, 14):  # all that the device uses
        part = np.array([[0, 2 ** (bits - 1), 2**bits - 1]], dtype=np.uint16)
        assert decoded(encoded(Pillow.fromarray(part), kind))[0, :, 0].tolist() == [0, 128, 255]
    small = np.array([[0, 7, 255]], dtype=np.uint16)
    assert decoded(encoded(Pillow.fromarray(small), kind))[0, :, 0].tolist() == [0, 7, 255]


def test_32_bit_grey():
    within = np.array([[0, 257, 65535]], dtype=np.int32)
    assert decoded(encoded(Pillow.fromarray(within), "TIFF"))[0, :, 0].tolist() == [0, 1, 255]
    beyond = Pillow.fromarray(np.array([[0, 65536]], dtype=np.int32))
    assert "more than 16 bits" in fault(encoded(beyond, "TIFF"))
    real = Pillow.fromarray(np.array([[0.0, 1.0]], dtype=np.float32))
    assert "floating point values" in fault(encoded(real, "TIFF"))


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4)])
def test_16_bit_colour(kind: int, channels: int):
    values = [0x1234, 0x8000, 0xFFFF, 0xFFFF][:channels]
    data = png(1, 1, kind=kind, depth=16, raw=b"\0" + struct.pack(f">{channels}H", *values))
    assert decoded(data).tolist() == [[[0x12, 0x80, 0xFF]]]


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_16_bit_colour(bits: int, alpha: bool):
    top = 2**bits - 1
    values = [0, top // 2, top, top][: 4 if alpha else 3]
    kind = 6 if alpha else 2
    data = png(1, 1, kind=kind, depth=16, raw=b"\0" + struct.pack(f">{len(values)}H", *values))
    assert decoded(data)[0, 0].tolist() == pytest.approx([0, 127, 255], abs=1)


def test_fewer_bits_in_16_bit_grey_with_transparency():
    data = png(1, 1, kind=4, depth=16, raw=b"\0" + struct.pack(">HH", 4095, 65535))
    assert "uses only 12 bits of its 16 bits" in fault(data)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_becomes_black(mode: str):
    alpha = np.array([[0, 51, 255]], dtype=np.uint8)
    image = Pillow.new("L", (3, 1), 200).convert(mode)
    image.putalpha(Pillow.fromarray(alpha))
    assert decoded(encoded(image, "PNG"))[0, :, 0].tolist() == [0, 40, 200]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("alpha", [0, 1])
def test_transparency_that_hides_everything_is_ignored(kind: str, alpha: int):
    pixels = noise(5, 7)
    image = Pillow.fromarray(np.dstack([pixels, np.full((5, 7), alpha, np.uint8)]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert (decoded(encoded(image, kind, **options)) == pixels).all()


def test_other_ways_to_hide_everything():
    grey = Pillow.fromarray(np.array([[9, 200]], dtype=np.uint8))
    hidden = grey.convert("LA")
    hidden.putalpha(0)
    assert decoded(encoded(hidden, "PNG"))[0, :, 0].tolist() == [9, 200]
    palette = encoded(grey.convert("P"), "PNG", transparency=bytes(256))
    assert decoded(palette)[0, :, 0].tolist() == [9, 200]
    nothing = Pillow.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert "only transparent pixels" in fault(encoded(nothing, "PNG"))


def test_transparent_palette_and_grey_become_black():
    grey = Pillow.fromarray(np.array([[9, 200]], dtype=np.uint8))
    palette = grey.convert("P")
    assert decoded(encoded(grey, "PNG", transparency=200))[0, :, 0].tolist() == [9, 0]
    assert decoded(encoded(palette, "PNG", transparency=200))[0, :, 0].tolist() == [9, 0]
    assert decoded(encoded(palette, "PNG", transparency=b"\xff" * 200 + b"\0"))[0, 1, 0] == 0


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str):
    # Adobe stores CMYK inverted in JPEG (as Pillow writes it) and as it is in TIFF
    image = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = decoded(encoded(image, kind))[8, 8]
    assert red[0] > 250
    assert red[1:].max() < 5


def test_cmyk_jpeg_without_the_marker_of_adobe():
    """Its values are not inverted, as nothing says so."""
    data = encoded(Pillow.new("CMYK", (16, 16), (255, 0, 0, 255)), "JPEG")
    start = data.index(b"\xff\xee")
    bare = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]
    red = decoded(bare)[8, 8]
    assert red[0] > 250
    assert red[1:].max() < 5


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [None, 8])
def test_lossless_jpeg_files(mode: str, side: int | None):
    pixels = lossless_jpeg(noise(40, 48) if mode == "RGB" else noise(40, 48)[..., 0])
    expected = noise(40, 48) if mode == "RGB" else noise(40, 48)[..., :1]
    assert (decoded(pixels, side=side) == expected).all()


def test_a_jpeg_of_12_bits_is_named():
    data = bytearray(encoded(Pillow.new("L", (8, 8)), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    assert "JPEG of 12 bits" in fault(bytes(data))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "MPO"])
def test_the_first_of_several_frames(kind: str):
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert decoded(data)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_profiles_are_ignored():
    pixels = noise(4, 4)
    data = encoded(Pillow.fromarray(pixels), "PNG", icc_profile=b"not a profile")
    assert (decoded(data) == pixels).all()


@pytest.mark.parametrize(
    ("side", "shape"),
    [(None, (600, 900)), (601, (600, 900)), (300, (300, 450)), (151, (300, 450)), (1, (75, 113))],
)
def test_a_large_jpeg_is_decoded_small(side: int | None, shape: tuple[int, int]):
    data = encoded(Pillow.new("RGB", (900, 600), "red"), "JPEG")
    pixels = decoded(data, side=side)
    assert pixels.shape[:2] == shape
    assert pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert decoded(encoded(Pillow.new("RGB", (90, 60)), "PNG"), side=10).shape[:2] == (60, 90)


# bad files


def test_missing_folder_and_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for path, words in [(tmp_path / "no.png", "no such file"), (tmp_path, "is a folder")]:
        with pytest.raises(ImageError, match=f"{path}: {words}"):
            read_image(path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_image("a\0b.png")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="Permission denied"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello", "is not an image; expected JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
        (bytes(128) + b"DICM" + bytes(50), "is DICOM"),
        (b"\0\0\0\x18ftypavif" + bytes(50), "is AVIF; save it as JPEG"),
        (b"\0\0\0\x18ftypcrx " + bytes(50), "is a camera raw file"),
        (b"\0\0\0\x18ftypisom" + bytes(50), "is a video (MP4 or MOV); save single images"),
        (b"\0\0\0\x14ftypqt  " + bytes(50), "is a video"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(50), "is a video"),
        (b"\x1aE\xdf\xa3" + bytes(50), "is a video"),
        (b"%PDF-1.7" + bytes(50), "is PDF"),
        (b"PK\3\4" + bytes(50), "is ZIP; unpack it and name an image of it"),
        (b"\x1f\x8b\x08\0" + bytes(50), "is a compressed file (gzip or like it); unpack it"),
        (b"PAR1" + bytes(50), "is a Parquet file; name an image file"),
        (b"<!DOCTYPE html><html>", "is a web page (HTML or XML); download the image again"),
        (b"<?xml version='1.0'?><Error>", "is a web page (HTML or XML); download"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "is SVG; save it as JPEG"),
        (b"\x89PNG\n\x1a\n\0\0", "is a file that was transferred as text; copy it again"),
        (bytes(500), "is a file of zeros; copy it again, unchanged"),
        (b"/9j/4AAQSkZJRgABAQ", "is an image as text (Base64); decode it"),
        (b"\0\x05\x16\x07\0\2\0\0", "is a file that macOS adds (AppleDouble)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer; fetch the image"),
    ],
)
def test_files_of_another_kind(data: bytes, words: str):
    assert fault(data).startswith(f"x: {words}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_files(kind: str, share: float, tmp_path: Path):
    data = encoded(Pillow.fromarray(noise(40, 40)), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"cut\.img: is "):
        read_image(path)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [None, 32])
def test_a_jpeg_that_ends_too_early_is_refused(mode: str, side: int | None):
    rows, columns = np.mgrid[:160, :128]
    smooth = np.stack([rows, columns, rows + columns], axis=-1).astype(np.uint8) // 2
    image = Pillow.fromarray(smooth + noise(160, 128) // 32).convert(mode)
    data = encoded(image, "JPEG", quality=90)
    decoded(data, side=side)
    with pytest.raises(ImageError, match="its data end above the last row"):
        decoded(data[: len(data) // 2] + b"\xff\xd9", side=side)


@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("side", [None, 32])
def test_a_progressive_jpeg_that_ends_too_early_is_refused(side: int | None, fraction: float):
    """It reaches the last row, and is blurred."""
    data = encoded(Pillow.fromarray(noise(160, 128)), "JPEG", quality=90, progressive=True)
    decoded(data, side=side)
    with pytest.raises(ImageError, match="its data end above the last row or detail"):
        decoded(data[: int(fraction * len(data))] + b"\xff\xd9", side=side)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "MPO"])
@pytest.mark.parametrize("lost", [slice(4096, 4608), slice(8192, 16384)])
def test_an_image_with_lost_sectors_is_refused(kind: str, lost: slice):
    """libjpeg and libwebp decode the zeros."""
    options = {"save_all": True, "append_images": [Pillow.new("RGB", (9, 9))]}
    data = bytearray(
        encoded(
            Pillow.fromarray(noise(160, 128)),
            kind,
            quality=95,
            **(options if kind == "MPO" else {}),
        )
    )
    decoded(bytes(data))
    data[lost] = bytes(len(data[lost]))
    with pytest.raises(ImageError, match=f"bytes {lost.start} to {lost.stop} are zeros"):
        decoded(bytes(data))


def test_long_zeros_of_a_black_image_are_no_lost_sectors():
    data = encoded(Pillow.new("L", (2000, 2000)), "JPEG", optimize=True)
    assert bytes(1024) in data
    assert not decoded(data).any()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_grey_margin_is_whole(progressive: bool):
    pixels = noise(64, 64)
    pixels[40:] = 128
    data = encoded(Pillow.fromarray(pixels), "JPEG", quality=95, progressive=progressive)
    assert (decoded(data)[-1] == 128).all()
    assert (decoded(data + bytes(100))[-1] == 128).all()


def test_a_png_whose_end_was_never_copied_is_refused():
    """The zeros of a copy that stopped decode to a picture: only the checksum tells."""
    rows, columns = np.mgrid[:96, :128]
    smooth = np.stack([rows * 2, columns, rows + columns], axis=-1).astype(np.uint8)
    data = encoded(Pillow.fromarray(smooth + noise(96, 128) // 32), "PNG")
    half = 2 * len(data) // 3
    assert "a checksum is wrong" in fault(data[:half] + bytes(len(data) - half))


@pytest.mark.parametrize("size", [(13_000, 13_000), (50_000, 50_000)])
def test_decompression_bombs(size: tuple[int, int]):
    data = png(*size, kind=0, depth=1, raw=b"")
    assert fault(data) == "x: has more than 150 megapixels; save a smaller copy"


def test_large_but_allowed_gives_no_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readers.Pillow, "MAX_IMAGE_PIXELS", 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(encoded(Pillow.fromarray(noise(9, 9)), "PNG")).shape == (9, 9, 3)


def test_damaged_bytes_give_an_image_or_an_image_error():
    image = Pillow.fromarray(noise(16, 16))
    files = [encoded(image, kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP")]

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(files),
        st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=8),
    )
    def check(data: bytes, changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for place, value in changes:
            damaged[place % len(damaged)] = value
        with contextlib.suppress(ImageError):
            decoded(bytes(damaged), side=8)

    check()


# frames, and large images


def pages(path: Path, sizes: list[tuple[int, int]]) -> Path:
    images = [Pillow.new("L", size, 40 * number) for number, size in enumerate(sizes)]
    images[0].save(path, "TIFF", save_all=True, append_images=images[1:])
    return path


def test_pages_of_a_tiff(tmp_path: Path):
    path = pages(tmp_path / "a.tif", [(8, 6)] * 3)
    assert count_frames(path) == 3
    assert [int(read_image(path, frame=n).pixels[0, 0, 0]) for n in range(3)] == [0, 40, 80]
    with pytest.raises(ImageError, match=r"a\.tif: has 3 frames, so there is no frame 3"):
        read_image(path, frame=3)


def test_thumbnails_are_no_frames(tmp_path: Path):
    path = pages(tmp_path / "a.tif", [(8, 6), (4, 3), (8, 6)])
    assert count_frames(path) == 2
    assert read_image(path, frame=1).pixels[0, 0, 0] == 80


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "MPO", "JPEG"])
def test_animations_are_one_image(kind: str, tmp_path: Path):
    frames = [Pillow.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = tmp_path / "a"
    options = {} if kind == "JPEG" else {"save_all": True, "append_images": frames[1:]}
    path.write_bytes(encoded(frames[0], kind, **options))
    assert count_frames(path) == 1
    assert is_animation(path) == (kind in ("GIF", "WEBP", "PNG"))
    with pytest.raises(ImageError, match="has one frame, so there is no frame 1; the first is 0"):
        read_image(path, frame=1)


def test_a_path_may_name_a_frame(tmp_path: Path):
    path = pages(tmp_path / "a.tif", [(8, 6)] * 3)
    named = tmp_path / "a.tif#2"
    assert named_frame(path) == (path, None)
    assert named_frame(named) == (path, 2)
    assert count_frames(named) == 1
    assert read_image(named).pixels[0, 0, 0] == 80
    for absent in ("a.tif#3", "a.tif#99"):
        with pytest.raises(ImageError, match=r"a\.tif: has 3 frames, so there is no frame"):
            count_frames(tmp_path / absent)
        with pytest.raises(ImageError, match=r"a\.tif: has 3 frames, so there is no frame"):
            read_image(tmp_path / absent)
    with pytest.raises(ImageError, match="has one frame, so there is no frame 1"):
        read_image(named, frame=1)
    named.write_bytes((tmp_path / "a.tif").read_bytes())
    assert named_frame(named) == (named, None)  # a file of that very name wins
    assert count_frames(named) == 3


@pytest.mark.parametrize("name", ["a.tif#", "a.tif#x", "a.tif#-1", "#3", "a#1.tif", "a.tif#²"])
def test_what_names_no_frame(name: str, tmp_path: Path):
    pages(tmp_path / "a.tif", [(8, 6)] * 3)
    assert named_frame(tmp_path / name) == (tmp_path / name, None)
    with pytest.raises(ImageError, match="no such file"):
        count_frames(tmp_path / name)


def test_counting_says_what_is_wrong(tmp_path: Path):
    empty = tmp_path / "empty.dcm"
    empty.touch()
    for path, words in [
        (empty, "is empty"),
        (tmp_path, "is a folder"),
        (tmp_path / "x", "no such"),
    ]:
        with pytest.raises(ImageError, match=words):
            count_frames(path)


@pytest.mark.parametrize("mode", ["CMYK", "RGB", "I;16", "1"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(mode: str, compression: str):
    image = Pillow.new(mode, (20, 20), {"CMYK": (0, 255, 255, 0), "RGB": (255, 0, 0)}.get(mode, 1))
    pixels = decoded(encoded(image, "TIFF", compression=compression))
    assert pixels.shape == (20, 20, 3)
    if mode in ("CMYK", "RGB"):
        assert pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_tiled_tiff():
    """Pillow writes strips only: two tiles of 16 x 16 in a row, put together by hand."""
    tiles = [bytes([50]) * 256, bytes([200]) * 256]
    entries = [
        (256, 4, 1, 32),
        (257, 4, 1, 16),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, 16),
        (323, 4, 1, 16),
        (324, 4, 2, 8 + 2 + 10 * 12 + 4),
        (325, 4, 2, 8 + 2 + 10 * 12 + 4 + 8),
    ]
    start = 8 + 2 + 10 * 12 + 4 + 16
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    data += struct.pack("<4I", start, start + 256, 256, 256) + b"".join(tiles)
    pixels = decoded(data)
    assert pixels.shape == (16, 32, 3)
    assert pixels[0, [0, 31], 0].tolist() == [50, 200]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP"])
def test_a_large_photo_is_reduced(kind: str):
    image = Pillow.new("RGB", (2600, 1800), "red")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = encoded(image, kind, **({} if kind == "BMP" else {"exif": exif}))
    shape = (300, 434) if kind == "BMP" else (434, 300)
    pixels = decoded(data, side=100)
    assert pixels.shape[:2] == shape
    assert pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert decoded(data, side=1800).shape[:2] in ((1800, 2600), (2600, 1800))
    assert decoded(data).shape[:2] in ((1800, 2600), (2600, 1800))


def test_a_webp_whose_end_was_never_copied_is_refused():
    data = encoded(Pillow.fromarray(noise(160, 128)), "WEBP", quality=95)
    at = 3 * len(data) // 4 + 1
    assert "where a part was lost" in fault(data[:at] + bytes(len(data) - at))
    assert (decoded(data + bytes(2000)) == decoded(data)).all()  # padding


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (np.stack([rows, columns, rows + columns], axis=-1) % 199 + 40).astype(np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_an_uncompressed_image_whose_end_was_never_copied_is_refused(kind: str, mode: str):
    if (kind, mode) == ("BMP", "CMYK"):
        pytest.skip("there is no such BMP")
    data = encoded(Pillow.fromarray(smooth(100, 120)).convert(mode), kind)
    decoded(data)
    at = len(data) * 42 // 100
    assert "its data end in row" in fault(data[:at] + bytes(len(data) - at))


@pytest.mark.parametrize("shape", ["border", "disc", "slope", "title", "black"])
def test_black_below_an_image_is_a_border(shape: str):
    pixels = smooth(200, 240)
    rows, columns = np.indices((200, 240))
    inside = {
        "border": (rows < 150) & (columns > 20) & (columns < 200),
        "disc": (rows - 80) ** 2 + (columns - 120) ** 2 < 70**2,
        "slope": (rows + columns / 40 < 150) & (columns > 20),
        "title": (rows < 150) | ((rows < 160) & (columns < 90)),
        "black": rows < 0,
    }[shape]
    pixels[~inside] = 0
    for kind in ("BMP", "TIFF"):
        assert (decoded(encoded(Pillow.fromarray(pixels), kind)) == pixels).all()
