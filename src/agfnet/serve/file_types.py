"""The type of a file, by its first bytes alone."""

from __future__ import annotations

from agfnet.data.dicom import is_dicom
from agfnet.data.file_types import ARCHIVE, name_of_type
from agfnet.data.heic import can_read_heic, is_heic

HEAD = 132
"""Number of bytes that decide the type."""
ZIP = "ZIP"
IMAGES = ("JPEG", "PNG", "TIFF", "DICOM", *(("HEIC",) if can_read_heic() else ()))
"""Types of images that this installation reads."""
_ACCEPTED = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"PK\3\4": ZIP,
    b"PK\5\6": ZIP,  # without files
}
_REFUSED = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"\x1aE\xdf\xa3": "a video (WebM or Matroska)",
    b"\0\0\1\xba": "a video (MPEG)",
    b"\0\0\1\xb3": "a video (MPEG)",
}
_AVIF = (b"avif", b"avis")


def type_of(head: bytes) -> str | None:
    """Return one of IMAGES, HEIC or ZIP; None for any other type."""
    for magic, name in _ACCEPTED.items():
        if head.startswith(magic):
            return name
    if is_heic(head):
        return "HEIC"
    return "DICOM" if is_dicom(head) else None


def describe_other(head: bytes, expected: str) -> str:
    """Say what a file of another type is, and what is expected.

    Args:
        head: its first bytes.
        expected: names of the expected types.
    """
    name = type_of(head) or next((n for m, n in _REFUSED.items() if head.startswith(m)), None)
    if name is None and head[4:8] == b"ftyp":
        name = "AVIF" if head[8:12] in _AVIF else "a video (MP4 or MOV)"
    elif head[:4] == b"RIFF":
        name = {b"WEBP": "WebP", b"AVI ": "a video (AVI)"}.get(head[8:12])
    name = name or name_of_type(head) or None
    if name is None:
        return f"is not {expected}"
    advice = "save single frames as JPEG or PNG" if "video" in name else "save it as JPEG or PNG"
    if name == "HEIC":
        advice += ", or install the extra heic on the server"
    return f"is {name}, not {expected}" + ("" if name in (*IMAGES, ZIP, ARCHIVE) else f"; {advice}")
