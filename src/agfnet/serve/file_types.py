"""What a file is, by its first bytes alone."""

from __future__ import annotations

from agfnet.data.dicom import is_dicom

PREVIEW_FRAMES = 48
"""Maximum number of frames of a file that a preview shows."""
HEAD = 132
"""Bytes that tell the kinds apart."""
ZIP = "ZIP"
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"PK\3\4": ZIP,
    b"PK\5\6": ZIP,  # one without files
}
IMAGES = ("JPEG", "PNG", "TIFF", "DICOM")


def kind_of(head: bytes) -> str | None:
    """One of IMAGES, ZIP, or None for what the server does not take."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return "DICOM" if is_dicom(head) else None
