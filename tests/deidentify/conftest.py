"""A DICOM file with a secret in every corner."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
)

WriteDicom = Callable[..., Path]
FRAMES = np.random.default_rng(7).integers(0, 256, (3, 8, 10), dtype=np.uint8)


def jpeg_frames() -> list[bytes]:
    """Frames that are whole JPEG files, one with a comment."""
    files = []
    for number, frame in enumerate(FRAMES):
        file = BytesIO()
        comment = b"Anna Mueller" if number == 1 else None
        Pillow.fromarray(frame).save(file, "JPEG", comment=comment)
        files.append(file.getvalue())
    return files


@pytest.fixture
def write_dicom() -> WriteDicom:
    """Writes three frames of ultrasound."""

    def write(
        path: Path, *, series: str = "1.2.3.1", burned_in: str = "NO", jpeg: bool = False
    ) -> Path:
        image = Dataset()
        image.SOPClassUID = UltrasoundMultiFrameImageStorage
        image.SOPInstanceUID, image.StudyInstanceUID = f"{series}.9", "1.2.3.0"
        image.SeriesInstanceUID, image.FrameOfReferenceUID = series, "1.2.3.77"
        image.PatientName, image.PatientID = "Mueller^Anna", "MRN-4711"
        image.PatientBirthDate, image.PatientSex, image.PatientAge = "19800203", "F", "041Y"
        image.StudyDate = image.ContentDate = image.AcquisitionDate = "20210405"
        image.StudyTime, image.AcquisitionDateTime = "101112", "20210405101112"
        image.DateOfLastCalibration, image.InstitutionName = "20200101", "Sankt Elsewhere"
        image.ReferringPhysicianName, image.AccessionNumber = "House^Greg", "ACC-99"
        image.StudyDescription, image.ImageComments = "Frau Mueller", "call Anna"
        image.StationName, image.DeviceSerialNumber = "ROOM-5", "SN-123"
        image.Modality, image.Manufacturer, image.BurnedInAnnotation = "US", "Acme", burned_in
        image.ImageType, image.Laterality = ["ORIGINAL", "PRIMARY"], "L"
        image.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "Mueller")
        image.add_new(0x60003000, "OW", b"Mueller!")
        image.add_new(0x60000040, "CS", "G")
        source = Dataset()
        source.ReferencedSOPClassUID = UltrasoundMultiFrameImageStorage
        source.ReferencedSOPInstanceUID = f"{series}.9"
        source.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "Mueller")
        image.SourceImageSequence = [source]
        region = Dataset()
        region.PhysicalDeltaX, region.PhysicalUnitsXDirection = 0.002, 3
        image.SequenceOfUltrasoundRegions = [region]
        request = Dataset()
        request.ScheduledProcedureStepDescription = "Mueller"
        image.RequestAttributesSequence = [request]
        image.NumberOfFrames, image.Rows, image.Columns = FRAMES.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit, image.PixelRepresentation = 7, 0
        image.PixelData = encapsulate(jpeg_frames()) if jpeg else FRAMES.tobytes()
        image["PixelData"].VR = "OB"
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
        image.file_meta.SourceApplicationEntityTitle = "MUELLER_AE"
        image.preamble = b"Anna Mueller".ljust(128)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save_as(path, enforce_file_format=True)
        return path

    return write
