"""The words of the report: the meaning of each number, and the summary in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from agfnet.inference.predictions import Predictions
from agfnet.translation import display_name, t

FEW_PATIENTS = 30  # below this a percentile bootstrap is clearly too narrow
FEW_LESIONS = 20  # below this a fraction of them says little
WIDE = 0.2  # an accuracy interval from which no agreement with the confidence can be read
UNDEFINED = "—"


class Meaning(NamedTuple):
    """Title, unit and definition of a metric."""

    title: str
    percent: bool
    text: str


MEANINGS = {
    "accuracy": Meaning("Accuracy", True, "Fraction of lesions classified correctly."),
    "balanced_accuracy": Meaning(
        "Balanced accuracy (mean sensitivity)",
        True,
        "Fraction classified correctly in each class, averaged over classes. A rare class counts "
        "as much as a common one.",
    ),
    "macro_specificity": Meaning(
        "Mean specificity",
        True,
        "Fraction of the lesions outside a class that were not predicted to be in it, averaged "
        "over classes.",
    ),
    "macro_f1": Meaning(
        "Mean F1", True, "Harmonic mean of sensitivity and PPV, averaged over classes."
    ),
    "macro_auc": Meaning(
        "Mean AUC",
        False,
        "Probability that a lesion of a class gets a higher probability for it than a lesion of "
        "another class, averaged over classes: 0.5 is guessing, 1 is perfect.",
    ),
    "macro_ap": Meaning(
        "Mean average precision",
        False,
        "Area under the precision-recall curve, averaged over classes. Guessing gives the "
        "frequency of the class.",
    ),
    "macro_ppv": Meaning(
        "Mean PPV",
        True,
        "Fraction of the lesions predicted to be in a class that are in it, averaged over classes.",
    ),
    "macro_npv": Meaning(
        "Mean NPV",
        True,
        "Fraction of the lesions not predicted to be in a class that are not in it, averaged over "
        "classes.",
    ),
    "top2_accuracy": Meaning(
        "Top-2 accuracy",
        True,
        "Fraction of lesions whose class is among the two most probable classes.",
    ),
    "kappa": Meaning(
        "Cohen's kappa",
        False,
        "Agreement with the truth beyond chance: 0 is chance, 1 is perfect.",
    ),
    "ece": Meaning(
        "Calibration error (ECE)",
        True,
        "Mean difference between confidence and accuracy. Lower is better. Small samples raise "
        "it, and raise its interval even more.",
    ),
    "aurc": Meaning(
        "Selective risk (AURC)",
        True,
        "Error rate when only the most confident cases are answered, averaged over all "
        "thresholds. Lower is better.",
    ),
    "nll": Meaning(
        "Negative log-likelihood",
        False,
        "Mean of minus the logarithm of the probability of the true class. Lower is better, 0 is "
        "perfect.",
    ),
    "brier": Meaning(
        "Brier score",
        False,
        "Squared distance between probabilities and truth. Lower is better, from 0 to 2.",
    ),
}
MEANINGS |= {
    f"weighted_{name}": Meaning(
        f"Weighted {title}", percent, "As above, each class weighted by its number of lesions."
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
    "ece_by_chance": Meaning(
        "ECE by chance",
        True,
        "ECE that a perfectly calibrated network would have with as many lesions and the same "
        "confidences: the mean, and the range of 95 %.",
    ),
    "ece_debiased": Meaning(
        "ECE, debiased", True, "Root mean square calibration error, corrected for chance."
    ),
    "classwise_ece": Meaning(
        "Class-wise ECE", True, "Calibration error of the probability of every class, averaged."
    ),
    "brier_reliability": Meaning(
        "Brier: reliability", False, "The part of the Brier score due to miscalibration."
    ),
    "brier_resolution": Meaning(
        "Brier: resolution",
        False,
        "The reduction of the Brier score by distinguishing lesions. Higher is better.",
    ),
    "brier_uncertainty": Meaning(
        "Brier: uncertainty", False, "The part of the Brier score due to the mix of classes."
    ),
    "set_coverage": Meaning(
        "Coverage of the prediction sets",
        True,
        "Fraction of lesions whose class is in the prediction set.",
    ),
    "set_size": Meaning(
        "Size of the prediction sets", False, "Mean number of classes in the prediction set."
    ),
    "abstained": Meaning(
        "Abstention rate", True, "Fraction of lesions for which the network abstained."
    ),
    "selective_risk": Meaning(
        "Error rate of the answered cases", True, "Error rate where the network did not abstain."
    ),
    "out_of_distribution": Meaning(
        "Out of distribution",
        True,
        "Fraction of lesions marked as unlike the training images.",
    ),
}
UNLISTED = {
    "n",
    "calibration",
    "table",
    "training_overlap",
    "warnings",
    "macro_sensitivity",
}  # the latter is the balanced accuracy by definition


def number(value: float | None, *, percent: bool, sign: bool = False) -> str:
    """A value with the digits that the report shows; a dash where undefined."""
    if value is None:
        return UNDEFINED
    plus = "+" if sign else ""
    text = f"{100 * value:{plus}.1f}\u00a0%" if percent else f"{value:{plus}.3f}"
    return text.replace("-", "\u2212")


def span(low: float | None, high: float | None, *, percent: bool, sign: bool = False) -> str:
    """An interval in words; a dash where undefined or where resampling changes nothing."""
    if low is None or high is None or low == high:
        return UNDEFINED
    first = number(low, percent=percent, sign=sign).removesuffix("\u00a0%")
    return t("{low} to {high}", low=first, high=number(high, percent=percent, sign=sign))


def cell(metric: Mapping[str, Any] | None, *, percent: bool) -> str:
    """A value with its interval on the next line, for a table."""
    if not metric:
        return UNDEFINED
    value = number(metric["value"], percent=percent)
    interval = span(metric["low"], metric["high"], percent=percent)
    return value if interval == UNDEFINED else f"{value}\n{interval}"


def summary(
    predictions: Predictions, metrics: Mapping[str, Any], optimal_accuracy: float | None = None
) -> list[str]:
    """The result in sentences; the first one alone must be enough."""
    cases = predictions.labelled()
    if not len(cases):
        text = (
            "The network classified {lesions}. None of them has a label, so this report shows the "
            "predictions but cannot say how good they are."
        )
        return [t(text, lesions=_lesions(len(predictions)))]
    right = sum(a == b for a, b in zip(cases.predicted, cases.label, strict=True))
    if len(cases) == 1:
        return [
            t("The only labelled lesion was classified correctly.")
            if right
            else t("The only labelled lesion was classified wrongly."),
            t("One lesion says nothing about how good the network is."),
        ]
    low, high = metrics["accuracy"]["low"], metrics["accuracy"]["high"]
    undefined = low is None or low == high
    interval = t("interval not defined")
    if not undefined:
        lowest = _whole(low).removesuffix("\u00a0%")
        interval = t("95 % interval {low} to {high}", low=lowest, high=_whole(high))
    sentences = [
        t(
            "Of {lesions}, the network classified {right} correctly ({fraction}, {interval}).",
            lesions=_lesions(len(cases)),
            right=f"{right:,}",
            fraction=_whole(right / len(cases)),
            interval=interval,
        )
    ]
    if optimal_accuracy is not None:
        text = "The best possible accuracy on these images is {accuracy}."
        sentences.append(t(text, accuracy=_whole(optimal_accuracy)))
    commonest, count = Counter(cases.label).most_common(1)[0]
    text = "Always answering “{name}” would be correct for {fraction}."
    fraction = _whole(count / len(cases))
    sentences.append(t(text, name=display_name(commonest), fraction=fraction))
    confidence = float(cases.probabilities.max(axis=1).mean())
    sentences.append(_agreement(confidence, None if undefined else (low, high)))
    patients = len(set(cases.patient_id))
    if patients == 1:
        text = "With only 1 patient, no interval is defined: the results say nothing about others."
        sentences.append(t(text))
    elif patients < FEW_PATIENTS:
        text = "With only {patients} patients, every interval here is narrower than it should be."
        sentences.append(t(text, patients=patients))
    return sentences


def decisions(metrics: Mapping[str, Any]) -> list[str]:
    """Abstention, prediction sets and detection in sentences, where the bundle has them."""

    def fraction(name: str) -> str | None:
        value = metrics.get(name, {}).get("value")
        return None if value is None else _whole(value)

    sentences = []
    if (abstained := fraction("abstained")) is not None:
        text = "The network abstained for {fraction} of the lesions."
        sentences.append(t(text, fraction=abstained))
        if (wrong := fraction("selective_risk")) is not None:
            text = "Of the lesions that it answered, {fraction} were wrong."
            sentences.append(t(text, fraction=wrong))
    if (covered := fraction("set_coverage")) is not None:
        text = (
            "The prediction sets, with {size} classes on average, contained the true class of "
            "{fraction} of the lesions."
        )
        size = f"{metrics['set_size']['value']:.1f}"
        sentences.append(t(text, size=size, fraction=covered))
    if (outside := fraction("out_of_distribution")) is not None:
        text = "It marked {fraction} of the lesions as unlike the training images."
        sentences.append(t(text, fraction=outside))
    return sentences


def _agreement(confidence: float, interval: tuple[float, float] | None) -> str:
    """Compare the mean confidence with the interval of the accuracy."""
    if interval is None:
        text = "The mean confidence was {confidence}."
    elif confidence > interval[1]:
        text = (
            "The mean confidence was {confidence}, higher than the accuracy: the probabilities are "
            "too high."
        )
    elif confidence < interval[0]:
        text = (
            "The mean confidence was {confidence}, lower than the accuracy: the probabilities are "
            "too low."
        )
    elif interval[1] - interval[0] > WIDE:
        text = (
            "The mean confidence was {confidence}, not clearly different from the accuracy, but "
            "there are too few cases to be sure."
        )
    else:
        text = (
            "The mean confidence was {confidence}, in line with the accuracy: the probabilities "
            "can be taken at face value."
        )
    return t(text, confidence=_whole(confidence))


def _whole(fraction: float) -> str:
    """A fraction in whole per cent; only 0 and 1 are 0 % and 100 %."""
    if 0 < fraction < 0.005:
        return "<1\u00a0%"
    if 0.995 <= fraction < 1:
        return ">99\u00a0%"
    return f"{100 * fraction:.0f}\u00a0%"


def _lesions(count: int) -> str:
    return t("1 lesion") if count == 1 else t("{count} lesions", count=f"{count:,}")
