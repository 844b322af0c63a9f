"""Photographs of iPhones: decoded upright, and explained without the package that decodes them."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from agfnet.data.heic import FORMAT
from agfnet.data.jpeg import check_holes
from agfnet.data.readers import count_frames, read_image, upright_size
from agfnet.errors import ImageError
from agfnet.importing import tree
from agfnet.serve.file_types import describe_other

PHONE = Path(__file__).parent / "phone.heic"
"""Upright 48 x 64, red and green above blue and white; stored as 64 x 48 with a turn."""
QUADRANTS = [(200, 40, 40), (40, 180, 40), (40, 40, 200), (220, 220, 220)]


def test_a_photograph_is_upright() -> None:
    pytest.importorskip("pi_heif", reason="pi-heif is not installed")
    pixels = read_image(PHONE).pixels
    assert pixels.shape == (64, 48, 3)
    corners = pixels[[8, 8, 56, 56], [8, 40, 8, 40]]
    assert np.abs(corners.astype(int) - QUADRANTS).max() <= 3
    assert upright_size(PHONE) == (48, 64)
    assert count_frames(PHONE) == 1
    boxed = read_image(f"{PHONE}#xywh=24,0,24,32")
    assert boxed.pixels.shape == (32, 24, 3)
    assert np.abs(boxed.pixels.mean(axis=(0, 1)) - QUADRANTS[1]).max() <= 5


@pytest.mark.parametrize(
    "data",
    [PHONE.read_bytes()[:400], PHONE.read_bytes()[:-1], b"\0\0\0\x18ftypmif1" + bytes(50)],
    ids=["header", "pixels", "empty"],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("pi_heif", reason="pi-heif is not installed")
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(data)
    with pytest.raises(ImageError, match="is HEIC that is damaged or cannot be decoded"):
        read_image(path)


def test_an_import_takes_them() -> None:
    pytest.importorskip("pi_heif", reason="pi-heif is not installed")
    assert tree.reason_unread(Path("P001/IMG_2.HEIC")) == ""


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"phone.heic: is HEIC, .* pip install 'agfnet\[heic\]'"):
        read_image(PHONE)
    monkeypatch.setattr(tree, "SUFFIXES", ("", ".jpg"))
    assert "pip install 'agfnet[heic]', or export them as JPEG" in tree.reason_unread(PHONE)
    monkeypatch.setattr("agfnet.serve.file_types.IMAGES", ("JPEG", "PNG"))
    assert describe_other(PHONE.read_bytes()[:132], "JPEG, PNG") == (
        "is HEIC, not JPEG, PNG; save it as JPEG or PNG, or install the extra heic on the server"
    )


def test_pixels_that_were_never_copied_are_an_error() -> None:
    pixels = np.random.default_rng(0).integers(1, 256, 9000, dtype=np.uint8).tobytes()
    head = b"\0\0\0\x18ftypheic" + bytes(12)
    box = (8 + len(pixels)).to_bytes(4) + b"mdat"
    check_holes(BytesIO(head + box + pixels + bytes(1000)), FORMAT)  # padding
    with pytest.raises(ImageError, match="bytes 5032 to 9032 are zeros, where a part was lost"):
        check_holes(BytesIO(head + box + pixels[:5000] + bytes(4000)), FORMAT)
