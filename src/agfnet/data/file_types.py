"""Names of file types, recognised by the first bytes of a file: pictures, tables and all others."""

from __future__ import annotations

import re

from agfnet.data.heic import BRANDS

SAVE_AS = "save it as CSV UTF-8 (in Excel: Save As, 'CSV UTF-8')"
EXPORT = "export it as CSV UTF-8 (pandas: to_csv(index=False))"
ZIP = "ZIP"
JSON = "JSON"
ARCHIVE = "an archive (zip or like it)"
COMPRESSED = "a compressed file (gzip or like it)"
WORKBOOK = "an old Excel workbook"
_MP4, _AVI = "a video (MP4 or MOV)", "a video (AVI)"
_WEBM, _MPEG, _WMV = "a video (WebM or Matroska)", "a video (MPEG)", "a video (WMV)"
_RAW = "a camera raw file"
PAGE = "a web page (HTML or XML)"
_TEXT = "an image as text (Base64)"
_AS_TEXT = "a file that was transferred as text"
_ZEROS = "a file of zeros"
_SHORTCUT = "a shortcut"
_MAC = "a file that macOS adds (AppleDouble)"
_LFS = "a Git LFS pointer"
_PICTURES = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WebP", "DICOM")
"""Types that `agfnet.data.readers` reads, next to HEIC."""
# of the ISO base media format, by its brand; every other brand is a video
_BRANDS = {
    **dict.fromkeys(BRANDS, "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": _RAW,
}
_DATA = (
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow file"),
    (0, b"SQLite format 3", "a database (SQLite)"),
    (0, b"\x89HDF\r\n", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy file"),
    *((0, magic, "an SPSS file") for magic in (b"$FL2", b"$FL3")),
    (0, b"<stata_dta>", "a Stata file"),
    (0, b"MATLAB 5.0 MAT", "a MATLAB file"),
    *((0, magic, "a file of R") for magic in (b"RDX2", b"RDX3", b"RDA2", b"RDA3")),
    *((0, b"\x80" + version, "a Python pickle") for version in (b"\3", b"\4\x95", b"\5\x95")),
)
"""Tables of other programs, and what they write values into."""
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\x89PNG", _AS_TEXT),  # its line ends are other ones
    (0, b"\xef\xbf\xbd", _AS_TEXT),  # bytes that are no text, replaced
    *((0, magic, "TIFF") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (128, b"DICM", "DICOM"),
    (0, b"\x1aE\xdf\xa3", _WEBM),
    (0, b"\0\0\1\xba", _MPEG),
    (0, b"\0\0\1\xb3", _MPEG),
    (0, b"0&\xb2u\x8ef\xcf\x11", _WMV),
    (8, b"AVI ", _AVI),
    (0, b"IIU\0", _RAW),  # Panasonic
    (0, b"IIRO", _RAW),  # Olympus
    (0, b"MMOR", _RAW),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "PDF"),
    (0, b"{\\rt", "a text document (RTF)"),
    (0, b"PK\3\4", ZIP),
    (0, b"PK\5\6", ZIP),  # without files
    *((0, magic, ARCHIVE) for magic in (b"Rar!\x1a\7", b"7z\xbc\xaf\x27\x1c")),
    *((0, magic, COMPRESSED) for magic in (b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")),
    (4, b"1AY&SY", COMPRESSED),
    (0, b"\xd0\xcf\x11\xe0", WORKBOOK),
    *_DATA,
    (0, b"version https://git-lfs", _LFS),
    (0, b"MIME-Version", "a web page (MHTML)"),
    *((0, magic, _TEXT) for magic in (b"data:image/", b"/9j/", b"iVBORw0KGgo")),
    (0, b"L\0\0\0\x01\x14\x02\0", _SHORTCUT),
    (0, b"[InternetShortcut]", _SHORTCUT),
    (0, b"\0\x05\x16\x07", _MAC),
)
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*\"")
_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
_SVG = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?<svg\b")
NAMES = frozenset((PAGE, _ZEROS, "SVG", *(name for _, _, name in _SIGNATURES)))
_AS_JPEG = ("HEIC", "AVIF", "JPEG 2000", "JPEG XL", "SVG", "PDF", _RAW, "a Photoshop document")
"""Types that a program for pictures or documents can save as an image."""
_AGAIN = "copy it again, unchanged"
_CURES = {
    **dict.fromkeys(_AS_JPEG, "save it as JPEG"),
    **dict.fromkeys((ZIP, ARCHIVE, COMPRESSED), "unpack it and name an image of it"),
    **dict.fromkeys((_AS_TEXT, _ZEROS), _AGAIN),
    _LFS: "fetch the image: git lfs pull",
    PAGE: "download the image again; the server may ask for a login",
    _TEXT: "decode it, and save the bytes",
    _SHORTCUT: "name the image that it leads to",
    _MAC: "name the file without ._ before its name",
}
_TABLE_CURES = {
    **dict.fromkeys((JSON, *(name for _, _, name in _DATA)), EXPORT),
    **dict.fromkeys((ARCHIVE, COMPRESSED), "unpack it"),
    **dict.fromkeys((_AS_TEXT, _ZEROS), _AGAIN),
    _LFS: "fetch the table: git lfs pull",
    PAGE: "download the table again",
    _SHORTCUT: "name the table that it leads to",
    _MAC: "name the file without ._ before its name",
}


def unsupported_file_type(head: bytes) -> str | None:
    """Return what is wrong with an image file of another type and how to fix it, or None.

    The answer continues a sentence that begins with the name of the file: "is HEIC; save it as
    JPEG". It is None for an image, and for an unknown type.

    Args:
        head: the first 16 bytes or more.
    """
    name = name_of_type(head)
    if not name or name in _PICTURES:
        return None
    cure = "save single images, or multi-frame DICOM of single images" if is_video(name) else ""
    return f"is {name}; {cure or _CURES.get(name, 'name an image file')}"


def cure_of_table(name: str) -> str:
    """Return what to do with a file of a type, where CSV was expected."""
    if name in (*_PICTURES, *_AS_JPEG, _TEXT) or is_video(name):
        return "name the table, a CSV file"
    return _TABLE_CURES.get(name, SAVE_AS)


def is_video(name: str) -> bool:
    """Return whether a type is a video, by its name."""
    return name.startswith("a video")


def can_become_image(name: str) -> bool:
    """Return whether a file of a type can be saved as JPEG, by its name."""
    return name in (*_PICTURES, *_AS_JPEG)


def name_of_type(head: bytes) -> str:
    """Return the name of a file type, empty if it is unknown.

    Args:
        head: the first 16 bytes or more; DICOM needs 132, and may begin in other ways as well.
    """
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _MP4)
    if head[:2] == b"BM" and head[6:10] == bytes(4):  # two letters alone may begin a text
        return "BMP"
    for pattern, name in ((_JSON, JSON), (_SVG, "SVG"), (_PAGE, PAGE)):
        if pattern.match(head):
            return name
    if len(head) >= 132 and not any(head[:132]):  # the mark of DICOM is among them
        return _ZEROS
    matches = (name for at, magic, name in _SIGNATURES if head[at : at + len(magic)] == magic)
    return next(matches, "")
