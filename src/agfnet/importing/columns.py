"""The header of a spreadsheet, and what its columns hold, guessed from their names and cells."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agfnet.data.problems import near
from agfnet.errors import ConfigError, DataError
from agfnet.importing.sheets import Sheet

HEADER_WITHIN = 30
"""Rows in which the header is looked for."""
MATCH_ROLES = ("centre", "patient_id", "lesion_id", "visit", "accession")
"""Ids that a row and the path or the attributes of a file may have in common."""
_NUMBER = (
    r"(?: ?(?:id|ids|nr|no|n|num|number|nummer|numero|code|codigo|kennung|pseudonym|key|index))?"
)
_NAMES: list[tuple[str, list[str]]] = [
    (
        "identity",
        [
            r"(?:patient(?:en)?|pat)? ?(?:sur|last|first|full|family|given|vor|nach|"
            r"familien)?names?",
            r"nome(?: (?:do|completo).*)?|nombre(?: (?:del?|completo).*)?|"
            r"apellidos?|sobrenome|prenom|nom",
            r"patient(?:en)? ?namen?|name (?:des|der) patient(?:en|in)?|nom du patient",
            r".*(?:geburt|birth|nascimento|nacimiento|naissance|\bdob\b|geb ?dat).*",
            r".*(?:e ?mail|telefon|phone|adress|address|direccion|endereco|strasse|street).*",
            r"姓名|患者姓名|病人姓名|出生日期|生日|电话|手机号?|地址|住址|身份证号?",
        ],
    ),
    (
        "label",
        [
            r".*(?:histo(?!r)|pathol|patol).*(?:diag|bef|result|ergeb|label|class)?.*",
            r".*病理.*",
            r".*(?:final|gold|definit|endgult|verified).*diag.*",
            r"(?:haupt|main)?(?:diagnos[a-z]*|dx|diag|diagnostico|"
            r"diagnostic)(?: (?:code|name|text))?",
            r".*诊断.*",
            r"label|labels|class|klasse|classe|clase|etiqueta|rotulo|etiquette|"
            r"target|entity|entitat",
            r"标签|类别|分类|金标准",
            r"categor\w*|kategorie|dignitat|benign.*malign.*|malign\w*(?: .*)?|"
            r".*diagnos.*|icd ?(?:10|11)?",
        ],
    ),
    (
        "lesion_id",
        [
            rf"(?:lesion|laesion|lasion|lesao|lesione|lesions|mole|nevus|naevus|herd){_NUMBER}",
            r"(?:id|nr|no|n|num|number|numero|codigo|code)(?: (?:de|da|do|del|der|of|la))* "
            r"(?:lesion|lasion|lesao|herd)",
            r"(?:皮损|病灶|病变|病损|皮疹)(?: ?(?:编号|号|序号|id|no))?",
            rf"(?:sample|probe|specimen|case|fall|caso|cas){_NUMBER}",
        ],
    ),
    (
        "patient_id",
        [
            rf"(?:patient|patienten|patients|pat|paciente|proband|probanden|subject|sujet|sujeto|"
            rf"participant|person){_NUMBER}",
            r"(?:id|nr|no|n|num|number|numero|codigo|code|identifiant|pseudonym)"
            r"(?: (?:de|da|do|del|des|der|du|of))* ?(?:patient|patienten|paciente|"
            r"pat|proband|sujet)",
            r"(?:(?:no|n|nr|num|numero|numer)? ?(?:de |da |do )?)"
            r"(?:historia|historia clinica|hc|"
            r"expediente|dossier|akte|aktenzeichen|processo|registro)",
            r"(?:pid|mrn|ipp|nhc|prontuario|historia clinica|pseudonym|medical record.*|kis ?nr)",
            r"(?:患者|病人|受试者)(?: ?(?:编号|号|序号|id|标识|no))?"
            r"|病历号|住院号|门诊号|登记号|病案号",
        ],
    ),
    (
        "accession",
        [
            rf"(?:accession|acc|auftrag|auftrags|order|untersuchung|untersuchungs|exam|study|studie)"
            rf"{_NUMBER}",
            r"检查(?:编号|号|序号)|流水号",
        ],
    ),
    (
        "visit",
        [
            r"(?:visit|visite|visita|besuch|termin|timepoint|zeitpunkt|baseline|session)" + _NUMBER,
            r"(?:datum|date|data|fecha|dat)(?: .*)?|.*(?:datum|date|日期|时间)",
        ],
    ),
    (
        "centre",
        [
            r"(?:centre|center|zentrum|centro|hospital|krankenhaus|klinik|klinikum|"
            r"standort|hopital|"
            r"institution|institut|institute|einrichtung|study site|site id|site|sitio)" + _NUMBER,
            r"中心|医院|机构|分中心|医院名称|中心编号",
        ],
    ),
    ("split", [r"split|partition|subset"]),
    ("fold", [r"fold"]),
    (
        "modality",
        [
            r"modalit\w*|modalidad\w*|image ?type|bild ?typ|bild ?art|type|typ|tipo|"
            r"view|aufnahmeart"
            r"|模态|图像类型|检查类型|类型"
        ],
    ),
    (
        "id",
        [r"id|nr|no|n|num|number|nummer|numero|code|codigo|编号|序号|lfd ?nr|key|isic id|image id"],
    ),
]
_CODES = re.compile(r"[A-Z]\d\d(?:\.\d+)?")
_FILE = re.compile(
    r"\.(jpe?g|jpe|jfif|png|tiff?|webp|bmp|gif|dcm|dicom|ima)(#\d+)?\s*$", re.IGNORECASE
)
_FILE_COLUMN = re.compile(
    r"\b(?:files?|filename|datei(?:en|name)?|bild(?:er)?|bilddatei|images?|img|path|pfad|fichiers?|"
    r"archivos?|arquivos?|imagen(?:es)?|imagem|imagens|fotos?|photos?|scans?)\b|图像|图片|文件|路径|照片"
)


def plain_name(name: str) -> str:
    """Return the name of a column in lower case, without accents and separators."""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss")).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", text)
    return " ".join(re.sub(r"[^\w]|_", " ", text).split())


def role_of(name: str) -> tuple[str, int]:
    """Return what a column holds by its name, and the rank of the name: 0 is the most certain."""
    camel = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", name)
    for text in dict.fromkeys((plain_name(name), plain_name(camel))):
        for role, patterns in _NAMES:
            for rank, pattern in enumerate(patterns):
                if text and re.fullmatch(pattern, text):
                    return role, rank
    return "", 0


@dataclass(frozen=True)
class Table:
    """A sheet with its header."""

    sheet: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Number of each row in the file, and its cells by column."""
    header: int
    notes: tuple[str, ...] = ()

    def values(self, column: str) -> list[str]:
        """Return the cells of a column that are not empty."""
        return [cells[column] for _, cells in self.rows if cells[column]]


