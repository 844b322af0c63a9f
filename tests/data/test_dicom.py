"""DICOM: the files inside pydicom, and files written here for each way to store pixels."""

from __future__ import annotations

import builtins
import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from agfnet.data.dicom import is_dicom
from agfnet.data.readers import Image, count_frames, decode_image, read_image
from agfnet.errors import ImageError

pydicom = pytest.importorskip("pydicom")
from openjpeg.utils import encode_array  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate, get_frame  # noqa: E402
from pydicom.uid import (  # noqa: E402
    HEVCMP51,
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

PLAIN = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"


def noise(*shape: int, top: int = 256, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, top, shape).astype(dtype)


def dataset(
    pixels: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 8, **tags: Any
) -> Dataset:
    """One frame (H, W) or (H, W, 3), or several with `NumberOfFrames` among the tags."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    several = "NumberOfFrames" in tags
    made.Rows, made.Columns = pixels.shape[1:3] if several else pixels.shape[:2]
    colour = pixels.ndim == (4 if several else 3)
    made.SamplesPerPixel, made.PhotometricInterpretation = (3 if colour else 1), photometric
    if colour:
        made.PlanarConfiguration = 0
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = pixels.tobytes()
    made.PixelData = raw + b"\0" * (len(raw) % 2)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def written(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    if syntax in COMPRESSED:
        made.compress(syntax)
    elif syntax == ExplicitVRBigEndian and made.BitsAllocated == 16:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
    made.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def read(data: bytes, **options: Any) -> Image:
    return decode_image(io.BytesIO(data), name="x.dcm", **options)


def grey(data: bytes, **options: Any) -> np.ndarray:
    pixels = read(data, **options).pixels
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def fault(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        read(data, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ways to store the same pixels


@pytest.mark.parametrize("syntax", PLAIN + COMPRESSED)
@pytest.mark.parametrize("shape", [(37, 41), (40, 48)])
def test_8_bit_grey(syntax: str, shape: tuple[int, int]):
    pixels = noise(*shape, top=60)
    assert (grey(written(dataset(pixels), syntax)) == pixels).all()


@pytest.mark.parametrize("syntax", PLAIN + COMPRESSED)
def test_rgb_with_odd_length(syntax: str):
    pixels = noise(37, 41, 3, top=60)
    assert (read(written(dataset(pixels, "RGB"), syntax)).pixels == pixels).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_in_dicom_that_ends_too_early_is_refused(mode: str):
    pixels = np.asarray(Pillow.fromarray(noise(64, 64, 3)).convert(mode))
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=90)
    made = dataset(pixels, "MONOCHROME2" if mode == "L" else "YBR_FULL_422")
    made.PixelData = encapsulate([file.getvalue()[: len(file.getvalue()) // 2] + b"\xff\xd9"])
    made["PixelData"].is_undefined_length = True
    assert "its data end above the last row" in fault(written(made, JPEGBaseline8Bit))


def test_planes_apart():
    pixels = noise(6, 5, 3)
    made = dataset(pixels, "RGB", PlanarConfiguration=1)
    made.PixelData = pixels.transpose(2, 0, 1).tobytes()
    assert (read(written(made)).pixels == pixels).all()


def test_ybr_full_and_422():
    colour = np.zeros((8, 8, 3), dtype=np.uint8)
    colour[:, :4], colour[:, 4:] = (200, 30, 60), (20, 90, 180)
    ybr = np.asarray(Pillow.fromarray(colour).convert("YCbCr"))
    found = read(written(dataset(ybr, "YBR_FULL"))).pixels
    assert np.abs(found.astype(int) - colour).max() <= 3
    made = dataset(ybr, "YBR_FULL_422")
    pairs = ybr.reshape(-1, 2, 3)
    made.PixelData = np.stack(
        [pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1
    ).tobytes()
    found = read(written(made)).pixels
    assert np.abs(found.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(bits: int):
    codes = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    made = dataset(codes, "PALETTE COLOR")
    scale = 257 if bits == 16 else 1
    for number, name in enumerate(("Red", "Green", "Blue")):
        entries = np.array([0, 50, 100, 255]) * scale // (number + 1)
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [4, 0, bits])
        table = entries.astype(np.uint16 if bits == 16 else np.uint8).tobytes()
        setattr(made, f"{name}PaletteColorLookupTableData", table)
    found = read(written(made)).pixels
    assert found[..., 0].tolist() == [[0, 50], [100, 255]]
    assert found[..., 1].ravel().tolist() == pytest.approx([0, 25, 50, 127], abs=1)


def test_segmented_palette():
    made = dataset(np.array([[0, 2, 4]], dtype=np.uint8), "PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [5, 0, 16])
        segments = np.array([0, 1, 0, 1, 4, 0xFFFF], dtype="<u2")  # 0, then a ramp in 4 steps
        setattr(made, f"Segmented{name}PaletteColorLookupTableData", segments.tobytes())
    assert grey(written(made)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_baseline(mode: str):
    ramp = Pillow.fromarray(np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))).convert(mode)
    file = io.BytesIO()
    ramp.save(file, "JPEG", quality=95)
    pixels = np.asarray(ramp)
    made = dataset(pixels, "MONOCHROME2" if mode == "L" else "YBR_FULL_422")
    made.PixelData = encapsulate([file.getvalue()])
    found = read(written(made, JPEGBaseline8Bit)).pixels
    assert np.abs(found.astype(int) - np.asarray(ramp.convert("RGB"))).max() <= 4


# from values to brightness


def test_inverse_greyscale():
    pixels = noise(4, 4)
    assert (grey(written(dataset(pixels, "MONOCHROME1"))) == 255 - pixels).all()
    shape = dataset(pixels, PresentationLUTShape="INVERSE")
    assert (grey(written(shape)) == 255 - pixels).all()
    both = dataset(pixels, "MONOCHROME1", PresentationLUTShape="INVERSE")
    assert (grey(written(both)) == 255 - pixels).all()


@pytest.mark.parametrize("syntax", PLAIN + COMPRESSED)
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_more_than_8_bits_without_a_window_span_what_is_there(bits: int, syntax: str):
    values = np.array([[100, 100 + 2 ** (bits - 2)], [100 + 2 ** (bits - 1), 100]], np.uint16)
    if syntax != RLELossless:
        values = np.tile(values, (20, 20))
    assert grey(written(dataset(values, bits=bits), syntax))[:2, :2].tolist() == [
        [0, 128],
        [255, 0],
    ]


def test_signed_values():
    values = np.array([[-1000, 0, 1000]], dtype=np.int16)
    assert grey(written(dataset(values, bits=12))).tolist() == [[0, 128, 255]]
    eight = np.array([[-128, 0, 127]], dtype=np.int8)
    assert grey(written(dataset(eight))).tolist() == [[0, 128, 255]]


def test_bits_above_those_stored_are_not_pixels():
    values = np.array([[0, 1000, 2000]], dtype=np.uint16)
    overlay = values | np.array([[0xF000, 0x1000, 0]], dtype=np.uint16)
    assert grey(written(dataset(overlay, bits=12))).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR", [0, 0, 128, 255, 255]), ("LINEAR_EXACT", [0, 0, 128, 255, 255])],
)
def test_window(function: str, expected: list[int]):
    values = np.array([[0, 1000, 1500, 2000, 4095]], dtype=np.uint16)
    made = dataset(values, bits=12, WindowCenter=[1500, 9], WindowWidth=[1000, 9])
    made.VOILUTFunction = function
    assert grey(written(made))[0].tolist() == pytest.approx(expected, abs=1)


def test_sigmoid_window_and_one_without_width():
    values = np.array([[0, 1500, 4095]], dtype=np.uint16)
    made = dataset(values, bits=12, WindowCenter=1500, WindowWidth=1000)
    made.VOILUTFunction = "SIGMOID"
    assert grey(written(made))[0].tolist() == pytest.approx([0, 128, 255], abs=1)
    none = dataset(values, bits=12, WindowCenter=1500, WindowWidth=0)
    assert grey(written(none))[0].tolist() == pytest.approx([0, 93, 255], abs=1)


def test_window_of_8_bits_inverts_after_it():
    made = dataset(np.array([[50, 100, 150]], np.uint8), "MONOCHROME1")
    made.WindowCenter, made.WindowWidth = 100.5, 101
    assert grey(written(made))[0].tolist() == pytest.approx([255, 128, 0], abs=1)


def test_rescale_and_window_in_its_units():
    values = np.array([[0, 1024, 2048]], dtype=np.uint16)
    made = dataset(values, bits=12, RescaleSlope=2, RescaleIntercept=-1024)
    made.WindowCenter, made.WindowWidth = 1024.5, 2049
    assert grey(written(made))[0].tolist() == pytest.approx([0, 128, 255], abs=1)


def lookup(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.array(entries, np.uint16).tobytes()
    item["LUTData"].VR = "OW"
    return item


def test_lookup_tables():
    values = np.array([[0, 1, 2, 3]], dtype=np.uint16)
    made = dataset(values, bits=12, VOILUTSequence=[lookup([0, 2048, 4095], 1, 12)])
    assert grey(written(made)).tolist() == [[0, 0, 128, 255]]
    modality = dataset(values, bits=12, ModalityLUTSequence=[lookup([3, 2, 1, 0], 0, 16)])
    assert grey(written(modality)).tolist() == [[255, 170, 85, 0]]


def test_a_long_table_of_8_bits():
    values = np.array([[0, 2048, 4095]], dtype=np.uint16)
    entries = np.linspace(0, 255, 4096).astype(int).tolist()
    made = dataset(values, bits=12, VOILUTSequence=[lookup(entries, 0, 8)])
    assert grey(written(made)).tolist() == [[0, 127, 255]]


# frames


def test_frames(tmp_path: Path):
    frames = noise(3, 37, 41, top=60)
    for syntax in PLAIN + COMPRESSED:
        data = written(dataset(frames, NumberOfFrames=3), syntax)
        for number in range(3):
            assert (grey(data, frame=number) == frames[number]).all()
        words = "x.dcm: has 3 frames, so there is no frame 3; the first is 0"
        assert fault(data, frame=3) == words
        path = tmp_path / f"{syntax}.dcm"
        path.write_bytes(data)
        assert count_frames(path) == 3
    assert "has one frame" in fault(written(dataset(frames[0])), frame=1)


def test_counting_and_one_frame_read_little(tmp_path: Path):
    frames = noise(50, 200, 200)
    path = tmp_path / "a.dcm"
    path.write_bytes(written(dataset(frames, NumberOfFrames=50)))

    class Counting(io.FileIO):
        total = 0

        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            Counting.total += len(data)
            return data

        def readinto(self, buffer: Any) -> int | None:
            count = super().readinto(buffer)
            Counting.total += count or 0
            return count

    with Counting(path) as file:
        assert (decode_image(file, name="a", frame=40).pixels[..., 0] == frames[40]).all()
    assert Counting.total < 4 * 200 * 200


# region and scale


def region(box: tuple[int, int, int, int], **tags: Any) -> Dataset:
    made = Dataset()
    made.RegionSpatialFormat, made.RegionDataType, made.RegionFlags = 1, 1, 0
    made.RegionLocationMinY0, made.RegionLocationMaxY1 = box[0], box[1] - 1
    made.RegionLocationMinX0, made.RegionLocationMaxX1 = box[2], box[3] - 1
    made.PhysicalUnitsXDirection = made.PhysicalUnitsYDirection = 3
    made.PhysicalDeltaX, made.PhysicalDeltaY = 0.01, 0.02
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def test_the_largest_region_of_tissue():
    pixels = noise(60, 80)
    regions = [
        region((0, 60, 0, 80), RegionSpatialFormat=3),  # a spectrum
        region((0, 60, 0, 80), RegionDataType=2),  # flow
        region((0, 20, 0, 20)),
        region((10, 50, 20, 70)),
    ]
    data = written(dataset(pixels, SequenceOfUltrasoundRegions=regions))
    image = read(data)
    assert (image.pixels[..., 0] == pixels[10:50, 20:70]).all()
    assert image.spacing == pytest.approx((0.2, 0.1))
    whole = read(data, region=False)
    assert whole.pixels.shape == (60, 80, 3)
    assert whole.spacing == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((0, 61, 30, 82), (60, 50)),  # devices count differently
        ((-5, 200, 30, 500), (60, 80)),  # stated for a larger image: not believed
        ((0, 63, 0, 50), (60, 80)),
        ((0, 50, 0, 83), (60, 80)),
        ((0, 50, -3, 50), (60, 80)),
        ((0, 60, 0, 80), (60, 80)),
        ((70, 90, 0, 80), (60, 80)),  # lies outside
        ((10, 20, 0, 80), (60, 80)),  # too small for an image
        ((50, 10, 60, 20), (60, 80)),  # corners exchanged
    ],
)
def test_regions_that_do_not_fit(box: tuple[int, int, int, int], shape: tuple[int, int]):
    item = region((0, 1, 0, 1))
    for name in ("MinY0", "MaxY1", "MinX0", "MaxX1"):
        item[f"RegionLocation{name}"].VR = "SL"
    item.RegionLocationMinY0, item.RegionLocationMaxY1 = box[0], box[1] - 1
    item.RegionLocationMinX0, item.RegionLocationMaxX1 = box[2], box[3] - 1
    data = written(dataset(noise(60, 80), SequenceOfUltrasoundRegions=[item]))
    assert read(data).pixels.shape[:2] == shape


def test_one_region_beyond_the_image_makes_all_of_them_doubtful():
    """All were stated for a larger image, and so was their scale."""
    regions = [region((0, 30, 0, 30)), region((100, 200, 0, 30), RegionDataType=2)]
    image = read(written(dataset(noise(60, 80), SequenceOfUltrasoundRegions=regions)))
    assert image.pixels.shape[:2] == (60, 80)
    assert image.spacing is None


def test_a_region_without_numbers():
    item = region((0, 30, 0, 30))
    del item.RegionLocationMaxX1
    made = dataset(noise(60, 80), SequenceOfUltrasoundRegions=[item])
    assert read(written(made)).pixels.shape[:2] == (60, 80)


@pytest.mark.parametrize(
    "name", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]
)
def test_scale_without_regions(name: str):
    made = dataset(noise(4, 4))
    setattr(made, name, [0.5, 0.25])
    assert read(written(made)).spacing == (0.5, 0.25)


def test_scale_of_a_volume_and_scales_that_are_none():
    measures, groups = Dataset(), Dataset()
    measures.PixelSpacing = [0.1, 0.2]
    groups.PixelMeasuresSequence = [measures]
    made = dataset(noise(4, 4), SharedFunctionalGroupsSequence=[groups])
    assert read(written(made)).spacing == (0.1, 0.2)
    for value in ([0, 0.1], [0.1], ""):
        assert read(written(dataset(noise(4, 4), PixelSpacing=value))).spacing is None
    units = region((0, 30, 0, 30), PhysicalUnitsXDirection=4)  # seconds
    made = dataset(noise(60, 80), SequenceOfUltrasoundRegions=[units], PixelSpacing=[0.3, 0.3])
    assert read(written(made)).spacing == (0.3, 0.3)


# what is no image, or not whole


def test_no_pixels():
    made = dataset(noise(4, 4))
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    for name in ("PixelData", "Rows", "Columns"):
        delattr(made, name)
    assert fault(written(made)) == (
        "x.dcm: is DICOM without an image (Encapsulated PDF Storage); name an image file"
    )
    empty = dataset(noise(4, 4))
    del empty.PixelData
    assert "no pixel data" in fault(written(empty)).lower()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *COMPRESSED])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.95])
def test_truncated(syntax: str, share: float):
    if syntax == JPEGLSLossless and share > 0.5:
        pytest.skip("CharLS takes five seconds to notice")
    data = written(dataset(noise(64, 64)), syntax)
    words = fault(data[: int(share * len(data))])
    assert words.startswith("x.dcm: ")  # a transfer syntax that was cut off is unknown


def test_without_preamble_and_without_syntax():
    pixels = noise(5, 6)
    for syntax in PLAIN[:3]:
        made = dataset(pixels)
        made.file_meta.TransferSyntaxUID = syntax
        file = io.BytesIO()
        little = syntax != ExplicitVRBigEndian
        implicit = syntax == ImplicitVRLittleEndian
        del made.file_meta
        made.save_as(file, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
        assert (grey(file.getvalue()) == pixels).all()


def test_compressed_without_a_syntax():
    made = dataset(noise(8, 8))
    made.compress(RLELossless)
    del made.file_meta
    made.PixelData = bytes(made.PixelData)
    made["PixelData"].is_undefined_length = False
    file = io.BytesIO()
    made.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert "does not say how it is compressed" in fault(file.getvalue())


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (bytes(128) + b"DICM", True),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", True),
        (b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100", True),
        (b"\0\x08\0\x05CS\0\x0aISO_IR 100", True),
        (b"\x08\0", False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", False),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1", False),
        (b"II*\0\x08\0\0\0\x0c\0\0\1", False),
        (bytes(132), False),
        (b"hello, world, this is text", False),
    ],
)
def test_what_is_dicom(head: bytes, expected: bool):
    assert is_dicom(head) is expected


def test_videos_and_missing_decoders(monkeypatch: pytest.MonkeyPatch):
    made = dataset(noise(8, 8))
    made.PixelData = encapsulate([b"\0\0\1"])
    assert "is a video (HEVC/H.265" in fault(written(made, HEVCMP51))
    twelve = dataset(noise(8, 8, dtype=np.uint16), bits=12)
    twelve.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    data = written(twelve, JPEGExtended12Bit)
    assert "of 12 bits, which nothing here decodes; save it uncompressed" in fault(data)
    from pydicom.pixels.decoders import HTJ2KDecoder

    monkeypatch.setattr(HTJ2KDecoder, "_available", {})
    made = dataset(noise(8, 8))
    made.PixelData = encapsulate([b"\xff\x4f\xff\x51"])
    assert "without a decoder; install agfnet[dicom]" in fault(written(made, HTJ2K))


def test_32_bits_and_four_channels():
    deep = dataset(noise(4, 4, dtype=np.uint32), bits=32)
    assert "has 32 bits per pixel" in fault(written(deep))
    argb = dataset(noise(4, 4, 3), "RGB")
    argb.SamplesPerPixel, argb.PixelData = 4, bytes(64)
    assert fault(written(argb))


@pytest.mark.parametrize("colours", ["HSV", "ARGB", "YBR_PARTIAL_422", "YBR_PARTIAL_420"])
def test_retired_colours_are_never_shown_as_rgb(colours: str):
    made = dataset(noise(4, 4, 3), "RGB")
    made.PhotometricInterpretation = colours
    assert f"has {colours} colours, which are not read; export" in fault(written(made))


def test_without_pydicom(monkeypatch: pytest.MonkeyPatch):
    data = written(dataset(noise(4, 4)))
    genuine = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".")[0] == "pydicom":
            raise ImportError(name)
        return genuine(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert fault(data) == "x.dcm: is DICOM; install agfnet[dicom] to read it"


# the files inside pydicom

READ = {
    "693_J2KI.dcm": (512, 512),
    "ExplVR_BigEnd.dcm": (60, 80),
    "GDCMJ2K_TextGBR.dcm": (400, 400),
    "J2K_pixelrep_mismatch.dcm": (512, 512),
    "JPEG2000.dcm": (1024, 256),
    "JPEGLSNearLossless_08.dcm": (45, 10),
    "JPEGLSNearLossless_16.dcm": (50, 10),
    "MR_small.dcm": (64, 64),
    "MR_small_RLE.dcm": (64, 64),
    "MR_small_bigendian.dcm": (64, 64),
    "MR_small_expb.dcm": (64, 64),
    "MR_small_implicit.dcm": (64, 64),
    "MR_small_jp2klossless.dcm": (64, 64),
    "MR_small_jpeg_ls_lossless.dcm": (64, 64),
    "MR_small_padded.dcm": (64, 64),
    "SC_rgb_jpeg.dcm": (256, 256),
    "SC_rgb_rle_16bit_2frame.dcm": (100, 100),
    "SC_rgb_small_odd.dcm": (3, 3),
    "SC_rgb_small_odd_big_endian.dcm": (3, 3),
    "SC_rgb_small_odd_jpeg.dcm": (3, 3),
    "examples_jpeg2k.dcm": (480, 640),
    "examples_palette.dcm": (350, 800),  # its regions were stated for a larger image
    "examples_rgb_color.dcm": (240, 320),
    "examples_ybr_color.dcm": (240, 320),  # likewise
    "image_dfl.dcm": (512, 512),
    "liver_1frame.dcm": (512, 512),
}
REFUSED = {
    "JPEG-lossy.dcm": "of 12 bits, which nothing here decodes",
    "JPEG2000-embedded-sequence-delimiter.dcm": "is damaged or truncated",
    "MR_truncated.dcm": "is damaged or truncated",
    "README.txt": "is not an image",
    "SC_rgb_rle_32bit.dcm": "has 32 bits per pixel",
    "reportsi.dcm": "is DICOM without an image (Basic Text SR Storage)",
    "rtplan_truncated.dcm": "is DICOM without an image (RT Plan Storage)",
    "waveform_ecg.dcm": "is DICOM without an image (12-lead ECG Waveform Storage)",
}


def shipped(name: str) -> Path:
    path = SHIPPED / name
    if not path.is_file():
        pytest.skip(f"pydicom has no {name} any more")
    return path


@pytest.mark.parametrize("name", READ)
def test_real_files(name: str):
    pixels = read_image(shipped(name)).pixels
    assert pixels.shape == (*READ[name], 3)
    assert np.ptp(pixels) > 50


@pytest.mark.parametrize("name", REFUSED)
def test_real_files_that_are_refused(name: str):
    with pytest.raises(ImageError) as caught:
        read_image(shipped(name))
    assert str(caught.value).startswith(f"{SHIPPED / name}: ")
    assert REFUSED[name] in str(caught.value)


def test_one_picture_in_many_ways():
    """The colour bars that dcmtk and GDCM wrote in every way they know."""
    bars = read_image(shipped("SC_rgb_small_odd.dcm")).pixels
    assert np.abs(read_image(shipped("SC_rgb_small_odd_big_endian.dcm")).pixels - bars).max() == 0
    first = read_image(shipped("SC_rgb_rle.dcm")).pixels.astype(int)
    for path in sorted(SHIPPED.glob("SC_rgb_*.dcm")):
        if "small" in path.name or "32bit" in path.name or path.stat().st_size == 0:
            continue
        pixels = read_image(path).pixels
        if pixels.shape == first.shape:
            assert np.abs(pixels - first).mean() < 6, path.name
    mr = read_image(shipped("MR_small.dcm")).pixels
    for path in sorted(SHIPPED.glob("MR_small_*.dcm")):
        assert (read_image(path).pixels == mr).all(), path.name


def test_a_real_cine():
    path = shipped("examples_ybr_color.dcm")
    assert count_frames(path) == 30
    first, last = (read_image(path, frame=number) for number in (0, 29))
    assert (first.pixels != last.pixels).any()
    assert first.spacing is None  # stated for a larger image


@pytest.mark.parametrize("mark", [True, False])
def test_lossless_jpeg(mark: bool):
    """With and without the marker by which Adobe says that there was no conversion of colours."""
    made = pydicom.dcmread(shipped("SC_rgb_jpeg_gdcm.dcm"))
    assert made.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    stream = get_frame(made.PixelData, 0, number_of_frames=1)
    if not mark:
        start = stream.index(b"\xff\xee")
        stream = (
            stream[:start] + stream[start + 2 + int.from_bytes(stream[start + 2 : start + 4]) :]
        )
    made.PixelData = encapsulate([stream])
    file = io.BytesIO()
    made.save_as(file)
    expected = read_image(shipped("SC_rgb_rle.dcm")).pixels
    assert (read(file.getvalue()).pixels == expected).all()


def test_nothing_leaks(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in (*READ, *REFUSED):
            try:
                read_image(shipped(name))
            except ImageError:
                continue
    assert logging.getLogger("agfnet").handlers == []
    assert capfd.readouterr() == ("", "")


# every file inside pydicom, and what they do not show


@pytest.mark.parametrize(
    "path",
    sorted(path for path in SHIPPED.rglob("*") if path.is_file() and path.suffix != ".pyc"),
    ids=lambda path: str(path.relative_to(SHIPPED)),
)
def test_every_shipped_file_is_read_or_refused_by_name(path: Path):
    shapes, refusal = set(), ""
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")  # an error would pass for a damaged file
        try:
            for frame in range(count_frames(path)):
                shapes.add(read_image(path, frame=frame).pixels.shape)
        except ImageError as error:
            refusal = str(error)
    assert [str(warning.message) for warning in leaked] == []
    if refusal:
        assert refusal.startswith(f"{path}: ")
        assert "expected" in refusal or "; " in refusal  # how to mend it
    else:
        assert [shape[2:] for shape in shapes] == [(3,)]


@pytest.mark.parametrize(
    "name",
    [
        *("SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_ybr_color.dcm"),
        *("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"),
        *("SC_rgb_dcmtk_+eb+cr.dcm", "examples_jpeg2k.dcm", "GDCMJ2K_TextGBR.dcm"),
    ],
)
def test_colours_are_those_of_pydicom(name: str):
    path = shipped(name)
    expected = pydicom.dcmread(path).pixel_array
    expected = expected if expected.ndim == 4 else expected[None]
    assert count_frames(path) == len(expected)
    for number in {0, len(expected) // 2, len(expected) - 1}:
        pixels = read_image(path, frame=number, region=False).pixels
        np.testing.assert_array_equal(pixels, expected[number])


@pytest.mark.parametrize(("raw", "expected"), [(b"\x0f", 127.5), (b"\xff", 255), (b"\0", 0)])
def test_a_mask_of_one_bit(raw: bytes, expected: float):
    made = dataset(np.zeros((4, 4), np.uint8), bits=1, BitsAllocated=1, PixelData=raw * 2)
    assert grey(written(made)).mean() == expected


def test_values_in_the_upper_bits_are_refused():
    made = dataset(noise(4, 4, dtype=np.uint16) << 4, bits=12, HighBit=15)
    assert "12 bits up to bit 15; save it with 11 as HighBit" in fault(written(made))


def test_a_smaller_side_keeps_the_scale_right():
    """The scale belongs to the pixels that come back, however few were asked for."""
    data = written(dataset(noise(60, 80), PixelSpacing=[0.1, 0.2]))
    whole, small = read(data), read(data, side=8)
    assert small.pixels.shape == whole.pixels.shape
    assert small.spacing == whole.spacing == (0.1, 0.2)


@pytest.mark.parametrize("end", [1, 8, 100, 130, 132, 140, 160, 300, 400])
def test_truncated_header(end: int):
    data = written(dataset(noise(40, 60)))
    assert data.index(b"\xe0\x7f\x10\0") > 400
    assert fault(data[:end]).startswith("x.dcm: ")


@pytest.mark.parametrize(
    "tags",
    [
        *({"Rows": 0}, {"Rows": 65535, "Columns": 65535}),
        {"PhotometricInterpretation": "PALETTE COLOR"},
    ],
    ids=str,
)
def test_headers_that_lie(tags: dict[str, Any]):
    assert "; copy or export it again" in fault(written(dataset(noise(4, 4), **tags)))


def test_any_byte_of_a_file_may_be_wrong():
    """Nothing but an image or an ImageError."""
    made = dataset(noise(4, 4), WindowCenter=100, WindowWidth=100)
    data, rng = written(made), np.random.default_rng(0)
    for position in range(132, len(data), 3):
        broken = bytearray(data)
        broken[position] = rng.integers(256)
        try:
            read(bytes(broken))
        except ImageError:
            continue


# one frame of a file by its name


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three frames, of 0, 1 and 2."""
    path = tmp_path / "scan.dcm"
    stack = np.repeat(np.arange(3, dtype=np.uint8), 4).reshape(3, 2, 2)
    path.write_bytes(written(dataset(stack, NumberOfFrames=3, PixelSpacing=[0.1, 0.2])))
    return path


@pytest.mark.parametrize("number", range(3))
def test_a_named_frame(sweep: Path, number: int):
    named = f"{sweep}#{number}"
    assert (count_frames(sweep), count_frames(named)) == (3, 1)
    assert (read_image(named).pixels == number).all()
    assert read_image(named).spacing == (0.1, 0.2)


def test_a_named_frame_that_is_not_there(sweep: Path):
    for use in (read_image, count_frames):
        with pytest.raises(ImageError, match=r"scan\.dcm: has 3 frames, so there is no frame 3"):
            use(f"{sweep}#3")
    with pytest.raises(ImageError, match=r"scan\.dcm#1: has one frame, so there is no frame 1"):
        read_image(f"{sweep}#1", frame=1)


def test_a_file_named_like_a_frame_wins(sweep: Path):
    Pillow.new("RGB", (5, 5), (9, 9, 9)).save(f"{sweep}#1", "PNG")
    assert (read_image(f"{sweep}#1").pixels == 9).all()
    assert (read_image(f"{sweep}#2").pixels == 2).all()


@pytest.mark.parametrize("name", ["scan#.dcm", "scan.dcm#", "scan#1.dcm", "#1", "scan.dcm#-1"])
def test_other_names_with_that_sign(sweep: Path, name: str):
    path = sweep.rename(sweep.with_name(name))
    assert count_frames(path) == 3
    assert (read_image(path, frame=2).pixels == 2).all()


@pytest.mark.slow
def test_damaged_bytes_give_an_image_or_an_image_error():
    frames = noise(2, 37, 41, top=60)
    made = {"NumberOfFrames": 2, "SequenceOfUltrasoundRegions": [region((0, 30, 0, 30))]}
    files = [written(dataset(frames, **made), syntax) for syntax in PLAIN + COMPRESSED]

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(files),
        st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=6),
    )
    def check(data: bytes, changes: list[tuple[int, int]]) -> None:
        damaged = bytearray(data)
        for place, value in changes:
            damaged[place % len(damaged)] = value
        with contextlib.suppress(ImageError):
            read(bytes(damaged))

    check()


