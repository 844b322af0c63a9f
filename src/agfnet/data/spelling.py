"""Spellings of ids and labels: two of one name, and words that stand for a missing value."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

INVISIBLE = (
    "\u00ad\u200b\u200c\u200d\u2060\ufeff"
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Soft hyphen, zero-width characters and byte order mark; marks of the direction of writing, which
come with a path that is copied from a window."""
PATIENT_COLUMNS = {
    *("patient", "patientno", "patientnr", "patientnumber", "patientcode", "patientkey"),
    *("idpatient", "patid", "pid", "mrn", "subject", "subjectid", "proband"),
    *("participant", "participantid"),
    *("patienten", "patientenid", "patientennr", "patientennummer", "paciente", "idpaciente"),
    *("患者", "患者id", "患者编号", "患者号", "病人id", "病人编号", "病历号", "住院号", "患者番号"),
}
"""Further names of a column of patient ids, as by `column_key`."""
LABEL_COLUMNS = {
    *("labels", "diagnosis", "finaldiagnosis", "dx", "class", "classname", "target", "histology"),
    *("diagnose", "diagnostic", "diagnóstico", "diagnostico", "klasse", "标签", "类别", "分类"),
    *("诊断", "病理诊断", "病理", "診断", "ラベル"),
}
"""Likewise of a column of diagnoses, which counts only where no column is called `label`."""
_PLACEHOLDERS = {
    *("na", "nan", "nat", "none", "null", "nil", "empty", "missing", "undefined"),
    *("unknown", "unk", "unkn", "notknown", "notavailable", "notapplicable", "unspecified"),
    *("notspecified", "notrecorded", "nodata", "tbd", "tba", "todo", "anonymous", "anonymized"),
    *("anonymised", "anon", "unbekannt", "keineangabe", "inconnu", "desconocido"),
    *("未知", "不详", "不明", "无", "未填", "匿名", "不詳", "無", "なし", "미상"),
    *("sconosciuto", "desconhecido", "onbekend", "okänd", "ukendt", "ukjent", "неизвестно"),
    *("sconosciuta", "desconhecida", "desconocida", "inconnue", "ignorado", "ignorada"),
    *("pending", "notdone", "notperformed", "notdetermined", "unclear", "naoinformado"),
    *("unklar", "ausstehend", "nichtbekannt", "ohneangabe", "nonrenseigné", "nonrenseigne"),
    *("sindatos", "semdados", "nãoinformado", "待定", "待查", "待诊", "未定", "不清", "不确定"),
    *("blank", "missingdata", "notavail", "notstated", "tobedetermined", "tobeconfirmed", "tbc"),
    *("unlabeled", "unlabelled", "unclassified", "notlabeled", "notlabelled", "nolabel"),
    *("未标注", "未标记", "未分类"),
    *("undiagnosed", "nodiagnosis", "unknowndiagnosis", "unknownpatient", "patientunknown"),
    *("unbek", "ohnediagnose", "keinbefund", "nonconnu", "sindato", "noconsta", "nonnoto"),
    *("okänt", "ikkekjent", "ikkekendt", "tuntematon", "nieznany", "nieznane", "brakdanych"),
    *("bilinmiyor", "άγνωστο", "нетданных", "неуказано", "неизв", "未明", "暂无", "空", "空白"),
    *("缺失", "无数据", "不知道", "未确诊", "不适用", "不適用", "없음", "해당없음", "알수없음"),
}
# of letters alone they might be the initials of a person
_ABBREVIATED = re.compile(r"n[./][dbkr]\.?|k\.a\.|s[./][di]\.?|x{3,}|\\n")
# of Excel in several languages: those without a mark at the end are #N/A
_SPREADSHEET_ERROR = re.compile(
    r"#(div/0!?|[¡¿]?[^\W\d_][^\W\d_/]*(?:/0)?[!?]|n/?[advb]|н/д|getting_data)"
)
_LOOK_ALIKE = str.maketrans("АВЕКМНОРСТХУІЈЅΑΒΕΖΗΙΚΝΟΡΤΥΧİ", "ABEKMHOPCTXYIJSABEZHIKNOPTYXI")
"""Capitals of Cyrillic, Greek and Turkish that look like Latin ones."""
_QUOTES = "'\"`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c\u300d"
_DASH = re.compile(r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_DIGIT = re.compile("[0-9]")
_DECIMAL = re.compile(r"(-?\d+)[.,]0+")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?P<mark>[.,'\u2019])\d{3}((?P=mark)\d{3})*")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[-_/]+(?=\d)")
_AROUND = "#()[]{}<>.,;:*"
_LEADING_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")
_SEPARATOR = re.compile(r"(?<=[^\W\d_])[-_./]+|[-_./]+(?=[^\W\d_])")
_ROUNDED = re.compile(r"\d[.,]\d+e\+?\d+|\de\+\d+")
_LONG = re.compile(r"[1-9]\d{15,}")
_DAY = re.compile(
    r"\d{4}-\d\d-\d\d(?: 00:00(?::00)?)?|(?:0?[1-9]|[12]\d|3[01])(?:"
    r"(?P<sign>[./])(?:0?[1-9]|1[0-2])(?P=sign)(?:19|20)?\d\d|"
    r"[-. ]+(?:jan|feb|f[eé]v|m[aä]r|mrz|apr|avr|abr|ma[iy]|jui?[nl]|jul|aug|ao[uû]|ago|sep|set|"
    r"o[ckt]t|out|nov|d[ei][zc]|dé[c])[a-zäéû]?\.?)"
)
"""A day as spreadsheets show ids such as 1-2: 2026-02-01, 01.02.2026, 1-Feb."""
PRECISION = 15
"""Digits of a number that a spreadsheet keeps; it replaces the others by zeros."""


@lru_cache(maxsize=1 << 14)
def label_key(label: str) -> str:
    """Return what all spellings of a label share.

    Case, spaces, Unicode forms, invisible characters, quotation marks around it, the kind of dash,
    leading zeros and a decimal part of 0 make no difference: `Naevus` and `naevus `, `1` and `1.0`.
    Nor do letters of other alphabets if all of them look like Latin ones, as from a keyboard that
    was not switched.
    """
    text = label
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _DASH.sub("-", text))
        text = "".join(
            str(unicodedata.decimal(c)) if c.isdecimal() else c
            for c in text
            if unicodedata.category(c) not in ("Cf", "Cc")
        )
        latin = text.upper().translate(_LOOK_ALIKE)
        text = latin if latin.isascii() else text
    text = "".join(text.split()).strip(_QUOTES).casefold()
    if match := _DECIMAL.fullmatch(text):
        text = match[1]
    return _LEADING_ZEROS.sub("", text)


def usual_spellings(labels: Iterable[str]) -> dict[str, str]:
    """Return each label and its most frequent spelling; the first one where they are as many.

    Args:
        labels: of all rows, or the number of rows by label.
    """
    usual: dict[str, str] = {}
    counts = Counter(labels)
    for label, _ in counts.most_common():
        usual.setdefault(label_key(label), label)
    return {label: usual[label_key(label)] for label in counts}


@lru_cache(maxsize=1 << 14)
def patient_key(patient: str) -> str:
    """Return what all spellings of a patient id share.

    As `label_key`, and separators next to a letter make no difference (`P-012` and `p12`), nor
    brackets and signs around the id (`#12`), nor thousands separators (`1,234`). A separator
    between two digits counts, since `1-23` and `12-3` are two patients, but not which one it is
    (`2023-1` and `2023/1`).
    """
    text = patient.strip()
    if _THOUSANDS.fullmatch(text) and not text.endswith(".000"):  # a decimal number rather
        return re.sub(r"\D", "", text)
    text = label_key(patient)
    text = text.strip(_AROUND) or text
    return _LEADING_ZEROS.sub("", _BETWEEN_DIGITS.sub("-", _SEPARATOR.sub("", text)))


def same_looking(text: str) -> str:
    """Return what texts share that nobody can distinguish: Unicode forms, invisible characters."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", "".join(c for c in text if c not in INVISIBLE))


def column_key(name: str) -> str:
    """Return what all spellings of a column's name share: `Patient ID` and `patient_id`."""
    return re.sub(r"[\W_]", "", label_key(name))


@lru_cache(maxsize=1 << 14)
def is_placeholder(text: str) -> bool:
    """Return whether a cell holds a word for a missing value: `nan`, `unknown`, `?`, `#N/A`.

    So does a formula without its result: `=B2`.
    """
    if text.startswith("=") and len(text) > 1:
        return True
    if text.isascii() and "#" not in text and _DIGIT.search(text):
        return False  # nearly all ids and paths: no such word has a digit
    key = label_key(text)
    word = re.sub(r"[\W_]", "", key)
    return bool(key) and (
        not word
        or word in _PLACEHOLDERS
        or _ABBREVIATED.fullmatch(key) is not None
        or _SPREADSHEET_ERROR.fullmatch(key) is not None
    )


def is_error(text: str) -> bool:
    """Return whether a cell holds an error of a spreadsheet program: `#N/A`, `#DIV/0!`."""
    return text.startswith("#") and _SPREADSHEET_ERROR.fullmatch(label_key(text)) is not None


def is_rounded(text: str) -> bool:
    """Return whether a spreadsheet has rounded a long number, as in `1.23457E+11`."""
    return _ROUNDED.fullmatch(text.strip().casefold()) is not None


def rounded(texts: Iterable[str]) -> set[str]:
    """Return the ids that a spreadsheet has rounded.

    These are the numbers of `is_rounded`, and long whole numbers if all of them end in zeros after
    the digits that a spreadsheet keeps, which by chance is rarer than one in a thousand.
    """
    ids = set(texts)
    long = {text for text in ids if _LONG.fullmatch(text)}
    zeros = sum(len(text) - PRECISION for text in long)
    if zeros < 3 or any(text[PRECISION:].strip("0") for text in long):
        long = set()
    return long | {text for text in ids if is_rounded(text)}


def days_among(texts: Iterable[str]) -> set[str]:
    """Return the ids that a spreadsheet has turned into days, as `1-2` into `01.02.2026`.

    If more than half of the ids are days, they may be meant so, and none is returned.
    """
    ids = set(texts)
    days = {text for text in ids if _DAY.fullmatch(text.strip().casefold())}
    return days if 2 * len(days) <= len(ids) else set()


def changed_ids(texts: Iterable[str]) -> dict[str, str]:
    """Return the ids that a spreadsheet has rounded or turned into days, and what is wrong."""
    ids = set(texts)
    return {
        **dict.fromkeys(
            days_among(ids),
            "is a day, into which a spreadsheet turns ids such as 1-2; export the ids as text",
        ),
        **dict.fromkeys(
            rounded(ids),
            "is a rounded number, which several patients may share; export the ids as text",
        ),
    }


def is_damaged(text: str) -> bool:
    """Return whether a text was read in the wrong encoding: `N\u00c3\u00a4vus`, or with U+FFFD."""
    if text.isascii():
        return False
    try:
        return "\ufffd" in text or text.encode("cp1252").decode() != text
    except UnicodeError:
        return False
