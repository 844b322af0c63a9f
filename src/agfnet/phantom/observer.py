"""The ideal observer: Bayes-optimal accuracy and posterior of each case, as exact sums.

An image depends on the entity through its phenotype alone. An observer can therefore see only a
short list of discrete symbols of a case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agfnet.errors import ConfigError
from agfnet.phantom.additive import additive_limit
from agfnet.phantom.entities import Array, ClassTable

VIEWS = ("clinical", "ultrasound", "both")
"""Modalities at which an observer may look."""


@dataclass(frozen=True)
class Seen:
    """Visible features of one case: indices into the phenotypes of the table, None if missing."""

    surface: int | None
    depth: int | None
    ruler: bool = False
    calliper: bool = False


@dataclass(frozen=True, eq=False)
class Observer:
    """The probabilistic model of one split: from the class to visible features and recorded label.

    An annotation (a ruler in the photograph, callipers in the ultrasound) appears with probability
    `annotation_rate`; with `shortcut` k it moves towards certainty in malignant and towards absence
    in benign lesions: b + k (1 - b) and b (1 - k); a negative k exchanges the two. A case lacks at
    most one modality, which may depend on the class. Recorded labels are replaced by another class,
    all others equally likely, with probability `label_noise`.
    """

    table: ClassTable
    missing_clinical: Array  # (C,) probability of having no photograph
    missing_ultrasound: Array  # (C,) probability of having no ultrasound
    shortcut: float = 0.0  # in [-1, 1]
    annotation_rate: float = 0.0  # in [0, 1]
    label_noise: float = 0.0  # in [0, 1)

    def __post_init__(self) -> None:
        worst = float((self.missing_clinical + self.missing_ultrasound).max())
        if worst > 1:
            raise ConfigError(
                f"missing_clinical, missing_ultrasound: {worst:.2f} of the lesions of a class "
                "would lack a modality; a lesion lacks at most one, so lower their sum to 1 or less"
            )

    def mark(self) -> Array:
        """Return the probability of each of the two annotations given the class, (C,)."""
        b, k = self.annotation_rate, abs(self.shortcut)
        marked = self.table.malignant == (self.shortcut >= 0)
        return np.where(marked, b + k * (1 - b), b * (1 - k))

    def _marks(self) -> Array:
        """Return P(no annotation, annotation | class), (C, 2)."""
        return np.stack([1 - self.mark(), self.mark()], axis=1)

    def _symbols(self, phenotype: Array) -> Array:
        """Return P(phenotype, annotation | class) of one modality, (C, P, 2)."""
        return phenotype[:, :, None] * self._marks()[:, None, :]

    def _joint(self, view: str) -> list[Array]:
        """Return P(class, symbol) for all symbols of a modality: blocks (C, ...), summing to 1."""
        t, no_photo, no_scan = self.table, self.missing_clinical, self.missing_ultrasound
        photo, scan = self._symbols(t.surface), self._symbols(t.depth)
        if view == "clinical":
            likelihoods = [photo * (1 - no_photo)[:, None, None], no_photo]
        elif view == "ultrasound":
            likelihoods = [scan * (1 - no_scan)[:, None, None], no_scan]
        else:
            mark = self._marks()
            both = np.einsum("cpq,cm,cn->cpmqn", t.pair, mark, mark)
            full = 1 - no_photo - no_scan
            likelihoods = [
                both * full[:, None, None, None, None],
                photo * no_scan[:, None, None],
                scan * no_photo[:, None, None],
            ]
        return [np.einsum("c,c...->c...", t.prior, block) for block in likelihoods]

    def _recorded(self, joint: Array) -> Array:
        """Convert P(class, ...) to P(recorded label, ...)."""
        if self.label_noise == 0:
            return joint
        other = self.label_noise / (len(self.table.classes) - 1)
        mixed: Array = (1 - self.label_noise - other) * joint + other * joint.sum(axis=0)
        return mixed

    def limit(self, view: str) -> float:
        """Return the Bayes-optimal accuracy of a modality on the recorded labels."""
        return float(sum(self._recorded(b).max(axis=0).sum() for b in self._joint(view)))

    def additive_limit(self) -> float:
        """Return the best accuracy of methods that add a score of each modality, per class."""
        both, photo, scan = (block.reshape(len(block), -1) for block in self._joint("both"))
        count = len(both)
        symbols = photo.shape[1] + 1, scan.shape[1] + 1  # the last one: missing
        joint = np.zeros((count, *symbols))
        joint[:, :-1, :-1] = both.reshape(count, symbols[0] - 1, symbols[1] - 1)
        joint[:, :-1, -1], joint[:, -1, :-1] = photo, scan
        other = self.label_noise / (count - 1)
        return (1 - self.label_noise - other) * additive_limit(joint) + other

    def limits(self) -> dict[str, float]:
        """Return `limit` of every modality, and `additive_limit`."""
        return {view: self.limit(view) for view in VIEWS} | {"additive": self.additive_limit()}

    def without_marks(self) -> Observer:
        """Return the observer that ignores rulers and callipers and sees the lesion only."""
        return replace(self, annotation_rate=0.0, shortcut=0.0)

    def posterior(self, view: str, seen: Seen) -> Array:
        """Return P(recorded label | symbols of this case in a modality), (C,)."""
        blocks = self._joint(view)
        photo = None if seen.surface is None else (seen.surface, int(seen.ruler))
        scan = None if seen.depth is None else (seen.depth, int(seen.calliper))
        if view != "both":
            symbol = photo if view == "clinical" else scan
            joint = blocks[1] if symbol is None else blocks[0][:, *symbol]
        elif photo is not None and scan is not None:
            joint = blocks[0][:, *photo, *scan]
        elif photo is not None:
            joint = blocks[1][:, *photo]
        elif scan is not None:
            joint = blocks[2][:, *scan]
        else:
            raise ValueError("the case lacks both modalities; expected at least one")
        recorded = self._recorded(joint)
        posterior: Array = recorded / recorded.sum()
        return posterior


def missing_rates(table: ClassTable, rate: float, *, by_class: bool) -> Array:
    """Return the probability of a missing modality given the class, (C,), `rate` on average.

    By class, benign lesions lack it three times as often as malignant ones.
    """
    if not by_class:
        return np.full(len(table.prior), rate)
    weight = np.where(table.malignant, 1.0, 3.0)
    rates: Array = rate * weight / float(table.prior @ weight)
    return rates