# what the header states wrongly, or not at all


@pytest.mark.parametrize("value", [[], ""])
@pytest.mark.parametrize(
    "name", ["Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"]
)
def test_missing_attributes_are_named(name: str, value: Any):
    made = dataset(noise(4, 4))
    if value == []:
        delattr(made, name)
    else:
        setattr(made, name, None)
    assert fault(written(made)) == f"x.dcm: is incomplete: it has no {name}; export it again"


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("name", ["PixelRepresentation", "PlanarConfiguration", "BitsStored"])
def test_attributes_that_have_a_default(name: str, syntax: str):
    pixels = noise(4, 5, 3)
    made = dataset(pixels, "RGB")
    delattr(made, name)
    assert (read(written(made, syntax)).pixels == pixels).all()


@pytest.mark.parametrize("name", ["PixelRepresentation", "PlanarConfiguration"])
def test_compressed_without_these_attributes(name: str):
    pixels = noise(16, 16, 3)
    made = dataset(pixels, "RGB")
    made.compress(RLELossless)
    delattr(made, name)
    data = written(made, ExplicitVRLittleEndian).replace(
        b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"
    )
    if name == "PixelRepresentation":
        assert (read(data).pixels == pixels).all()


@pytest.mark.parametrize("uid", ["1.2.840.113619.5.2", "1.3.46.670589.33.1.4.1", "1.2.3"])
def test_private_transfer_syntaxes_are_named(uid: str, tmp_path: Path):
    made = dataset(noise(4, 4))
    made.file_meta.TransferSyntaxUID = uid
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, implicit_vr=False, little_endian=True, enforce_file_format=True)
    data = file.getvalue()
    assert f"has the transfer syntax {uid}, which is private or unknown" in fault(data)
    (tmp_path / "a.dcm").write_bytes(data)
    with pytest.raises(ImageError, match="private or unknown"):
        count_frames(tmp_path / "a.dcm")


