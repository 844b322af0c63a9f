"""Contact sheets: a cohort at a glance."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from agfnet.errors import DataError


def contact_sheet(
    cases: Path,
    *,
    pairs: int = 3,
    tile: int = 132,
    outlines: bool = False,
    split: str | None = None,
) -> Pillow.Image:
    """One row per class, with `pairs` lesions each: photograph and ultrasound side by side.

    Args:
        cases: The `cases.csv` of a cohort, with `truth.json` beside it.
        pairs: Lesions per class.
        tile: Side of each image, pixels.
        outlines: Draw the borders of the masks.
        split: Show lesions of this split only.

    Raises:
        DataError: The cohort is not there.
    """
    try:
        classes = json.loads((cases.parent / "truth.json").read_text(encoding="utf-8"))["classes"]
    except OSError as error:
        raise DataError(f"{cases}: no truth.json beside it; make the cohort again") from error
    rows: dict[str, list[dict[str, str]]] = {name: [] for name in classes}
    with cases.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if len(rows[row["label"]]) < pairs and split in (None, row["split"]):
                rows[row["label"]].append(row)
    head, gap = 18, 4
    width = pairs * (2 * tile + gap) - gap
    sheet = Pillow.new("RGB", (width, len(classes) * (tile + head)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for line, (name, found) in enumerate(rows.items()):
        top = line * (tile + head)
        draw.text((2, top + 1), name.replace("_", " "), fill="black", font=font)
        for column, row in enumerate(found):
            for side, view in enumerate(("clinical", "ultrasound")):
                left = column * (2 * tile + gap) + side * tile
                image = _tile(cases.parent, row, view, tile, outlines)
                sheet.paste(image, (left, top + head))
    return sheet


def _tile(folder: Path, row: dict[str, str], view: str, tile: int, outline: bool) -> Pillow.Image:
    """The first image of one view, grey where there is none."""
    if not row[view]:
        return Pillow.new("RGB", (tile, tile), "lightgrey")
    names = [row[view].split("|")[0], row[f"{view}_mask"].split("|")[0]]
    image = Pillow.open(folder / names[0]).convert("RGB").resize((tile, tile))
    if outline:
        mask = np.asarray(Pillow.open(folder / names[1]).resize((tile, tile))) > 127
        border = ndimage.binary_dilation(mask) & ~mask
        image.paste((0, 255, 220), mask=Pillow.fromarray(border))
    return image
