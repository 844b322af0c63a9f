"""Nothing but pixels stays, and the pixels stay as they are."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, PngImagePlugin

from agfnet.data.readers import decode_image
from agfnet.deidentify.jpeg import strip_jpeg
from agfnet.deidentify.photos import strip_photo
from agfnet.deidentify.profile import without_texts
from agfnet.errors import ImageError

SECRETS = (b"Mueller", b"1980", b"GPS", b"http")
TEXT = "Anna Mueller 1980-02-03 http"


def noise(mode: str = "RGB", seed: int = 0) -> Pillow.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Pillow.fromarray(rng.integers(0, 65536, (21, 34), dtype=np.uint16))
    if mode == "F":
        return Pillow.fromarray(rng.random((21, 34), dtype=np.float32))
    return Pillow.fromarray(rng.integers(0, 256, (21, 34, 3), dtype=np.uint8)).convert(mode)


def exif(orientation: int = 1) -> Pillow.Exif:
    found = Pillow.Exif()
    found[0x010E] = TEXT
    found[0x0132] = "1980:02:03 10:00:00"
    found.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 3.0), 29: "1980:02:03"})
    if orientation != 1:
        found[0x0112] = orientation
    return found


def saved(image: Pillow.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return decode_image(BytesIO(data), name="x").pixels


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def jpeg(orientation: int = 1, **options: Any) -> bytes:
    """A photo with everything that a camera and its owner may leave in it."""
    plain = saved(noise(), "JPEG", exif=exif(orientation), comment=TEXT, dpi=(72, 72), **options)
    photoshop = segment(0xED, b"Photoshop 3.0\0" + TEXT.encode())
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + TEXT.encode())
    thumbnail = segment(0xE0, b"JFXX\0" + TEXT.encode())
    end = plain.rindex(b"\xff\xd9")
    late = segment(0xFE, TEXT.encode())  # a comment behind the pixels
    trailer = b"\xff\xff\xd9" + TEXT.encode()
    return plain[:20] + thumbnail + xmp + photoshop + plain[20:end] + late + trailer


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_jpeg(orientation: int, options: dict[str, Any]):
    before = jpeg(orientation, **options)
    after, suffix = strip_photo(before)
    assert suffix == ".jpg"
    assert all(secret in before and secret not in after for secret in SECRETS if secret != b"GPS")
    assert np.array_equal(pixels(before), pixels(after))
    with Pillow.open(BytesIO(after)) as image:
        assert dict(image.getexif()) == ({0x0112: orientation} if orientation != 1 else {})
        assert image.info["dpi"] == (72, 72)
    assert strip_photo(after)[0] == after


def test_a_jpeg_keeps_its_scan_bit_for_bit():
    before = jpeg()
    start = before.index(b"\xff\xda")
    after, _ = strip_photo(before)
    assert before[start:].startswith(after[after.index(b"\xff\xda") : -2])


def test_segments_of_no_known_kind_are_left_out():
    plain = saved(noise(), "JPEG")
    assert strip_jpeg(plain[:20] + segment(0xF3, TEXT.encode()) + plain[20:]) == plain


def test_a_thumbnail_inside_jfif_is_left_out():
    plain = saved(noise(), "JPEG")
    head = plain[6:18]  # what stands before the size of the thumbnail
    thumbnail = segment(0xE0, head + b"\1\2" + b"Mueller".ljust(6))
    after = strip_jpeg(plain[:2] + thumbnail + plain[20:])
    assert after == plain


def named_profile() -> bytes:
    """A profile of linear light, with a text, a device and a date."""
    linear = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(linear).tobytes()
    text = "sRGB built-in".encode("utf-16-be")
    assert text in profile
    profile = profile.replace(text, "Mueller's PC.".encode("utf-16-be"))
    return profile[:48] + b"MUELLER1" + profile[56:]


def is_free_of_names(profile: bytes) -> bool:
    texts = (profile.decode("latin-1"), profile[1:].decode("utf-16-be", "replace"))
    texts += (profile.decode("utf-16-be", "replace"),)
    return not any("mueller" in text.lower() for text in texts)


@pytest.mark.parametrize("file_type", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_colour_profile_stays_without_its_texts(file_type: str):
    profile = named_profile()
    assert not is_free_of_names(profile)
    before = saved(noise("RGB"), file_type, icc_profile=profile)
    after, _ = strip_photo(before)
    with Pillow.open(BytesIO(after)) as image:
        cleaned = image.info["icc_profile"]
        target = ImageCms.createProfile("LAB")
        shown = [
            np.asarray(
                ImageCms.profileToProfile(image.convert("RGB"), source, target, outputMode="LAB")
            )
            for source in (BytesIO(profile), BytesIO(cleaned))
        ]
    assert len(cleaned) == len(profile)
    assert is_free_of_names(cleaned)
    assert np.array_equal(*shown)


def test_a_colour_profile_in_several_segments_and_a_damaged_one():
    profile = named_profile()
    parts = [profile[:300], profile[300:]]
    segments = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 2]) + part)
        for number, part in enumerate(parts, start=1)
    ]
    plain = saved(noise(), "JPEG")
    for order in (segments, segments[::-1]):
        after = strip_jpeg(plain[:20] + b"".join(order) + plain[20:])
        with Pillow.open(BytesIO(after)) as image:
            assert image.info["icc_profile"] == without_texts(profile)
    damaged = segment(0xE2, b"ICC_PROFILE\0\1\1" + profile[:300])
    assert strip_jpeg(plain[:20] + damaged + plain[20:]) == plain


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpeg_colours_are_kept(mode: str):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = saved(noise(mode), "JPEG", icc_profile=profile, comment=TEXT)
    after, _ = strip_photo(before)
    assert np.array_equal(pixels(before), pixels(after))
    with Pillow.open(BytesIO(after)) as image:
        assert image.info["icc_profile"] == without_texts(profile)


def png(orientation: int = 1, mode: str = "RGB") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", TEXT)
    info.add_text("Comment", TEXT, zip=True)
    info.add_itxt("XML:com.adobe.xmp", TEXT)
    info.add(b"tIME", b"\7\xbc\2\3\1\1\1")
    info.add(b"prVt", b"Mueller")
    return saved(noise(mode), "PNG", pnginfo=info, exif=exif(orientation)) + b"Mueller"


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1", "LA", "I;16"])
def test_png(mode: str, orientation: int):
    before = png(orientation, mode)
    after, suffix = strip_photo(before)
    assert suffix == ".png"
    assert b"Mueller" in before
    assert not any(secret in after for secret in SECRETS)
    assert not any(chunk in after for chunk in (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"prVt"))
    assert np.array_equal(pixels(before), pixels(after))
    assert (b"eXIf" in after) == (orientation != 1)
    assert strip_photo(after)[0] == after


@pytest.mark.parametrize(
    ("kind", "mode", "suffix"),
    [
        ("TIFF", "RGB", ".tif"),
        ("TIFF", "I;16", ".tif"),
        ("TIFF", "F", ".tif"),
        ("TIFF", "P", ".tif"),
        ("WEBP", "RGB", ".webp"),
        ("WEBP", "RGBA", ".webp"),
        ("BMP", "RGB", ".bmp"),
        ("GIF", "P", ".gif"),
    ],
)
def test_other_kinds(kind: str, mode: str, suffix: str):
    options: dict[str, Any] = {}
    if kind in ("TIFF", "WEBP"):
        options = {"exif": exif(6), "xmp": TEXT.encode()}
    if kind == "GIF":
        options = {"comment": TEXT.encode()}
    before = saved(noise(mode), kind, **options)
    after, found = strip_photo(before)
    assert found == suffix
    assert not any(secret in after for secret in SECRETS)
    if mode != "F":
        assert np.array_equal(pixels(before), pixels(after))
    assert strip_photo(after)[0] == after


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "GIF"])
def test_all_frames_stay(kind: str):
    frames = [noise(seed=seed) for seed in range(3)]
    before = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    after, _ = strip_photo(before)
    with Pillow.open(BytesIO(before)) as one, Pillow.open(BytesIO(after)) as other:
        assert one.n_frames == other.n_frames == 3  # type: ignore[attr-defined]
        for number in range(3):
            one.seek(number)
            other.seek(number)
            assert np.array_equal(np.asarray(one.convert("RGB")), np.asarray(other.convert("RGB")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an image"),
        (b"Anna Mueller", "not an image"),
        (b"%PDF-1.7", "is PDF"),
        (b"\0\0\0\x18ftypheic", "is HEIC"),
        (jpeg()[:900], "damaged or truncated"),
        (jpeg()[:3], "damaged or truncated|not an image"),
        (png()[:-40], "damaged or truncated"),
        (png()[:30], "damaged or truncated|not an image"),
        (saved(noise(), "TIFF")[:300], "damaged or truncated"),
    ],
)
def test_what_cannot_be_processed(data: bytes, words: str):
    with pytest.raises(ImageError, match=words):
        strip_photo(data)
