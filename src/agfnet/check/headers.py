"""What an image file says about itself beside its pixels: format, size, device, identity."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow
from PIL.ExifTags import IFD, Base

from agfnet.data.dicom import is_dicom
from agfnet.data.readers import FORMATS

DICOM_IDENTITY = (
    *("PatientName", "PatientBirthDate", "PatientBirthName", "PatientMotherBirthName"),
    *("PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation"),
    *("OtherPatientIDs", "OtherPatientNames", "OtherPatientIDsSequence", "PatientComments"),
    *("PatientInsurancePlanCodeSequence", "MedicalRecordLocator", "ResponsiblePerson"),
    *("ReferringPhysicianName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy"),
    *("PhysiciansOfRecord", "RequestingPhysician", "OperatorsName", "AccessionNumber"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
)
"""Attributes that name a person or their hospital visit. Those of the basic profile of
de-identification that do so by themselves: the whole profile also lists dates, devices and UIDs,
which every file has."""
_DICOM_OTHER = (
    *("PatientID", "BurnedInAnnotation"),
    *("Manufacturer", "ManufacturerModelName", "StationName"),
)
EXIF_IDENTITY = {
    "Artist": Base.Artist,
    "CameraOwnerName": Base.CameraOwnerName,
    "BodySerialNumber": Base.BodySerialNumber,
    "XPAuthor": Base.XPAuthor,
}
"""Fields of EXIF that name the photographer or one camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one file says about itself."""

    format: str = ""
    """Empty where the header cannot be read."""
    size: tuple[int, int] | None = None
    """Width and height, upright, where they are those of the pixels."""
    device: str = ""
    """Camera or scanner, as far as the file names it."""
    identity: tuple[str, ...] = ()
    """Names of the filled fields that identify a person; never what they hold."""
    gps: bool = False
    burned_in: bool = False
    """The file says of itself that its pixels hold annotations."""
    patient_id: str = ""
    patient_name: str = ""


def read_header(path: Path) -> Header:
    """The header of an image file; an empty one if it is damaged or of no known kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which is not the user's concern
        try:
            with path.open("rb") as file:
                dicom = is_dicom(file.read(132))
            return _dicom(path) if dicom else _picture(path)
        except Exception:  # parsers raise anything on damaged files; reading the pixels says more
            return Header()


def _dicom(path: Path) -> Header:
    from pydicom import dcmread

    wanted = [*DICOM_IDENTITY, *_DICOM_OTHER]
    tags = dcmread(path, force=True, stop_before_pixels=True, specific_tags=wanted)

    def text(name: str) -> str:
        return str(tags.get(name) or "").strip()

    device = " ".join(filter(None, map(text, ("Manufacturer", "ManufacturerModelName"))))
    return Header(
        format="DICOM",
        device=" ".join(filter(None, (device, text("StationName")))),
        identity=tuple(name for name in DICOM_IDENTITY if text(name)),
        burned_in=text("BurnedInAnnotation").upper() == "YES",
        patient_id=text("PatientID"),
        patient_name=text("PatientName"),
    )


def _picture(path: Path) -> Header:
    with Pillow.open(path, formats=FORMATS) as image:
        # a PNG is asked only for EXIF before its pixels: looking behind them decodes it
        behind = image.format == "PNG" and "exif" not in image.info
        exif = Pillow.Exif() if behind else image.getexif()
        size = image.size[::-1] if exif.get(Base.Orientation, 1) >= 5 else image.size
        fields = {**exif, **exif.get_ifd(IFD.Exif)}
        device = [str(fields.get(tag) or "").strip(" \0") for tag in (Base.Make, Base.Model)]
        return Header(
            format=image.format or "",
            size=size,
            device=" ".join(filter(None, device)),
            identity=tuple(name for name, tag in EXIF_IDENTITY.items() if fields.get(tag)),
            gps=bool(exif.get_ifd(IFD.GPSInfo)),
        )
