"""A sweep as one DICOM file: Ultrasound Multi-frame Image Storage, with its pixel spacing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agfnet.errors import ConfigError
from agfnet.phantom.geometry import Pixels

MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
"""Ultrasound Multi-frame Image Storage."""


def require_pydicom() -> None:
    """Raise ConfigError unless pydicom can be imported."""
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise ConfigError(
            "ultrasound_format: dicom needs pydicom; install agfnet[dicom], or choose png"
        ) from None


def write_sweep(
    path: Path,
    frames: list[Pixels],
    *,
    lesion_id: str,
    patient_id: str,
    station: str,
    spacing: float,
    frequency: float,
    burned_in: bool,
) -> None:
    """Write the frames of one lesion, uncompressed.

    The pixel spacing is in the calibration of the ultrasound region, as the standard requires, and
    in `PixelSpacing`, where other readers look. The same arguments write the same bytes.

    Args:
        path: The file.
        frames: Images (size, size), or (size, size, 3) with colour Doppler.
        lesion_id: Identity of the study and of the series.
        patient_id: Identity of the patient.
        station: Name of the scanner.
        spacing: Pixel spacing, mm.
        frequency: Centre frequency of the transducer, MHz.
        burned_in: True if callipers are drawn into the pixels.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    pixels = np.stack(frames)
    count, rows, columns = pixels.shape[:3]

    def uid(role: str) -> UID:
        return generate_uid(entropy_srcs=["agfnet phantom", patient_id, lesion_id, role])

    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = spacing / 10
    region.TransducerFrequency = round(frequency * 1000)  # kHz

    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = MULTIFRAME, uid("image")
    image.StudyInstanceUID, image.SeriesInstanceUID = uid("study"), uid("series")
    image.StudyID, image.SeriesNumber, image.InstanceNumber = lesion_id, 1, 1
    image.Modality, image.Manufacturer, image.StationName = "US", "agfnet phantom", station
    image.StudyDate = image.StudyTime = image.AccessionNumber = image.ReferringPhysicianName = ""
    image.PatientName, image.PatientID = f"PHANTOM^{patient_id}", patient_id
    image.PatientBirthDate = image.PatientSex = image.PatientOrientation = ""
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.BurnedInAnnotation = "YES" if burned_in else "NO"
    image.LossyImageCompression = "00"
    image.SequenceOfUltrasoundRegions = [region]
    image.PixelSpacing = [f"{spacing:.6g}"] * 2
    image.NumberOfFrames, image.Rows, image.Columns = count, rows, columns
    image.FrameTime, image.FrameIncrementPointer = "50", 0x00181063
    image.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    image.PhotometricInterpretation = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    if pixels.ndim == 4:
        image.PlanarConfiguration = 0
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    raw = pixels.tobytes()
    image.PixelData = raw + b"\0" * (len(raw) % 2)

    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = UID(MULTIFRAME)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(path, enforce_file_format=True)