@pytest.mark.parametrize("stated", [None, 1, 2])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, *COMPRESSED]
)
def test_more_frames_than_stated(syntax: str, stated: int | None, tmp_path: Path):
    made = dataset(noise(5, 37, 41, top=60), NumberOfFrames=5)
    data = written(made, syntax)
    number = (
        data.index(b"\x28\0\x08\0")
        if syntax != ExplicitVRBigEndian
        else data.index(b"\0\x28\0\x08")
    )
    header = 8
    assert data[number + header : number + header + 2] == b"5 "
    value = b"  " if stated is None else f"{stated} ".encode()
    data = data[: number + header] + value + data[number + header + 2 :]
    words = "its pixel data holds 5 frames; correct NumberOfFrames"
    assert words in fault(data)
    (tmp_path / "a.dcm").write_bytes(data)
    with pytest.raises(ImageError, match=words):
        count_frames(tmp_path / "a.dcm")


@pytest.mark.parametrize("colour", [False, True])
def test_more_jpeg_frames_than_stated(colour: bool):
    pixels = noise(16, 16, 3) if colour else noise(16, 16)
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG")
    made = dataset(pixels, "YBR_FULL_422" if colour else "MONOCHROME2")
    made.PixelData = encapsulate([file.getvalue()] * 3)
    assert "states no NumberOfFrames, but its pixel data holds 3" in fault(
        written(made, JPEGBaseline8Bit)
    )


