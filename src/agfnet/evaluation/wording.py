"""The report's plain words: what each number means, and what they say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from agfnet.inference.predictions import Predictions

FEW_PATIENTS = 30  # below this a percentile bootstrap is clearly too narrow
WIDE = 0.2  # an accuracy interval from which no agreement with the confidence can be read


class Meaning(NamedTuple):
    """How a metric is shown."""

    title: str
    percent: bool
    text: str


MEANINGS = {
    "accuracy": Meaning("Accuracy", True, "Share of lesions named correctly."),
    "balanced_accuracy": Meaning(
        "Balanced accuracy (mean sensitivity)",
        True,
        "Share named correctly in each class, averaged: a rare class counts as much as a common "
        "one.",
    ),
    "macro_specificity": Meaning(
        "Mean specificity",
        True,
        "Of the lesions outside a class, the share not called so, averaged over classes.",
    ),
    "macro_f1": Meaning(
        "Mean F1",
        True,
        "Balance between finding the lesions of a class and not calling others so, averaged.",
    ),
    "macro_auc": Meaning(
        "Mean AUC",
        False,
        "Chance that a lesion of a class gets a higher probability for it than another lesion: "
        "0.5 is guessing, 1 is perfect.",
    ),
    "ece": Meaning(
        "Calibration error (ECE)",
        True,
        "Mean distance between stated confidence and share right. Lower is better. Small "
        "samples raise it, and its interval even more.",
    ),
    "aurc": Meaning(
        "Selective risk (AURC)",
        True,
        "Mean share wrong when only the most confident cases are answered, over all cut-offs. "
        "Lower is better.",
    ),
    "nll": Meaning(
        "Negative log-likelihood",
        False,
        "How surprised the network was by the truth. Lower is better, 0 is perfect.",
    ),
    "brier": Meaning(
        "Brier score",
        False,
        "Squared distance between probabilities and truth. Lower is better, from 0 to 2.",
    ),
}
UNLISTED = {"n", "macro_sensitivity"}  # the latter is the balanced accuracy by definition


def number(value: float | None, *, percent: bool) -> str:
    """A value in the digits that the report shows; a dash where undefined."""
    if value is None:
        return "—"
    return f"{100 * value:.1f}\u00a0%" if percent else f"{value:.3f}"


def span(low: float | None, high: float | None, *, percent: bool) -> str:
    """An interval in words; a dash where resampling changes nothing or nothing is defined."""
    if low is None or high is None or low == high:
        return "—"
    if percent:
        return f"{100 * low:.1f} to {100 * high:.1f}\u00a0%"
    return f"{low:.3f} to {high:.3f}"


def summary(
    predictions: Predictions, metrics: Mapping[str, Any], limit: float | None = None
) -> list[str]:
    """What the numbers say, in sentences; the first alone must be enough."""
    cases = predictions.labelled()
    if not len(cases):
        return [
            f"The network judged {_lesions(len(predictions))}. None carries a label, so this "
            "report shows its answers but cannot say how good they are."
        ]
    right = sum(said == true for said, true in zip(cases.predicted, cases.label, strict=True))
    if len(cases) == 1:
        return [
            f"The one labelled lesion was named {'correctly' if right else 'wrongly'}. "
            "One lesion says nothing about how good the network is."
        ]
    low, high = metrics["accuracy"]["low"], metrics["accuracy"]["high"]
    interval = f"95\u00a0% interval {100 * low:.0f} to {_whole(high)}"
    if low == high:
        interval = "too uniform for an interval"
    sentences = [
        f"Of {_lesions(len(cases))}, the network named {right:,} correctly "
        f"({_whole(right / len(cases))}, {interval})."
    ]
    if limit is not None:
        sentences.append(f"The best that these images allow is {_whole(limit)}.")
    commonest, count = Counter(cases.label).most_common(1)[0]
    sentences.append(
        f"Always answering “{commonest}” would have been right in {_whole(count / len(cases))}."
    )
    confidence = float(cases.probabilities.max(axis=1).mean())
    sentences.append(
        f"Its stated confidence was {_whole(confidence)} on average{_trust(confidence, low, high)}."
    )
    patients = len(set(cases.patient_id))
    if patients < FEW_PATIENTS:
        sentences.append(
            f"With only {patients} {'patient' if patients == 1 else 'patients'}, every interval "
            "here is narrower than it should be."
        )
    return sentences


def _trust(confidence: float, low: float, high: float) -> str:
    if low == high:
        return ""
    if confidence > high:
        return ": more than it was right, so its percentages promise too much"
    if confidence < low:
        return ": less than it was right, so its percentages promise too little"
    if high - low > WIDE:
        return ": not clearly other than it was right, but too few cases to rely on its percentages"
    return ": in line with how often it was right, so its percentages can be taken at face value"


def _whole(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def _lesions(count: int) -> str:
    return f"{count:,} lesion" + ("" if count == 1 else "s")
