"""Write the files of an explained case (maps, attention, numbers), and one sheet of many cases."""

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
from agfnet.explain.compute.explanation import ALL, Explanation
from agfnet.explain.compute.images import PreparedImage
from agfnet.explain.compute.measures import cells
from agfnet.explain.compute.methods import CHECKS, METHODS
from agfnet.explain.show.attention_page import write_attention_page
from agfnet.explain.show.explanation_json import explanation_json
from agfnet.explain.show.figures import DrawnMap, save_attention, save_maps, save_sheet
from agfnet.explain.show.overlay import overlay
from agfnet.files import write_json
from agfnet.inference.percents import percent
from agfnet.inference.wording import modality_names
from agfnet.translation import words

Array = np.ndarray[Any, Any]
SHEET = "sheet.png"
MAX_SIDE = 640  # longest side of an image in a figure, pixels
SMOOTHING = 1 / 40  # standard deviation for maps of single pixels, fraction of the side
ON_SHEET = ("layercam", "gradcam", "gradient", "occlusion", "integrated", "guide")
"""The sheet shows the first of these maps that was drawn."""


@dataclass(frozen=True, eq=False)
class SheetRow:
    """A case as the sheet shows it."""

    text: str
    methods: tuple[str, ...]
    images: Mapping[str, Array]  # without a map
    overlays: Mapping[str, Array]
    method: str  # of the overlays; empty without any


def write_case(
    folder: Path,
    case: Case,
    explanation: Explanation,
    config: BundleConfig,
    failed: Mapping[str, Sequence[str]],
) -> SheetRow:
    """Write maps-CLASS.png, attention.html, attention.png and explanation.json of one case.

    Args:
        folder: where the files go; those of an earlier explanation are deleted.
        case: the case.
        explanation: of its answer.
        config: of the bundle.
        failed: method to the sanity checks that it failed.
    """
    for old in (*folder.glob("maps-*.png"), *folder.glob("attention.*")):
        old.unlink()  # of an earlier explanation with other settings
    images = {
        name: original_image(image, config.modalities[name])
        for name, image in explanation.images.items()
    }
    drawn = {
        key: draw_maps(key[0], maps, explanation.images, images)
        for key, maps in explanation.maps.items()
    }
    for c in explanation.classes:
        methods = [name for name in METHODS if (name, c) in drawn or (name, ALL) in drawn]
        save_maps(
            folder / f"maps-{safe(config.classes[c])}.png",
            title=f"{case.lesion_id}: attribution maps for {config.names[c]}"
            f" ({percent(explanation.probabilities[c])})",
            text="\n".join(sentences(explanation, c, config)),
            images=images,
            columns={
                METHODS[name].title: drawn.get((name, c)) or drawn[name, ALL] for name in methods
            },
            failed_checks={
                METHODS[name].title: "\n".join(CHECKS[check].title for check in failed[name])
                for name in methods
                if failed.get(name)
            },
        )
    if explanation.attention:
        write_attention(folder, case, explanation, config)
    write_json(
        folder / "explanation.json", explanation_json(case, explanation, drawn, config, failed)
    )
    return sheet_row(case, explanation, config, images, drawn)


def sheet_row(
    case: Case,
    explanation: Explanation,
    config: BundleConfig,
    images: Mapping[str, Image],
    drawn: Mapping[tuple[str, int], Mapping[str, DrawnMap]],
) -> SheetRow:
    """Return a case as the sheet shows it, with the first of its maps in `ON_SHEET`."""
    answer, first = int(explanation.probabilities.argmax()), explanation.classes[0]
    method = next((n for n in ON_SHEET if (n, first) in drawn or (n, ALL) in drawn), "")
    maps = drawn.get((method, first)) or drawn.get((method, ALL)) or {}
    names = dict(zip(config.classes, config.names, strict=True))
    truth = f"\ntruth: {names.get(case.label, case.label)}" if case.label else ""
    answer_text = f"{config.names[answer]} {percent(explanation.probabilities[answer])}"
    return SheetRow(
        text=f"{case.lesion_id}\n{'no diagnosis' if explanation.foreign else answer_text}"
        + (f"\nmap: {config.names[first]}" if first != answer else "")
        + truth,
        methods=tuple(dict.fromkeys(name for name, _ in drawn)),
        images={name: thumb(image.pixels) for name, image in images.items()},
        overlays={
            name: thumb(overlay(images[name].pixels, single.attribution))
            for name, single in maps.items()
        },
        method=method,
    )


def original_image(prepared: PreparedImage, modality: ModalityConfig) -> Image:
    """Read the image as it is in the file, reduced to at most MAX_SIDE pixels."""
    image = read_image(prepared.path, side=MAX_SIDE, region=modality.region)
    height, width = image.pixels.shape[:2]
    small = Pillow.fromarray(image.pixels)
    small.thumbnail((MAX_SIDE, MAX_SIDE))
    spacing = image.spacing
    if spacing is not None:
        spacing = (spacing[0] * height / small.height, spacing[1] * width / small.width)
    return replace(image, pixels=np.asarray(small), spacing=spacing)