def test_a_frame_in_several_fragments_is_one_frame():
    file = io.BytesIO()
    Pillow.fromarray(noise(64, 64)).save(file, "JPEG")
    made = dataset(noise(64, 64))
    made.PixelData = encapsulate([file.getvalue()], fragments_per_frame=3)
    assert read(written(made, JPEGBaseline8Bit)).pixels.shape == (64, 64, 3)


def test_a_padded_end_is_no_frame():
    pixels = noise(8, 8)
    made = dataset(pixels)
    made.PixelData = pixels.tobytes() + bytes(40)
    assert (grey(written(made)) == pixels).all()


@pytest.mark.parametrize("shape", [(12, 15), (11, 16), (10, 18)])
def test_pixel_data_of_more_pixels_than_stated_is_refused(shape: tuple[int, int]):
    """Rows of another length would be read as a slanted picture."""
    made = dataset(noise(12, 16))
    made.Rows, made.Columns = shape
    words = f"states {shape[1]} x {shape[0]} pixels, but its pixel data holds more; correct Rows"
    assert words in fault(written(made))


def test_a_header_whose_pixel_data_were_removed():
    made = dataset(noise(8, 8))
    del made.PixelData
    assert "has no pixel data; export it again" in fault(written(made))


def test_a_number_of_frames_that_is_none():
    made = dataset(noise(2, 4, 4), NumberOfFrames=2)
    data = written(made).replace(b"IS\2\0002 ", b"IS\2\000x ")
    assert "no valid number in NumberOfFrames" in fault(data)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_no_value(dtype: Any, photometric: str):
    padding = np.iinfo(dtype).min if dtype == np.int16 else np.iinfo(dtype).max
    values = np.array([[padding, 100, 200, 300, padding]], dtype=dtype)
    made = dataset(values, photometric, bits=16)
    made.add_new(0x00280120, "SS" if dtype == np.int16 else "US", int(padding))
    expected = [0, 0, 128, 255, 0] if photometric == "MONOCHROME2" else [0, 255, 128, 0, 0]
    assert grey(written(made))[0].tolist() == pytest.approx(expected, abs=1)