def find_table(
    path: Path, sheets: Sequence[Sheet], name: str | None, known: Sequence[str]
) -> Table:
    """Return the sheet with the most columns that are understood, with its header.

    Args:
        path: of the file, for messages.
        sheets: of the file.
        name: of the sheet, or None to look for it.
        known: columns that the user has named.

    Raises:
        DataError: no sheet has that name, or none has a header and rows.
    """
    if name is not None:
        sheets = [sheet for sheet in sheets if sheet.name == name] or _no_sheet(path, name, sheets)
    best: tuple[float, Table] | None = None
    for sheet in sheets:
        score, table = _header(sheet, known)
        if table.rows and (best is None or score > best[0]):
            best = score, table
    if best is None:
        raise DataError(f"{path}: has no rows below its header")
    table = best[1]
    if missing := [column for column in known if column not in table.columns]:
        raise ConfigError(
            f"columns: {path} has no column {missing[0]!r}; {near(missing[0], table.columns)}"
        )
    return table


def _no_sheet(path: Path, name: str, sheets: Sequence[Sheet]) -> list[Sheet]:
    raise ConfigError(
        f"sheet: {path} has no sheet {name!r}; {near(name, [sheet.name for sheet in sheets])}"
    )


def _header(sheet: Sheet, known: Sequence[str]) -> tuple[float, Table]:
    """Return the header that names the most known columns: one row, or two that are merged."""
    options: list[tuple[float, int, int, list[str]]] = []
    for number in range(min(HEADER_WITHIN, len(sheet.rows))):
        cells = list(sheet.rows[number][1])
        options.append((_score(cells, known), -number, 1, cells))
        if number + 1 < len(sheet.rows):
            joined = _joined(cells, list(sheet.rows[number + 1][1]))
            options.append((_score(joined, known) - 0.5, -number, 2, joined))
    score, start, height, cells = max(options, key=lambda option: option[:2])
    first = -start
    counts: dict[str, int] = {}
    columns: list[str] = []
    for cell in cells:
        name = " ".join(cell.split())
        counts[name] = counts.get(name, 0) + 1
        columns.append(f"{name} ({counts[name]})" if name and counts[name] > 1 else name)
    rows = []
    for line, row in sheet.rows[first + height :]:
        padded = [*row, *[""] * (len(columns) - len(row))]
        named = {name: cell for name, cell in zip(columns, padded, strict=False) if name}
        if any(named.values()) and tuple(padded[: len(cells)]) != tuple(cells):
            rows.append((line, named))
    kept = tuple(name for name in columns if name)
    notes = [sheet.note] if sheet.note else []
    if height == 2:
        notes.append("the header has two lines, which are joined")
    if first:
        notes.append(f"{first} rows above the header are not read")
    line = sheet.rows[first][0]
    return score, Table(sheet.name, kept, tuple(rows), line, tuple(notes))


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """Return two header lines as one; a group's title counts for the cells to its right."""
    if sum(map(bool, upper)) < 2 or any(re.search(r"\d", cell) for cell in lower):
        return []
    width = max(len(upper), len(lower))
    upper, lower = [*upper, *[""] * (width - len(upper))], [*lower, *[""] * (width - len(lower))]
    names, title = [], ""
    for above, below in zip(upper, lower, strict=True):
        title = above or (title if below else "")
        names.append(below if below == title else f"{title} {below}".strip())
    return names


