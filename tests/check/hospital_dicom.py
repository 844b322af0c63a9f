"""A DICOM file as it comes from a device, with names and numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def scan(path: Path, seed: int) -> None:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID = f"Muster{seed}^Anna", f"4711{seed}"
    data.InstitutionName, data.AccessionNumber = "Klinik", f"A{seed}"
    data.Modality, data.Rows, data.Columns = "US", 64, 64
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PhotometricInterpretation = 7, "MONOCHROME2"
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64)).astype(np.uint8)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
