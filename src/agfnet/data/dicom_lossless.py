"""Lossless JPEG for pydicom, by Pillow. Importing this file adds it to pydicom's decoders.

pydicom itself knows only a GPL library and GDCM for it; the libjpeg-turbo in Pillow decodes it too,
up to 8 bits, which is what ultrasound has.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image as Pillow
from pydicom.pixels.decoders import JPEGLosslessDecoder, JPEGLosslessSV1Decoder

_DECODERS = (JPEGLosslessDecoder, JPEGLosslessSV1Decoder)
DECODER_DEPENDENCIES = {decoder.UID: ("pillow>=11",) for decoder in _DECODERS}
"""Asked for by pydicom, as are `is_available` and the signature of `decode_frame`."""


def is_available(uid: str) -> bool:
    """Whether the decoder of a transfer syntax can be used."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: Any) -> bytes:
    """The samples of one frame, without any conversion of colours: pydicom does that."""
    image = Pillow.open(BytesIO(source), formats=("JPEG",))
    runner.set_option("bits_allocated", 8)
    return image.tobytes()


for _decoder in _DECODERS:
    _decoder.add_plugin("agfnet", (__name__, "decode_frame"))
