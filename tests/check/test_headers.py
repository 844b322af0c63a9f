"""Metadata that identify a person or a place, wherever a file may hold them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin
from PIL.ExifTags import IFD, Base

from agfnet.check.headers import Header, read_header

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description {}>{}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def saved(path: Path, kind: str, **options: Any) -> Header:
    Pillow.new("RGB", (9, 7), "red").save(path / "a", kind, **options)
    return read_header(path / "a")


def xmp(attributes: str = "", elements: str = "") -> bytes:
    return XMP.format(attributes, elements).encode()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "PNG"])
@pytest.mark.parametrize(
    ("packet", "identity", "gps"),
    [
        (xmp(), (), False),
        (xmp('exif:GPSLatitude="48,8N" exif:GPSLongitude="11,34E"'), (), True),
        (xmp(elements="<exif:GPSLatitude>48,8N</exif:GPSLatitude>"), (), True),
        (xmp("photoshop:City='Berlin'"), (), True),
        (xmp('aux:SerialNumber="4711" photoshop:City=""'), ("XMP SerialNumber",), False),
        (
            xmp(elements="<dc:creator><rdf:Seq><rdf:li>A</rdf:li></rdf:Seq></dc:creator>"),
            ("XMP creator",),
            False,
        ),
        (xmp('xmp:CreatorTool="GIMP" tiff:Model="X"'), (), False),
    ],
)
def test_xmp(kind: str, packet: bytes, identity: tuple[str, ...], gps: bool, tmp_path: Path):
    options: dict[str, Any] = {"xmp": packet}
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": info}
    if kind == "TIFF":
        options = {"tiffinfo": {Base.XMLPacket: packet}}
    header = saved(tmp_path, kind, **options)
    assert (header.identity, header.gps) == (identity, gps)


def iptc(*fields: tuple[int, bytes]) -> bytes:
    """The segment of a JPEG in which Photoshop keeps IPTC."""
    data = b"".join(
        b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2) + text for number, text in fields
    )
    resource = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4) + data + bytes(len(data) % 2)
    content = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + (len(content) + 2).to_bytes(2) + content


def test_iptc(tmp_path: Path):
    file = BytesIO()
    Pillow.new("RGB", (9, 7), "red").save(file, "JPEG")
    plain = file.getvalue()
    for fields, identity, gps in [
        ([(80, b"A. Mueller")], ("IPTC By-line",), False),
        ([(90, b"Berlin")], (), True),
        ([(55, b"20200101")], (), False),
    ]:
        (tmp_path / "a").write_bytes(plain[:2] + iptc(*fields) + plain[2:])
        header = read_header(tmp_path / "a")
        assert (header.identity, header.gps) == (identity, gps)


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
@pytest.mark.parametrize(
    ("comment", "identity"),
    [
        (b"Anna Mueller", ("a comment",)),
        (b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90", ()),
        (b" ", ()),
    ],
)
def test_comments(kind: str, comment: bytes, identity: tuple[str, ...], tmp_path: Path):
    assert saved(tmp_path, kind, comment=comment).identity == identity


def test_texts_of_png_before_and_behind_the_pixels(tmp_path: Path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Anna")
    info.add_text("Software", "gimp")
    info.add_text("Comment", "Anna", zip=True)
    info.add_itxt("Title", "Anna")
    names = ("the text 'Author'", "the text 'Comment'", "the text 'Title'")
    assert saved(tmp_path, "PNG", pnginfo=info).identity == names
    data = (tmp_path / "a").read_bytes()
    chunk = data.index(b"tEXtAuthor") - 4
    length = 12 + int.from_bytes(data[chunk : chunk + 4])
    end = data.rindex(b"IEND") - 4
    moved = data[:chunk] + data[chunk + length : end] + data[chunk : chunk + length] + data[end:]
    (tmp_path / "a").write_bytes(moved)
    assert set(read_header(tmp_path / "a").identity) == set(names)


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path):
    exif = Pillow.Exif()
    exif[Base.Artist] = "Anna"
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    header = saved(tmp_path, "PNG", exif=exif)
    assert (header.identity, header.gps) == (("Artist",), True)
    data = (tmp_path / "a").read_bytes()
    chunk = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[chunk : chunk + 4])
    end = data.rindex(b"IEND") - 4
    moved = data[:chunk] + data[chunk + length : end] + data[chunk : chunk + length] + data[end:]
    (tmp_path / "a").write_bytes(moved)
    assert read_header(tmp_path / "a") == header


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "PNG", "BMP", "GIF"])
def test_nothing_in_a_plain_file(kind: str, tmp_path: Path):
    assert saved(tmp_path, kind) == Header(format=kind, size=(9, 7))


def test_extended_xmp(tmp_path: Path) -> None:
    buffer = BytesIO()
    Pillow.new("RGB", (9, 7)).save(buffer, "JPEG")
    packet = xmp('exif:GPSLatitude="48,8N"')
    segment = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + bytes(8) + packet
    length = (len(segment) + 2).to_bytes(2)
    data = buffer.getvalue()
    (tmp_path / "a").write_bytes(data[:2] + b"\xff\xe1" + length + segment + data[2:])
    assert read_header(tmp_path / "a").gps


def test_the_photograph_of_an_iphone(tmp_path: Path) -> None:
    heic = Path(__file__).parents[1] / "data" / "phone.heic"
    header = read_header(heic)
    assert (header.format, header.size, header.device) == ("HEIF", (48, 64), "Apple")
    assert (header.identity, header.gps) == ((), False)
    content = heic.read_bytes()
    make = content.index((271).to_bytes(2) + b"\0\2")
    artist = content[:make] + (315).to_bytes(2) + content[make + 2 :]
    (tmp_path / "a").write_bytes(artist)
    assert read_header(tmp_path / "a").identity == ("Artist",)


@pytest.mark.parametrize(
    ("text", "found"),
    [("Anna Muster 1950", True), ("OLYMPUS DIGITAL CAMERA   ", False), ("", False)],
)
def test_a_description(text: str, found: bool, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[Base.ImageDescription] = text
    assert saved(tmp_path, "JPEG", exif=exif).identity == ("ImageDescription",) * found
    assert saved(tmp_path, "TIFF", tiffinfo={Base.ImageDescription: text}).identity == ()


def test_texts_of_windows(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[Base.XPTitle] = "Anna Muster".encode("utf-16-le")
    assert saved(tmp_path, "JPEG", exif=exif).identity == ("XPTitle",)


def test_the_size_of_a_tiff_on_its_side(tmp_path: Path) -> None:
    assert saved(tmp_path, "TIFF", tiffinfo={Base.Orientation: 6}).size == (7, 9)
