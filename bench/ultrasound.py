"""Accuracy of the preparation of ultrasound, on phantom scans with known content; its pictures.

    python bench/ultrasound.py --json ultrasound.json --pictures docs/img

- remove_annotations: mean absolute error, in grey levels, against the same scan without callipers.
  Baseline: before removal. elsewhere: fraction of the pixels without a mark that are changed.
- skin: distance of the detected from the true skin surface, pixels. skin_spread: standard deviation
  of the depth of the skin over all scans after `shift`. Baseline: before.
- crop_field_of_view: distance of the detected from the true left, right and lower edge of the scan
  on a screenshot, pixels, and the fraction of the screen's texts that remains.
- time: milliseconds for one image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import Row, finish, options, row
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.config import ModalityConfig, PhantomConfig
from agfnet.data.preprocess import prepare_image
from agfnet.data.readers import Image
from agfnet.data.ultrasound import (
    align_skin_surface,
    crop_field_of_view,
    find_field_of_view,
    find_skin_surface,
    remove_annotations,
)
from agfnet.phantom.bmode import Grid
from agfnet.phantom.plan import Stream, centre, chance, plans
from agfnet.phantom.presets import resolve
from agfnet.phantom.render import take_sweep
from agfnet.phantom.tissue import section

Pixels = np.ndarray
SEED = 5


class Scan(NamedTuple):
    """One lesion, drawn twice."""

    plain: Pixels  # (H, W, 3)
    marked: Pixels  # with callipers and text
    skin: np.ndarray  # row of the skin in every column
    spacing: tuple[float, float]


def scans(count: int, size: int, *, field: float | None = None) -> list[Scan]:
    """Draw the first frames of a cohort with strong nuisance, all with one field (mm) if set."""
    config = PhantomConfig(out="none", lesions=count, size=size, preset="hard", seed=SEED)
    recipe = resolve(config)
    drawn = []
    for plan in plans(config, recipe):
        site = centre(SEED, plan.centre, recipe)
        if field is not None:
            site = replace(site, scanner=replace(site.scanner, field=field))
        settings = {"seed": SEED, "size": size, "nuisance": recipe.nuisance}
        plain, marked = (
            take_sweep(
                replace(plan, frames=1, seen=replace(plan.seen, calliper=calliper)),
                site,
                **settings,
            )[0][0]
            for calliper in (False, True)
        )
        grid = Grid(site.scanner.field, size)
        anatomy = section(
            depth=str(plan.depth),
            width=plan.width,
            site=plan.site,
            grid=grid,
            scanner=site.scanner,
            rng=chance(SEED, Stream.ANATOMY, plan.index),
            nuisance=recipe.nuisance,
        )
        echo = np.abs(anatomy.tissue.interface)
        skin = (np.arange(len(echo))[:, None] * echo).sum(axis=0) / echo.sum(axis=0)
        drawn.append(Scan(rgb(plain), rgb(marked), (skin - 0.5) / 2, (grid.dx, grid.dx)))
    return drawn


def rgb(grey: Pixels) -> Pixels:
    """Repeat a grey image (H, W) to (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=2)


def screen(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels, tuple[int, ...]]:
    """Draw a scan on a device's screen; return it, the mask of texts, and the edges of the scan."""
    height, width = pixels.shape[:2]
    canvas = Pillow.new("RGB", (width + 440, height + 240))
    draw = ImageDraw.Draw(canvas)
    x, top = (int(each) for each in rng.integers((90, 60), (250, 110)))
    font = ImageFont.load_default(size=18)
    draw.rectangle([0, 0, canvas.width, 40], fill=(40, 60, 90))
    draw.text((10, 10), "DERMATOLOGY  DOE^JANE  MI 0.4  TIS 0.1", fill="white", font=font)
    draw.text((12, 300), "18 MHz\nG 62\nDR 70\n2D", fill=(220, 220, 120), font=font)
    draw.text((x, canvas.height - 40), "LEFT FOREARM", fill="white", font=font)
    draw.ellipse([canvas.width - 60, 50, canvas.width - 30, 80], fill=(30, 120, 255))
    for y in range(120):
        draw.line([20, 100 + y, 36, 100 + y], fill=(255 - 2 * y,) * 3)
    for y in range(top, top + height, 30):
        draw.line([x + width + 8, y, x + width + 16, y], fill=(200, 200, 200))
    written = np.asarray(canvas).max(axis=2) > 0
    canvas.paste(Pillow.fromarray(pixels), (x, top))
    return np.asarray(canvas), written, (x, x + width, top + height)


def milliseconds(step: Callable[[Pixels], object], images: list[Pixels]) -> float:
    """Return the processor time for one image."""
    start = time.process_time()
    for pixels in images:
        step(pixels)
    return 1000 * (time.process_time() - start) / len(images)


