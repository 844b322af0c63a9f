"""Reports and cards in Chinese: every text has a translation, with the same fields."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import pytest

import agfnet
from agfnet.card.sections import SHOWN
from agfnet.card.text import INTENDED, NOT_FOR, PYTHON
from agfnet.data import file_types, tiff
from agfnet.data.colours import _NEGATIVE
from agfnet.data.readers import _TOO_LARGE, _unidentified
from agfnet.data.table import SPLITS
from agfnet.evaluation.overlap import CHANGED
from agfnet.evaluation.subgroups import MISSING, VIEWS
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.report import attribution, cases, discrimination, evaluation, robustness, subgroups
from agfnet.report.checklists import CHECKLISTS
from agfnet.report.wording import MEANINGS
from agfnet.serve.file_types import describe_other
from agfnet.translation import (
    WORDS,
    batch_problems,
    display_name,
    file_problem,
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
HEIC = b"ftypheic"
FREQUENCIES = re.compile(r'frequencies = "([^"]+)"')


def literal_texts() -> Iterator[str]:
    """The texts in the source that `t` is called with, also by way of a variable."""
    files = [*(SOURCE / "report").rglob("*.py"), *(SOURCE / "card").rglob("*.py")]
    for path in [*files, SOURCE / "network_description.py", SOURCE / "evaluation" / "overlap.py"]:
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


def filled_texts() -> Iterator[str]:
    """The texts in files of a run that are translated when they are shown, with numbered fields.

    These are the warnings about a network and about the images of a table, the reasons of chosen
    settings, and the reasons why something is left out of an evaluation.
    """
    for node in nodes("evaluation/network_warnings.py"):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NetworkWarning":
            yield from map(numbered, node.args[1:])
    reasons = ("reason", "why")
    for node in nodes("training/presets.py"):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Choice":
            yield from outermost(node.args[2])
        elif isinstance(node, ast.Assign) and assigned(node) == "planned":
            yield from (text for text in outermost(node.value) if "step" in text)
        elif isinstance(node, ast.Assign) and assigned(node) in reasons:
            yield from outermost(node.value)
    for node in nodes("evaluation/subgroups.py"):
        if isinstance(node, ast.Assign) and assigned(node) == "skipped":
            yield from outermost(node.value)
    for node in nodes("robustness/focus.py"):
        if isinstance(node, ast.JoinedStr):
            yield numbered(node)
    yield CHANGED
    for node in nodes("inference/about.py"):
        if isinstance(node, ast.JoinedStr) and "lesions have" in numbered(node):
            yield numbered(node)


def nodes(file: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((SOURCE / file).read_text(encoding="utf-8")))


def assigned(node: ast.Assign) -> str:
    """The last name on the left of an assignment, also that of a mapping."""
    target = node.targets[0]
    if isinstance(target, ast.Tuple):
        target = target.elts[-1]
    if isinstance(target, ast.Subscript):
        target = target.value
    return getattr(target, "id", "")


def outermost(node: ast.expr) -> Iterator[str]:
    """The texts of an expression: of a choice those of both, of a tuple that of its last part."""
    if isinstance(node, ast.IfExp):
        yield from (*outermost(node.body), *outermost(node.orelse))
    elif isinstance(node, ast.Tuple):
        yield from outermost(node.elts[-1])
    elif isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    ):
        yield numbered(node)


def numbered(text: ast.expr) -> str:
    """A text with its fields numbered."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    numbers = count()
    return "".join(
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
    for items, source in CHECKLISTS.values():
        yield from (source, *(item.title for item in items))
    yield from ("the epoch with the lowest validation loss", "the last epoch", VIEWS.strip("()"))
    yield MISSING
    yield from (*SPLITS, "photo", "ultrasound", "crop", "pad", "stretch", "shift", "flatten")
    source = (SOURCE / "network_description.py").read_text(encoding="utf-8")
    yield from FREQUENCIES.findall(source)


def fields(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_every_text_has_a_translation_and_nothing_else_has() -> None:
    texts, chinese = {*literal_texts(), *named_texts(), *filled_texts()}, translations("zh")
    assert len(texts) > 350
    assert sorted(texts - set(chinese)) == []
    assert sorted(set(chinese) - texts) == []
    assert [text for text in texts if fields(text) != fields(chinese[text])] == []


def test_chinese_has_full_width_punctuation_and_our_terms() -> None:
    texts = translations("zh").values()
    assert [text for text in texts if re.search(r"[一-鿿][,;:?!()]", text)] == []
    assert [text for text in texts if "病变" in text or "转诊" in text] == []
    names = ["batch.zh.json", "en.json", "files.zh.json", "report.zh.json", "zh.json"]
    assert sorted(path.name for path in WORDS.iterdir()) == names
    for name in ("batch.zh.json", "files.zh.json"):
        problems = json.loads((WORDS / name).read_text(encoding="utf-8")).values()
        assert [text for text in problems if re.search(r"[一-鿿][,;:?!()]", text)] == []


NOT_UPLOADED = re.compile(
    r"no such file|is a folder|cannot be read|is named like|lesion|^(\{\d\})?$"
)
"""Problems that an upload cannot have, or whose text is made elsewhere."""


def problem_texts() -> Iterator[str]:
    """The problems of image files in the source, with 7 in each field."""
    files = ["serve/lesion.py", *(f"data/{path.name}" for path in (SOURCE / "data").glob("*.py"))]
    for node in chain.from_iterable(map(nodes, files)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ImageError":
            text = numbered(node.args[0]) if isinstance(node.args[0], LITERAL) else ""
            if not NOT_UPLOADED.search(text := re.sub(r"^\{0\}: ", "", text)):
                yield re.sub(r"\{\d\}", "7", text)


LITERAL = (ast.JoinedStr, ast.Constant)


def test_every_problem_of_an_upload_is_a_sentence_in_both_languages() -> None:
    texts = [*problem_texts(), _NEGATIVE, _TOO_LARGE]
    heads = (b"%PDF-1.7", b"RIFF\0\1\0\0AVI LIST", b"\x89PNG\r\n\x1a\n", b"text")
    texts += [describe_other(head + bytes(140), "DICOM, TIFF") for head in heads]
    texts += [
        "is empty",
        "is an Excel workbook or another zip file, not CSV; save the table as CSV UTF-8",
        "is HEIC, not JPEG; save it as JPEG or PNG, or install the extra heic on the server",
    ]
    texts += [_unidentified(io.BytesIO(head), head, None) for head in (b"text", b"\0" * 4 + HEIC)]
    deep = b"\xff\xd8\xff\xc0\0\x0b\x0c"  # a frame of 12 bits per sample
    texts.append(_unidentified(io.BytesIO(deep), deep, None))
    texts.append(_unidentified(io.BytesIO(), b"", tiff.Directory(io.BytesIO(), "<", False, {})))
    assert len(texts) > 40
    for text in texts:
        assert file_problem(text, "en") == f"This file {text}."
        sentence = file_problem(text, "zh")
        assert sentence is not None, text
        assert sentence.startswith("该文件")
        assert not re.search(r"[一-鿿] [一-鿿]|[一-鿿][,;:?!()]", sentence)
    assert file_problem("says hello", "zh") is None
    known = json.loads((WORDS / "files.zh.json").read_text(encoding="utf-8"))
    patterns = {text: re.sub(r"\\{\d\\}", ".+", re.escape(text)) for text in known}
    unused = {
        k for k, pattern in patterns.items() if not any(map(re.compile(pattern).fullmatch, texts))
    }
    fields = ("ZIP", "an Excel", "a video", *file_types.NAMES)
    assert all(text.startswith(fields) for text in unused), unused
    pdf = file_problem(describe_other(b"%PDF-1.7", "JPEG, PNG"), "zh")
    assert re.split("[，；]", pdf or "") == [  # noqa: RUF001
        "该文件的类型是 PDF",
        "不是 JPEG、PNG",
        "请另存为 JPEG 或 PNG。",
    ]


FILES_OF_BATCHES = (
    "data/text_check.py",
    *("data/rows.py", "data/case_reader.py", "data/image_cells.py", "data/streaming.py"),
    *("serve/archive.py", "serve/batch_table.py", "serve/batch.py"),
)
NAMES = ("message", "text", "hint")
CALLS = ("add", "stop", "_invalid", "_too_large", "RequestError")
PREFIX = {"_invalid": "the zip archive: {0} ", "_too_large": "the zip archive contains "}
NOT_OF_BATCHES = re.compile(
    r"expected one zip|the zip archive is missing|the batch is|the table does|too many batches"
    r"|no room for the batch|.* counts as an empty|(the zip archive( contains|:))?[7; ]*$"
)
"""Errors of a request, notes, and texts that are made elsewhere."""


def batch_texts() -> Iterator[str]:
    """The problems of a table and an archive in the source, with 7 in each field."""
    for node in chain.from_iterable(map(nodes, FILES_OF_BATCHES)):
        values, prefix = [], ""
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            values, prefix = node.args if name in CALLS else [], PREFIX.get(name, "")
        elif isinstance(node, ast.Return | ast.Assign) and node.value is not None:
            values = [node.value] if isinstance(node, ast.Return) or assigned(node) in NAMES else []
        texts = (text for value in values for text in outermost(value))
        yield from (re.sub(r"\{\d\}", "7", prefix + text) for text in texts if " " in text)


def test_every_problem_of_a_batch_has_a_translation() -> None:
    texts = [text for text in batch_texts() if not NOT_OF_BATCHES.match(text)]
    assert len(texts) > 30
    for text in texts:
        assert batch_problems(f"cases.csv:3 column clinical: {text}", "zh") is not None, text
    line = "cases.csv:1 column lesion_id: there is no such column; did you mean 'lesion'?"
    assert batch_problems(f"{line}\n… and 3 more", "zh") == (
        "cases.csv 第 1 行，lesion_id 列：没有这一列；是否为 'lesion'？\n……另有 3 处"  # noqa: RUF001
    )
    assert batch_problems(f"{line}\nsays hello", "zh") is None


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
