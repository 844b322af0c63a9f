"""What the preparation of ultrasound does to phantom scans whose answer is known; its pictures.

    python bench/ultrasound.py --json ultrasound.json --pictures docs/img

`remove_marks`: mean absolute error, in grey levels, against the same scan drawn without callipers;
baseline: before. `elsewhere`: share of the pixels without a mark that it changes. `skin`: distance
of the found from the true skin line, pixels; `skin spread`: standard deviation of the skin's depth
over all scans after `shift`, baseline: before. `crop_field`: distance of the found from the true
left, right and lower edge of the image on a screen, pixels, and the share of the screen's texts
that is left. `time`: milliseconds for one image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.config import ModalityConfig, PhantomConfig
from agfnet.data.preprocess import prepare_image
from agfnet.data.readers import Image
from agfnet.data.ultrasound import align_skin, crop_field, find_field, remove_marks, skin_line
from agfnet.files import write_json
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
    """First frames of a cohort with strong nuisance; all of one field of view (mm) if given."""
    config = PhantomConfig(out="none", lesions=count, size=size, preset="hard", seed=SEED)
    recipe = resolve(config)
    found = []
    for plan in plans(config, recipe):
        place = centre(SEED, plan.centre, recipe)
        if field is not None:
            place = replace(place, scanner=replace(place.scanner, field=field))
        settings = {"seed": SEED, "size": size, "nuisance": recipe.nuisance}
        plain, marked = (
            take_sweep(
                replace(plan, frames=1, seen=replace(plan.seen, calliper=calliper)),
                place,
                **settings,
            )[0][0]
            for calliper in (False, True)
        )
        grid = Grid(place.scanner.field, size)
        anatomy = section(
            depth=str(plan.depth),
            width=plan.width,
            site=plan.site,
            grid=grid,
            scanner=place.scanner,
            rng=chance(SEED, Stream.ANATOMY, plan.index),
            nuisance=recipe.nuisance,
        )
        echo = np.abs(anatomy.tissue.interface)
        row = (np.arange(len(echo))[:, None] * echo).sum(axis=0) / echo.sum(axis=0)
        found.append(Scan(rgb(plain), rgb(marked), (row - 0.5) / 2, (grid.dx, grid.dx)))
    return found


def rgb(grey: Pixels) -> Pixels:
    """(H, W) to (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=2)


def screen(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels, tuple[int, ...]]:
    """A scan on a device's screen, the mask of all that is written there, and where the scan is."""
    height, width = pixels.shape[:2]
    canvas = Pillow.new("RGB", (width + 440, height + 240))
    draw = ImageDraw.Draw(canvas)
    left, top = (int(each) for each in rng.integers((90, 60), (250, 110)))
    font = ImageFont.load_default(size=18)
    draw.rectangle([0, 0, canvas.width, 40], fill=(40, 60, 90))
    draw.text((10, 10), "DERMATOLOGY  DOE^JANE  MI 0.4  TIS 0.1", fill="white", font=font)
    draw.text((12, 300), "18 MHz\nG 62\nDR 70\n2D", fill=(220, 220, 120), font=font)
    draw.text((left, canvas.height - 40), "LEFT FOREARM", fill="white", font=font)
    draw.ellipse([canvas.width - 60, 50, canvas.width - 30, 80], fill=(30, 120, 255))
    for row in range(120):
        draw.line([20, 100 + row, 36, 100 + row], fill=(255 - 2 * row,) * 3)
    for row in range(top, top + height, 30):
        draw.line([left + width + 8, row, left + width + 16, row], fill=(200, 200, 200))
    written = np.asarray(canvas).max(axis=2) > 0
    canvas.paste(Pillow.fromarray(pixels), (left, top))
    return np.asarray(canvas), written, (left, left + width, top + height)


def milliseconds(step: Callable[[Pixels], object], images: list[Pixels]) -> float:
    """Processor time for one image."""
    start = time.process_time()
    for pixels in images:
        step(pixels)
    return 1000 * (time.process_time() - start) / len(images)