def draw_maps(
    method: str,
    maps: Mapping[str, Array],
    prepared: Mapping[str, PreparedImage],
    images: Mapping[str, Image],
) -> dict[str, DrawnMap]:
    """Transfer maps (size, size) per modality to the pixels of the original images."""
    total = sum(float(part.sum()) for part in maps.values())
    drawn = {}
    for name, part in maps.items():
        height, width = images[name].pixels.shape[:2]
        smooth = gaussian_filter(part, SMOOTHING * len(part)) if METHODS[method].by_pixel else part
        drawn[name] = DrawnMap(
            attribution=prepared[name].geometry.to_image(smooth, (height, width)),
            fraction=float(part.sum()) / total if total > 0 else None,
        )
    return drawn


def sentences(explanation: Explanation, c: int, config: BundleConfig) -> list[str]:
    """Describe the numbers of one class, in lines."""
    answer = int(explanation.probabilities.argmax())
    lines = [f"Answer: {config.names[answer]} ({percent(explanation.probabilities[answer])})."]
    if explanation.foreign:
        modalities = modality_names(explanation.foreign)
        lines = [words()["warning.foreign"].format(modalities=modalities)]
    several = {name: image.frames for name, image in explanation.images.items() if image.frames > 1}
    if several:
        frames = ", ".join(f"{name}: 1 of {count}" for name, count in several.items())
        lines[0] += f" Only the first frame was explained ({frames})."
    if explanation.contributions is not None:
        names = list(config.modalities)
        parts = [
            f"{name} {round(100 * explanation.contributions.shapley[names.index(name), c]):+d}"
            for name in explanation.images
        ]
        none = explanation.contributions.answers[frozenset()][c]
        lines.append(
            "Contribution of each image in points of probability (Shapley values): "
            f"{', '.join(parts)}; {percent(none)} without any image."
        )
        lines += [
            f"Without {removed}: {config.names[int(p.argmax())]} ({percent(p.max())})."
            for removed, p in without_each(
                explanation.contributions, explanation.images, config
            ).items()
        ]
    if (covered := explanation.without_region) is not None:
        best = int(covered.argmax())
        line = f"With the region covered: {config.names[best]} ({percent(covered[best])})."
        if best != c:
            line += f" {config.names[c]}: {percent(covered[c])}."
        lines.append(line)
    return lines


def without_each(
    contributions: Contributions, images: Mapping[str, PreparedImage], config: BundleConfig
) -> dict[str, Array]:
    """Probabilities without each of the modalities, if another remains."""
    names = list(config.modalities)
    present = frozenset(names.index(name) for name in images)
    if len(present) < 2:
        return {}
    return {name: contributions.answers[present - {names.index(name)}] for name in images}


def write_attention(
    folder: Path, case: Case, explanation: Explanation, config: BundleConfig
) -> None:
    """Write attention.html and attention.png."""
    grid = round(len(next(iter(explanation.attention.values()))) ** 0.5)
    side = max(MAX_SIDE // 2, config.size)
    images = {
        name: load(
            image.path,
            size=side if not config.modalities[name].pixel_spacing else config.size,
            modality=config.modalities[name],
        )
        for name, image in explanation.images.items()
    }
    strongest = {
        name: np.mean([cells(maps[name], grid) for maps in explanation.maps.values()], axis=0)
        if explanation.maps
        else np.eye(grid)[::-1]
        for name in explanation.images
    }
    selected = {name: int(part.argmax()) for name, part in strongest.items()}
    answer = int(explanation.probabilities.argmax())
    title = f"{case.lesion_id}: attention between image regions"
    write_attention_page(
        folder / "attention.html",
        title=title,
        lead=f"Answer: {config.names[answer]} ({percent(explanation.probabilities[answer])}).",
        images=images,
        attention=explanation.attention,
        update_norms=explanation.update_norms,
        start=next(iter(selected.items())),
    )
    save_attention(
        folder / "attention.png",
        title=title,
        images=images,
        attention=explanation.attention,
        selected=selected,
    )


def write_overview(path: Path, cases: Sequence[SheetRow], config: BundleConfig) -> None:
    """Write one sheet with the images of each case, without and with its first map."""
    blank = np.full((8, 8, 3), 211, dtype=np.uint8)
    heading = METHODS[cases[0].method].title if cases[0].method else ""
    columns = [text for name in config.modalities for text in (name, heading)]
    rows = [
        (
            case.text,
            [
                parts.get(name, blank)
                for name in config.modalities
                for parts in (case.images, case.overlays)
            ],
        )
        for case in cases
    ]
    title = f"{len(cases)} lesions: answers and attribution maps"
    save_sheet(path, title=title, rows=rows, columns=columns)


def thumb(pixels: Array) -> Array:
    """A small copy for the sheet."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((160, 160))
    return np.asarray(image)


def safe(name: str) -> str:
    """A class in the name of a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
