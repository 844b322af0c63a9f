"""The files of an explained case: maps, attention, numbers; and one sheet of many cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

from agfnet.bundle import BundleConfig
from agfnet.config import ModalityConfig
from agfnet.data.preprocess import load
from agfnet.data.readers import Image, read_image
from agfnet.data.table import Case
from agfnet.explain.compute.contributions import Contributions
from agfnet.explain.compute.explanation import ALL, Description
from agfnet.explain.compute.images import PreparedImage
from agfnet.explain.compute.measures import cells
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.explain.show.attention_page import write_page
from agfnet.explain.show.explanation_json import numbers
from agfnet.explain.show.figures import Drawn, save_attention, save_maps, save_sheet
from agfnet.explain.show.overlay import overlay
from agfnet.files import write_json
from agfnet.inference.picture import percent

Array = np.ndarray[Any, Any]
SHEET = "sheet.png"
SHOWN = 640  # longest side of an image in a picture
SMOOTH = 1 / 40  # standard deviation for maps of single pixels, share of the side
ON_SHEET = ("layercam", "gradcam", "gradient", "occlusion", "integrated", "guide", "query")
"""Which map stands for a case on the sheet: the first of these that was drawn."""


@dataclass(frozen=True, eq=False)
class Told:
    """A case as the sheet shows it."""

    text: str
    methods: tuple[str, ...]
    images: Mapping[str, Array]  # bare
    overlays: Mapping[str, Array]
    shown: str  # method of the overlays; empty without any


def write_case(
    folder: Path,
    case: Case,
    found: Description,
    config: BundleConfig,
    failed: Mapping[str, Sequence[str]],
) -> Told:
    """Write maps-CLASS.png, attention.html, attention.png and explanation.json of one case."""
    for old in (*folder.glob("maps-*.png"), *folder.glob("attention.*")):
        old.unlink()  # of an earlier explanation with other settings
    images = {name: picture_of(view, config.modalities[name]) for name, view in found.views.items()}
    drawn = {key: draw(key[0], maps, found.views, images) for key, maps in found.maps.items()}
    answer = int(found.probabilities.argmax())
    for c in found.classes:
        methods = [name for name in METHODS if (name, c) in drawn or (name, ALL) in drawn]
        save_maps(
            folder / f"maps-{safe(config.classes[c])}.png",
            title=f"{case.lesion_id}: evidence for {config.classes[c]}"
            f" ({percent(found.probabilities[c])})",
            text="\n".join(sentences(found, c, config)),
            images=images,
            columns={
                METHODS[name].title: drawn.get((name, c)) or drawn[name, ALL] for name in methods
            },
            doubts={
                METHODS[name].title: "\n".join(CHECKS[check].title for check in failed[name])
                for name in methods
                if failed.get(name)
            },
        )
    if found.attention:
        write_attention(folder, case, found, config)
    write_json(folder / "explanation.json", numbers(case, found, drawn, config, failed))
    first = found.classes[0]
    shown = next((n for n in ON_SHEET if (n, first) in drawn or (n, ALL) in drawn), "")
    maps = drawn.get((shown, first)) or drawn.get((shown, ALL)) or {}
    truth = f"\ntruth: {case.label}" if case.label else ""
    return Told(
        text=f"{case.lesion_id}\n{config.classes[answer]} {percent(found.probabilities[answer])}"
        + (f"\nmap: {config.classes[first]}" if first != answer else "")
        + truth,
        methods=tuple(dict.fromkeys(name for name, _ in drawn)),
        images={name: thumb(image.pixels) for name, image in images.items()},
        overlays={
            name: thumb(overlay(images[name].pixels, one.evidence)) for name, one in maps.items()
        },
        shown=shown,
    )


def picture_of(view: PreparedImage, modality: ModalityConfig) -> Image:
    """The image as it is, at most SHOWN pixels long; its scale is that of the smaller copy."""
    image = read_image(view.path, side=SHOWN, region=modality.region)
    height, width = image.pixels.shape[:2]
    small = Pillow.fromarray(image.pixels)
    small.thumbnail((SHOWN, SHOWN))
    spacing = image.spacing
    if spacing is not None:
        spacing = (spacing[0] * height / small.height, spacing[1] * width / small.width)
    return replace(image, pixels=np.asarray(small), spacing=spacing)


def draw(
    method: str,
    maps: Mapping[str, Array],
    views: Mapping[str, PreparedImage],
    images: Mapping[str, Image],
) -> dict[str, Drawn]:
    """Maps (size, size) per view at the pixels of their images."""
    total = sum(float(part.sum()) for part in maps.values())
    drawn = {}
    for name, part in maps.items():
        height, width = images[name].pixels.shape[:2]
        smooth = gaussian_filter(part, SMOOTH * len(part)) if METHODS[method].by_pixel else part
        drawn[name] = Drawn(
            evidence=views[name].geometry.to_image(smooth, (height, width)),
            share=float(part.sum()) / total if total > 0 else None,
        )
    return drawn


def sentences(found: Description, c: int, config: BundleConfig) -> list[str]:
    """What the numbers say of one class, in lines."""
    answer = int(found.probabilities.argmax())
    lines = [f"Answer: {config.classes[answer]} ({percent(found.probabilities[answer])})."]
    several = {name: view.frames for name, view in found.views.items() if view.frames > 1}
    if several:
        frames = ", ".join(f"{name}: 1 of {count}" for name, count in several.items())
        lines[0] += f" First frames only ({frames})."
    if found.modalities is not None:
        names = list(config.modalities)
        parts = [
            f"{name} {round(100 * found.modalities.shapley[names.index(name), c]):+d}"
            for name in found.views
        ]
        none = found.modalities.answers[frozenset()][c]
        lines.append(
            f"Points of probability from each view (Shapley): {', '.join(parts)};"
            f" {percent(none)} without any."
        )
        lines += [
            f"Without {gone}: {config.classes[int(p.argmax())]} ({percent(p.max())})."
            for gone, p in without_each(found.modalities, found.views, config).items()
        ]
    if found.hidden is not None:
        best = int(found.hidden.argmax())
        line = f"Without the chosen region: {config.classes[best]} ({percent(found.hidden[best])})."
        if best != c:
            line += f" {config.classes[c]}: {percent(found.hidden[c])}."
        lines.append(line)
    return lines


def without_each(
    modalities: Contributions, views: Mapping[str, PreparedImage], config: BundleConfig
) -> dict[str, Array]:
    """Probabilities without each of the views, where another is left."""
    names = list(config.modalities)
    there = frozenset(names.index(name) for name in views)
    if len(there) < 2:
        return {}
    return {name: modalities.answers[there - {names.index(name)}] for name in views}


def write_attention(folder: Path, case: Case, found: Description, config: BundleConfig) -> None:
    """attention.html and attention.png."""
    grid = round(len(next(iter(found.attention.values()))) ** 0.5)
    side = max(SHOWN // 2, config.size)
    seen = {
        name: load(
            view.path,
            size=side if not config.modalities[name].mm_per_pixel else config.size,
            modality=config.modalities[name],
        )
        for name, view in found.views.items()
    }
    strongest = {
        name: np.mean([cells(maps[name], grid) for maps in found.maps.values()], axis=0)
        if found.maps
        else np.eye(grid)[::-1]
        for name in found.views
    }
    chosen = {name: int(part.argmax()) for name, part in strongest.items()}
    answer = int(found.probabilities.argmax())
    title = f"{case.lesion_id}: what consulted what"
    write_page(
        folder / "attention.html",
        title=title,
        lead=f"Answer: {config.classes[answer]} ({percent(found.probabilities[answer])}).",
        images=seen,
        attention=found.attention,
        strengths=found.strengths,
        start=(next(iter(chosen)), next(iter(chosen.values()))),
    )
    save_attention(
        folder / "attention.png",
        title=title,
        images=seen,
        attention=found.attention,
        chosen=chosen,
    )


def write_overview(path: Path, told: Sequence[Told], config: BundleConfig) -> None:
    """One sheet with the bare images of each case, and its first map."""
    blank = np.full((8, 8, 3), 211, dtype=np.uint8)
    heading = METHODS[told[0].shown].title if told[0].shown else ""
    columns = [text for name in config.modalities for text in (name, heading)]
    rows = [
        (
            one.text,
            [
                parts.get(name, blank)
                for name in config.modalities
                for parts in (one.images, one.overlays)
            ],
        )
        for one in told
    ]
    title = f"{len(told)} lesions: the answers, and where the evidence lies"
    save_sheet(path, title=title, rows=rows, columns=columns)


def thumb(pixels: Array) -> Array:
    """A small copy for the sheet."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((160, 160))
    return np.asarray(image)


def safe(name: str) -> str:
    """A class in the name of a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