def test_a_range_of_padding_and_one_stated_without_sign():
    values = np.array([[-2000, -1990, 0, 100]], dtype=np.int16)
    made = dataset(values, bits=16)
    made.add_new(0x00280120, "SS", -2000)
    made.add_new(0x00280121, "SS", -1990)
    assert grey(written(made)).tolist() == [[0, 0, 0, 255]]
    values = np.array([[-32768, 0, 100]], dtype=np.int16)
    made = dataset(values, bits=16)
    made.add_new(0x00280120, "US", 32768)
    assert grey(written(made)).tolist() == [[0, 0, 255]]


def test_nothing_but_padding():
    made = dataset(np.full((2, 2), 7, np.uint16), bits=16)
    made.add_new(0x00280120, "US", 7)
    assert (grey(written(made)) == 0).all()


def with_text(made: Dataset, **texts: str) -> bytes:
    """A file with text in place of decimal numbers."""
    for digit, (name, text) in enumerate(texts.items(), start=1):
        setattr(made, name, f"{digit}" * len(text))
    data = written(made)
    for digit, text in enumerate(texts.values(), start=1):
        data = data.replace(f"{digit}".encode() * len(text), text.encode(), 1)
    return data


def test_decimal_commas():
    values = np.array([[0, 1000, 1500, 2000, 4095]], dtype=np.uint16)
    commas = with_text(dataset(values, bits=12), WindowCenter="1500,5 ", WindowWidth="999,00  ")
    points = with_text(dataset(values, bits=12), WindowCenter="1500.5 ", WindowWidth="999.00  ")
    assert (grey(commas) == grey(points)).all()
    commas = with_text(dataset(values, bits=12), RescaleSlope="2,0 ", RescaleIntercept="-10,5 ")
    assert grey(commas).tolist() == grey(written(dataset(values, bits=12))).tolist()


