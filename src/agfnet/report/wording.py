"""The report's plain words: what each number means, and what they say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from agfnet.inference.predictions import Predictions

FEW_PATIENTS = 30  # below this a percentile bootstrap is clearly too narrow
FEW_LESIONS = 20  # below this a share of them says little
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
    "macro_ap": Meaning(
        "Mean average precision",
        False,
        "Area under the precision-recall curve, averaged over classes. Guessing gives a class's "
        "share of the lesions.",
    ),
    "macro_ppv": Meaning(
        "Mean PPV", True, "Of the lesions called a class, the share that were, averaged."
    ),
    "macro_npv": Meaning(
        "Mean NPV", True, "Of the lesions not called a class, the share that were not, averaged."
    ),
    "top2_accuracy": Meaning(
        "Accuracy of two answers", True, "Share of lesions whose class is among the two likeliest."
    ),
    "kappa": Meaning(
        "Cohen's kappa",
        False,
        "Agreement with the truth beyond what chance would give: 0 is chance, 1 is perfect.",
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
MEANINGS |= {
    f"weighted_{name}": Meaning(
        f"Weighted {title}", percent, "As above, each class counted by its share of the lesions."
    )
    for name, title, percent in (
        ("specificity", "specificity", True),
        ("ppv", "PPV", True),
        ("npv", "NPV", True),
        ("f1", "F1", True),
        ("auc", "AUC", False),
        ("ap", "average precision", False),
    )
}
MEANINGS |= {
    "ece_equal_mass": Meaning(
        "ECE, equal bins", True, "Calibration error over bins that hold equally many lesions."
    ),
    "ece_debiased": Meaning(
        "ECE, debiased", True, "Root mean square calibration error with the effect of chance off."
    ),
    "classwise_ece": Meaning(
        "Class-wise ECE", True, "Calibration error of every class's probability, averaged."
    ),
    "brier_reliability": Meaning(
        "Brier: reliability", False, "The part of the Brier score that miscalibration adds."
    ),
    "brier_resolution": Meaning(
        "Brier: resolution",
        False,
        "The part that telling lesions apart takes off: higher is better.",
    ),
    "brier_uncertainty": Meaning(
        "Brier: uncertainty", False, "The part that the mix of classes alone would give."
    ),
    "set_coverage": Meaning(
        "Coverage of the sets", True, "Share of lesions whose class is in the prediction set."
    ),
    "set_size": Meaning("Size of the sets", False, "Classes in the prediction set, on average."),
    "abstained": Meaning("Left to a person", True, "Share of lesions that it did not answer."),
    "selective_risk": Meaning(
        "Wrong among those answered", True, "Error rate where the answer was not left to a person."
    ),
    "out_of_distribution": Meaning(
        "Unlike its own cases", True, "Share of lesions that are called strange to the network."
    ),
}
UNLISTED = {"n", "macro_sensitivity"}  # the latter is the balanced accuracy by definition


def number(value: float | None, *, percent: bool, sign: bool = False) -> str:
    """A value in the digits that the report shows; a dash where undefined."""
    if value is None:
        return "—"
    plus = "+" if sign else ""
    text = f"{100 * value:{plus}.1f}\u00a0%" if percent else f"{value:{plus}.3f}"
    return text.replace("-", "\u2212")


def span(low: float | None, high: float | None, *, percent: bool, sign: bool = False) -> str:
    """An interval in words; a dash where resampling changes nothing or nothing is defined."""
    if low is None or high is None or low == high:
        return "—"
    first = number(low, percent=percent, sign=sign).removesuffix("\u00a0%")
    return f"{first} to {number(high, percent=percent, sign=sign)}"


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


def decisions(metrics: Mapping[str, Any]) -> list[str]:
    """What the network left open, in sentences, where its bundle has the calibration for it."""

    def share(name: str) -> str | None:
        value = metrics.get(name, {}).get("value")
        return None if value is None else _whole(value)

    sentences = []
    if (left := share("abstained")) is not None:
        sentences.append(f"It left {left} of the lesions to a person.")
        if (wrong := share("selective_risk")) is not None:
            sentences.append(f"Of those that it answered, {wrong} were wrong.")
    if (covered := share("set_coverage")) is not None:
        size = metrics["set_size"]["value"]
        sentences.append(
            f"The classes that it could not rule out, {size:.1f} on average, held the truth in "
            f"{covered}."
        )
    if (strange := share("out_of_distribution")) is not None:
        sentences.append(f"It called {strange} of the lesions unlike those that it was made for.")
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
