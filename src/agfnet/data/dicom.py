"""DICOM files to RGB pixels and their scale: ultrasound, secondary capture, any greyscale image."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

Spacing = tuple[float, float]
"""Distance of neighbouring rows and of neighbouring columns, millimetres."""
_INSTALL = "install agfnet[dicom]"

# what is needed beside group 0028 (image pixels, windows, palettes, pixel spacing)
_TAGS = [
    0x00181164,  # ImagerPixelSpacing
    0x00182010,  # NominalScannedPixelSpacing
    0x00186011,  # SequenceOfUltrasoundRegions
    0x20500020,  # PresentationLUTShape
    0x52009229,  # SharedFunctionalGroupsSequence
]
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_TWO_DIMENSIONAL, _TISSUE, _CENTIMETRES = 1, 1, 3  # as a region codes them
_SMALLEST = 16  # rows and columns of a region that is taken for an image
# extended and lossless: Pillow decodes 8 bits of them
_JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 70))


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is DICOM, with its preamble or without.

    Without it, the first element must be of group 2 or 8, with a value representation or with a
    length that such an element can have.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 12 or (head[:2] not in (b"\2\0", b"\x08\0") and head[:2] != b"\0\x08"):
        return False
    small = head[3] == 0 if head[0] else head[2] == 0  # the element's number is below 256
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    (length,) = struct.unpack("<I", head[4:8])
    return small and (explicit or length < 256)


def count_dicom_frames(file: BinaryIO) -> int:
    """Number of frames, from the header alone."""
    return _frame_count(_read(file, stop_before_pixels=True))


def read_dicom(
    file: BinaryIO, *, frame: int = 0, region: bool = True
) -> tuple[NDArray[np.uint8], Spacing | None]:
    """Decode one frame, and only this one, as 8-bit RGB.

    Greyscale goes through the modality LUT, then the first VOI LUT or window, and is inverted
    where MONOCHROME1 or the presentation LUT says so. Without a window, up to 8 bits are shown as
    they are, and more from the lowest to the highest value of the frame: many devices state 16
    bits and use 12. Overlays that are kept apart are left out.

    Args:
        file: seekable, at its beginning.
        frame: counted from 0.
        region: crop to the largest region of 2D tissue that the file states.

    Returns:
        (H, W, 3) and the millimetres per pixel, if the file states them.

    Raises:
        ImageError: without a name of the file.
    """
    header, values = _decode(file, frame)
    pixels = _to_rgb(values, header)
    box, spacing = _region(header, pixels.shape[:2])
    if region and box is not None:
        top, bottom, left, right = box
        pixels = np.ascontiguousarray(pixels[top:bottom, left:right])
    return pixels, spacing or _pixel_spacing(header)


def _read(file: BinaryIO, **options: Any) -> Dataset:
    _require_pydicom()
    from pydicom import dcmread

    file.seek(0)
    # force: a missing preamble is no reason to refuse what `is_dicom` recognised
    return dcmread(file, force=True, **options)


def _require_pydicom() -> None:
    try:
        import agfnet.data.dicom_lossless  # noqa: F401
    except ImportError:
        raise ImageError(f"is DICOM; {_INSTALL} to read it") from None


def _frame_count(header: Dataset) -> int:
    return max(1, int(header.get("NumberOfFrames") or 1))


def _decode(file: BinaryIO, frame: int) -> tuple[Dataset, NDArray[Any]]:
    """What describes the pixels, and the values of one frame as pydicom decodes them."""
    _require_pydicom()
    from pydicom import Dataset
    from pydicom.pixels import pixel_array

    header = Dataset()
    try:
        return header, pixel_array(file, index=frame, ds_out=header, specific_tags=_TAGS)
    except Exception:  # decoders raise anything on damaged files
        _explain(file, frame)
    # all at once: deflated, without a transfer syntax, or not written as its own syntax says
    header = _with_syntax(_read(file))
    return header, pixel_array(header, index=frame)


def _explain(file: BinaryIO, frame: int) -> None:
    """Raise ImageError if the header tells why a frame could not be decoded."""
    header = _read(file, stop_before_pixels=True)
    if "Rows" not in header:
        kind = getattr(header.get("SOPClassUID"), "name", "of an unknown kind")
        raise ImageError(f"is DICOM without an image ({kind}); name an image file")
    count = _frame_count(header)
    if frame >= count:
        raise no_such_frame(frame, count)
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None or not syntax.is_compressed:
        return
    if any(word in syntax.name for word in ("MPEG", "HEVC")):
        mend = "save it as multi-frame DICOM with single images"
        raise ImageError(f"is a video ({syntax.name}); {mend}")
    what = f"{syntax.name} of {header.get('BitsStored')} bits"
    if not _can_decode(syntax):
        raise ImageError(f"is {what}, without a decoder; {_INSTALL}, or save it uncompressed")
    if syntax in _JPEG and header.get("BitsStored", 8) > 8:
        raise ImageError(f"is {what}, which nothing here decodes; save it uncompressed")


def no_such_frame(frame: int, count: int) -> ImageError:
    """The error for a frame that a file does not have; the caller adds the file's name."""
    frames = "one frame" if count == 1 else f"{count} frames"
    return ImageError(f"has {frames}, so there is no frame {frame}; the first is 0")


