"""Names and groups of diagnoses: a built-in dictionary, and what the settings say otherwise."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from agfnet.config import DiagnosisConfig
from agfnet.errors import ConfigError

DICTIONARY = Path(__file__).with_suffix(".json")
"""English name to Chinese name, group, and codes and synonyms."""
MALIGNANT = "malignant"
"""The group that has an operating point."""
_CODE = r"(?:[A-Z]\d\d(?:\.\d+)?|\d{4}/\d)"
"""Codes of diagnoses: ICD-10 and the morphology of ICD-O."""
_WITH_CODE = re.compile(rf"{_CODE}[ :,;-]+(?P<after>\S.*)|(?P<before>.*\S)[ ,;-]*\(?\b{_CODE}\)?")
_AROUND = " \t\"'.,:;*\u201e\u201c\u201d\u2018\u2019\u00ab\u00bb()[]"
_DOUBT = re.compile(
    r"\?|[/+&]|\b(?:v ?\. ?a|a ?\. ?v|z ?\. ?a|ddx?|no|not|kein(?:e|en)?|nicht|sem|sin|non|pas de|"
    r"or|oder|ou|vs|versus|suspect\w*|suspicio\w*|verdacht\w*|susp|sosp\w*|possib\w*|probab\w*|"
    r"likely|consistent with|favou?rs?|presumed|eher|ehesten|evtl|eventuell|vermutlich|"
    r"wahrscheinlich|mögliche[rs]?|fraglich|unklar|klinisch|évoque\w*|évocateur|à confirmer|"
    r"à éliminer|a descartar|compatible|vereinbar|ausschluss|rule out|excluded?|siehe|see|voir|"
    r"backup|duplicates?|unsorted|untitled|new folder|neuer ordner|nouveau dossier|"
    r"nueva carpeta)\b|"
    r"待[查排]|可能|疑|考虑|倾向|符合|除外|无|非",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"\s*(?:[,;\n|\u3001\uff0c\uff1b]|\b(?:and|und|et|e|y|with|mit|avec|con|com)\b|[和及伴])\s*"
)
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T].*)?")


def describe_classes(
    classes: Sequence[str],
    settings: Mapping[str, DiagnosisConfig] | None = None,
    labels: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
) -> dict[str, DiagnosisConfig]:
    """Return names and group of every class, in the order of the classes.

    What the settings leave out is taken from the built-in dictionary. A class that the dictionary
    does not know has the group of its labels, if they all have the same one, and its own name.

    Args:
        classes: names of the classes.
        settings: class to names and group (`data.diagnoses`).
        labels: labels that each class merges (`data.labels`).

    Raises:
        ConfigError: the settings name a class that does not exist.
    """
    settings = settings or {}
    if unknown := sorted(set(settings) - set(classes)):
        raise ConfigError(
            f"diagnoses: {unknown[0]!r} is not one of the classes; expected some of "
            f"{', '.join(classes)}"
        )
    entries = {name: look_up(name) for name in classes}
    repeated = Counter(entry.en for entry in entries.values() if entry)
    described = {}
    for name, entry in entries.items():
        if entry is None:
            merged = labels[name] if isinstance(labels, Mapping) else ()
            entry = DiagnosisConfig(group=common_group(merged))
        elif repeated[entry.en] > 1:  # two classes must not have one name
            entry = DiagnosisConfig(group=entry.group)
        entered = settings.get(name, DiagnosisConfig())
        plain = name.replace("_", " ")
        described[name] = DiagnosisConfig(
            en=entered.en or entry.en or plain,
            zh=entered.zh or entry.zh or entered.en or entry.en or plain,
            group=entry.group if entered.group is None else entered.group or None,
            synonyms=list(dict.fromkeys([*entered.synonyms, *entry.synonyms])),
        )
    return described


def common_group(names: Sequence[str]) -> str | None:
    """Return the group of diagnoses if they all have the same one."""
    groups = {entry.group if (entry := look_up(name)) else None for name in names}
    return groups.pop() if len(groups) == 1 else None


def look_up(name: str) -> DiagnosisConfig | None:
    """Return the dictionary's entry of a name, code or synonym; or None.

    A code of ICD-10 or ICD-O next to the name, and signs around it, make no difference:
    `C44.3 BCC`.
    """
    entry = dictionary().get(plain_spelling(name))
    if entry is None:
        entry = dictionary().get(plain_spelling(_without_code(name)))
    return None if entry is None else replace(entry, synonyms=list(entry.synonyms))


def one_diagnosis(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels that are names of one diagnosis, as `BCC` and `basal cell carcinoma`.

    Args:
        labels: different ones, as they are written.

    Returns:
        English name of a diagnosis to its labels, if it has several.
    """
    names: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        if entry := look_up(label):
            names.setdefault(entry.en or label, []).append(label)
    return {name: each for name, each in names.items() if len(each) > 1}


def doubtful_labels(labels: Iterable[str]) -> list[str]:
    """Return the labels that are no single certain diagnosis.

    These are uncertain or negated ones (`BCC?`, `no BCC`), those with several diagnoses, dates,
    numbers among names, and numbers that usually mean a missing value (`99` next to 0 and 1).

    Args:
        labels: different ones, as they are written.
    """
    names = list(dict.fromkeys(labels))
    named = sum(re.search(r"[^\W\d_]{2}", name) is not None for name in names)
    return [
        name
        for name in names
        if _is_doubtful(name)
        or (name.isdecimal() and 2 * named >= len(names))
        or _is_missing_number(name, names)
    ]


def is_code(text: str) -> bool:
    """Return whether a text is a code of ICD-10, or of the morphology of ICD-O."""
    return re.fullmatch(_CODE, text) is not None


def _is_doubtful(label: str) -> bool:
    if look_up(label) is not None or is_code(label):
        return False
    entries = [entry for part in _BETWEEN.split(label) if (entry := look_up(part))]
    several = len({entry.en for entry in entries}) > 1
    return several or bool(_DOUBT.search(label) or _DATE.fullmatch(label))


def _is_missing_number(name: str, names: Sequence[str]) -> bool:
    """Return whether a number stands apart from the others as those for a missing value do."""
    others = {int(other) for other in names if other.isdecimal() and other != name}
    if re.fullmatch("9+", name):
        return bool(others) and int(name) > max(others) + 1
    return re.fullmatch("-[0-9]+", name) is not None and 0 in others


def _without_code(label: str) -> str:
    match = _WITH_CODE.fullmatch(label.strip())
    return ((match["after"] or match["before"]) if match else label).strip(_AROUND)


@cache
def dictionary() -> dict[str, DiagnosisConfig]:
    """Read the dictionary, by every spelling of each diagnosis."""
    content = json.loads(DICTIONARY.read_text(encoding="utf-8"))
    entries = {en: DiagnosisConfig(en=en, **rest) for en, rest in content.items()}
    return {
        plain_spelling(spelling): entry
        for en, entry in entries.items()
        for spelling in (en, entry.zh or en, *entry.synonyms)
    }


def plain_spelling(name: str) -> str:
    """Return a name without capitals, and with a space for underscores and hyphens."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def members(described: Mapping[str, DiagnosisConfig]) -> dict[str, tuple[str, ...]]:
    """Return the classes of each group: malignant first, then in the order of the classes."""
    groups = dict.fromkeys(entry.group for entry in described.values() if entry.group)
    ordered = sorted(groups, key=lambda group: group != MALIGNANT)
    return {
        group: tuple(name for name, entry in described.items() if entry.group == group)
        for group in ordered
    }
