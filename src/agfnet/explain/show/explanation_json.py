"""The content of explanation.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agfnet import NOTICE
from agfnet.bundle import BundleConfig
from agfnet.data.table import Case
from agfnet.explain.compute.explanation import ALL, Explanation
from agfnet.explain.compute.measures import cells
from agfnet.explain.compute.methods import CHECKS
from agfnet.explain.show.figures import DrawnMap

Array = np.ndarray[Any, Any]
MAP_CELLS = 16  # per side


def explanation_json(
    case: Case,
    explanation: Explanation,
    drawn: Mapping[tuple[str, int], Mapping[str, DrawnMap]],
    config: BundleConfig,
    failed: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return the numbers of one explained case.

    Args:
        case: the case.
        explanation: of its answer.
        drawn: the maps as they were drawn.
        config: of the bundle.
        failed: method to the sanity checks that it failed.
    """

    def by_class(values: Array) -> dict[str, float]:
        return {name: float(p) for name, p in zip(config.classes, values, strict=True)}

    names = list(config.modalities)
    contributions = explanation.contributions
    without_region = explanation.without_region
    return {
        "notice": NOTICE,
        "lesion_id": case.lesion_id,
        "label": case.label,
        "answer": config.classes[int(explanation.probabilities.argmax())],
        "probabilities": by_class(explanation.probabilities),
        "foreign": list(explanation.foreign),
        "images": {
            name: {
                "file": image.path.name,
                "frames": image.frames,
                "seen": dict(
                    zip(("left", "top", "right", "bottom"), image.geometry.box, strict=True)
                ),
            }
            for name, image in explanation.images.items()
        },
        "shapley": contributions
        and {
            name: by_class(contributions.shapley[names.index(name)]) for name in explanation.images
        },
        "answers": contributions
        and {
            "+".join(names[m] for m in sorted(subset)): by_class(p)
            for subset, p in contributions.answers.items()
        },
        "without_region": None if without_region is None else by_class(without_region),
        "maps": maps_json(explanation, drawn, config, failed),
        "attention": [
            {"query": query, "key": key, "weights": np.round(weights, 4).tolist()}
            for (query, key), weights in explanation.attention.items()
        ],
        "update_norms": [
            {"query": query, "to_itself": to_itself, "value": value}
            for (query, to_itself), value in explanation.update_norms.items()
        ],
    }


def maps_json(
    explanation: Explanation,
    drawn: Mapping[tuple[str, int], Mapping[str, DrawnMap]],
    config: BundleConfig,
    failed: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """Return the maps of each method and class, with the sanity checks that the method failed."""
    return [
        {
            "method": method,
            "class": None if c == ALL else config.classes[c],
            "failed": [CHECKS[name].text for name in failed[method]] if method in failed else None,
            "views": views_json(maps, drawn[method, c]),
        }
        for (method, c), maps in explanation.maps.items()
    ]


def views_json(maps: Mapping[str, Array], drawn: Mapping[str, DrawnMap]) -> dict[str, Any]:
    """Return the fraction and the coarse cells of a method's map of each modality."""
    return {
        name: {
            "fraction": drawn[name].fraction,
            "cells": np.round(cells(part, MAP_CELLS), 6).tolist(),
        }
        for name, part in maps.items()
    }
