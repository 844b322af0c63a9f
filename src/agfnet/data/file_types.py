"""Names of file types that are not read, recognised by the first bytes of a file."""

from __future__ import annotations

from agfnet.data.heic import BRANDS

_AS_JPEG = "save it as JPEG"
_VIDEO = "a video"
ARCHIVE = "an archive (zip or like it)"
_RAW = "a camera raw file"
_PAGE = "a web page"
_TEXT = "an image as text (Base64)"
_SHORTCUT = "a shortcut"
# of the ISO base media format, by its brand; every other brand is a video
_BRANDS = {
    **dict.fromkeys(BRANDS, "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": _RAW,
}
_SIGNATURES = (
    (0, b"\x1aE\xdf\xa3", _VIDEO),  # Matroska, WebM
    (0, b"\0\0\1\xba", _VIDEO),  # MPEG
    (0, b"\0\0\1\xb3", _VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", _VIDEO),  # WMV
    (8, b"AVI ", _VIDEO),
    (0, b"IIU\0", _RAW),  # Panasonic
    (0, b"IIRO", _RAW),  # Olympus
    (0, b"MMOR", _RAW),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"%PDF-", "PDF"),
    *((0, magic, ARCHIVE) for magic in (b"PK\3\4", b"Rar!\x1a\7", b"7z\xbc\xaf\x27\x1c")),
    *((0, magic, ARCHIVE) for magic in (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0")),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    *((0, magic, _PAGE) for magic in (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")),
    *((0, magic, _TEXT) for magic in (b"data:image/", b"/9j/", b"iVBORw0KGgo")),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"L\0\0\0\x01\x14\x02\0", _SHORTCUT),
    (0, b"[InternetShortcut]", _SHORTCUT),
    (0, b"\0\x05\x16\x07", "a file that macOS adds (AppleDouble)"),
)
NAMES = frozenset(name for _, _, name in _SIGNATURES)
_CURES = {
    _VIDEO: "save single images, or multi-frame DICOM of single images",
    ARCHIVE: "unpack it and name an image of it",
    "a Git LFS pointer": "fetch the image: git lfs pull",
    _PAGE: "download the image again; the server may ask for a login",
    _TEXT: "decode it, and save the bytes",
    _SHORTCUT: "name the image that it leads to",
    "a file that macOS adds (AppleDouble)": "name the file without ._ before its name",
}


def unsupported_file_type(head: bytes) -> str | None:
    """Return what is wrong with a file of another type and how to fix it; None if it is unknown.

    The answer continues a sentence that begins with the name of the file: "is HEIC; save it as
    JPEG".

    Args:
        head: the first 16 bytes or more.
    """
    file_type = name_of_type(head)
    return f"is {file_type}; {_CURES.get(file_type, _AS_JPEG)}" if file_type else None


def name_of_type(head: bytes) -> str:
    """Return the name of a file type that cannot be read, empty if it is unknown."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _VIDEO)
    matches = (name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic)
    return next(matches, "")
