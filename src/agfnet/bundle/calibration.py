"""Parameters and results after the training: `calibration.json` and `evaluations.json`."""

from __future__ import annotations

from dataclasses import dataclass

from agfnet.config import SetScore


@dataclass(frozen=True)
class PredictionSets:
    """Conformal prediction sets: a class is in the set while its score is within the quantile."""

    score: SetScore
    """Score that is compared with the quantile (see `agfnet.inference.postprocessing`)."""
    coverage: float
    """Minimum fraction of lesions of new patients whose true class is in the set."""
    by_class: bool
    """The coverage holds within every class, not only over all."""
    quantiles: tuple[float | None, ...]
    """Maximum score of a class in the set, per class; None if every score is accepted."""
    penalty: float = 0.0
    """RAPS: added to the score for every rank beyond `rank`."""
    rank: int = 1
    """RAPS: number of classes without penalty."""
    consider: float = 0.1
    """Classes with at least this probability, in whole per cent, are in every set."""


@dataclass(frozen=True)
class Abstention:
    """Minimum confidence at which the error rate is guaranteed."""

    threshold: float
    """Lesions with a lower confidence are referred to a clinician."""
    target_risk: float
    """Requested maximum error rate among the lesions that are not referred."""
    confidence: float
    """Probability that the error rate is at most `bound`."""
    bound: float
    """Guaranteed error rate."""
    coverage: float
    """Fraction of the validation patients whose lesion is not referred."""


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % interval; None where there are no cases."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OperatingPoint:
    """Threshold of a group's probability, and the rates there on the validation split.

    The same cases set the threshold and give the rates: the sensitivity in new cases is as likely
    to be a little lower as higher.
    """

    group: str
    """Name of the group."""
    members: tuple[bool, ...]
    """Classes of the group, in the order of the logits."""
    target_sensitivity: float
    """Sensitivity that the threshold had to reach."""
    threshold: float
    """Minimum probability of the group at which a lesion counts as positive."""
    sensitivity: Rate
    """Fraction of the group's lesions that are positive."""
    specificity: Rate
    """Fraction of the other lesions that are negative."""
    positives: int
    """Number of validation lesions of the group."""
    negatives: int
    """Number of other labelled validation lesions."""


@dataclass(frozen=True)
class Familiarity:
    """Statistics of the training images of a modality (see `agfnet.inference.familiarity`)."""

    mean: tuple[float, ...]
    """Means of the K statistics."""
    precision: tuple[tuple[float, ...], ...]
    """Inverse of their covariance, (K, K)."""
    threshold: float
    """Distance above which an image is unlike the training images."""


@dataclass(frozen=True)
class Calibration:
    """Parameters that were fitted on the validation split: `calibration.json`."""

    temperature: float = 1.0
    """Divides the log-probabilities before the final softmax."""
    scale: tuple[float, ...] | None = None
    """Vector scaling instead: multiplies the log-probability of each class."""
    bias: tuple[float, ...] | None = None
    """Vector scaling: added to the log-probability of each class after `scale`."""
    logit_adjustment: float = 0.0
    """Strength of the logit adjustment that `bias` holds."""
    offsets: tuple[float, ...] | None = None
    """Its part of `bias`."""
    sets: PredictionSets | None = None
    """Conformal prediction sets."""
    abstention: Abstention | None = None
    """Referral of uncertain lesions; None if no error rate could be guaranteed."""
    operating_point: OperatingPoint | None = None
    """Operating point of the group `malignant`; None without such a group or its lesions."""
    ood_threshold: float | None = None
    """Energy above which a case is out-of-distribution; used without `familiarity`."""
    accuracy: Rate | None = None
    """Fraction of the validation lesions whose most probable class is right."""
    majority: float | None = None
    """Fraction of the validation lesions of the most common class."""
    familiarity: dict[str, Familiarity] | None = None
    """Statistics of the training images by modality; None in bundles of earlier versions."""
    cases: int | None = None
    """Number of labelled validation cases."""
    patients: int | None = None
    """Number of their patients."""
    flips: bool = False
    """Logits are averaged over flips of the images (see `agfnet.inference.flips`)."""

    def scaling(self, classes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the factors and offsets (C,) of the log-probabilities of `classes` classes."""
        if self.scale is None or self.bias is None:
            return (1 / self.temperature,) * classes, (0.0,) * classes
        return self.scale, self.bias

    @property
    def ood_limit(self) -> float | None:
        """Out-of-distribution score above which a case gets a warning."""
        return self.ood_threshold if self.familiarity is None else 1.0


@dataclass(frozen=True)
class Evaluated:
    """Results of an evaluation of the network: an entry of `evaluations.json`."""

    n: int
    """Number of labelled lesions."""
    balanced_accuracy: Rate
    """Mean over classes of the sensitivity."""
    sensitivities: dict[str, Rate]
    """Sensitivity of each class."""
    sensitivity: Rate | None = None
    """Sensitivity for the malignant group at the operating point."""
    specificity: Rate | None = None
    """Specificity there."""
    seen: int = 0
    """Number of lesions that the network was trained or validated on, as far as known."""

    @property
    def held_out(self) -> bool:
        """True if there are lesions that the network has not seen."""
        return self.seen < self.n
