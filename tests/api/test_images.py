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
