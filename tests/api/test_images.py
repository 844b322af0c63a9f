"""Images in memory that cannot be read, and what else is refused."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.api.images import image_files
from agfnet.data.readers import read_image
from agfnet.errors import ImageError


def closed() -> Image.Image:
    image = Image.new("RGB", (20, 20))
    image.close()
    return image


def cut_off() -> Image.Image:
    content = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(content, "JPEG")
    return Image.open(io.BytesIO(content.getvalue()[:-400]))


def without_syntax() -> Any:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.Dataset()
    dataset.PixelData = b"\0" * 4
    return dataset


@pytest.mark.parametrize(
    "make", [closed, cut_off, lambda: Image.new("RGB", (0, 5)), without_syntax]
)
def test_an_image_that_cannot_be_read_is_an_error_of_its_modality(make: Any) -> None:
    with (
        pytest.raises(
            ImageError, match=r"clinical: \w+ cannot be read \(.*; open or make it again"
        ),
        image_files({"clinical": make()}),
    ):
        pass


def cmyk_without_marker(path: Path) -> None:
    """Write a CMYK JPEG without Adobe's marker, which Pillow shows as its negative."""
    content = io.BytesIO()
    Image.new("CMYK", (20, 20), (10, 60, 90, 0)).save(content, "JPEG")
    data = content.getvalue()
    start = data.index(b"\xff\xee")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    path.write_bytes(data[:start] + data[end:])


def white_is_zero(path: Path) -> None:
    """Write a grey TIFF of 16 bits in which 0 is white, which Pillow shows as its negative."""
    grey = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    Image.fromarray(grey).save(path, "TIFF", tiffinfo={262: 0})


@pytest.mark.parametrize("write", [cmyk_without_marker, white_is_zero])
@pytest.mark.parametrize("source", ["path", "stream", "decoded"])
def test_a_pillow_image_is_the_same_as_its_file(write: Any, source: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    write(path)
    expected = read_image(path).pixels
    assert np.abs(expected - np.asarray(Image.open(path).convert("RGB")).astype(int)).max() > 50
    with Image.open(io.BytesIO(path.read_bytes()) if source == "stream" else path) as image:
        if source == "decoded":
            image.load()
        for _ in range(2):  # it can be used again
            with image_files({"clinical": image}) as files:
                assert np.array_equal(read_image(files["clinical"][0]).pixels, expected)


def test_a_changed_pillow_image_is_not_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20), "red").save(path)
    with Image.open(path) as image:
        image.paste("blue", (0, 0, 20, 20))
        with image_files({"clinical": image}) as files:
            assert read_image(files["clinical"][0]).pixels[0, 0].tolist() == [0, 0, 255]


def test_an_array_without_frames_is_no_missing_image() -> None:
    with (
        pytest.raises(ImageError, match=r"clinical: array \(0, 20, 20, 3\) of uint8; expected"),
        image_files({"clinical": np.zeros((0, 20, 20, 3), np.uint8)}),
    ):
        pass


def test_words_for_a_missing_image_are_none_as_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").touch()  # a file that is called so
    cells = {"a": "N/A", "b": ["-", None, float("nan")], "c": "none", "d": "a.png|?"}
    with image_files(cells) as files:
        assert files == {"a": (), "b": (), "c": (Path("none"),), "d": (Path("a.png"),)}


def test_a_masked_array_is_refused() -> None:
    pixels = np.ma.masked_greater(np.full((20, 20), 9, np.uint8), 5)
    with (
        pytest.raises(ImageError, match=r"clinical: a masked array, .*; give `.filled\(0\)`"),
        image_files({"clinical": pixels}),
    ):
        pass


def test_a_full_disk_is_no_error_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    image = Image.new("RGB", (20, 20))
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"), image_files({"clinical": image}):
        pass


def test_any_object_with_a_path_is_a_path() -> None:
    class Named:
        def __fspath__(self) -> str:
            return "a b/ä.png"

    with image_files({"clinical": Named()}) as files:
        assert files == {"clinical": (Path("a b/ä.png"),)}


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_grey_array_with_an_axis_of_one_channel_is_grey(kind: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 9, 1)).astype(kind)
    plane = pixels[..., 0]
    with image_files({"clinical": pixels}) as files, image_files({"clinical": plane}) as grey:
        found, expected = (read_image(each["clinical"][0]).pixels for each in (files, grey))
    assert found.shape[:2] == (12, 9)
    np.testing.assert_array_equal(found, expected)
