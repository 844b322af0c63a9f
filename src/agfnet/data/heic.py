"""HEIC, the photographs of iPhones. The package that decodes it is optional (extra `heic`)."""

from __future__ import annotations

from importlib.util import find_spec

from agfnet.errors import ImageError

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
FORMAT = "HEIF"
"""Pillow's name of it."""


def is_heic(head: bytes) -> bool:
    """Return whether a file is HEIC, by its first 12 bytes."""
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


def can_read_heic() -> bool:
    """Return whether the package is installed."""
    return find_spec("pi_heif") is not None


def register_heic() -> None:
    """Let Pillow read HEIC, where its format is asked for by name.

    The decoder turns the image upright and then states so in the EXIF data.

    Raises:
        ImageError: the package is not installed.
    """
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise ImageError(
            "is HEIC, which needs pi-heif; pip install 'agfnet[heic]', or save it as JPEG"
        ) from None
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
