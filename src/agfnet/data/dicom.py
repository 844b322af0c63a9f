"""DICOM files to RGB pixels and their pixel spacing: ultrasound, secondary capture, greyscale."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from agfnet.data.decoding import decoder_errors
from agfnet.data.dicom_geometry import SPACINGS, Spacing, items_of, largest_region, pixel_spacing
from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

    from agfnet.data.dicom_jpeg import Colours

_INSTALL = "install agfnet[dicom]"

_PLAIN: dict[str, Colours] = {
    **dict.fromkeys(("RGB", "YBR_RCT", "YBR_ICT"), "RGB"),
    "YBR_FULL": "YCbCr",
}
"""Colours as decoders leave them, and what they hold. Decoders of JPEG 2000 undo its transform, and
its name stays behind when a program decompresses."""
_YCBCR = ("YBR_FULL", "YBR_FULL_422")
_COLOURS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *_PLAIN, *_YCBCR)
_BITS_ALLOCATED = (1, 8, 16, 32, 64)
_REQUIRED = ("Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_DEFAULTS = {"PixelRepresentation": 0, "PlanarConfiguration": 0}
"""What every viewer takes for an attribute that is missing: unsigned, and colour by pixel."""
_NUMBERS = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_IN_GROUPS = {
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "PixelMeasuresSequence": ("PixelSpacing",),
}
"""Attributes of a frame, of all frames or of each, by the sequence that holds them."""
_TAGS = (
    *("SOPClassUID", "NumberOfFrames", "Rows", "BitsStored", "HighBit"),
    *(*_REQUIRED, *_DEFAULTS, *SPACINGS, *_NUMBERS),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence"),
    *("SequenceOfUltrasoundRegions", *_GROUPS),
    *(
        f"{prefix}{colour}PaletteColorLookupTable{part}"
        for prefix, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
        for colour in ("Red", "Green", "Blue")
    ),
)
# baseline, extended and lossless, of which Pillow decodes 8 bits
_JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
# and its high-throughput kinds
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
# the first bytes of a frame, by which further fragments of the same frame differ
_FRAME_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff")
_RLE = "1.2.840.10008.1.2.5"
_EXPLICIT = (b"OB", b"OW", b"UN")  # value representations of pixel data
_UNDEFINED = 0xFFFFFFFF  # length of compressed pixel data


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
    header = _read_header(file)
    count = _frame_count(header)
    if "Rows" in header:
        _check_frame_count(file, header, count)
    return count


def dicom_size(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height of the frames, from the header alone.

    Raises:
        ImageError: without a name of the file; it is damaged or has no image.
    """
    header = _read_header(file)
    _check_header(file, header)
    return int(header.Columns), int(header.Rows)


