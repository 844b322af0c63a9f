"""Names of file types that are not read, recognised by the first bytes of a file."""

from __future__ import annotations

from agfnet.data.heic import BRANDS

_AS_JPEG = "save it as JPEG"
_VIDEO = "a video"
_ARCHIVE = "an archive (zip or like it)"
_RAW = "a camera raw file"
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
    *((0, magic, _ARCHIVE) for magic in (b"PK\3\4", b"Rar!\x1a\7", b"7z\xbc\xaf\x27\x1c")),
    *((0, magic, _ARCHIVE) for magic in (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0")),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
)
_CURES = {
    _VIDEO: "save single images, or multi-frame DICOM of single images",
    _ARCHIVE: "unpack it and name an image of it",
    "a Git LFS pointer": "fetch the image: git lfs pull",
}


def unsupported_file_type(head: bytes) -> str | None:
    """Return the type of a file that cannot be read and how to fix it, or None if it is unknown.

    The answer continues a sentence that begins with the name of the file: "is HEIC; save it as
    JPEG".

    Args:
        head: the first 16 bytes or more.
    """
    if head[4:8] == b"ftyp":
        file_type = _BRANDS.get(head[8:12], _VIDEO)
    else:
        matches = (name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic)
        file_type = next(matches, "")
    if not file_type:
        return None
    return f"is {file_type}; {_CURES.get(file_type, _AS_JPEG)}"
