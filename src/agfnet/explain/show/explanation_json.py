"""An explained case as numbers: explanation.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agfnet import NOTICE
from agfnet.bundle import BundleConfig
from agfnet.data.table import Case
from agfnet.explain.compute.explanation import ALL, Description
from agfnet.explain.compute.measures import cells
from agfnet.explain.compute.methods import CHECKS
from agfnet.explain.show.figures import Drawn

Array = np.ndarray[Any, Any]
NUMBERS = 16  # cells per side of a map


def numbers(
    case: Case,
    found: Description,
    drawn: Mapping[tuple[str, int], Mapping[str, Drawn]],
    config: BundleConfig,
    failed: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """What explanation.json holds."""

    def by_class(values: Array) -> dict[str, float]:
        return {name: float(p) for name, p in zip(config.classes, values, strict=True)}

    names = list(config.modalities)
    modalities = found.modalities
    return {
        "notice": NOTICE,
        "lesion_id": case.lesion_id,
        "label": case.label,
        "answer": config.classes[int(found.probabilities.argmax())],
        "probabilities": by_class(found.probabilities),
        "images": {
            name: {
                "file": view.path.name,
                "frames": view.frames,
                "seen": dict(
                    zip(("left", "top", "right", "bottom"), view.geometry.box, strict=True)
                ),
            }
            for name, view in found.views.items()
        },
        "shapley": {name: by_class(modalities.shapley[names.index(name)]) for name in found.views}
        if modalities
        else None,
        "answers": {
            "+".join(names[m] for m in sorted(subset)): by_class(p)
            for subset, p in modalities.answers.items()
        }
        if modalities
        else None,
        "without_region": None if found.hidden is None else by_class(found.hidden),
        "maps": [
            {
                "method": method,
                "class": None if c == ALL else config.classes[c],
                "failed": [CHECKS[name].text for name in failed[method]]
                if method in failed
                else None,
                "views": {
                    name: {
                        "share": drawn[method, c][name].share,
                        "cells": np.round(cells(part, NUMBERS), 6).tolist(),
                    }
                    for name, part in maps.items()
                },
            }
            for (method, c), maps in found.maps.items()
        ],
        "attention": [
            {
                "asker": asker,
                "asked": asked,
                "shares": np.round(shares, 4).tolist(),
            }
            for (asker, asked), shares in found.attention.items()
        ],
        "attention_strength": [
            {"asker": asker, "of_itself": own, "value": value}
            for (asker, own), value in found.strengths.items()
        ],
    }
