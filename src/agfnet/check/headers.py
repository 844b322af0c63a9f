"""Metadata of an image file: format, size, device, and what identifies a person or a place."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import IptcImagePlugin
from PIL.ExifTags import IFD, Base

from agfnet.data.dicom import is_dicom
from agfnet.data.heic import FORMAT, is_heic, register_heic
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
DICOM_REPLACED = (
    *("PatientName", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"),
    *("OperatorsName", "InstitutionName"),
)
"""Attributes that a de-identified file may have with another value, by the basic profile."""
_DICOM_OTHER = (
    *("PatientID", "BurnedInAnnotation", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("Manufacturer", "ManufacturerModelName", "StationName"),
)
EXIF_IDENTITY = {
    "Artist": Base.Artist,
    "CameraOwnerName": Base.CameraOwnerName,
    "BodySerialNumber": Base.BodySerialNumber,
    "XPAuthor": Base.XPAuthor,
    "Copyright": Base.Copyright,
    **{tag.name: tag for tag in (Base.XPTitle, Base.XPComment, Base.XPSubject, Base.XPKeywords)},
    "ImageDescription": Base.ImageDescription,
}
"""Fields of EXIF that name the photographer or one camera, or in which people write texts."""
_DESCRIPTIONS = re.compile(
    r"\s*(.*digital camera|sony dsc|dcim.*|exif.jpeg.picture|default|untitled|image|picture"
    r"|screenshot)?\s*",
    re.IGNORECASE,
)
"""Descriptions that cameras write into every photograph."""
_XMP_IDENTITY = (
    *("creator", "rights", "Artist", "OwnerName", "CameraOwnerName", "SerialNumber"),
    *("BodySerialNumber", "CaptionWriter", "PersonInImage", "CreatorContactInfo", "description"),
)
_XMP_PLACES = (
    *("GPSLatitude", "GPSLongitude", "GPSPosition", "GPSCoordinates", "LocationCreated"),
    *("LocationShown", "City", "Location", "Sublocation"),
)
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/"
_XMP_FIELD = re.compile(rb"[A-Za-z0-9]+:([A-Za-z]+)(?:\s*=\s*[\"'][^\"']|[^=]*?>\s*[^\s/])")
_IPTC_IDENTITY = {
    **{(2, 80): "By-line", (2, 110): "Credit", (2, 116): "Copyright", (2, 118): "Contact"},
    **{(2, 120): "Caption", (2, 122): "Writer", (2, 5): "Title", (2, 25): "Keywords"},
}
_IPTC_PLACES = ((2, 90), (2, 92), (2, 95), (2, 26), (2, 27))
MAX_TEXT = 16_000_000  # bytes of a text in PNG that is looked at
_SOFTWARE = re.compile(
    r"(CREATOR: gd-jpeg|Lav[cf]\d|File written by|Created with|Optimi[sz]ed|LEAD Tech|AppleMark"
    r"|ImageMagick|Compressed|Processed|Resized|Intel\(R\))",
    re.IGNORECASE,
)
"""Comments that programs leave in every file."""
_PNG_TECHNICAL = re.compile(r"(Software|Creation Time|date:\w+|XML:com\.adobe\.xmp)$")
"""Keywords of texts in PNG that name a program or a time; XMP is looked at by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Metadata of one file."""

    format: str = ""
    """Empty where the header cannot be read."""
    size: tuple[int, int] | None = None
    """Width and height, upright, where they are those of the pixels."""
    device: str = ""
    """Camera or scanner, as far as the file names it."""
    identity: tuple[str, ...] = ()
    """Names of the filled fields that identify a person; never their values."""
    gps: bool = False
    """It states the place where it was taken."""
    burned_in: bool = False
    """It states that its pixels hold annotations."""
    deidentified: bool = False
    """A program states that it has removed what identifies the patient."""
    patient_id: str = ""
    patient_name: str = ""


def read_header(path: Path) -> Header:
    """Read the metadata of an image file; empty if it is damaged or of an unknown type."""
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

    names = [*DICOM_IDENTITY, *_DICOM_OTHER]
    tags = dcmread(path, force=True, stop_before_pixels=True, specific_tags=names)

    def text(name: str) -> str:
        return str(tags.get(name) or "").strip()

    device = " ".join(filter(None, map(text, ("Manufacturer", "ManufacturerModelName"))))
    removed = text("PatientIdentityRemoved").upper() == "YES" and text("DeidentificationMethod")
    replaced = DICOM_REPLACED if removed else ()
    return Header(
        format="DICOM",
        device=" ".join(filter(None, (device, text("StationName")))),
        identity=tuple(n for n in DICOM_IDENTITY if text(n) and n not in replaced),
        deidentified=bool(removed),
        burned_in=text("BurnedInAnnotation").upper() == "YES",
        patient_id=text("PatientID"),
        patient_name=text("PatientName"),
    )


def _picture(path: Path) -> Header:
    with path.open("rb") as file:
        heic = is_heic(file.read(12))
    if heic:
        register_heic()
    with Pillow.open(path, formats=(FORMAT,) if heic else FORMATS) as image:
        texts: tuple[str, ...] = ()
        if image.format == "PNG":
            # read by itself: Pillow decodes the pixels to look behind them
            chunks = list(_png_metadata(path))
            exif = Pillow.Exif()
            for name, content in chunks:
                if name == b"eXIf":
                    exif.load(b"Exif\0\0" + content)
            texts = _png_texts(chunks)
            xmp = b"".join(content for _, content in chunks if b"adobe:ns:meta" in content)
            xmp += image.info.get("xmp") or b""  # of compressed text
        else:
            exif = image.getexif()
            xmp = image.info.get("xmp") or exif.get(Base.XMLPacket) or b""
        for name, content in getattr(image, "applist", ()):  # what one segment cannot hold
            xmp += content if name == "APP1" and content.startswith(_EXTENDED_XMP) else b""
        turned = exif.get(Base.Orientation, 1) >= 5 and image.format != "TIFF"
        size = image.size[::-1] if turned else image.size  # Pillow turns TIFF itself
        fields = {**exif, **exif.get_ifd(IFD.Exif)}
        device = [str(fields.get(tag) or "").strip(" \0") for tag in (Base.Make, Base.Model)]
        iptc = IptcImagePlugin.getiptcinfo(image) or {}
        in_xmp = {name.decode() for name in _XMP_FIELD.findall(xmp.replace(b"\0", b""))}
        comment = image.info.get("comment") or b""
        comment = comment.decode("latin-1") if isinstance(comment, bytes) else str(comment)
        return Header(
            format=image.format or "",
            size=size,
            device=" ".join(filter(None, device)),
            identity=(
                *(
                    name
                    for name, tag in EXIF_IDENTITY.items()
                    if _says_something(image, fields, tag)
                ),
                *(f"XMP {name}" for name in _XMP_IDENTITY if name in in_xmp),
                *(f"IPTC {name}" for tag, name in _IPTC_IDENTITY.items() if tag in iptc),
                *(["a comment"] if comment.strip(" \0") and not _SOFTWARE.match(comment) else []),
                *texts,
            ),
            gps=bool(exif.get_ifd(IFD.GPSInfo))
            or any(tag in iptc for tag in _IPTC_PLACES)
            or not in_xmp.isdisjoint(_XMP_PLACES),
        )


def _says_something(image: Pillow.Image, fields: Mapping[int, Any], tag: Base) -> bool:
    """Return whether a field of EXIF is filled in, by somebody and not by the device alone."""
    if not fields.get(tag):
        return False
    if tag != Base.ImageDescription:
        return True
    text = str(fields[tag]).strip("\0")  # that of TIFF is technical
    return image.format != "TIFF" and not (_DESCRIPTIONS.fullmatch(text) or _SOFTWARE.match(text))


def _png_metadata(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks of EXIF and texts, before and behind the pixels."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") and length <= MAX_TEXT:
                yield name, file.read(length)
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)


def _png_texts(chunks: list[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Return the texts of a PNG by their keywords, without those that name a program or a time."""
    keywords = [
        content.partition(b"\0")[0].decode("latin-1") for name, content in chunks if name != b"eXIf"
    ]
    return tuple(
        f"the text {keyword!r}" for keyword in keywords if not _PNG_TECHNICAL.match(keyword)
    )