def measure(report: Callable[..., None], count: int) -> None:
    """All figures."""
    for size in (224, 448):
        found = scans(count, size)
        before, after, elsewhere, errors, raw, depths = [], [], [], [], [], []
        for scan in found:
            clean = remove_marks(scan.marked)
            unmarked = (scan.marked == scan.plain).all(axis=2)
            before.append(np.abs(scan.marked.astype(float) - scan.plain).mean())
            after.append(np.abs(clean.astype(float) - scan.plain).mean())
            elsewhere.append((clean != scan.plain)[unmarked].mean())
            line = skin_line(scan.marked)
            assert line is not None
            errors.append(np.abs(line - scan.skin))
            raw.append(np.median(scan.skin))
            depths.append(raw[-1] + np.rint(0.1 * size - np.median(line)))  # as align_skin moves
        name = f"remove_marks {size} px"
        report(name, "mean_absolute_error", np.mean(after), np.mean(before))
        report(name, "elsewhere", np.mean(elsewhere))
        report(f"skin {size} px", "median_error", np.median(errors))
        report(f"skin {size} px", "95th_percentile", np.quantile(errors, 0.95))
        report(f"skin {size} px", "skin_spread", np.std(depths), np.std(raw))
        images = [scan.marked for scan in found]
        report(name, "time", milliseconds(remove_marks, images))
        report(f"skin {size} px", "time", milliseconds(skin_line, images))
    rng = np.random.default_rng(SEED)
    screens = [screen(scan.marked, rng) for scan in found]
    edges, left = [], []
    for pixels, written, (start, end, bottom) in screens:
        field = find_field(pixels)
        assert field is not None
        columns, rows = np.flatnonzero(field.any(axis=0)), np.flatnonzero(field.any(axis=1))
        edges += [columns[0] - start, columns[-1] + 1 - end, rows[-1] + 1 - bottom]
        left.append((field & written).sum() / written.sum())
    report("crop_field", "largest_edge_error", np.abs(edges).max())
    report("crop_field", "texts_left", np.mean(left))
    report("crop_field", "time", milliseconds(crop_field, [pixels for pixels, *_ in screens]))


def pictures(folder: Path) -> None:
    """One picture for each step."""
    scan = scans(4, 448)[3]
    on_screen, _, _ = screen(scan.marked, np.random.default_rng(SEED))
    save(folder / "ultrasound-field.jpg", [on_screen, crop_field(on_screen)])
    save(folder / "ultrasound-marks.jpg", [scan.marked, remove_marks(scan.marked), scan.plain])
    near, far = scans(1, 320, field=9.0)[0], scans(1, 320, field=14.0)[0]
    common = ModalityConfig(modality_type="ultrasound", pixel_spacing=9.0 / 320)
    scaled = [
        prepare_image(Image(each.plain, each.spacing), name="", size=320, modality=common)
        for each in (near, far)
    ]
    save(folder / "ultrasound-scale.jpg", [near.plain, far.plain, *scaled])
    tilted = max(scans(24, 320), key=lambda each: float(np.ptp(each.skin)))
    moved = [align_skin(tilted.plain, depth=32, flatten=flatten) for flatten in (False, True)]
    save(folder / "ultrasound-skin.jpg", [tilted.plain, *moved])


def save(path: Path, tiles: list[Pixels]) -> None:
    """Tiles side by side, 320 pixels high."""
    images = [Pillow.fromarray(tile) for tile in tiles]
    images = [each.resize((round(each.width * 320 / each.height), 320)) for each in images]
    sheet = Pillow.new("RGB", (sum(each.width + 8 for each in images) - 8, 320), "white")
    left = 0
    for each in images:
        sheet.paste(each, (left, 0))
        left += each.width + 8
    sheet.save(path, quality=85)


def main() -> None:
    """Print the table, and write it and the pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of the docs")
    settings = parser.parse_args()
    rows = []
    print(f"{'':<22}{'metric':<22}{'value':>10}{'baseline':>10}{'ratio':>8}")

    def report(name: str, metric: str, value: float, baseline: float | None = None) -> None:
        ratio = None if baseline is None else value / baseline
        shown = ["" if each is None else f"{each:.4g}" for each in (value, baseline, ratio)]
        print(f"{name:<22}{metric:<22}{shown[0]:>10}{shown[1]:>10}{shown[2]:>8}")
        numbers = {"value": value, "baseline": baseline, "ratio": ratio}
        numbers = {key: None if each is None else float(each) for key, each in numbers.items()}
        rows.append({"name": name, "metric": metric, **numbers})

    measure(report, settings.scans)
    if settings.json:
        write_json(settings.json, rows)
    if settings.pictures:
        pictures(settings.pictures)


if __name__ == "__main__":
    main()