def test_decimal_commas_of_the_pixel_spacing():
    made = dataset(noise(4, 4), PixelSpacing=[0.25, 0.75])
    data = written(made).replace(b"0.25\\0.75", b"0,25\\0,75")
    assert b"0,25" in data
    assert read(data).spacing == (0.25, 0.75)


@pytest.mark.parametrize("text", ["NaN ", "inf ", "abc ", "1,2,"])
@pytest.mark.parametrize("name", ["WindowCenter", "WindowWidth"])
def test_windows_without_a_number_are_named(name: str, text: str):
    other = "WindowWidth" if name == "WindowCenter" else "WindowCenter"
    made = dataset(noise(4, 4), **{other: 100})
    assert f"no valid number in {name}" in fault(with_text(made, **{name: text}))


# colours of JPEG


SKIN = np.stack(
    [
        np.clip(np.add.outer(np.linspace(90, 200, 40), np.linspace(-30, 40, 48)), 0, 255),
        np.clip(np.add.outer(np.linspace(60, 150, 40), np.linspace(-30, 40, 48)), 0, 255),
        np.clip(np.add.outer(np.linspace(50, 130, 40), np.linspace(-20, 50, 48)), 0, 255),
    ],
    axis=2,
).astype(np.uint8)


def jpeg_stream(pixels: np.ndarray, *, ycbcr: bool, marker: bool) -> bytes:
    """A JPEG of RGB or of YCbCr, with the marker that says so or without."""
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=95, keep_rgb=not ycbcr, subsampling=0)
    data = file.getvalue()
    kind = b"\xff\xe0" if ycbcr else b"\xff\xee"
    if not marker and kind in data:
        start = data.index(kind)
        data = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]
    if not marker and not ycbcr:  # the names of the components say it too
        frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
        data = bytearray(data)
        for number in range(3):
            data[frame + 10 + 3 * number] = data[scan + 5 + 2 * number] = number + 1
    return bytes(data)


