"""Small workbooks, written by hand: XLSX with merged cells, ODS and XLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import pack
from xml.sax.saxutils import escape
from zipfile import ZipFile

Cells = Sequence[Sequence[str | int | float]]
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns"


def xlsx(path: Path, sheets: Mapping[str, Cells], merged: Sequence[str] = ()) -> Path:
    """Write a workbook; `merged` are ranges of the first sheet, such as A2:A3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as file:
        overrides = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/'
            'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/'
            'workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            f'spreadsheetml.sheet.main+xml"/>{overrides}</Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Type="{_TYPES}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in enumerate(sheets, 1)
        )
        book = f'<workbook {_MAIN} xmlns:r="{_TYPES}"><sheets>{names}</sheets></workbook>'
        file.writestr("xl/workbook.xml", book)
        links = "".join(
            f'<Relationship Id="r{n}" Type="{_TYPES}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
        )
        for number, cells in enumerate(sheets.values(), 1):
            rows = "".join(_row(line, row) for line, row in enumerate(cells, 1))
            ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged if number == 1)
            ranges = f"<mergeCells>{ranges}</mergeCells>" if ranges else ""
            content = f"<worksheet {_MAIN}><sheetData>{rows}</sheetData>{ranges}</worksheet>"
            file.writestr(f"xl/worksheets/sheet{number}.xml", content)
    return path


def _row(line: int, cells: Sequence[str | int | float]) -> str:
    texts = "".join(
        f'<c r="{"ABCDEFGH"[n]}{line}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
        if isinstance(cell, str)
        else f'<c r="{"ABCDEFGH"[n]}{line}"><v>{cell}</v></c>'
        for n, cell in enumerate(cells)
        if cell != ""
    )
    return f'<row r="{line}">{texts}</row>'


def ods(path: Path, cells: Cells) -> Path:
    """Write a spreadsheet of LibreOffice with one sheet of texts."""
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(str(cell))}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in cells
    )
    spaces = " ".join(f'xmlns:{n}="{_OPEN_DOCUMENT}:{n}:1.0"' for n in ("office", "table", "text"))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with ZipFile(path, "w") as file:
        file.writestr("mimetype", kind)
        file.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{_OPEN_DOCUMENT}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
            "</manifest:manifest>",
        )
        file.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Tabelle1">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def xls(path: Path, cells: Cells) -> Path:
    """Write a workbook of Excel 97: records of BIFF8 in one stream of a compound file."""

    def record(number: int, content: bytes) -> bytes:
        return pack("<HH", number, len(content)) + content

    begin = record(0x809, pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    sheet = record(0x809, pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for line, row in enumerate(cells):
        for column, cell in enumerate(row):
            place = pack("<HHH", line, column, 0)
            if isinstance(cell, str):
                text = pack("<HB", len(cell), 1) + cell.encode("utf-16-le")
                sheet += record(0x204, place + text)
            else:
                sheet += record(0x203, place + pack("<d", cell))
    sheet += record(0x0A, b"")
    name = pack("<BB", 1, 0) + b"A"
    start = len(begin) + len(record(0x85, bytes(6) + name)) + 4
    stream = begin + record(0x85, pack("<IH", start, 0) + name) + record(0x0A, b"") + sheet
    path.write_bytes(_compound_file("Workbook", stream.ljust(4096, b"\0")))
    return path


def _compound_file(name: str, stream: bytes) -> bytes:
    """Return a compound file (MS-CFB) with one stream of at least 4096 bytes."""
    end, free, table = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    size = 512
    sectors = -(-len(stream) // size)
    chain = [table, end, *range(3, sectors + 2), end]
    chain += [free] * (size // 4 - len(chain))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0)
    header += pack("<109I", 0, *[free] * 108)

    def entry(title: str, kind: int, child: int, start: int, length: int) -> bytes:
        text = (title + "\0").encode("utf-16-le")
        head = text.ljust(64, b"\0") + pack("<HBBIII", len(text), kind, 1, free, free, child)
        return head + bytes(36) + pack("<IQ", start, length)

    folder = entry("Root Entry", 5, 1, end, 0) + entry(name, 2, free, 2, len(stream))
    folder += (bytes(68) + pack("<III", free, free, free) + bytes(48)) * 2
    return header + pack(f"<{size // 4}I", *chain) + folder + stream.ljust(sectors * size, b"\0")
