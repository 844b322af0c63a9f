"""A report and a card in Chinese: no sentence in them is left in English."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from agfnet.bundle import read_bundle
from agfnet.card import refresh_card
from agfnet.config import EvaluateConfig
from agfnet.report.run import run_evaluation

from .pages import Page

NAMES = {
    *("agfnet", "AGFnet", "AdamW", "Xiao", "Apache-2.0", "Python", "dropout", "logit", "ONNX"),
    *("numpy", "torch", "torchvision", "timm", "lightning", "pillow", "scipy"),
    *("TRIPOD+AI", "CLAIM", "Mongan", "Tejani", "Collins", "Vickers", "Elkin", "Brier", "Cohen"),
    *("SHA-256", "JPEG", "CPU", "px", "min", "dB", "split", "fold", "fp32", "lac", "aps"),
    *("AUC", "ECE", "AUROC", "AURC", "ROC", "F1", "AP"),
}
"""Names, units and abbreviations that a Chinese text has as they are."""
PLAN = [
    {"setting": "model.dropout", "value": 0.2, "reason": "59 training lesions are few"},
    {"setting": "data.size", "value": 64, "reason": "about 9 min, within 1.0 h"},
]
FILE = r"\b[\w.]+\.(?:yaml|json|csv|onnx)\b|\bbundle/"
CODE = re.compile(rf"```.*?```|`[^`]*`|--[\w.-]+(?: \w+)?|agfnet [a-z]+|{FILE}", re.S)
WORD = re.compile(r"(?<![\w-])(?:[A-Za-z][\w.+-]*[A-Za-z\d]|[A-Za-z]{2,})")


def latin(text: str, names: set[str]) -> list[str]:
    """The English words in a text, except for code, numbers and names."""
    return [word for word in WORD.findall(CODE.sub(" ", text)) if word not in NAMES | names]


def test_english_words_are_found() -> None:
    """The test below could not fail otherwise."""
    text = "平衡准确率 0.500、95 % 置信区间、`agfnet check`、config.yaml 的 AdamW。"
    assert latin(text, set()) == []
    assert latin(text + "Always one class.", set()) == ["Always", "one", "class"]


@pytest.mark.slow
def test_nothing_in_a_chinese_report_or_card_is_english(trained: Path, tmp_path: Path) -> None:
    others = shutil.ignore_patterns("evaluation")  # of other tests, under names of their own
    run = Path(shutil.copytree(trained, tmp_path / "small", ignore=others))
    (run / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    config = read_bundle(run).config
    folder = run_evaluation(
        EvaluateConfig(
            run=str(run),
            name="abroad",
            split="val",
            language="zh",
            resamples=20,
            max_focus_lesions=2,
        )
    )
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    refresh_card(run)
    card = (run / "bundle" / "card.zh.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    labels = [
        attributes[name] or ""
        for _, attributes in page.tags
        for name in ("alt", "aria-label", "title")
        if name in attributes
    ]
    own = {"small", "abroad", "test", *config.classes, config.model.backbone.name, config.agfnet}
    own |= {name for name in page.words if re.fullmatch(r"L\d+", name)}
    groups = json.loads((folder / "subgroups.json").read_text(encoding="utf-8"))["columns"]
    for column, content in groups.items():
        own |= {column, *(row["group"] for row in content["groups"])}
    assert latin(" ".join([*page.words, *labels]), own) == []
    assert latin(card, own) == []
