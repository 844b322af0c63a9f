"""Folder trees and spreadsheets as hospitals have them, with small made-up images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DIAGNOSES = ("Melanom", "Nävus", "BCC")


def photo(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(40, 200, (32, 32, 3)).astype(np.uint8)
    pixels[..., 0] = 230
    Image.fromarray(pixels).save(path, "JPEG")


def scan(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def dicom(path: Path, seed: int = 0, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.Modality = "US"
    for name, value in tags.items():
        setattr(data, name, value)
    data.Rows = data.Columns = 32
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PhotometricInterpretation = 7, "MONOCHROME2"
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32)).astype(np.uint8)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)


def table(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def lesion_folders(folder: Path, patients: int = 12) -> tuple[Path, Path]:
    """Write patient/lesion/IMG_4000.JPG and US0001.dcm, and an Excel CSV with ; and BOM."""
    lines = ["Patient;Läsion;Diagnose;Dicke"]
    for number in range(patients):
        for lesion in range(1, 2 + (number % 3 == 0)):
            place = folder / "Bilder" / f"{number + 1:04}_X{number}" / f"lesion {lesion}"
            photo(place / "IMG_4000.JPG", 100 * number + lesion)
            dicom(place / "US0001.dcm", 100 * number + lesion + 50)
            label = "melanom" if number == 0 else DIAGNOSES[number % 3]
            lines.append(f"{number + 1};{lesion};{label};{number},5")
    photo(folder / "Bilder" / "0003_X2" / "lesion 1" / "@eaDir" / "IMG_4000.JPG")
    (folder / "Bilder" / "Thumbs.db").write_bytes(b"x")
    return table(folder / "labels.csv", lines, "utf-8-sig"), folder / "Bilder"


def flat_codes(folder: Path, patients: int = 8) -> tuple[Path, Path]:
    lines = ["lesion_id,dx,sex"]
    for number in range(patients):
        photo(folder / "img" / f"L{number:03}_photo.jpg", number)
        scan(folder / "img" / f"L{number:03}_us_1.png", 20 + number)
        lines.append(f"L{number:03},{DIAGNOSES[number % 2]},m")
    return table(folder / "meta.csv", lines), folder / "img"


def visits(folder: Path, patients: int = 8) -> tuple[Path, Path]:
    lines = ["Patienten-ID\tUntersuchungsdatum\tHistologie"]
    for number in range(patients):
        for visit in range(1, 2 + number % 2):
            place = folder / "p" / f"PAT{number:03}" / f"2023-0{visit}-{number + 1:02}"
            photo(place / "DSC_0001.JPG", 10 * number + visit)
            scan(place / "US" / "a.png", 10 * number + visit)
            lines.append(f"PAT{number:03}\t{number + 1:02}.0{visit}.2023\t{DIAGNOSES[number % 2]}")
    return table(folder / "Tabelle.txt", lines, "cp1252"), folder / "p"


def modality_trees(folder: Path, patients: int = 8) -> tuple[Path, Path]:
    lines = ["患者编号,皮损编号,病理诊断"]
    for number in range(1, patients + 1):
        photo(folder / "d" / "临床照片" / f"{number:03}" / "1.jpg", number)
        scan(folder / "d" / "超声" / f"{number:03}-1-a.png", number)
        lines.append(f"{number:03},1,{('黑色素瘤', '痣')[number % 2]}")
    return table(folder / "表.csv", lines, "gb18030"), folder / "d"


def archive(folder: Path, patients: int = 4) -> tuple[Path, Path]:
    lines = ["PatientID;StudyDate;Accession;Diagnosis;Photo"]
    for number in range(2 * patients):
        tags = {"PatientID": f"H{number // 2:05}", "StudyDate": f"2022110{1 + number % 2}"}
        name = folder / "a" / "DICOM" / "ST000" / f"IM{number:05}"
        dicom(name, number, AccessionNumber=f"A{number:04}", **tags)
        photo(folder / "a" / "photos" / f"DSC_{number:04}.JPG", number)
        row = (tags["PatientID"], f"{1 + number % 2:02}/11/2022", f"A{number:04}")
        lines.append(";".join((*row, DIAGNOSES[number // 2 % 2], rf"photos\DSC_{number:04}.JPG")))
    (folder / "a" / "DICOMDIR").write_bytes(bytes(200))
    return table(folder / "list.csv", lines), folder / "a"


def centres(folder: Path, patients: int = 8) -> tuple[Path, Path]:
    lines = ["centro,código do paciente,lesão,diagnóstico"]
    for seed, centre in enumerate(("Graz", "Porto")):
        for number in range(1, patients // 2 + 1):
            place = folder / "d" / centre / f"{number:02}"
            photo(place / "clinica" / "foto1.jpeg", 100 * seed + number)
            scan(place / "ultrassom" / "1.png", 100 * seed + number)
            lines.append(f"{centre},{number},1,{('melanoma', 'nevo')[number % 2]}")
    return table(folder / "tabela.csv", lines), folder / "d"


LAYOUTS: dict[str, tuple[Callable[..., tuple[Path, Path]], int, int]] = {
    "lesion_folders": (lesion_folders, 16, 12),
    "flat_codes": (flat_codes, 8, 8),
    "visits": (visits, 12, 8),
    "modality_trees": (modality_trees, 8, 8),
    "archive": (archive, 8, 4),
    "centres": (centres, 8, 8),
}
"""Name to a function that writes a tree, and the numbers of its lesions and patients.

With `patients`, the function writes that many."""
