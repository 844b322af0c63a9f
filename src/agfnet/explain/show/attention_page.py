"""attention.html: select a region of one image and see which regions it attends to.

One file with a small script, which loads nothing from outside.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.explain.compute.colours import colour_map
from agfnet.explain.show.overlay import thumbnail
from agfnet.files import write_text
from agfnet.pages.render import render, source

Array = np.ndarray[Any, Any]
TINTS = 32
OPACITY = 0.6  # of the highest; attention is often even, and the image must stay visible


def write_attention_page(
    path: Path,
    *,
    title: str,
    lead: str,
    images: Mapping[str, Array],
    attention: Mapping[tuple[str, str], Array],
    update_norms: Mapping[tuple[str, bool], float],
    start: tuple[str, int],
) -> None:
    """Write the page of one case.

    Args:
        path: the file.
        title: heading.
        lead: the answer, in a sentence.
        images: modality to the prepared image (S, S, 3) uint8.
        attention: (query modality, key modality) to (g², g²), see
            `agfnet.explain.compute.attention_grid`.
        update_norms: query modality, and whether it attended to itself, to the relative norm of
            the update.
        start: modality and cell that are selected at first.
    """
    names = list(images)
    grid = round(len(next(iter(attention.values()))) ** 0.5)
    tints = (255 * colour_map(np.linspace(0, 1, TINTS))).round().astype(int)
    data = {
        "grid": grid,
        "views": [{"id": number, "name": name} for number, name in enumerate(names)],
        "attention": {
            f"{names.index(query)} {names.index(key)}": (weights * 10000)
            .round()
            .astype(int)
            .ravel()
            .tolist()
            for (query, key), weights in attention.items()
        },
        "tints": [" ".join(map(str, tint)) for tint in tints.tolist()],
        "opacity": OPACITY,
        "start": [names.index(start[0]), start[1]],
    }
    script = source("attention.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = render(
        "attention.html.jinja",
        title=title,
        lead=lead,
        digest=f"sha256-{digest}",
        images={name: thumbnail(pixels) for name, pixels in images.items()},
        grid=grid,
        legend=", ".join(f"rgb({tint})" for tint in data["tints"]),
        norms=update_norms_text(update_norms),
        data=data,
        script=script,
    )
    write_text(path, page)


def update_norms_text(update_norms: Mapping[tuple[str, bool], float]) -> str:
    """Describe the relative norm of the updates in sentences."""
    return " ".join(
        f"Attention of {query} to {'itself' if to_itself else 'the other images'} changed its "
        f"features by {value:.0%} of their norm."
        for (query, to_itself), value in update_norms.items()
    )
