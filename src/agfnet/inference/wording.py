"""A diagnosis in words, one sentence and its warnings, which the server's page uses, too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from agfnet.bundle import Bundle, Rate
from agfnet.data.quality import SWAPPED, by_hint
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.percents import percent, percent_text, round_percent
from agfnet.inference.postprocessing import refer
from agfnet.translation import Language, words


def sentence(classes: tuple[str, ...], diagnosis: Diagnosis) -> str:
    """Write the diagnosis as one sentence, or that there is none for a picture of another kind."""
    if diagnosis.foreign:
        return words()["warning.foreign"].format(modalities=modality_names(diagnosis.foreign))
    best, second = np.argsort(-diagnosis.probabilities, kind="stable")[:2]
    sure = diagnosis.probabilities[best] >= 0.5
    numbers = diagnosis.percents
    return words()["answer.likely" if sure else "answer.uncertain"].format(
        best=classes[best],
        p=percent_text(numbers[best]),
        second=classes[second],
        q=percent_text(numbers[second]),
    )


def group_sentences(bundle: Bundle, diagnosis: Diagnosis) -> list[str]:
    """Write the probability of each group with its classes, and the operating point.

    The first group is `malignant`, if there is one. Classes of 0 per cent are summed up, except for
    the most probable one of a group. The numbers of the classes add up to that of the group.
    """
    if diagnosis.foreign:
        return []
    names, probabilities = bundle.config.names, diagnosis.probabilities
    texts, numbers = [], replace(diagnosis, groups=bundle.config.group_numbers).percents
    for group, members in zip(bundle.config.groups, bundle.config.group_numbers, strict=True):
        total = round_percent(float(probabilities[list(members)].sum()))
        order = sorted(members, key=lambda c: -probabilities[c])
        shown = [c for c in order if c == order[0] or numbers[c] > 0]
        parts = [f"{names[c]} {percent_text(numbers[c])}" for c in shown]
        if (rest := total - sum(numbers[c] for c in members)) > 0:
            parts.append(words()["answer.others"].format(p=percent_text(rest)))
        text = words()["answer.group"].format(
            group=words().get(f"group.{group}", group),
            p=percent_text(total),
            names=", ".join(parts),
        )
        texts.append(text)
    point, positive = bundle.calibration.operating_point, diagnosis.above_threshold
    if point is not None and positive is not None:
        text = words()["answer.above" if positive else "answer.below"].format(
            threshold=whole_percent(point.threshold),
            sensitivity=rate(point.sensitivity),
            specificity=rate(point.specificity),
        )
        texts.insert(1, text)
    return texts


def whole_percent(threshold: float) -> str:
    """Write a threshold halfway between two whole per cent as the next whole one."""
    return percent(math.ceil(100 * threshold - 1e-9) / 100)


def rate(value: Rate, language: Language = "en") -> str:
    """Write a rate with its interval."""
    if value.value is None:
        return words(language)["rate.none"]
    if value.low is None or value.high is None:
        return exact_percent(value.value)
    values = {"value": value.value, "low": value.low, "high": value.high}
    texts = {name: exact_percent(number) for name, number in values.items()}
    return words(language)["rate"].format(**texts)


def exact_percent(fraction: float) -> str:
    """Write an observed fraction in per cent; only 0 and 1 are 0 % and 100 %."""
    return f"{fraction:.0%}" if fraction in (0, 1) else percent(fraction)


def modality_names(modalities: Iterable[str]) -> str:
    """Write names of modalities."""
    return ", ".join(words().get(f"modality.{name}", name) for name in modalities)


def missing_sentence(missing: Sequence[str], optional: Sequence[str] | None) -> str:
    """Write the missing modalities; empty if there are none.

    Args:
        missing: modalities without an image.
        optional: modalities that the network was trained to do without; None if unknown.
    """
    if not missing:
        return ""
    trained = optional is None or set(missing) <= set(optional)
    key = "warning.missing" if trained else "warning.missing_untrained"
    return words()[key].format(modalities=modality_names(missing))


def warning_sentences(classes: tuple[str, ...], diagnosis: Diagnosis) -> list[str]:
    """Write the warnings to read before relying on the diagnosis, one sentence each."""
    if diagnosis.foreign:
        return []  # there is no diagnosis to rely on
    texts = []
    if diagnosis.unfamiliar:
        names_of = modality_names(diagnosis.unfamiliar)
        texts.append(words()["warning.unfamiliar"].format(modalities=names_of))
    elif diagnosis.out_of_distribution:
        texts.append(words()["warning.out_of_distribution"])
    texts += quality_sentences(diagnosis)
    if diagnosis.abstain:
        texts.append(words()["warning.abstain"])
    if refer(diagnosis.abstain, diagnosis.out_of_distribution) is None:
        texts.append(words()["warning.no_guarantee"])
    if diagnosis.prediction_set is not None and diagnosis.prediction_set.sum() > 1:
        order = np.argsort(-diagnosis.probabilities, kind="stable")
        names = [classes[c] for c in order if diagnosis.prediction_set[c]]
        texts.append(words()["warning.prediction_set"].format(names=", ".join(names)))
    return texts


def quality_sentences(diagnosis: Diagnosis) -> list[str]:
    """Write the hints on the quality of the images, one sentence for each kind of fault."""
    texts = []
    for hint, modalities in by_hint(diagnosis.quality).items():
        if hint == SWAPPED:
            texts.append(words()["swap.question"])
            continue
        text = words()["warning.quality"].format(
            modalities=modality_names(modalities), hint=words()[f"hint.{hint}"]
        )
        texts.append(text)
    return texts
