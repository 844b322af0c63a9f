"""Entities and the phenotypes that they show in each modality.

A lesion shows one *surface* phenotype, seen only in the photograph, and one *depth* phenotype, seen
only in the ultrasound. An entity has one presentation or several; within a presentation the two
phenotypes are independent, and an image depends on the entity through its phenotype alone. The
findings behind the table are qualitative; `docs/phantom.md` gives their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.errors import ConfigError

Array = NDArray[np.float64]

SURFACES = ("pigmented", "pearly", "keratotic", "violaceous", "skin_coloured")
"""Phenotypes of the photograph."""
DEPTHS = ("band", "cystic", "infiltrating", "shadowing", "lobular")
"""Phenotypes of the ultrasound."""


@dataclass(frozen=True)
class Presentation:
    """Phenotypes with their probabilities, the typical one first; the two are independent."""

    surface: Mapping[str, float]
    depth: Mapping[str, float]


@dataclass(frozen=True)
class Entity:
    """A diagnosis. Its presentations are equally frequent."""

    malignant: bool
    share: float  # fraction of the lesions of a clinic; illustrative, used by `imbalance`
    presentations: tuple[Presentation, ...]


def _entity(
    *, malignant: bool, share: float, surface: Mapping[str, float], depth: Mapping[str, float]
) -> Entity:
    """Return an entity with one presentation."""
    return Entity(malignant, share, (Presentation(surface, depth),))


def _crossed(
    benign: str, malignant: str, surfaces: tuple[str, str], depths: tuple[str, str]
) -> dict[str, Entity]:
    """Return two entities that only the combination of their phenotypes distinguishes.

    The benign one shows the first surface with the first depth, or the second with the second; the
    malignant one shows them crosswise. The atypical phenotype is the other one of the same two, so
    that the frequency of each surface and of each depth is the same in both entities.
    """

    def spectrum(phenotypes: tuple[str, str]) -> list[dict[str, float]]:
        first, second = phenotypes
        return [{first: 0.8, second: 0.2}, {second: 0.8, first: 0.2}]

    (a, b), (x, y) = spectrum(surfaces), spectrum(depths)
    return {
        benign: Entity(False, 0.2, (Presentation(a, x), Presentation(b, y))),
        malignant: Entity(True, 0.05, (Presentation(a, y), Presentation(b, x))),
    }


_ORDINARY: dict[str, Entity] = {
    "naevus": _entity(
        malignant=False,
        share=0.34,
        surface={"pigmented": 0.8, "skin_coloured": 0.2},
        depth={"band": 0.9, "infiltrating": 0.1},
    ),
    "melanoma": _entity(
        malignant=True,
        share=0.05,
        surface={"pigmented": 0.65, "violaceous": 0.25, "pearly": 0.1},
        depth={"infiltrating": 0.7, "band": 0.3},
    ),
    "basal_cell_carcinoma": _entity(
        malignant=True,
        share=0.14,
        surface={"pearly": 0.75, "keratotic": 0.1, "pigmented": 0.15},
        depth={"infiltrating": 0.75, "band": 0.15, "cystic": 0.1},
    ),
    "squamous_cell_carcinoma": _entity(
        malignant=True,
        share=0.06,
        surface={"keratotic": 0.85, "pearly": 0.15},
        depth={"infiltrating": 0.75, "shadowing": 0.25},
    ),
    "seborrhoeic_keratosis": _entity(
        malignant=False,
        share=0.18,
        surface={"keratotic": 0.65, "pigmented": 0.35},
        depth={"shadowing": 0.65, "band": 0.35},
    ),
    "dermatofibroma": _entity(
        malignant=False,
        share=0.05,
        surface={"pearly": 0.55, "pigmented": 0.45},
        depth={"band": 0.65, "infiltrating": 0.35},
    ),
    "haemangioma": _entity(
        malignant=False,
        share=0.05,
        surface={"violaceous": 0.9, "skin_coloured": 0.1},
        depth={"cystic": 0.6, "band": 0.4},
    ),
    "pilomatrixoma": _entity(
        malignant=False,
        share=0.02,
        surface={"violaceous": 0.55, "skin_coloured": 0.45},
        depth={"shadowing": 0.85, "cystic": 0.15},
    ),
    "epidermal_cyst": _entity(
        malignant=False,
        share=0.07,
        surface={"skin_coloured": 0.85, "pearly": 0.15},
        depth={"cystic": 0.9, "shadowing": 0.1},
    ),
    "lipoma": _entity(
        malignant=False,
        share=0.04,
        surface={"skin_coloured": 1.0},
        depth={"lobular": 0.9, "cystic": 0.1},
    ),
}
_CROSSED: dict[str, Entity] = (
    _crossed(
        "blue_naevus", "nodular_melanoma", ("pigmented", "violaceous"), ("band", "infiltrating")
    )
    | _crossed("poroma", "porocarcinoma", ("keratotic", "pigmented"), ("shadowing", "cystic"))
    | _crossed(
        "angiolipoma", "dermatofibrosarcoma", ("violaceous", "skin_coloured"), ("cystic", "lobular")
    )
    | _crossed(
        "trichoepithelioma",
        "adnexal_carcinoma",
        ("skin_coloured", "pearly"),
        ("infiltrating", "shadowing"),
    )
)
# Neighbours share a surface or a depth, and each phenotype occurs in another set of entities. Each
# modality alone therefore tells its phenotypes apart by what they say about the four pairs: a
# network has a reason to learn all of them before it can combine them.

ENTITIES: dict[str, Entity] = _ORDINARY | _CROSSED
"""All entities."""
ORDINARY = tuple(_ORDINARY)
"""Ten entities with one presentation. No two of them share both typical phenotypes."""
CROSSED = tuple(_CROSSED)
"""Eight entities, in pairs of a benign and a malignant one with the same surfaces and depths."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Probabilities over C classes, S surface and D depth phenotypes."""

    classes: tuple[str, ...]
    surfaces: tuple[str, ...]
    depths: tuple[str, ...]
    prior: Array  # (C,)
    pair: Array  # (C, S, D) probability of a surface with a depth; sums to 1 for each class
    malignant: NDArray[np.bool_]  # (C,)

    @property
    def surface(self) -> Array:
        """Probability of each surface, (C, S)."""
        return self.pair.sum(axis=2)

    @property
    def depth(self) -> Array:
        """Probability of each depth, (C, D)."""
        return self.pair.sum(axis=1)

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain dictionary per class, for `truth.json`."""

        def named(names: tuple[str, ...], values: Array) -> dict[str, float]:
            return dict(zip(names, values.tolist(), strict=True))

        return [
            {
                "class": name,
                "malignant": bool(self.malignant[c]),
                "prior": float(self.prior[c]),
                "surface": named(self.surfaces, self.surface[c]),
                "depth": named(self.depths, self.depth[c]),
                "pair": {
                    surface: named(self.depths, row)
                    for surface, row in zip(self.surfaces, self.pair[c], strict=True)
                },
            }
            for c, name in enumerate(self.classes)
        ]


def class_table(
    *, entities: tuple[str, ...] = ORDINARY, atypia: float = 1.0, imbalance: float = 0.0
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
    owners = [c for c, entity in enumerate(selected) for _ in entity.presentations]
    presentations = [p for entity in selected for p in entity.presentations]

    def spectrum(
        order: tuple[str, ...], phenotypes: list[Mapping[str, float]]
    ) -> tuple[tuple[str, ...], Array]:
        typical = [next(iter(f)) for f in phenotypes]
        used = tuple(name for name in order if name in typical)
        full = np.array([[f.get(name, 0.0) for name in used] for f in phenotypes])
        full /= full.sum(axis=1, keepdims=True)
        sharp = np.array([[float(name == t) for name in used] for t in typical])
        return used, (1 - atypia) * sharp + atypia * full

    surfaces, surface = spectrum(SURFACES, [p.surface for p in presentations])
    depths, depth = spectrum(DEPTHS, [p.depth for p in presentations])
    pair = np.zeros((len(selected), len(surfaces), len(depths)))
    for c, s, d in zip(owners, surface, depth, strict=True):
        pair[c] += np.outer(s, d) / len(selected[c].presentations)
    share = np.array([e.share for e in selected])
    prior = (1 - imbalance) / len(selected) + imbalance * share / share.sum()
    return ClassTable(
        classes=tuple(entities),
        surfaces=surfaces,
        depths=depths,
        prior=prior,
        pair=pair,
        malignant=np.array([e.malignant for e in selected]),
    )