@pytest.mark.parametrize("scene", ["skin", "ultrasound"])
@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("ycbcr", [True, False])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422"])
def test_colours_of_jpeg_are_what_the_jpeg_holds(
    photometric: str, ycbcr: bool, marker: bool, scene: str
):
    if photometric != "RGB" and not ycbcr and not marker:
        pytest.skip("nothing but the picture itself could tell, and the header agrees with libjpeg")
    pixels = SKIN if scene == "skin" else np.repeat(SKIN[..., :1], 3, axis=2)
    made = dataset(pixels, photometric)
    made.PixelData = encapsulate([jpeg_stream(pixels, ycbcr=ycbcr, marker=marker)])
    found = read(written(made, JPEGBaseline8Bit)).pixels
    assert np.abs(found.astype(int) - pixels).max() <= 12


@pytest.mark.parametrize("name", ["Rows", "BitsStored", "SamplesPerPixel"])
def test_two_numbers_where_one_is_expected(name: str):
    file = io.BytesIO()
    Pillow.fromarray(noise(8, 8)).save(file, "JPEG")
    made = dataset(noise(8, 8), **{name: [8, 8]})
    made.PixelData = encapsulate([file.getvalue()])
    assert f"no valid number in {name} ([8, 8]); correct it" in fault(
        written(made, JPEGBaseline8Bit)
    )


def test_a_jpeg_of_another_size_is_named():
    file = io.BytesIO()
    Pillow.fromarray(noise(8, 8)).save(file, "JPEG")
    made = dataset(noise(8, 9))
    made.PixelData = encapsulate([file.getvalue()])
    assert "states 8 x 9 pixels" in fault(written(made, JPEGBaseline8Bit))


def test_12_bits_called_16_in_colour():
    pixels = np.rint(SKIN / 255 * 4095).astype(np.uint16)
    found = read(written(dataset(pixels, "RGB", bits=16))).pixels
    assert np.abs(found.astype(int) - SKIN).max() <= 1


# what programs state that is not so


def smooth(*, rows: int = 32, columns: int = 32) -> np.ndarray:
    """Colours as of skin, which do not vary much from pixel to pixel."""
    light = np.linspace(80, 230, rows * columns).reshape(rows, columns)
    return np.stack([light, 0.7 * light, 0.6 * light], axis=2).astype(np.uint8)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("mode", ["RGB", "YCbCr"])
def test_whole_colours_that_are_stated_as_subsampled(mode: str, frames: int):
    colour = smooth()
    stored = np.asarray(Pillow.fromarray(colour).convert(mode))
    made = dataset(np.stack([stored] * frames), "YBR_FULL_422", NumberOfFrames=frames)
    data = written(made)
    for number in range(frames):
        found = read(data, frame=number).pixels
        assert np.abs(found.astype(int) - colour).max() <= 3


def test_explicit_values_that_are_stated_as_implicit():
    pixels = noise(37, 41)
    data = written(dataset(pixels)).replace(
        ExplicitVRLittleEndian.encode(), b"1.2.840.10008.1.2\0\0"
    )
    assert (grey(data) == pixels).all()


def test_jpeg_that_is_stated_as_jpeg_2000_and_the_reverse():
    colour = smooth()
    stream = io.BytesIO()
    Pillow.fromarray(colour).save(stream, "JPEG", quality=95)
    made = dataset(colour, "YBR_FULL_422")
    made.PixelData = encapsulate([stream.getvalue()])
    found = read(written(made, JPEGBaseline8Bit)).pixels
    assert np.abs(found.astype(int) - colour).max() <= 8
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    assert (read(file.getvalue()).pixels == found).all()
    made.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(100)])
    assert "states JPEG, but its frames are not JPEG" in fault(written(made, JPEGBaseline8Bit))


def test_floating_point_values_are_refused():
    made = dataset(noise(8, 8))
    del made.PixelData
    made.FloatPixelData, made.BitsAllocated = np.zeros((8, 8), "<f4").tobytes(), 32
    assert "has floating point values" in fault(written(made))


def test_a_slope_of_zero_is_refused():
    made = dataset(noise(8, 8), RescaleSlope="0", RescaleIntercept="0")
    assert "has a RescaleSlope of 0" in fault(written(made))
    colour = dataset(smooth(), "RGB", RescaleSlope="0")  # not used for colours
    assert (read(written(colour)).pixels == smooth()).all()


