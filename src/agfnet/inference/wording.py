"""A diagnosis in words, one sentence and its warnings, which the server's page uses, too."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

import agfnet
from agfnet.inference.postprocessing import refer
from agfnet.inference.predictor import Diagnosis

WORDS = Path(agfnet.__file__).with_name("words")
"""Folder with one JSON file per language."""


@cache
def words() -> dict[str, str]:
    """Return the English words by key; `{name}` is a field to fill in."""
    texts: dict[str, str] = json.loads((WORDS / "en.json").read_text(encoding="utf-8"))
    return texts


def percent(p: float) -> str:
    """Write a probability in per cent, never rounded to certainty."""
    return "<1%" if p < 0.005 else ">99%" if p > 0.995 else f"{p:.0%}"


def sentence(classes: tuple[str, ...], diagnosis: Diagnosis) -> str:
    """Write the diagnosis as one sentence."""
    best, second = np.argsort(-diagnosis.probabilities)[:2]
    p, q = diagnosis.probabilities[[best, second]]
    return words()["answer.likely" if p >= 0.5 else "answer.uncertain"].format(
        best=classes[best], p=percent(p), second=classes[second], q=percent(q)
    )


def warning_sentences(classes: tuple[str, ...], diagnosis: Diagnosis) -> list[str]:
    """Write the warnings to read before relying on the diagnosis, one sentence each."""
    texts = []
    if diagnosis.out_of_distribution:
        texts.append(words()["warning.out_of_distribution"])
    if diagnosis.abstain:
        texts.append(words()["warning.abstain"])
    if refer(diagnosis.abstain, diagnosis.out_of_distribution) is None:
        texts.append(words()["warning.no_guarantee"])
    if diagnosis.prediction_set is not None and diagnosis.prediction_set.sum() > 1:
        order = np.argsort(-diagnosis.probabilities, kind="stable")
        names = [classes[c] for c in order if diagnosis.prediction_set[c]]
        texts.append(words()["warning.prediction_set"].format(names=", ".join(names)))
    return texts
