"""Values of DICOM to 8-bit RGB, as a screen shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agfnet.data.decoding import decoder_errors, to_8_bit, white_level
from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

_RESCALE = {"RescaleSlope": 1, "RescaleIntercept": 0}
"""Values of DICOM attributes that count where the attribute is missing."""


def to_rgb(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Convert one frame (H, W) or (H, W, 3) as it is stored to (H, W, 3).

    Raises:
        ImageError: without a name of the file; the values are not of a kind that can be shown.
    """
    high, bits = header.get("HighBit") or 0, header.BitsStored
    if bits != header.BitsAllocated and isinstance(high, int) and high >= bits:
        # pydicom takes the lowest bits, whatever is stated
        raise ImageError(f"has {bits} bits up to bit {high}; save it with {bits - 1} as HighBit")
    if values.dtype.kind == "f":
        raise ImageError("has floating point values; save it with 8 or 16 bits per channel")
    if bits > 16:
        raise ImageError(f"has {bits} bits per pixel; save it with 16 or fewer")
    if header.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        with decoder_errors():
            colours = apply_color_lut(values, header)[..., :3]
        # some devices write 8-bit entries and call them 16-bit
        return to_8_bit(colours, white=65535 if colours.max() > 255 else 255)
    if values.ndim == 3 and values.shape[2] == 3:
        white = white_level(int(values.max())) if bits == 16 else 2**bits - 1
        return to_8_bit(values, white=white)
    if values.ndim != 2:
        raise ImageError(f"has {values.shape[-1]} values per pixel; expected 1 or 3")
    return np.repeat(_to_grey(values, header)[..., None], 3, axis=2)


def _to_grey(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Convert greyscale (H, W) as a screen shows it; padding is black."""
    bits = int(header.BitsStored)
    lowest = -(2 ** (bits - 1)) if header.PixelRepresentation else 0
    stored = np.arange(lowest, lowest + 2**bits)
    inverse = header.PhotometricInterpretation == "MONOCHROME1"
    inverse = inverse or header.get("PresentationLUTShape") == "INVERSE"
    codes = values.astype(np.int32) - lowest if lowest else values
    padding = _padding(header, bits)
    image = codes
    if padding is not None:
        padded = (codes >= padding[0] - lowest) & (codes <= padding[1] - lowest)
        image = codes if padded.all() else codes[~padded]
    extremes = (0, 2**bits - 1) if bits <= 8 else (int(image.min()), int(image.max()))
    brightness = _display(stored, header, extremes)
    table = np.rint(255 * (1 - brightness if inverse else brightness)).astype(np.uint8)
    grey = np.take(table, codes, mode="clip")
    return grey if padding is None else np.where(padded, np.uint8(0), grey)


def _padding(header: Dataset, bits: int) -> tuple[int, int] | None:
    """Return the lowest and the highest value of pixels outside the field of view, if stated."""
    first = header.get("PixelPaddingValue")
    last = header.get("PixelPaddingRangeLimit")
    if not isinstance(first, int):
        return None
    ends = [first, last if isinstance(last, int) else first]
    if header.PixelRepresentation:  # some devices state the same bits as an unsigned number
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    return min(ends), max(ends)


def _display(
    stored: NDArray[np.int_], header: Dataset, extremes: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the brightness in [0, 1] of every value that can be stored.

    Args:
        stored: these values, rising by one.
        header: what says how to show them.
        extremes: positions of the darkest and the brightest value, where the header states none.
    """
    from pydicom.pixels import apply_modality_lut, apply_windowing

    for name, value in _RESCALE.items():  # of one without the other, pydicom uses neither
        if header.get(name) in (None, ""):
            setattr(header, name, value)
    if float(header.RescaleSlope) == 0:
        raise ImageError("has a RescaleSlope of 0, which leaves no image; correct or delete it")
    with decoder_errors():
        values = apply_modality_lut(stored, header)
        if lut := header.get("VOILUTSequence"):
            return _look_up(values, lut[0], little_endian=header.original_encoding[1] is not False)
    low, high = sorted(values[list(extremes)].tolist())
    if _has_window(header, values, low, high):
        try:
            with np.errstate(over="ignore"):
                low, high = apply_windowing(np.array([-1e9, 1e9]), header).tolist()
            values = apply_windowing(values, header)
        except ValueError:  # a window without width shows nothing: as if there were none
            pass
    # a window's `high` is below `low` where a negative slope turns the range of pydicom around
    return np.clip((values - low) / ((high - low) or 1e-9), 0, 1)


def _has_window(header: Dataset, values: NDArray[Any], low: float, high: float) -> bool:
    """Return whether a window is stated that belongs to the values.

    One of 12 bits often stays behind where a program saves 8; all would be black. One of 8 bits
    stays behind as well; all of 12 bits would be white. A window is ignored that is twice as wide
    as what can be stored, that is the whole of 8 bits where values are four times as large, or that
    leaves one shade.

    Args:
        header: what states the window.
        values: all that can be stored, in the units of the window.
        low: the darkest value that is shown.
        high: the brightest.
    """
    center, width = header.get("WindowCenter"), header.get("WindowWidth")
    if center is None or width is None:
        return False
    middle, span = (float(v[0] if isinstance(v, Sequence) else v) for v in (center, width))
    within = low == high or (low < middle + span / 2 and high > middle - span / 2)
    of_8_bits = span in (255, 256) and 127 <= middle <= 128
    return bool(within and span < 2 * (np.ptp(values) + 1) and not (of_8_bits and high > 1023))


def _look_up(values: NDArray[Any], lut: Dataset, *, little_endian: bool) -> NDArray[np.float64]:
    """Return the brightness of values by a lookup table.

    pydicom's own function wraps around where an 8-bit table has more than 256 entries.
    """
    entries, first, bits = lut.LUTDescriptor
    entries = entries or 2**16
    if first >= 2**15 and values.min() < 0:  # a negative number that is stated as an unsigned one
        first -= 2**16
    data = lut.LUTData
    if isinstance(data, bytes):  # entries of 8 bits have one byte or two
        two = "<u2" if little_endian else ">u2"
        data = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else two)
    index = np.clip(values - first, 0, min(entries, len(data)) - 1)
    data = np.asarray(data)
    return np.clip(data[index.astype(int)] / (2**bits - 1), 0, 1)
