"""Files as cameras, telephones and scanners write them, against the same picture in plain RGB."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..data.pngs import png
from .live import Live, encoded, encoded_image, noise

WIDTH, HEIGHT = 96, 64
CROP = {"file": 0, "x": 0, "y": 0, "width": WIDTH // 2, "height": HEIGHT // 2}


def picture() -> Any:
    """Pixels (HEIGHT, WIDTH, 3) whose quarters have different colours."""
    pixels = noise(HEIGHT, WIDTH, (200, 120, 100))
    pixels[: HEIGHT // 2, : WIDTH // 2] = noise(HEIGHT // 2, WIDTH // 2, (60, 150, 50), seed=1)
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = noise(HEIGHT // 2, WIDTH // 2, (60, 60, 160), seed=2)
    return pixels


def png_of_16_bits(pixels: Any) -> bytes:
    """A PNG of 16 bits per sample, which Pillow does not write in colour."""
    values = (pixels.astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    kind = 2 if pixels.ndim == 3 else 0
    return png(pixels.shape[1], pixels.shape[0], kind=kind, depth=16, raw=rows)


def turned(pixels: Any) -> bytes:
    """A JPEG of a telephone that was held upright: the pixels lie on their side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(np.rot90(pixels).copy(), "JPEG", quality=98, subsampling=0, exif=exif)


def with_palette(pixels: Any) -> tuple[bytes, Any]:
    """A palette PNG whose upper rows are transparent, and the colours that it shows."""
    image = Image.fromarray(pixels).quantize(200, dither=Image.Dither.NONE)
    shown = np.asarray(image.convert("RGB")).copy()
    shown[:8] = 0
    indices = np.asarray(image).copy()
    indices[:8] = 255
    clear = Image.fromarray(indices, "P")
    clear.putpalette((image.getpalette() or []) + [255] * 3 * 56)
    return encoded_image(clear, "PNG", transparency=255), shown


def kinds() -> dict[str, tuple[bytes, Any]]:
    """The files, and the pixels that they show."""
    pixels = picture()
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    cmyk = Image.fromarray(pixels).convert("CMYK")
    return {
        "CMYK JPEG": (encoded_image(cmyk, "JPEG", quality=98, subsampling=0), pixels),
        "progressive JPEG": (
            encoded(pixels, "JPEG", quality=98, subsampling=0, progressive=True),
            pixels,
        ),
        "turned JPEG": (turned(pixels), pixels),
        "grey JPEG": (encoded(grey, "JPEG", quality=98), as_rgb),
        "colour PNG of 16 bits": (png_of_16_bits(pixels), pixels),
        "grey PNG of 16 bits": (png_of_16_bits(grey), as_rgb),
        "grey TIFF of 16 bits": (encoded(grey.astype(np.uint16) * 257, "TIFF"), as_rgb),
        "LZW TIFF": (encoded(pixels, "TIFF", compression="tiff_lzw"), pixels),
        "palette PNG": with_palette(pixels),
        "grey PNG with transparency": (
            encoded_image(Image.fromarray(np.dstack([grey, np.full_like(grey, 255)]), "LA"), "PNG"),
            as_rgb,
        ),
    }


@pytest.mark.parametrize("kind", kinds())
def test_a_file_of_any_kind_is_answered_as_plain_rgb(kind: str, live: Live) -> None:
    content, pixels = kinds()[kind]
    answers = []
    for crops in ({}, {"crops": {"clinical": [CROP]}}):
        for data in (content, encoded(pixels, "PNG")):
            reply = live.predict(data, data={"options": json.dumps(crops)})
            assert reply.status_code == 200, reply.text
            rows = reply.json()["probabilities"]
            answers.append({row["name"]: row["probability"] for row in rows})
    whole, plain, part, plain_part = answers
    assert whole == pytest.approx(plain, abs=0.01)  # JPEG loses a little
    assert part == pytest.approx(plain_part, abs=0.02)
    if pixels.std(axis=2).mean() > 1:  # else the corner has no other colour
        assert max(abs(part[name] - whole[name]) for name in whole) > 0.05


@pytest.mark.parametrize(
    ("content", "code", "english", "chinese"),
    [
        (b"%PDF-1.7\n" + bytes(99), "unsupported_type", "is PDF, not", "的类型是 PDF"),
        (encoded(picture(), "JPEG")[:900], "unreadable_image", "truncated", "已损坏或不完整"),
        (encoded(picture(), "PNG")[:900], "unreadable_image", "truncated", "已损坏或不完整"),
        (encoded(picture()[:5, :5], "PNG"), "unreadable_image", "5 x 5 pixels", "太小"),
        (b"", "unreadable_image", "is empty", "是空的"),
    ],
    ids=["PDF", "truncated JPEG", "truncated PNG", "tiny", "empty"],
)
@pytest.mark.parametrize("path", ["preview", "predict"])
def test_a_file_that_is_refused_is_refused_in_one_sentence(
    content: bytes, code: str, english: str, chinese: str, path: str, live: Live
) -> None:
    """Already in the preview, where the page shows the file."""
    reply = live.client.post(f"/v1/{path}", files={"clinical": ("arm.jpg", content)})
    error = reply.json()["error"]
    assert (error["code"], error["modality"], error["file"]) == (code, "clinical", 0)
    assert error["sentences"]["en"].startswith("This file ")
    assert english in error["sentences"]["en"]
    assert error["sentences"]["zh"].startswith("该文件")
    assert chinese in error["sentences"]["zh"]
    assert error["sentences"]["zh"].count("。") == 1


def test_other_errors_have_no_sentence_of_a_file(live: Live) -> None:
    assert live.client.post("/v1/predict").json()["error"]["sentences"] == {}
    reply = live.client.post("/v1/predict", files={"dermoscopy": ("x", b"x")})
    assert reply.json()["error"]["sentences"] == {}