def _score(cells: Sequence[str], known: Sequence[str]) -> float:
    """Return the number of different things that a header names."""
    roles = {role_of(cell)[0] for cell in cells} - {""}
    count = len(roles) - 0.6 * ("id" in roles)
    paths = any(_FILE_COLUMN.search(plain_name(cell)) for cell in cells)
    text = sum(bool(cell) and not re.fullmatch(r"[\d.,:/ -]+", cell) for cell in cells)
    return 10 * sum(name in cells for name in known) + count + paths + text / 100


@dataclass(frozen=True)
class Roles:
    """The contents of the columns."""

    columns: dict[str, str]
    """Role (`patient_id`, `label`, ...) to column."""
    images: dict[str, str]
    """Columns whose cells name files, to the modality; empty where each file decides."""
    identity: tuple[str, ...]
    """Columns that identify people, which are left out."""


def guess_roles(
    table: Table,
    named_columns: Mapping[str, str],
    modalities: Sequence[str],
    is_file: Callable[[str, dict[str, str]], bool],
    modality_of_name: Callable[[str], str],
) -> Roles:
    """Return what each column holds: as the user says, and else by names and cells.

    Args:
        table: the spreadsheet.
        named_columns: role or modality to column, by the user.
        modalities: names of the image columns to write.
        is_file: tells whether a cell names an image file or a folder.
        modality_of_name: returns the modality that a column's name suggests; or empty.

    Raises:
        ConfigError: a role is unknown.
    """
    allowed = (*MATCH_ROLES, "label", "split", "fold")
    images: dict[str, str] = {}
    columns: dict[str, str] = {}
    for role, column in named_columns.items():
        if role in (*modalities, "file"):
            images[column] = role if role != "file" else ""
        elif role in (*allowed, "modality"):
            columns[role] = column
        else:
            raise ConfigError(
                f"columns: {role!r} is unknown; "
                f"{near(role, [*allowed, 'modality', 'file', *modalities])}"
            )
    free = [name for name in table.columns if name not in named_columns.values()]
    for name in free:
        sample = [(c[name], c) for _, c in table.rows if c[name]][:60]
        named = bool(_FILE_COLUMN.search(plain_name(name)) or modality_of_name(name))
        like = sum(bool(_FILE.search(text)) for text, _ in sample)
        real = sum(is_file(text, cells) for text, cells in sample) if named or like else 0
        if sample and (2 * real >= len(sample) or (2 * like >= len(sample) and named)):
            images[name] = modality_of_name(name)
    ranked: dict[str, list[tuple[int, int, str]]] = {}
    for number, name in enumerate(free):
        role, rank = role_of(name)
        if role and name not in images and table.values(name):
            ranked.setdefault(role, []).append((rank, number, name))
    identity = tuple(name for _, _, name in ranked.pop("identity", []))
    # a "site" may be a part of the body: a centre that files do not depend on is an attribute
    centres = [
        each
        for each in ranked.pop("centre", [])
        if any(is_file(text, {}) for text in set(table.values(each[2])))
    ]
    if centres:
        ranked["centre"] = centres
    nameless = ranked.pop("id", [])
    for role, names in ranked.items():
        fitting = [
            each for each in sorted(names) if role != "label" or _may_be_label(table, each[2])
        ]
        if fitting:
            columns.setdefault(role, fitting[0][2])
    for _, _, name in nameless:  # a plain "ID" is of lesions where it is unique, else of patients
        values = table.values(name)
        unique = len(set(values)) == len(table.rows)
        numbered_images = "" in images.values() and "patient_id" in columns
        if numbered_images and unique and "lesion_id" not in columns:
            continue  # it numbers the images, of which a lesion may have several
        role = "lesion_id" if unique and ("patient_id" in columns or images) else "patient_id"
        if not ({"patient_id", "lesion_id"} <= columns.keys()) and role not in columns:
            columns[role] = name
    return Roles(columns, images, identity)


