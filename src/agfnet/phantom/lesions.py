"""Entities, their phenotypes in each modality, and the Bayes-optimal accuracy of each modality.

An entity shows one *surface* phenotype, seen only in the photograph, and one *depth* phenotype,
seen only in the ultrasound. Given the entity the two are independent, and an image depends on the
entity through its phenotype alone. An observer can therefore see only a short list of discrete
symbols of a case, so that the Bayes-optimal accuracy and the posterior of each case are exact sums.
The findings behind the table are qualitative; `docs/phantom.md` gives their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.errors import ConfigError

Array = NDArray[np.float64]

SURFACES = ("pigmented", "pearly", "keratotic", "violaceous", "skin_coloured")
"""Phenotypes of the photograph."""
DEPTHS = ("band", "cystic", "infiltrating", "shadowing", "lobular")
"""Phenotypes of the ultrasound."""
VIEWS = ("clinical", "ultrasound", "both")
"""Modalities at which an observer may look."""


@dataclass(frozen=True)
class Entity:
    """A diagnosis. Its phenotypes come with their probabilities, the typical one first."""

    malignant: bool
    share: float  # fraction of the lesions of a clinic; illustrative, used by `imbalance`
    surface: Mapping[str, float]
    depth: Mapping[str, float]


ENTITIES: dict[str, Entity] = {
    "naevus": Entity(
        malignant=False,
        share=0.34,
        surface={"pigmented": 0.8, "skin_coloured": 0.2},
        depth={"band": 0.9, "infiltrating": 0.1},
    ),
    "melanoma": Entity(
        malignant=True,
        share=0.05,
        surface={"pigmented": 0.65, "violaceous": 0.25, "pearly": 0.1},
        depth={"infiltrating": 0.7, "band": 0.3},
    ),
    "basal_cell_carcinoma": Entity(
        malignant=True,
        share=0.14,
        surface={"pearly": 0.75, "keratotic": 0.1, "pigmented": 0.15},
        depth={"infiltrating": 0.75, "band": 0.15, "cystic": 0.1},
    ),
    "squamous_cell_carcinoma": Entity(
        malignant=True,
        share=0.06,
        surface={"keratotic": 0.85, "pearly": 0.15},
        depth={"infiltrating": 0.75, "shadowing": 0.25},
    ),
    "seborrhoeic_keratosis": Entity(
        malignant=False,
        share=0.18,
        surface={"keratotic": 0.65, "pigmented": 0.35},
        depth={"shadowing": 0.65, "band": 0.35},
    ),
    "dermatofibroma": Entity(
        malignant=False,
        share=0.05,
        surface={"pearly": 0.55, "pigmented": 0.45},
        depth={"band": 0.65, "infiltrating": 0.35},
    ),
    "haemangioma": Entity(
        malignant=False,
        share=0.05,
        surface={"violaceous": 0.9, "skin_coloured": 0.1},
        depth={"cystic": 0.6, "band": 0.4},
    ),
    "pilomatrixoma": Entity(
        malignant=False,
        share=0.02,
        surface={"violaceous": 0.55, "skin_coloured": 0.45},
        depth={"shadowing": 0.85, "cystic": 0.15},
    ),
    "epidermal_cyst": Entity(
        malignant=False,
        share=0.07,
        surface={"skin_coloured": 0.85, "pearly": 0.15},
        depth={"cystic": 0.9, "shadowing": 0.1},
    ),
    "lipoma": Entity(
        malignant=False,
        share=0.04,
        surface={"skin_coloured": 1.0},
        depth={"lobular": 0.9, "cystic": 0.1},
    ),
}
"""The ten entities. No two of them share both typical phenotypes."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Probabilities over C classes, S surface and D depth phenotypes."""

    classes: tuple[str, ...]
    surfaces: tuple[str, ...]
    depths: tuple[str, ...]
    prior: Array  # (C,)
    surface: Array  # (C, S), rows sum to 1
    depth: Array  # (C, D), rows sum to 1
    malignant: NDArray[np.bool_]  # (C,)

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain dictionary per class, for `truth.json`."""
        return [
            {
                "class": name,
                "malignant": bool(self.malignant[c]),
                "prior": float(self.prior[c]),
                "surface": dict(zip(self.surfaces, self.surface[c].tolist(), strict=True)),
                "depth": dict(zip(self.depths, self.depth[c].tolist(), strict=True)),
            }
            for c, name in enumerate(self.classes)
        ]


def class_table(
    *, entities: tuple[str, ...] = tuple(ENTITIES), atypia: float = 1.0, imbalance: float = 0.0
) -> ClassTable:
    """Return the table of some entities.

    Args:
        entities: Keys of `ENTITIES`, at least two. Only phenotypes typical of one of them occur.
        atypia: 0 shows every lesion as its entity's typical presentation, 1 in the whole
            spectrum of `ENTITIES`; between them a mixture.
        imbalance: 0 makes the classes equally frequent, 1 as frequent as in `ENTITIES`.
    """
    unknown = [name for name in entities if name not in ENTITIES]
    if unknown or len(set(entities)) != len(entities) or len(entities) < 2:
        raise ConfigError(
            f"entities: {', '.join(unknown) or 'too few, or one twice'}; "
            f"name two or more different ones of {', '.join(ENTITIES)}"
        )
    selected = [ENTITIES[name] for name in entities]

    def spectrum(
        order: tuple[str, ...], phenotypes: list[Mapping[str, float]]
    ) -> tuple[Any, Array]:
        typical = [next(iter(f)) for f in phenotypes]
        used = tuple(name for name in order if name in typical)
        full = np.array([[f.get(name, 0.0) for name in used] for f in phenotypes])
        full /= full.sum(axis=1, keepdims=True)
        sharp = np.array([[float(name == t) for name in used] for t in typical])
        return used, (1 - atypia) * sharp + atypia * full

    surfaces, surface = spectrum(SURFACES, [e.surface for e in selected])
    depths, depth = spectrum(DEPTHS, [e.depth for e in selected])
    share = np.array([e.share for e in selected])
    prior = (1 - imbalance) / len(selected) + imbalance * share / share.sum()
    return ClassTable(
        classes=tuple(entities),
        surfaces=surfaces,
        depths=depths,
        prior=prior,
        surface=surface,
        depth=depth,
        malignant=np.array([e.malignant for e in selected]),
    )


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

    def _symbols(self, phenotype: Array) -> Array:
        """Return P(phenotype, annotation | class) of one modality, (C, P, 2)."""
        mark = self.mark()
        return phenotype[:, :, None] * np.stack([1 - mark, mark], axis=1)[:, None, :]

    def _joint(self, view: str) -> list[Array]:
        """Return P(class, symbol) for all symbols of a modality: blocks (C, ...), summing to 1."""
        t, no_photo, no_scan = self.table, self.missing_clinical, self.missing_ultrasound
        photo, scan = self._symbols(t.surface), self._symbols(t.depth)
        if view == "clinical":
            likelihoods = [photo * (1 - no_photo)[:, None, None], no_photo]
        elif view == "ultrasound":
            likelihoods = [scan * (1 - no_scan)[:, None, None], no_scan]
        else:
            both = np.einsum("cpm,cqn->cpmqn", photo, scan)
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

    def limits(self) -> dict[str, float]:
        """Return `limit` of every modality."""
        return {view: self.limit(view) for view in VIEWS}

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