def _with_syntax(dataset: Dataset) -> Dataset:
    """A dataset with its transfer syntax, or the one that it was read by."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if dataset.file_meta.get("TransferSyntaxUID"):
        return dataset
    if dataset.get("PixelData", b"")[:4] == b"\xfe\xff\x00\xe0":  # an item: compressed
        raise ImageError("does not say how it is compressed; export it again") from None
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _can_decode(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _to_rgb(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) as stored to (H, W, 3)."""
    high, bits = header.get("HighBit", 0), header.BitsStored
    if high >= bits != header.BitsAllocated:  # pydicom takes the lowest bits, whatever is said
        raise ImageError(f"has {bits} bits up to bit {high}; save it with {bits - 1} as HighBit")
    if header.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        colours = apply_color_lut(values, header)[..., :3]
        # some devices write 8-bit entries and call them 16-bit
        return _to_8_bit(colours, 16 if colours.max() > 255 else 8)
    if values.ndim == 3 and values.shape[2] == 3:
        return _to_8_bit(values, int(header.BitsStored))
    if values.ndim != 2:
        raise ImageError(f"has {values.shape[-1]} values per pixel; expected 1 or 3")
    return np.repeat(_to_grey(values, header)[..., None], 3, axis=2)


def _to_8_bit(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits > 16:
        raise ImageError(f"has {bits} bits per pixel; save it with 16 or fewer")
    if bits == 8:
        return values.astype(np.uint8)
    return np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def _to_grey(values: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    """Greyscale (H, W) as a screen shows it."""
    bits = int(header.BitsStored)
    if bits > 16:
        raise ImageError(f"has {bits} bits per pixel; save it with 16 or fewer")
    lowest = -(2 ** (bits - 1)) if header.PixelRepresentation else 0
    stored = np.arange(lowest, lowest + 2**bits)
    inverse = header.PhotometricInterpretation == "MONOCHROME1"
    inverse = inverse or header.get("PresentationLUTShape") == "INVERSE"
    codes = values.astype(np.int32) - lowest if lowest else values
    seen = (0, 2**bits - 1) if bits <= 8 else (int(codes.min()), int(codes.max()))
    shown = _display(stored, header, seen)
    table = np.rint(255 * (1 - shown if inverse else shown)).astype(np.uint8)
    return np.take(table, codes, mode="clip")


def _display(
    stored: NDArray[np.int_], header: Dataset, seen: tuple[int, int]
) -> NDArray[np.float64]:
    """Brightness in [0, 1] of every value that can be stored.

    Args:
        stored: these values, rising by one.
        header: what says how to show them.
        seen: positions of the darkest and the brightest value, if nothing says it.
    """
    from pydicom.pixels import apply_modality_lut, apply_windowing

    values = apply_modality_lut(stored, header)
    if lut := header.get("VOILUTSequence"):
        entries, first, bits = lut[0].LUTDescriptor
        data = lut[0].LUTData
        # pydicom's own function wraps around where an 8-bit table has more than 256 entries
        data = np.frombuffer(data, np.uint16) if isinstance(data, bytes) else np.array(data)
        index = np.clip(values - first, 0, min(entries or 2**16, len(data)) - 1)
        return np.clip(data[index.astype(int)] / (2**bits - 1), 0, 1)
    low, high = sorted(values[list(seen)].tolist())
    if header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        try:
            with np.errstate(over="ignore"):
                low, high = sorted(apply_windowing(np.array([-1e9, 1e9]), header).tolist())
            values = apply_windowing(values, header)
        except ValueError:  # a window without width shows nothing: as if there were none
            pass
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1)


def _region(
    header: Dataset, shape: tuple[int, ...]
) -> tuple[tuple[int, int, int, int] | None, Spacing | None]:
    """The largest region of 2D tissue, and its scale.

    Returns:
        Top, bottom, left and right, the ends not included, clipped to the image of this shape
        (H, W); and the scale if it is in centimetres. None for what there is not.
    """
    best, area = None, 0
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        kind = region.get("RegionSpatialFormat"), region.get("RegionDataType")
        corners = [region.get(f"RegionLocation{name}") for name in ("MinY0", "MaxY1")]
        corners += [region.get(f"RegionLocation{name}") for name in ("MinX0", "MaxX1")]
        if kind != (_TWO_DIMENSIONAL, _TISSUE) or None in corners:
            continue
        top, bottom, left, right = corners
        box = max(top, 0), min(bottom + 1, shape[0]), max(left, 0), min(right + 1, shape[1])
        height, width = box[1] - box[0], box[3] - box[2]
        if min(height, width) >= _SMALLEST and height * width > area:
            best, area = (box, _physical_delta(region)), height * width
    return best or (None, None)


def _physical_delta(region: Dataset) -> Spacing | None:
    units = {region.get(f"PhysicalUnits{axis}Direction") for axis in "XY"}
    if units != {_CENTIMETRES}:
        return None
    return _checked([10 * abs(region.get(f"PhysicalDelta{axis}") or 0) for axis in "YX"])


def _pixel_spacing(header: Dataset) -> Spacing | None:
    places = [header]
    if groups := header.get("SharedFunctionalGroupsSequence"):
        places += groups[0].get("PixelMeasuresSequence") or ()
    for place in places:
        for name in _SPACINGS:
            if spacing := _checked(place.get(name)):
                return spacing
    return None


def _checked(values: Any) -> Spacing | None:
    """Row and column spacing, if these are two lengths."""
    try:
        row, column = map(float, values)
    except (TypeError, ValueError):
        return None
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None