def _may_be_label(table: Table, name: str) -> bool:
    values = table.values(name)
    dates = sum(bool(re.fullmatch(r"[\d./-]{6,10}", text)) for text in values)
    return 2 * dates < len(values) and not _FILE.search(values[0])


def key_of_labels(sheets: Sequence[Sheet], table: Table, column: str) -> dict[str, str]:
    """Return code to name of the labels, from another sheet that lists them; or nothing."""
    codes = set(table.values(column))
    if not codes or any(len(code) > 6 for code in codes):
        return {}
    for sheet in sheets:
        if sheet.name == table.sheet:
            continue
        width = max(len(cells) for _, cells in sheet.rows)
        for first in range(width):
            for second in range(width):
                pairs = [
                    (cells[first], cells[second])
                    for _, cells in sheet.rows
                    if max(first, second) < len(cells) and cells[first] and cells[second]
                ]
                names = dict(reversed(pairs))
                if first != second and codes <= names.keys() and len(pairs) <= len(codes) + 30:
                    texts = {names[code] for code in codes}
                    if len(texts) == len(codes) and not any(text.isdigit() for text in texts):
                        return {code: names[code] for code in codes}
    return {}


def looks_like_ids(labels: Sequence[str]) -> str:
    """Return why the labels of lesions look like names or ids of patients; or empty.

    Args:
        labels: one for each lesion.
    """
    names = sorted(set(labels))
    if len(names) < 2:
        return ""
    words = r"(?i)(?:patient|pat|pt|subject|proband|case|fall|paciente|患者|病人)[ _.-]*\d+.*"
    person = r"[^\W\d_]{2,}(?:, ?|\^)[^\W\d_]{2,}.*|(?:Mr|Mrs|Ms|Herr|Frau|Mme)[._ ].*"
    code = r"[^\W\d_]{0,6}[ _.-]?(?:0\d+|\d{3,})(?:[ _-].*)?"
    for pattern, reason in (
        (words, "are numbered patients"),
        (person, "look like names of persons"),
        (code, "look like ids"),
    ):
        matching = [n for n in names if re.fullmatch(pattern, n) and not _CODES.fullmatch(n)]
        if 2 * len(matching) > len(names):
            return reason
    if len(names) > 12 and len(labels) < 2 * len(names) and not any(map(_names_diagnosis, names)):
        return f"are {len(names)} different ones for {len(labels)} lesions"
    return ""


def _names_diagnosis(label: str) -> bool:
    words = (
        r"melan|n(a?e|e)v|bcc|scc|carcin|karzin|kerat|fibrom|angiom|nevo|痣|瘤|癌|cyst|zyst|wart"
    )
    return re.search(words, label, re.IGNORECASE) is not None