@pytest.mark.parametrize(
    "name", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
)
def test_display_and_spacing_of_a_frame_in_functional_groups(name: str):
    values = np.stack([np.arange(16, dtype=np.uint16).reshape(4, 4) * 10] * 2)
    groups = []
    for width in (4096, 256):
        window, scale, measures = Dataset(), Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = str(width // 2), str(width)
        scale.RescaleSlope, scale.RescaleIntercept = "2", "0"
        measures.PixelSpacing = ["0.1", "0.2"]
        group = Dataset()
        group.FrameVOILUTSequence = [window]
        group.PixelValueTransformationSequence = [scale]
        group.PixelMeasuresSequence = [measures]
        groups.append(group)
    shared = name.startswith("Shared")
    made = dataset(values, bits=12, NumberOfFrames=2, **{name: groups[: 1 if shared else 2]})
    data = written(made)
    for number, width in enumerate((4096, 4096) if shared else (4096, 256)):
        plain = dataset(values[number], bits=12, RescaleSlope="2", RescaleIntercept="0")
        plain.WindowCenter, plain.WindowWidth = str(width // 2), str(width)
        assert (grey(data, frame=number) == grey(written(plain))).all()
        assert read(data, frame=number).spacing == (0.1, 0.2)


def test_lookup_tables_of_one_byte_per_entry_and_of_big_endian_files():
    values = np.array([[0, 1, 2, 3]], dtype=np.uint8)
    table = lookup([0, 50, 100, 255], 0, 8)
    table.LUTData = bytes([0, 50, 100, 255])
    assert grey(written(dataset(values, VOILUTSequence=[table]))).tolist() == [[0, 50, 100, 255]]
    table = lookup([0, 50, 100, 255], 0, 8)
    table.LUTData = np.array([0, 50, 100, 255], ">u2").tobytes()
    made = dataset(values, VOILUTSequence=[table])
    assert grey(written(made, ExplicitVRBigEndian)).tolist() == [[0, 50, 100, 255]]


def test_a_negative_first_value_of_a_lookup_table_as_an_unsigned_number():
    values = np.array([[-2, -1, 0, 1]], dtype=np.int16)
    table = lookup([0, 50, 100, 255], 2**16 - 2, 8)
    table["LUTDescriptor"].VR = "US"
    made = dataset(values, bits=12, VOILUTSequence=[table])
    assert grey(written(made)).tolist() == [[0, 50, 100, 255]]


def test_a_negative_slope_inverts_within_a_window_too():
    values = np.array([[0, 1024, 2048, 4095]], dtype=np.uint16)
    made = dataset(values, bits=12, RescaleSlope="-1", RescaleIntercept="4095")
    plain = grey(written(made))[0].tolist()
    made.WindowCenter, made.WindowWidth = 2048, 4096
    assert grey(written(made))[0].tolist() == plain == [255, 191, 127, 0]
    made.PhotometricInterpretation = "MONOCHROME1"
    assert grey(written(made))[0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize(
    ("tags", "low", "high"),
    [
        ({"RescaleIntercept": "-1000"}, -1000, 3095),
        ({"RescaleSlope": "2"}, 0, 8190),
        ({"RescaleSlope": "", "RescaleIntercept": "-1000"}, -1000, 3095),
        ({"RescaleSlope": "2", "RescaleIntercept": ""}, 0, 8190),
    ],
)
def test_a_slope_or_an_intercept_alone(tags: dict[str, str], low: int, high: int):
    values = np.array([[0, 2048, 4095]], dtype=np.uint16)
    made = dataset(values, bits=12, **tags)
    made.WindowCenter, made.WindowWidth = (low + high + 1) / 2, high - low + 1
    assert grey(written(made))[0].tolist() == pytest.approx([0, 128, 255], abs=1)


@pytest.mark.parametrize("stated", ["YBR_FULL", "YBR_FULL_422", "YBR_RCT", "RGB"])
@pytest.mark.parametrize("transformed", [True, False])
def test_colours_of_jpeg_2000_whatever_the_header_says(stated: str, transformed: bool):
    if not transformed and stated == "RGB":
        pytest.skip("a header that is believed")
    colour = smooth()
    stored = colour if transformed else np.asarray(Pillow.fromarray(colour).convert("YCbCr"))
    stream = encode_array(stored, bits_stored=8, photometric_interpretation=1, use_mct=transformed)
    made = dataset(colour, stated)
    made.PixelData = encapsulate([stream])
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    assert np.abs(read(file.getvalue()).pixels.astype(int) - colour).max() <= 3


def test_empty_pixel_data():
    assert "has no pixel data" in fault(written(dataset(noise(8, 8), PixelData=b"")))


@pytest.mark.parametrize(
    ("tags", "aspect"),
    [
        ({"PixelSpacing": [0.02, 0.01]}, 2),
        ({"PixelAspectRatio": [1, 4]}, 0.25),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.1, 0.1]}, 1),  # lengths are more exact
        ({"SequenceOfUltrasoundRegions": [region((0, 60, 0, 80))]}, 2),
        ({"PixelSpacing": [0.1, 0.1005]}, 1),  # rounded
        ({"PixelAspectRatio": [100, 1]}, 1),  # a mistake
        ({"PixelAspectRatio": [0, 1]}, 1),
        ({}, 1),
    ],
)
def test_pixels_that_are_not_square(tags: dict[str, Any], aspect: float):
    assert read(written(dataset(noise(60, 80), **tags))).aspect == pytest.approx(aspect)


@pytest.mark.parametrize("by_plane", [False, True])
@pytest.mark.parametrize("colours", [1, 3])
def test_uncompressed_pixels_whose_end_was_never_copied_are_refused(colours: int, by_plane: bool):
    pixels = smooth(rows=64, columns=64)
    made = dataset(pixels[..., 0]) if colours == 1 else dataset(pixels, "RGB")
    if by_plane and colours == 3:
        made.PlanarConfiguration = 1
        made.PixelData = np.moveaxis(pixels, -1, 0).tobytes()
    read(written(made))
    whole = made.PixelData
    at = len(whole) * 42 // 100
    made.PixelData = whole[:at] + bytes(len(whole) - at)
    assert "is damaged or truncated: its data end in row" in fault(written(made))