def read_dicom(
    file: BinaryIO, *, frame: int = 0, region: bool = True
) -> tuple[NDArray[np.uint8], Spacing | None]:
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
        (H, W, 3), and the pixel spacing if the file states it.

    Raises:
        ImageError: without a name of the file; it is damaged, incomplete or not supported.
    """
    from agfnet.data.dicom_display import to_rgb

    header = _read_header(file)
    count = _check_header(file, header)
    if frame >= count:
        raise no_such_frame(frame, count)
    _take_from_groups(header, frame)
    pixels = to_rgb(_decode(file, header, frame, count), header)
    box, spacing = largest_region(header, pixels.shape[:2])
    if region and box is not None:
        y0, y1, x0, x1 = box
        pixels = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    return pixels, spacing or pixel_spacing(header)


def _read_header(file: BinaryIO) -> Dataset:
    """Read what describes the pixels. The file is then at its pixel data, unless it is deflated."""
    try:
        from pydicom import dcmread
        from pydicom.filereader import read_partial
    except ImportError:
        raise ImageError(f"is DICOM; {_INSTALL} to read it") from None
    with decoder_errors():
        file.seek(0)
        # force: a missing preamble is no reason to refuse what `is_dicom` recognised
        meta = read_partial(file, stop_when=lambda *_: True, force=True).file_meta
        syntax = meta.get("TransferSyntaxUID")
        if syntax is not None and not syntax.is_transfer_syntax:
            raise ImageError(
                f"has the transfer syntax {syntax}, which is private or unknown; export it with a "
                "standard one, such as Explicit VR Little Endian"
            )
        file.seek(0)
        header = dcmread(file, force=True, stop_before_pixels=True, specific_tags=list(_TAGS))
        for element in header.iterall():  # decode them now, where errors are expected
            _ = element.value
    for name in _NUMBERS:
        _correct_number(header, name)
    return header


def _take_from_groups(header: Dataset, frame: int) -> None:
    """Take from the functional groups what the header itself does not state of a frame."""
    for name, position in zip(_GROUPS, (0, frame), strict=True):
        for group in items_of(header, name)[position : position + 1]:
            for sequence, attributes in _IN_GROUPS.items():
                for item in items_of(group, sequence)[:1]:
                    _take_missing(header, item, attributes)


def _take_missing(header: Dataset, item: Dataset, attributes: tuple[str, ...]) -> None:
    for attribute in attributes:
        if attribute in item and header.get(attribute) in (None, ""):
            header[attribute] = item[attribute]
            if attribute in _NUMBERS:
                _correct_number(header, attribute)


def _correct_number(header: Dataset, name: str) -> None:
    """Replace decimal commas in an attribute of decimal numbers.

    Raises:
        ImageError: it has text that is not a number.
    """
    if header.get(name) in (None, ""):
        return
    element = header[name]
    values = list(element.value) if element.VM > 1 else [element.value]
    try:
        numbers = [float(str(value).replace(",", ".")) for value in values]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ImageError(f"has no valid number in {name} ({element.value}); correct or delete it")
    if any(isinstance(value, str) and "," in value for value in values):
        element.value = [f"{number:.10g}" for number in numbers]


def _frame_count(header: Dataset) -> int:
    stated = header.get("NumberOfFrames") or 1
    try:
        return max(1, int(stated))
    except (TypeError, ValueError):
        raise ImageError(f"has no valid number in NumberOfFrames ({stated}); correct it") from None


def _check_header(file: BinaryIO, header: Dataset) -> int:
    """Raise ImageError if the header tells that no frame can be decoded; return their number."""
    if "Rows" not in header:
        sop_class = getattr(header.get("SOPClassUID"), "name", "of an unknown class")
        raise ImageError(f"is DICOM without an image ({sop_class}); name an image file")
    for name in _REQUIRED:
        if header.get(name) in (None, ""):
            raise ImageError(f"is incomplete: it has no {name}; export it again")
    _check_numbers(header)
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_compressed:
        if any(word in syntax.name for word in ("MPEG", "HEVC")):
            advice = "save it as multi-frame DICOM with single images"
            raise ImageError(f"is a video ({syntax.name}); {advice}")
        stored = f"{syntax.name} of {header.BitsStored} bits"
        if syntax not in _JPEG and not _can_decode(syntax):
            raise ImageError(f"is {stored}, without a decoder; {_INSTALL}, or save it uncompressed")
        if syntax in _JPEG and header.BitsStored > 8:
            raise ImageError(f"is {stored}, which nothing here decodes; save it uncompressed")
    elif header.PhotometricInterpretation not in _COLOURS:
        colours = header.PhotometricInterpretation
        raise ImageError(f"has {colours} colours, which are not read; export it as RGB")
    if header.PhotometricInterpretation in _YCBCR and header.BitsStored > 8:
        colours, bits = header.PhotometricInterpretation, header.BitsStored
        raise ImageError(
            f"has {colours} colours of {bits} bits, which are not read; export it as RGB"
        )
    count = _frame_count(header)
    _check_frame_count(file, header, count)
    return count


def _check_numbers(header: Dataset) -> None:
    """Raise ImageError if the numbers of a header make no image; set those that have a default."""
    header.PhotometricInterpretation = str(header.PhotometricInterpretation).strip().upper()
    if header.get("BitsStored") is None:
        header.BitsStored = header.BitsAllocated
    for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"):
        if not isinstance(header[name].value, int):
            raise ImageError(f"has no valid number in {name} ({header[name].value}); correct it")
    for name, valid in (
        ("BitsAllocated", header.BitsAllocated in _BITS_ALLOCATED),
        ("BitsStored", 0 < header.BitsStored <= header.BitsAllocated),
    ):
        if not valid:
            raise ImageError(f"has no valid number in {name} ({header[name].value}); correct it")
    for name, value in _DEFAULTS.items():
        if header.get(name) is None:
            setattr(header, name, value)


def _check_frame_count(file: BinaryIO, header: Dataset, count: int) -> None:
    """Raise ImageError if the pixel data holds more frames than are stated."""
    with decoder_errors():
        frames = _frames_in_data(file, header)
    if frames > count:
        stated = "states no NumberOfFrames"
        if header.get("NumberOfFrames"):
            stated = f"states {count} in NumberOfFrames"
        raise ImageError(
            f"{stated}, but its pixel data holds {frames} frames; correct NumberOfFrames"
        )


def _frames_in_data(file: BinaryIO, header: Dataset) -> int:
    """Return how many whole frames the pixel data holds, by its length or its fragments.

    0 if that cannot be found without decoding. The file must be at its pixel data and stays there.
    """
    from pydicom.encaps import parse_basic_offsets, parse_fragments

    start = file.tell()
    length = _enter_pixel_data(file, header)
    frames = 0
    if length == _UNDEFINED:
        parse_basic_offsets(file)
        _, offsets = parse_fragments(file)
        if header.file_meta.get("TransferSyntaxUID") == _RLE:
            frames = len(offsets)
        else:
            frames = sum(_bytes_at(file, offset + 8, 3) in _FRAME_STARTS for offset in offsets)
    elif length is not None and header.file_meta.get("TransferSyntaxUID"):
        samples = 2 if _is_subsampled(header, length) else header.SamplesPerPixel
        bits = header.Rows * header.Columns * samples * header.BitsAllocated
        frames = 8 * length // bits if bits else 0
    file.seek(start)
    return frames


def _is_subsampled(header: Dataset, length: int | None) -> bool:
    """Return whether uncompressed pixel data of a length has half the colours, as it may state.

    Some programs decompress to whole colours and leave the attribute as it was.
    """
    if header.PhotometricInterpretation != "YBR_FULL_422" or length is None:
        return False
    frame = 3 * header.Rows * header.Columns * header.BitsAllocated
    return 8 * length < frame * _frame_count(header)


def _enter_pixel_data(file: BinaryIO, header: Dataset) -> int | None:
    """Move to the first byte of the pixel data, and return its length; None if it is not here."""
    order = "<" if header.original_encoding[1] else ">"
    element = file.read(8)
    if len(element) < 8 or struct.unpack(order + "HH", element[:4]) != (0x7FE0, 0x0010):
        return None
    # by the bytes: some files mix both encodings
    number = file.read(4) if element[4:6] in _EXPLICIT else element[4:]
    return int(struct.unpack(order + "I", number)[0])


def _bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _decode(file: BinaryIO, header: Dataset, frame: int, count: int) -> NDArray[Any]:
    """Return the values of one frame, (H, W) or (H, W, C)."""
    from pydicom.pixels import pixel_array

    from agfnet.data.dicom_jpeg import contradicts_jpeg_2000, decode_jpeg, likely_rgb
    from agfnet.data.dicom_stated import colours_of, corrected_order, is_unsigned, lowest_bits

    syntax = header.file_meta.get("TransferSyntaxUID")
    start = file.tell()
    explicit = _bytes_at(file, start + 4, 2) in _EXPLICIT
    file.seek(start)
    length = _enter_pixel_data(file, header)
    if length == 0:
        raise ImageError("has no pixel data; export it again")
    stream = b""
    if length == _UNDEFINED and syntax in _JPEG_2000:
        stream = _stored_frame(file, frame, count)
    if length == _UNDEFINED and (syntax in _JPEG or stream.startswith(_FRAME_STARTS[0])):
        return decode_jpeg(file, header, frame, count)
    compressed = syntax is not None and syntax.is_compressed
    options = _options(header, count, compressed=compressed and syntax != _RLE)
    stated = header.PhotometricInterpretation
    whole = stated == "YBR_FULL_422" and not _is_subsampled(header, length)
    plain = stated in _PLAIN or (whole and length is not None)
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
    values = lowest_bits(values, header.BitsStored, signed=header.PixelRepresentation == 1)
    if values.ndim == 2 and header.PixelRepresentation and is_unsigned(values, header.BitsStored):
        header.PixelRepresentation = 0
        return values.view(f"u{values.itemsize}") & (2**header.BitsStored - 1)
    if plain and not wrong and values.ndim == 3:
        if not compressed:
            values = corrected_order(values, by_plane=header.PlanarConfiguration == 1)
        if not whole and values.dtype == np.uint8:
            colours = colours_of(values) or _PLAIN[stated]
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


def _can_decode(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
