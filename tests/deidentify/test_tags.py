from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from agfnet.data.dicom import is_dicom
from agfnet.deidentify.names import Names
from agfnet.deidentify.tags import deidentify_dicom
from agfnet.errors import ImageError

from .conftest import FRAMES, WriteDicom, jpeg_frames

KEY = b"0123456789abcdef"
SECRETS = (
    *("Mueller", "MUELLER", "Anna", "MRN-4711", "041Y", "Elsewhere", "House", "ACC-99"),
    *("ROOM-5", "SN-123", "1.2.3.", "19800203", "20210405", "101112", "20200101"),
)


@pytest.mark.parametrize("jpeg", [False, True])
def test_no_secret_stays_and_every_pixel_does(
    tmp_path: Path, write_dicom: WriteDicom, jpeg: bool
) -> None:
    source = write_dicom(tmp_path / "a.dcm", jpeg=jpeg)
    assert not deidentify_dicom(source, tmp_path / "b.dcm", Names(KEY))
    before, after = source.read_bytes(), (tmp_path / "b.dcm").read_bytes()
    assert [secret for secret in SECRETS if secret.encode() not in before] == []
    assert [secret for secret in SECRETS if secret.encode() in after] == []
    image = dcmread(tmp_path / "b.dcm")
    if jpeg:
        original = [frame.replace(b"\xff\xfe\x00\x0eAnna Mueller", b"") for frame in jpeg_frames()]
        frames = list(generate_frames(image.PixelData, number_of_frames=3))
        assert [f.rstrip(b"\0") for f in frames] == [f.rstrip(b"\0") for f in original]
    else:
        assert image.PixelData == FRAMES.tobytes()
    assert image.PatientIdentityRemoved == "YES"
    assert image.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert (image.PatientName, image.PatientBirthDate, image.StudyDate) == ("", "", "")
    assert image.PatientID == Names(KEY).name("patient", "MRN-4711")
    assert image.SequenceOfUltrasoundRegions[0].PhysicalDeltaX == 0.002
    assert (image.Modality, image.Manufacturer, image.Laterality) == ("US", "Acme", "L")
    assert 0x60003000 not in image


def test_uids_stay_together(tmp_path: Path, write_dicom: WriteDicom) -> None:
    names = Names(KEY)
    images = []
    for number, series in enumerate(("1.2.3.1", "1.2.3.2")):
        source = write_dicom(tmp_path / f"{number}.dcm", series=series)
        deidentify_dicom(source, tmp_path / "new.dcm", names)
        images.append(dcmread(tmp_path / "new.dcm"))
    first, second = images
    assert first.StudyInstanceUID == second.StudyInstanceUID == names.uid("1.2.3.0")
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    referenced = first.SourceImageSequence[0]
    assert referenced.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert referenced.ReferencedSOPClassUID == first.SOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID


def test_the_key_decides(tmp_path: Path, write_dicom: WriteDicom) -> None:
    source = write_dicom(tmp_path / "a.dcm")
    copies = []
    for key in (KEY, KEY, KEY[::-1]):
        deidentify_dicom(source, tmp_path / "b.dcm", Names(key))
        copies.append((tmp_path / "b.dcm").read_bytes())
    assert copies[0] == copies[1] != copies[2]


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("stated", ["YES", "Yes", "yes"])
def test_burnt_in_text_is_reported(tmp_path: Path, write_dicom: WriteDicom, stated: str) -> None:
    source = write_dicom(tmp_path / "a.dcm", burned_in=stated)
    assert deidentify_dicom(source, tmp_path / "b.dcm", Names(KEY))


def values(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for element in dataset.iterall():
        if element.VR in ("PN", "DA", "TM", "DT", "UI"):
            yield from (
                (element.VR, str(v)) for v in (element.value if element.VM > 1 else [element.value])
            )


SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
REAL = [
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "examples_palette.dcm",
    "rtdose.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of values in the sample that break a rule
def test_real_files(tmp_path: Path, name: str) -> None:
    source = SAMPLES / name
    assert is_dicom(source.read_bytes()[:132])
    deidentify_dicom(source, tmp_path / "b.dcm", Names(KEY))
    before, after = dcmread(source), dcmread(tmp_path / "b.dcm")
    assert bytes(before.PixelData) == bytes(after.PixelData)
    assert before.file_meta.TransferSyntaxUID == after.file_meta.TransferSyntaxUID
    kept = {v for v in values(before) if v[1]} & set(values(after))
    assert all(vr == "UI" and value.startswith("1.2.840.10008.") for vr, value in kept)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DICOMDIR", "without an image"),
        ("meta_missing_tsyntax.dcm", "cannot be processed"),
    ],
)
def test_what_cannot_be_processed(tmp_path: Path, name: str, words: str) -> None:
    source = next(SAMPLES.rglob(name))
    with pytest.raises(ImageError, match=words):
        deidentify_dicom(source, tmp_path / "b.dcm", Names(KEY))


@pytest.mark.parametrize("vr", ["LO", "UN", "PN", "SQ"])
@pytest.mark.parametrize("tag", [0x00089999, 0x00109998, 0x00280099, 0x7FE00099])
def test_unknown_attributes_are_removed(tmp_path: Path, vr: str, tag: int) -> None:
    """Attributes of the standard's groups that no dictionary has may hold anything."""
    image = dcmread(SAMPLES / "MR_small.dcm")
    item = Dataset()
    item.add_new(0x00089997, "LO", "Mueller")
    image.add_new(tag, vr, [item] if vr == "SQ" else b"Mueller!" if vr == "UN" else "Mueller")
    image.SourceImageSequence = [item]
    image.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert (tmp_path / "a.dcm").read_bytes().count(b"Mueller") == 2
    deidentify_dicom(tmp_path / "a.dcm", tmp_path / "b.dcm", Names(KEY))
    assert b"Mueller" not in (tmp_path / "b.dcm").read_bytes()
    assert dcmread(tmp_path / "b.dcm").get(tag) is None


def test_texts_that_the_profile_does_not_mention_are_removed(tmp_path: Path) -> None:
    image = dcmread(SAMPLES / "MR_small.dcm")
    for tag in (0x60000022, 0x60001500, 0x00041130, 0x00700081, 0x00281055, 0x00283003):
        image.add_new(tag, "LO", "Mueller")
    pixels, image.PixelData = image.PixelData, image.PixelData + b"Mueller "
    image.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    deidentify_dicom(tmp_path / "a.dcm", tmp_path / "b.dcm", Names(KEY))
    assert b"Mueller" not in (tmp_path / "b.dcm").read_bytes()
    assert dcmread(tmp_path / "b.dcm").PixelData == pixels
