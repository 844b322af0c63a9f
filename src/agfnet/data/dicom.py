"""Pixels of DICOM files as RGB, and their spacing: ultrasound, secondary capture, greyscale."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from agfnet.data.blank_end import check_blank_end
from agfnet.data.decoding import decoder_errors
from agfnet.data.dicom_geometry import Spacing, largest_region, pixel_aspect, pixel_spacing
from agfnet.data.dicom_header import (
    EXPLICIT,
    FRAME_STARTS,
    JPEG,
    JPEG_2000,
    PLAIN,
    RLE,
    UNDEFINED,
    bytes_at,
    check_frame_count,
    check_header,
    enter_pixel_data,
    frame_count,
    is_subsampled,
    read_header,
    take_from_groups,
)
from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset


def is_dicom(head: bytes) -> bool:
    """Return whether a file that begins with these 132 bytes is DICOM, with or without preamble.

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
    """Return the number of frames, from the header alone.

    Raises:
        ImageError: without a name of the file; the pixel data holds more frames than are stated.
    """
    header = read_header(file)
    count = frame_count(header)
    if "Rows" in header:
        check_frame_count(file, header, count)
    return count


def dicom_size(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height of the frames, from the header alone.

    Raises:
        ImageError: without a name of the file; it is damaged or has no image.
    """
    header = read_header(file)
    check_header(file, header)
    return int(header.Columns), int(header.Rows)


def read_dicom(
    file: BinaryIO, *, frame: int = 0, region: bool = True
) -> tuple[NDArray[np.uint8], Spacing | None, float]:
    """Decode one frame, and only this one, as 8-bit RGB.

    Greyscale goes through the modality LUT, then the first VOI LUT or window, and is inverted
    where MONOCHROME1 or the presentation LUT says so. A window that clearly belongs to values of
    more bits, or that leaves one shade, is ignored. Without a window, up to 8 bits are shown as
    they are, and more from the lowest to the highest value of the frame, padding left out: many
    devices state 16 bits and use 12. Overlays that are kept apart are left out.

    Args:
        file: seekable, at its beginning.
        frame: counted from 0.
        region: crop to the largest region of 2D tissue that the file states.

    Returns:
        (H, W, 3), the pixel spacing if the file states it, and the height of a pixel relative to
        its width.

    Raises:
        ImageError: without a name of the file; it is damaged, incomplete or not supported.
    """
    from agfnet.data.dicom_display import to_rgb

    header = read_header(file)
    count = check_header(file, header)
    if frame >= count:
        raise no_such_frame(frame, count)
    take_from_groups(header, frame)
    pixels = to_rgb(_decode(file, header, frame, count), header)
    box, spacing = largest_region(header, pixels.shape[:2])
    if region and box is not None:
        y0, y1, x0, x1 = box
        pixels = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    spacing = spacing or pixel_spacing(header)
    return pixels, spacing, pixel_aspect(header, spacing)


def _decode(file: BinaryIO, header: Dataset, frame: int, count: int) -> NDArray[Any]:
    """Return the values of one frame, (H, W) or (H, W, C)."""
    from pydicom.pixels import pixel_array

    from agfnet.data.dicom_jpeg import contradicts_jpeg_2000, decode_jpeg, likely_rgb
    from agfnet.data.dicom_stated import colours_of, corrected_order, is_unsigned, lowest_bits

    syntax = header.file_meta.get("TransferSyntaxUID")
    start = file.tell()
    element = bytes_at(file, start, 8)
    explicit = element[4:6] in EXPLICIT
    file.seek(start)
    length = enter_pixel_data(file, header)
    is_deflated = syntax is not None and syntax.is_deflated  # not yet unpacked
    if length == 0 or not (element or is_deflated):
        raise ImageError("has no pixel data; export it again")
    stream = b""
    if length == UNDEFINED and syntax in JPEG_2000:
        stream = _stored_frame(file, frame, count)
    if length == UNDEFINED and (syntax in JPEG or stream.startswith(FRAME_STARTS[0])):
        return decode_jpeg(file, header, frame, count)
    compressed = syntax is not None and syntax.is_compressed
    options = _options(header, count, compressed=compressed and syntax != RLE)
    stated = header.PhotometricInterpretation
    whole = stated == "YBR_FULL_422" and not is_subsampled(header, length)
    plain = stated in PLAIN or (whole and length is not None)
    wrong = header.BitsStored <= 8 and contradicts_jpeg_2000(stream, stated)
    if plain:
        options["photometric_interpretation"] = "RGB"  # leaves the values as they are
    with decoder_errors():
        try:
            if explicit and syntax is not None and syntax.is_implicit_VR:
                raise ValueError("is not written as its transfer syntax says")
            values = pixel_array(file, index=frame, **options)
        except Exception:  # deflated, without a transfer syntax, or not written as its syntax says
            dataset = _with_syntax(_read_whole(file))
            values = pixel_array(dataset, index=frame, **options)
    if not compressed:
        by_plane = values.ndim == 3 and header.PlanarConfiguration == 1
        check_blank_end(np.concatenate(np.moveaxis(values, -1, 0)) if by_plane else values)
    values = lowest_bits(values, header.BitsStored, signed=header.PixelRepresentation == 1)
    if values.ndim == 2 and header.PixelRepresentation and is_unsigned(values, header.BitsStored):
        header.PixelRepresentation = 0
        return values.view(f"u{values.itemsize}") & (2**header.BitsStored - 1)
    if plain and not wrong and values.ndim == 3:
        if not compressed:
            values = corrected_order(values, by_plane=header.PlanarConfiguration == 1)
        if not whole and values.dtype == np.uint8:
            colours = colours_of(values) or PLAIN[stated]
            # a decoder has read compressed colours as stated: only clear ones contradict
            return likely_rgb(values, stated=colours, declared=colours if compressed else None)
    return likely_rgb(values, stated=None) if wrong or whole else values


def _options(header: Dataset, count: int, *, compressed: bool) -> dict[str, Any]:
    """Return what pydicom needs to know of the pixel data."""
    options = {"pixel_representation": header.PixelRepresentation, "number_of_frames": count}
    options["photometric_interpretation"] = header.PhotometricInterpretation
    # pydicom would cut whole words to the bits stored, whatever they hold
    options["bits_stored"] = header.BitsStored if compressed else header.BitsAllocated
    if header.SamplesPerPixel != 1:
        options["planar_configuration"] = header.PlanarConfiguration
    return options


def _stored_frame(file: BinaryIO, frame: int, count: int) -> bytes:
    """Return a frame as it is compressed; the file stays at its pixel data."""
    from pydicom.encaps import get_frame

    start = file.tell()
    with decoder_errors():
        stream = get_frame(file, frame, number_of_frames=count)
    file.seek(start)
    return stream


def _read_whole(file: BinaryIO) -> Dataset:
    from pydicom import dcmread

    file.seek(0)
    return dcmread(file, force=True)


def no_such_frame(frame: int, count: int) -> ImageError:
    """Return the error for a frame that a file does not have; the caller adds the file's name."""
    frames = "one frame" if count == 1 else f"{count} frames"
    return ImageError(f"has {frames}, so there is no frame {frame}; the first is 0")


def _with_syntax(dataset: Dataset) -> Dataset:
    """Return a dataset with its transfer syntax, or the one by which it was read."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if dataset.file_meta.get("TransferSyntaxUID"):
        return dataset
    if dataset.get("PixelData", b"")[:4] == b"\xfe\xff\x00\xe0":  # an item: compressed
        raise ImageError("does not say how it is compressed; export it again") from None
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset
