"""From the plan of one lesion to its image files: the same bytes wherever it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.phantom.bmode import Grid, Scanner, compress, display, envelope, white
from agfnet.phantom.geometry import Image
from agfnet.phantom.photo import Camera, Photo, melanin_for, photograph
from agfnet.phantom.plan import ANATOMY, PHOTO, SPECKLE, Centre, Plan, chance
from agfnet.phantom.tissue import SITES, section

SWEEP = 0.35
"""Largest distance of a frame from the lesion's centre, as a share of its half width."""


def photo(plan: Plan, centre: Centre, *, seed: int, size: int, nuisance: float) -> Photo:
    """The photograph of a lesion."""
    assert plan.surface is not None
    rng = chance(seed, PHOTO, plan.index)
    camera = Camera(
        field=centre.camera.field * float(rng.uniform(0.92, 1.08)),
        balance=_jitter(rng, centre.camera.balance, 0.05 * nuisance),
        exposure=float(np.exp(rng.uniform(-0.18, 0.25) * nuisance)) * 1.1,
        defocus=centre.camera.defocus * float(rng.uniform(0.5, 1 + 2 * nuisance)),
        noise=0.004 + 0.008 * nuisance * float(rng.uniform()),
    )
    return photograph(
        surface=plan.surface,
        width=plan.width,
        melanin=melanin_for(plan.ita),
        hairs=SITES[plan.site].hairs,
        camera=camera,
        size=size,
        rng=rng,
        nuisance=nuisance,
        ruler=plan.seen.ruler,
    )


def _jitter(
    rng: np.random.Generator, balance: tuple[float, float, float], spread: float
) -> tuple[float, float, float]:
    red, green, blue = np.array(balance) * np.exp(rng.uniform(-1, 1, 3) * spread)
    return float(red), float(green), float(blue)


def sweep(
    plan: Plan, centre: Centre, *, seed: int, size: int, nuisance: float
) -> list[tuple[NDArray[np.uint8], Image]]:
    """The ultrasound frames (size, size) of a lesion, and its masks (size, size) in [0, 1].

    Frames are parallel sections: the same anatomy, a shorter chord of the lesion away from its
    centre, and speckle that is shared in part between neighbours.
    """
    assert plan.depth is not None
    rng = chance(seed, SPECKLE, plan.index)
    scanner = Scanner(
        **{**vars(centre.scanner), "gain": centre.scanner.gain + 5 * nuisance * rng.uniform(-1, 1)}
    )
    grid = Grid(scanner.field, size)
    places = [0.0]
    if plan.frames > 1:
        places = np.linspace(-SWEEP, SWEEP, plan.frames).tolist()
    frames = []
    speckle = white(rng, grid.shape)
    for offset in places:
        cut = section(
            depth=plan.depth,
            width=plan.width,
            site=plan.site,
            grid=grid,
            scanner=scanner,
            rng=chance(seed, ANATOMY, plan.index),
            nuisance=nuisance,
            offset=offset,
        )
        echo = envelope(cut.tissue, grid, scanner, speckle, white(rng, grid.shape))
        image = display(compress(echo, scanner))
        mask = cut.lesion.reshape(size, 2, size).mean(axis=1)
        if plan.seen.calliper:
            image = measure(image, mask, grid.dx)
        frames.append((image, mask))
        speckle = 0.6 * speckle + 0.8 * white(rng, grid.shape)
    return frames


def measure(image: NDArray[np.uint8], mask: Image, spacing: float) -> NDArray[np.uint8]:
    """Burn callipers at the lesion's lateral ends, and their distance, into an image."""
    canvas = Pillow.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    rows, columns = np.nonzero(mask > 0.5)
    if not len(rows):
        return image
    arm = max(2, round(len(image) / 64))
    ends = []
    for end in (columns.min(), columns.max()):
        row = int(rows[columns == end].mean())
        draw.line([(end - arm, row), (end + arm, row)], fill=255)
        draw.line([(end, row - arm), (end, row + arm)], fill=255)
        ends.append((int(end), row))
    (x0, y0), (x1, y1) = ends
    for t in np.arange(0, 1, 3 / max(x1 - x0, 3)):
        draw.point((x0 + t * (x1 - x0), y0 + t * (y1 - y0)), fill=230)
    if len(image) >= 96:
        text = f"1 D {np.hypot(x1 - x0, y1 - y0) * spacing:.1f} mm"
        font = ImageFont.load_default(size=max(9, len(image) // 20))
        draw.text((4, len(image) - 5), text, fill=235, font=font, anchor="ls")
    return np.asarray(canvas)


def write(
    plan: Plan, centre: Centre, *, folder: Path, seed: int, size: int, nuisance: float
) -> dict[str, str]:
    """Draw a lesion, write its files under `folder`, and return its image and mask cells."""
    shard = f"{plan.index // 1000:04d}"
    cells = {}
    for name in ("clinical", "ultrasound"):
        for kind in ("images", "masks"):
            (folder / kind / shard).mkdir(parents=True, exist_ok=True)
        cells[name] = cells[f"{name}_mask"] = ""
    if plan.surface is not None:
        shot = photo(plan, centre, seed=seed, size=size, nuisance=nuisance)
        cells["clinical"] = f"images/{shard}/{plan.lesion_id}_photo.jpg"
        cells["clinical_mask"] = f"masks/{shard}/{plan.lesion_id}_photo.png"
        Pillow.fromarray(shot.image).save(folder / cells["clinical"], quality=centre.quality)
        _save_mask(shot.lesion, folder / cells["clinical_mask"])
    if plan.depth is not None:
        images, masks = [], []
        frames = sweep(plan, centre, seed=seed, size=size, nuisance=nuisance)
        for number, (image, mask) in enumerate(frames, start=1):
            name = f"{shard}/{plan.lesion_id}_us{number}.png"
            images.append(f"images/{name}")
            masks.append(f"masks/{name}")
            Pillow.fromarray(image).save(folder / images[-1], compress_level=3)
            _save_mask(mask, folder / masks[-1])
        cells["ultrasound"], cells["ultrasound_mask"] = "|".join(images), "|".join(masks)
    return cells


def _save_mask(mask: Image, path: Path) -> None:
    Pillow.fromarray(np.where(mask > 0.5, 255, 0).astype(np.uint8)).save(path, compress_level=3)
