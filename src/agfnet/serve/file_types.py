"""The type of a file, by its first bytes alone."""

from __future__ import annotations

from agfnet.data.dicom import is_dicom
from agfnet.data.file_types import ZIP, can_become_image, is_video, name_of_type
from agfnet.data.heic import can_read_heic

HEAD = 132
"""Number of bytes that decide the type."""
IMAGES = ("JPEG", "PNG", "TIFF", "DICOM", *(("HEIC",) if can_read_heic() else ()))
"""Types of images that this installation reads."""


def type_of(head: bytes) -> str | None:
    """Return one of IMAGES, HEIC or ZIP; None for any other type."""
    name = name_of_type(head)
    if name in (*IMAGES, "HEIC", ZIP):
        return name
    return "DICOM" if is_dicom(head) else None


def describe_other(head: bytes, expected: str) -> str:
    """Say what a file of another type is, and what is expected.

    Args:
        head: its first bytes.
        expected: names of the expected types.
    """
    name = type_of(head) or name_of_type(head)
    if not name:
        return f"is not {expected}"
    advice = ""
    if is_video(name):
        advice = "; save single frames as JPEG or PNG"
    elif name == "HEIC":
        advice = "; save it as JPEG or PNG, or install the extra heic on the server"
    elif name not in IMAGES and can_become_image(name):
        advice = "; save it as JPEG or PNG"
    return f"is {name}, not {expected}{advice}"
