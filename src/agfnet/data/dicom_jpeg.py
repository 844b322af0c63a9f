"""JPEG frames in DICOM: baseline, extended and lossless of 8 bits, decoded by Pillow; colours.

pydicom knows only a GPL library and GDCM for lossless JPEG, and for colours it believes the header
even where the JPEG itself says otherwise.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from agfnet.data.decoding import decoder_errors
from agfnet.data.jpeg import check_end
from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

Colours = Literal["RGB", "YCbCr"]
_START_2000 = b"\xff\x4f\xff\x51"
_WITHOUT_TRANSFORM, _WITH_TRANSFORM = ("YBR_FULL", "YBR_FULL_422"), ("YBR_ICT", "YBR_RCT")
"""Photometric interpretations of JPEG 2000 whose values are YCbCr without and by its transform."""


def decode_jpeg(file: BinaryIO, header: Dataset, frame: int, count: int) -> NDArray[np.uint8]:
    """Decode one frame of a file that is at its pixel data: (H, W), or (H, W, 3) in RGB.

    Raises:
        ImageError: without a name of the file; the frame is damaged or contradicts the header.
    """
    from pydicom.encaps import get_frame

    with decoder_errors():
        stream = get_frame(file, frame, number_of_frames=count)
        if not stream.startswith(b"\xff\xd8"):
            raise ImageError("states JPEG, but its frames are not JPEG; export it again")
        image, values = _stored_values(stream)
        check_end(BytesIO(stream), image, None)
        shape = header.Rows, header.Columns
    if values.shape[:2] != shape or values.ndim != (2 if header.SamplesPerPixel == 1 else 3):
        raise ImageError(
            f"states {' x '.join(map(str, shape))} pixels of {header.SamplesPerPixel} values, but "
            f"its JPEG has {' x '.join(map(str, values.shape))}; export it again"
        )
    return values if values.ndim == 2 else _to_rgb(image, header, values)


def _stored_values(stream: bytes) -> tuple[Any, NDArray[np.uint8]]:
    """Return an opened JPEG, and its values without any conversion of colours."""
    image = Pillow.open(BytesIO(stream), formats=("JPEG",))
    if image.mode == "RGB":
        # libjpeg converts where it takes the values for YCbCr, and refuses this where it does not
        image.draft("YCbCr", image.size)
        try:
            return image, np.array(image)
        except OSError:
            image = Pillow.open(BytesIO(stream), formats=("JPEG",))
    return image, np.array(image)


def _to_rgb(image: Any, header: Dataset, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the values of a JPEG in RGB; where its markers and the header differ, they decide.

    Programs that copy a camera's JPEG into DICOM call it RGB although it is YCbCr, and others the
    reverse. A JPEG without markers says nothing.
    """
    stated: Colours = "RGB" if header.PhotometricInterpretation == "RGB" else "YCbCr"
    return likely_rgb(values, stated=stated, declared=_declared(image))


def contradicts_jpeg_2000(stream: bytes, stated: str) -> bool:
    """Return whether a JPEG 2000 transforms its colours although the header denies it, or not.

    The decoder returns RGB where the stream itself has the transform, which its marker COD tells.
    """
    at = stream.find(_START_2000) + 2
    while at >= 2 and (marker := stream[at : at + 2]) > b"\xff\x4f" and marker != b"\xff\x90":
        if marker == b"\xff\x52":
            transformed = stream[at + 8 : at + 9] == b"\1"
            return stated in (_WITHOUT_TRANSFORM if transformed else _WITH_TRANSFORM)
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return False


def likely_rgb(
    values: NDArray[np.uint8], *, stated: Colours | None, declared: Colours | None = None
) -> NDArray[np.uint8]:
    """Return values in RGB; where two statements differ or say nothing, the values decide.

    Args:
        values: (H, W, 3), RGB or YCbCr.
        stated: what the DICOM header says, if it is to be believed.
        declared: what the JPEG says.
    """
    if stated == "RGB" and declared == "RGB":
        return values
    converted = from_ycbcr(values)
    if stated == "YCbCr" and declared != "RGB":
        return converted
    as_rgb, as_ycbcr = greyness(values), greyness(converted)
    if as_rgb == as_ycbcr:  # of one colour
        return converted if (declared or stated) == "YCbCr" else values
    return converted if as_ycbcr > as_rgb else values


def from_ycbcr(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert YCbCr (H, W, 3) to RGB."""
    from pydicom.pixels import convert_color_space

    with decoder_errors():
        converted: NDArray[np.uint8] = convert_color_space(values, "YBR_FULL", "RGB")
    return converted


def _declared(image: Any) -> Colours | None:
    """Return what the markers of a JPEG and its sampling say of its values."""
    if "jfif" in image.info:
        return "YCbCr"
    if "adobe" in image.info:
        return "YCbCr" if image.info.get("adobe_transform") else "RGB"
    if bytes(layer[0] for layer in image.layer) == b"RGB":
        return "RGB"
    return "YCbCr" if len({layer[1:3] for layer in image.layer}) > 1 else None


def greyness(rgb: NDArray[np.uint8]) -> float:
    """Return how much of the variance of the channels they have in common, from 0 to 1.

    The channels of an image rise and fall together. Those of YCbCr do not, nor do those of RGB
    that was taken for YCbCr and converted.
    """
    values = rgb.reshape(-1, 3).astype(np.float64)
    total = float(values.var(axis=0).mean())
    return float(values.mean(axis=1).var()) / total if total else 0.0
