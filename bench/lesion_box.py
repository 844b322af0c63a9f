"""Accuracy of the lesion detector that proposes a crop (`agfnet.data.lesion_box`).

    python bench/lesion_box.py --json bench/results/lesion_box.json
    python bench/lesion_box.py --milk10k FOLDER --json bench/results/lesion_box_milk10k.json

Phantom photographs with masks, whole and as windows in which the lesion lies off centre:

- found: fraction of the lesions for which the detector answers.
- overlap: median intersection over union of the region and the mask, among those.
- inside: fraction of all whose mask is to 90 % in what the network sees, with the crop if advised.
  Baseline: without crop.

MILK10k has no masks, and its lesions lie near the middle of the photograph. centre: fraction of the
boxes, among the answers, that contain the middle of the original photograph, in it and in windows.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, finish, options, row
from PIL import Image as Pillow

from agfnet.config import PhantomConfig
from agfnet.data.lesion_box import find_lesion, is_cut, is_small, propose_crop, whole_pixels
from agfnet.data.preprocess import seen_part
from agfnet.data.table import read_cases
from agfnet.phantom.cohort import make_cohort

Array = np.ndarray[Any, Any]
SEED = 11
WINDOW = (0.4, 0.7)
"""Height and width of a window relative to the photograph."""


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__)
    parser.add_argument("--lesions", type=int, default=100)
    parser.add_argument("--milk10k", type=Path, help="folder of MILK10k instead of the phantom")
    arguments = parser.parse_args()
    if arguments.milk10k:
        rows = real(arguments.milk10k, arguments.lesions)
    else:
        rows = simulated(arguments.lesions)
    finish(rows, arguments, "Lesion detector")


def simulated(count: int) -> list[Row]:
    """Return the rows of phantom photographs."""
    rng = np.random.default_rng(SEED)
    whole, windows = [], []
    with tempfile.TemporaryDirectory() as folder:
        config = PhantomConfig(out=f"{folder}/cohort", lesions=count, size=192, seed=SEED)
        for case in read_cases(make_cohort(config), modalities=["clinical"]):
            for path, mask in zip(case.images["clinical"], case.masks["clinical"], strict=True):
                pixels = np.asarray(Pillow.open(path).convert("RGB"))
                truth = np.asarray(Pillow.open(mask).convert("L")) > 127
                whole.append(judge(pixels, truth))
                y, x = window(truth, rng)
                windows.append(judge(pixels[y, x], truth[y, x]))
    return [*summary("phantom", whole), *summary("phantom, off centre", windows)]


def window(truth: Array, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw a window of a mask (H, W) that holds the lesion, wherever it then lies."""
    slices = []
    for axis in (0, 1):
        lines = np.flatnonzero(truth.any(axis=1 - axis))
        length = truth.shape[axis]
        side = max(round(WINDOW[axis] * length), min(length, lines[-1] - lines[0] + 3))
        lowest = max(0, lines[-1] + 1 - side)
        start = int(rng.integers(lowest, max(lowest, min(lines[0], length - side)) + 1))
        slices.append(slice(start, start + side))
    return slices[0], slices[1]


def judge(pixels: Array, truth: Array) -> tuple[float, bool, bool]:
    """Return the overlap (nan: no answer), and whether the lesion is seen without and with crop."""
    shape = truth.shape
    x0, y0, x1, y1 = seen_part(shape, "crop")
    seen = (int(x0), int(y0), int(x1 - x0), int(y1 - y0))
    lesion = find_lesion(pixels)
    if lesion is None:
        return float("nan"), is_inside(truth, seen), is_inside(truth, seen)
    region = np.asarray(Pillow.fromarray(lesion.mask).resize(shape[::-1]))
    box = whole_pixels(lesion.box, shape)
    used = propose_crop(box, shape) if is_cut(box, seen) or is_small(box, seen) else seen
    overlap = float((region & truth).sum() / (region | truth).sum())
    return overlap, is_inside(truth, seen), is_inside(truth, used)


def is_inside(truth: Array, box: tuple[int, int, int, int]) -> bool:
    """Return whether a box holds 90 % of a mask."""
    x, y, width, height = box
    return bool(truth[y : y + height, x : x + width].sum() >= 0.9 * truth.sum())


def summary(name: str, results: list[tuple[float, bool, bool]]) -> list[Row]:
    """Return the rows of one kind of photograph."""
    overlaps, before, after = (np.array(values) for values in zip(*results, strict=True))
    return [
        row(name, "found", float(np.mean(~np.isnan(overlaps))), n=len(results)),
        row(name, "overlap", float(np.nanmedian(overlaps))),
        row(name, "inside", float(after.mean()), float(before.mean())),
    ]


def real(folder: Path, count: int) -> list[Row]:
    """Return the rows of MILK10k."""
    rng = np.random.default_rng(SEED)
    whole, windows = [], []
    for pixels in photographs(folder, count):
        height, width = pixels.shape[:2]
        whole.append(centre_found(pixels, (width / 2, height / 2)))
        down, across = round(WINDOW[0] * height), round(WINDOW[1] * width)
        # the middle of the photograph stays in the window, a sixth of its side from the edge
        x = int(rng.integers(width // 2 - across * 5 // 6, width // 2 - across // 6 + 1))
        y = int(rng.integers(height // 2 - down * 5 // 6, height // 2 - down // 6 + 1))
        x, y = min(max(x, 0), width - across), min(max(y, 0), height - down)
        part = pixels[y : y + down, x : x + across]
        windows.append(centre_found(part, (width / 2 - x, height / 2 - y)))
    rows = []
    for name, results in (("MILK10k", whole), ("MILK10k, off centre", windows)):
        answers = [result for result in results if result is not None]
        rows.append(row(name, "found", len(answers) / len(results), n=len(results)))
        rows.append(row(name, "centre", float(np.mean(answers))))
    return rows


def photographs(folder: Path, count: int) -> Iterator[Array]:
    """Yield the first clinical photographs in the order of the table."""
    with (folder / "MILK10k_Training_Metadata.csv").open(encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            path = folder / "MILK10k_Training_Input" / cells["lesion_id"] / cells["isic_id"]
            path = path.with_suffix(".jpg")
            if "clinical" in cells["image_type"].lower() and path.exists() and count:
                count -= 1
                yield np.asarray(Pillow.open(path).convert("RGB"))


def centre_found(pixels: Array, centre: tuple[float, float]) -> bool | None:
    """Return whether the box contains a point; None without an answer."""
    lesion = find_lesion(pixels)
    if lesion is None:
        return None
    x, y, width, height = whole_pixels(lesion.box, (pixels.shape[0], pixels.shape[1]))
    return bool(x <= centre[0] <= x + width and y <= centre[1] <= y + height)


if __name__ == "__main__":
    main()