def measure(count: int) -> list[Row]:
    """Measure all steps."""
    rows = []
    for size in (224, 448):
        drawn = scans(count, size)
        rows += [*mark_rows(drawn, size), *skin_rows(drawn, size)]
    rng = np.random.default_rng(SEED)
    return rows + field_rows([screen(scan.marked, rng) for scan in drawn])


def mark_rows(drawn: list[Scan], size: int) -> list[Row]:
    """Measure the removal of annotations."""
    before, after, elsewhere = [], [], []
    for scan in drawn:
        clean = remove_annotations(scan.marked)
        unmarked = (scan.marked == scan.plain).all(axis=2)
        before.append(np.abs(scan.marked.astype(float) - scan.plain).mean())
        after.append(np.abs(clean.astype(float) - scan.plain).mean())
        elsewhere.append((clean != scan.plain)[unmarked].mean())
    name = f"remove_annotations {size} px"
    return [
        row(name, "mean_absolute_error", float(np.mean(after)), float(np.mean(before))),
        row(name, "elsewhere", float(np.mean(elsewhere))),
        row(name, "time", milliseconds(remove_annotations, [scan.marked for scan in drawn])),
    ]


def skin_rows(drawn: list[Scan], size: int) -> list[Row]:
    """Measure the detection of the skin surface."""
    errors, raw, depths = [], [], []
    for scan in drawn:
        line = find_skin_surface(scan.marked)
        assert line is not None
        errors.append(np.abs(line - scan.skin))
        raw.append(np.median(scan.skin))
        # as align_skin_surface moves
        depths.append(raw[-1] + np.rint(0.1 * size - np.median(line)))
    name = f"skin {size} px"
    return [
        row(name, "median_error", float(np.median(errors))),
        row(name, "95th_percentile", float(np.quantile(errors, 0.95))),
        row(name, "skin_spread", float(np.std(depths)), float(np.std(raw))),
        row(name, "time", milliseconds(find_skin_surface, [scan.marked for scan in drawn])),
    ]


def field_rows(screens: list[tuple[Pixels, Pixels, tuple[int, ...]]]) -> list[Row]:
    """Measure the detection of the field of view."""
    errors, remaining = [], []
    for pixels, written, (start, end, bottom) in screens:
        field = find_field_of_view(pixels)
        assert field is not None
        columns, rows = np.flatnonzero(field.any(axis=0)), np.flatnonzero(field.any(axis=1))
        errors += [columns[0] - start, columns[-1] + 1 - end, rows[-1] + 1 - bottom]
        remaining.append((field & written).sum() / written.sum())
    name = "crop_field_of_view"
    return [
        row(name, "largest_edge_error", float(np.abs(errors).max())),
        row(name, "texts_left", float(np.mean(remaining))),
        row(name, "time", milliseconds(crop_field_of_view, [pixels for pixels, *_ in screens])),
    ]


def pictures(folder: Path) -> None:
    """Draw one picture for each step."""
    scan = scans(4, 448)[3]
    on_screen, _, _ = screen(scan.marked, np.random.default_rng(SEED))
    save(folder / "ultrasound-field.jpg", [on_screen, crop_field_of_view(on_screen)])
    clean = remove_annotations(scan.marked)
    save(folder / "ultrasound-marks.jpg", [scan.marked, clean, scan.plain])
    near, far = scans(1, 320, field=9.0)[0], scans(1, 320, field=14.0)[0]
    common = ModalityConfig(modality_type="ultrasound", pixel_spacing=9.0 / 320)
    scaled = [
        prepare_image(Image(each.plain, each.spacing), name="", size=320, modality=common)
        for each in (near, far)
    ]
    save(folder / "ultrasound-scale.jpg", [near.plain, far.plain, *scaled])
    tilted = max(scans(24, 320), key=lambda each: float(np.ptp(each.skin)))
    moved = [
        align_skin_surface(tilted.plain, depth=32, flatten=flatten) for flatten in (False, True)
    ]
    save(folder / "ultrasound-skin.jpg", [tilted.plain, *moved])


def save(path: Path, tiles: list[Pixels]) -> None:
    """Save tiles side by side, 320 pixels high."""
    images = [Pillow.fromarray(tile) for tile in tiles]
    images = [each.resize((round(each.width * 320 / each.height), 320)) for each in images]
    sheet = Pillow.new("RGB", (sum(each.width + 8 for each in images) - 8, 320), "white")
    x = 0
    for each in images:
        sheet.paste(each, (x, 0))
        x += each.width + 8
    sheet.save(path, quality=85)


def main() -> None:
    """Measure, and draw the pictures if requested."""
    parser = options(__doc__)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the docs")
    arguments = parser.parse_args()
    finish(measure(arguments.scans), arguments)
    if arguments.pictures:
        pictures(arguments.pictures)


if __name__ == "__main__":
    main()
