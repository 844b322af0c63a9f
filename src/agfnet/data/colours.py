"""Decoded pixels of any colour mode and bit depth to RGB of 8 bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageChops

from agfnet.data import tiff
from agfnet.data.decoding import to_8_bit, white_level
from agfnet.errors import ImageError

_NEGATIVE = "has negative values (signed samples); save it with unsigned 8 or 16 bits per channel"


def to_rgb(
    image: Pillow.Image, decode_low_bytes: Callable[[], Pillow.Image | None] | None
) -> Pillow.Image:
    """Return loaded pixels as RGB.

    Args:
        image: loaded.
        decode_low_bytes: how to decode the low bytes of colours of 16 bits, of which Pillow keeps
            the high bytes; None for up to 8 bits.
    """
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    signed = tags.get(tiff.SAMPLE_FORMAT, (1,))[0] == tiff.SIGNED
    if image.mode.startswith("I") or image.mode == "F":
        grey = _grey(np.asarray(image), signed=signed)
        white_is_zero = tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO
        return Pillow.fromarray(255 - grey if white_is_zero else grey).convert("RGB")
    if signed:
        values = np.asarray(image)
        if values.max() > 127:
            raise ImageError(_NEGATIVE)
        image = Pillow.frombytes(image.mode, image.size, to_8_bit(values, white=127).tobytes())
    if (
        image.mode == "P"
        and image.format == "TIFF"
        and max(tags.get(tiff.COLOUR_MAP, (256,))) < 256
    ):
        # some programs write colours of 8 bits, where Pillow takes the high byte of 16
        levels = np.reshape(tags[tiff.COLOUR_MAP], (3, -1))  # red, green and blue
        image.putpalette(levels.T.ravel().tolist())
    if image.mode == "LAB":
        raise ImageError("has CIELAB colours; save it as RGB")
    if decode_low_bytes is not None:
        image = _scaled_colours(image, decode_low_bytes)
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow takes each for inverted, as those that Adobe's marker declares are
        image = ImageChops.invert(image)
    if image.mode == "La":  # grey multiplied by its opacity, which Pillow converts to this alone
        image = image.convert("LA")
    if image.has_transparency_data:
        image = _on_black(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")  # convert always copies


def _grey(values: NDArray[np.generic], *, signed: bool) -> NDArray[np.uint8]:
    """Return grey values of up to 16 bits as 8 bits."""
    if values.dtype.kind == "f":
        raise ImageError("has floating point values; save it with 8 or 16 bits per channel")
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 and signed:
        raise ImageError(_NEGATIVE)
    if lowest < 0 or highest > 65535:
        raise ImageError("has pixels of more than 16 bits; save it with 8 or 16 bits per channel")
    bits = 15 if signed and highest < 2**15 else 16
    return to_8_bit(values, white=white_level(highest, bits=bits))


def _scaled_colours(
    image: Pillow.Image, decode_low_bytes: Callable[[], Pillow.Image | None]
) -> Pillow.Image:
    """Return an image of 16 bits per channel scaled by the bits that it uses."""
    high = np.asarray(image)
    channels = high.shape[2]
    colours = channels - 1 if image.mode.endswith("A") else channels
    bits = 8 + int(high[..., :colours].max()).bit_length()
    if bits > 14:  # all of them: the high bytes are the image
        return image
    low = decode_low_bytes()
    if low is None:
        raise ImageError(f"uses only {bits} bits of its 16 bits per sample; save it with 8 bits")
    values = high.astype(np.uint16) << 8 | np.asarray(low)
    parts = [values[..., :colours], values[..., colours:]]
    scaled = [to_8_bit(part, white=white_level(int(part.max()))) for part in parts if part.size]
    return Pillow.frombytes(image.mode, image.size, np.concatenate(scaled, axis=2).tobytes())


def _on_black(image: Pillow.Image) -> Pillow.Image:
    """Return RGBA on black; where nothing could be seen at all, the colours as they are."""
    if np.asarray(image.getchannel("A")).max() > 1:
        return Pillow.alpha_composite(Pillow.new("RGBA", image.size, (0, 0, 0, 255)), image)
    opaque = image.convert("RGB")
    if not np.ptp(np.asarray(opaque), axis=(0, 1)).any():
        raise ImageError("has only transparent pixels of one colour; save it without transparency")
    return opaque
