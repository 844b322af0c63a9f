"""Header of a DICOM file: what it states of its pixels, checked before they are decoded."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from agfnet.data.decoding import decoder_errors
from agfnet.data.dicom_geometry import SPACINGS, items_of
from agfnet.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

    from agfnet.data.dicom_jpeg import Colours

_INSTALL = "install agfnet[dicom]"

PLAIN: dict[str, Colours] = {
    **dict.fromkeys(("RGB", "YBR_RCT", "YBR_ICT"), "RGB"),
    "YBR_FULL": "YCbCr",
}
"""Colours as decoders leave them, and what they hold. Decoders of JPEG 2000 undo its transform, and
its name stays behind when a program decompresses."""
_YCBCR = ("YBR_FULL", "YBR_FULL_422")
_COLOURS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *PLAIN, *_YCBCR)
_BITS_ALLOCATED = (1, 8, 16, 32, 64)
_REQUIRED = ("Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_DEFAULTS = {"PixelRepresentation": 0, "PlanarConfiguration": 0}
"""Values that every viewer takes for missing attributes: unsigned, and colour by pixel."""
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
    *("PixelAspectRatio", "PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence"),
    *("SequenceOfUltrasoundRegions", *_GROUPS),
    *(
        f"{prefix}{colour}PaletteColorLookupTable{part}"
        for prefix, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
        for colour in ("Red", "Green", "Blue")
    ),
)
# baseline, extended and lossless, of which Pillow decodes 8 bits
JPEG = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
# and its high-throughput kinds
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
MAX_SURPLUS = 1 << 16
"""Bytes behind the last frame that are looked at."""
# the first bytes of a frame, by which further fragments of the same frame differ
FRAME_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff")
RLE = "1.2.840.10008.1.2.5"
EXPLICIT = (b"OB", b"OW", b"UN")  # value representations of pixel data
UNDEFINED = 0xFFFFFFFF  # length of compressed pixel data


def read_header(file: BinaryIO) -> Dataset:
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


def take_from_groups(header: Dataset, frame: int) -> None:
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


def frame_count(header: Dataset) -> int:
    """Return the number of frames that a header states."""
    stated = header.get("NumberOfFrames") or 1
    try:
        return max(1, int(stated))
    except (TypeError, ValueError):
        raise ImageError(f"has no valid number in NumberOfFrames ({stated}); correct it") from None


def check_header(file: BinaryIO, header: Dataset) -> int:
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
        if syntax not in JPEG and not _can_decode(syntax):
            raise ImageError(f"is {stored}, without a decoder; {_INSTALL}, or save it uncompressed")
        if syntax in JPEG and header.BitsStored > 8:
            raise ImageError(f"is {stored}, which nothing here decodes; save it uncompressed")
    elif header.PhotometricInterpretation not in _COLOURS:
        colours = header.PhotometricInterpretation
        raise ImageError(f"has {colours} colours, which are not read; export it as RGB")
    if header.PhotometricInterpretation in _YCBCR and header.BitsStored > 8:
        colours, bits = header.PhotometricInterpretation, header.BitsStored
        raise ImageError(
            f"has {colours} colours of {bits} bits, which are not read; export it as RGB"
        )
    count = frame_count(header)
    check_frame_count(file, header, count)
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


def check_frame_count(file: BinaryIO, header: Dataset, count: int) -> None:
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
    if _has_surplus(file, header, count):
        raise ImageError(
            f"states {header.Columns} x {header.Rows} pixels, but its pixel data holds more; "
            "correct Rows and Columns, or export it again"
        )


def _has_surplus(file: BinaryIO, header: Dataset, count: int) -> bool:
    """Return whether uncompressed pixel data has another row or column, and not only padding.

    Rows of another length would be read as a slanted picture.
    """
    start = file.tell()
    length = enter_pixel_data(file, header)
    syntax = header.file_meta.get("TransferSyntaxUID")
    surplus = b""
    if length not in (None, UNDEFINED) and syntax is not None and not syntax.is_compressed:
        bits = _frame_bits(header, length)
        end = -(-count * bits // 8)
        if bits and 8 * (length - end) * max(header.Rows, header.Columns) >= bits:
            file.seek(end, 1)
            surplus = file.read(min(length - end, MAX_SURPLUS))
    file.seek(start)
    return len(set(surplus)) > 1


def _frame_bits(header: Dataset, length: int) -> int:
    """Return the bits of a frame of uncompressed pixel data."""
    samples = 2 if is_subsampled(header, length) else header.SamplesPerPixel
    return int(header.Rows * header.Columns * samples * header.BitsAllocated)


def _frames_in_data(file: BinaryIO, header: Dataset) -> int:
    """Return how many whole frames the pixel data holds, by its length or its fragments.

    0 if that cannot be found without decoding. The file must be at its pixel data and stays there.
    """
    from pydicom.encaps import parse_basic_offsets, parse_fragments

    start = file.tell()
    length = enter_pixel_data(file, header)
    frames = 0
    if length == UNDEFINED:
        parse_basic_offsets(file)
        _, offsets = parse_fragments(file)
        if header.file_meta.get("TransferSyntaxUID") == RLE:
            frames = len(offsets)
        else:
            frames = sum(bytes_at(file, offset + 8, 3) in FRAME_STARTS for offset in offsets)
    elif length is not None and header.file_meta.get("TransferSyntaxUID"):
        bits = _frame_bits(header, length)
        frames = 8 * length // bits if bits else 0
    file.seek(start)
    return frames


def is_subsampled(header: Dataset, length: int | None) -> bool:
    """Return whether uncompressed pixel data of a length has half the colours, as it may state.

    Some programs decompress to whole colours and leave the attribute as it was.
    """
    if header.PhotometricInterpretation != "YBR_FULL_422" or length is None:
        return False
    frame = 3 * header.Rows * header.Columns * header.BitsAllocated
    return 8 * length < frame * frame_count(header)


def enter_pixel_data(file: BinaryIO, header: Dataset) -> int | None:
    """Move to the first byte of the pixel data, and return its length; None if it is not here."""
    order = "<" if header.original_encoding[1] else ">"
    element = file.read(8)
    if len(element) < 8 or struct.unpack(order + "HH", element[:4]) != (0x7FE0, 0x0010):
        return None
    # by the bytes: some files mix both encodings
    number = file.read(4) if element[4:6] in EXPLICIT else element[4:]
    return int(struct.unpack(order + "I", number)[0])


def bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Read bytes of a file, which stays behind them."""
    file.seek(position)
    return file.read(count)


def _can_decode(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
