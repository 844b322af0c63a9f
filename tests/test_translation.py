"""Reports and cards in Chinese: every text has a translation, with the same fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

import agfnet
from agfnet.card.sections import SHOWN
from agfnet.card.text import INTENDED, NOT_FOR, PYTHON
from agfnet.data.table import SPLITS
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.report import attribution, cases, discrimination, evaluation, robustness, subgroups
from agfnet.report.wording import MEANINGS
from agfnet.translation import (
    WORDS,
    display_name,
    in_language,
    joined,
    listed,
    t,
    translate_filled,
    translations,
    words,
)

SOURCE = Path(agfnet.__file__).parent
CARD_TITLES = (
    *("Warnings", "Intended use", "Not for", "How to use", "Input", "Training data"),
    *("Chosen settings", "Evaluation", "Calibration", "Exported graphs", "Limits"),
)
FREQUENCIES = re.compile(r'frequencies = "([^"]+)"')


def literal_texts() -> Iterator[str]:
    """The texts in the source that `t` is called with, also by way of a variable."""
    files = [*(SOURCE / "report").rglob("*.py"), *(SOURCE / "card").rglob("*.py")]
    for path in [*files, SOURCE / "network_description.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        variables: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                variables.setdefault(name, []).extend(strings(node.value))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t":
                (text,) = node.args
                if isinstance(text, ast.Name):
                    yield from variables.get(text.id, ())
                else:
                    yield from strings(text)


def warning_texts() -> Iterator[str]:
    """The texts of the warnings about a network, with numbered fields."""
    source = (SOURCE / "evaluation" / "network_warnings.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NetworkWarning":
            for text in node.args[1:]:
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                numbers = count()
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else f"{{{next(numbers)}}}"
                    for part in parts
                )


def strings(node: ast.expr) -> Iterator[str]:
    """The text of an expression, if it is one or a choice of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*strings(node.body), *strings(node.orelse))


def named_texts() -> Iterator[str]:
    """The texts of constants."""
    yield from (text for meaning in MEANINGS.values() for text in (meaning.title, meaning.text))
    yield from (text for pair in attribution.MEASURES.values() for text in pair)
    yield from (text for check in CHECKS.values() for text in check)
    yield from (method.title for method in METHODS.values())
    yield from cases.KINDS.values()
    yield from evaluation.OPTIONAL.values()
    for columns in (discrimination.CLASS_COLUMNS, robustness.MEASURES, subgroups.MEASURES):
        yield from (title for title, _ in columns.values())
    yield from (*robustness.TITLES.values(), robustness.ALL)
    yield from (INTENDED, NOT_FOR, PYTHON, agfnet.NOTICE, "Sections", *CARD_TITLES, *SHOWN)
    yield from ("gradient x input", "occlusion")  # of `agfnet.robustness.focus`
    yield from (*SPLITS, "photo", "ultrasound", "crop", "pad", "stretch", "shift", "flatten")
    source = (SOURCE / "network_description.py").read_text(encoding="utf-8")
    yield from FREQUENCIES.findall(source)


def fields(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_every_text_has_a_translation_and_nothing_else_has() -> None:
    texts, chinese = {*literal_texts(), *named_texts(), *warning_texts()}, translations("zh")
    assert len(texts) > 200
    assert sorted(texts - set(chinese)) == []
    assert sorted(set(chinese) - texts) == []
    assert [text for text in texts if fields(text) != fields(chinese[text])] == []


def test_chinese_has_full_width_punctuation_and_our_terms() -> None:
    texts = translations("zh").values()
    assert [text for text in texts if re.search(r"[一-鿿][,;:?!()]", text)] == []
    assert [text for text in texts if "病变" in text or "转诊" in text] == []
    assert sorted(path.name for path in WORDS.iterdir()) == ["en.json", "report.zh.json", "zh.json"]


def test_a_warning_in_a_file_is_translated() -> None:
    english = (
        "With clinical alone, the balanced accuracy on 40 validation lesions is 0.500, and 0.450"
        " with ultrasound and dermoscopy as well."
    )
    names = {"clinical": "临床照片", "ultrasound": "超声", "dermoscopy": "皮肤镜"}
    with in_language("zh", names):
        chinese = translate_filled(english)
        assert translate_filled("Something else.") == "Something else."
    assert chinese.startswith("仅用临床照片时")
    assert chinese.endswith("同时使用超声与皮肤镜时为 0.450。")
    assert re.findall(r"[\d.]+", chinese) == ["40", "0.500", "0.450"]
    assert translate_filled(english) == english


def test_texts_follow_the_language() -> None:
    with in_language("zh", {"naevus": "色素痣"}):
        assert t("{count} lesions", count=3) == "3 个皮损"
        assert listed(["naevus", "other"]) == "色素痣、other"
        assert joined(["甲。", "乙。"]) == "甲。乙。"
        with pytest.raises(KeyError):
            t("{count} lesions")
    assert t("{count} lesions", count=3) == "3 lesions"
    assert display_name("naevus") == "naevus"
    assert words("zh")["title"] != words("en")["title"]
