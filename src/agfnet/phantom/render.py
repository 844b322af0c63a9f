"""Image files of one lesion from its plan; the same plan gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.config import PhantomConfig
from agfnet.phantom.bmode import Grid, compress, display, envelope, pair_rows, white
from agfnet.phantom.dicom import write_sweep
from agfnet.phantom.doppler import overlay
from agfnet.phantom.geometry import Image, Pixels
from agfnet.phantom.photo import Photo, photograph
from agfnet.phantom.plan import Centre, Plan, Stream, centre, chance
from agfnet.phantom.presets import Recipe
from agfnet.phantom.tissue import SITES, section

SWEEP = 0.35
"""Largest distance of a frame from the centre of the lesion, as a fraction of its half width."""


def take_photo(plan: Plan, clinic: Centre, *, seed: int, size: int, nuisance: float) -> Photo:
    """Photograph a lesion that has a photograph."""
    assert plan.surface is not None
    rng = chance(seed, Stream.PHOTO, plan.index)
    camera = clinic.camera
    balance = np.array(camera.balance) * np.exp(0.05 * nuisance * rng.uniform(-1, 1, 3))
    camera = replace(
        camera,
        field=camera.field * rng.uniform(0.92, 1.08),
        balance=(float(balance[0]), float(balance[1]), float(balance[2])),
        exposure=camera.exposure * float(np.exp(nuisance * rng.uniform(-0.18, 0.25))),
        defocus=camera.defocus * rng.uniform(0.5, 1 + 2 * nuisance),
        noise=0.004 + 0.008 * nuisance * rng.uniform(),
    )
    return photograph(
        surface=plan.surface,
        width=plan.width,
        ita=plan.ita,
        hair_density=SITES[plan.site].hairs,
        camera=camera,
        size=size,
        rng=rng,
        nuisance=nuisance,
        ruler=plan.seen.ruler,
    )


def take_sweep(
    plan: Plan, clinic: Centre, *, seed: int, size: int, nuisance: float, doppler: bool = False
) -> list[tuple[Pixels, Image]]:
    """Image a lesion that has ultrasound: frames (size, size), each with its mask in [0, 1].

    Frames are parallel sections of the same anatomy. Away from its centre the lesion is narrower.
    Neighbouring frames share part of their speckle.
    """
    assert plan.depth is not None
    rng = chance(seed, Stream.SPECKLE, plan.index)
    scanner = replace(clinic.scanner, gain=clinic.scanner.gain + 5 * nuisance * rng.uniform(-1, 1))
    grid = Grid(scanner.field, size)
    offsets = [0.0]
    if plan.frames > 1:
        offsets = (np.linspace(-SWEEP, SWEEP, plan.frames) + rng.uniform(-0.15, 0.15)).tolist()
    speckle = white(rng, grid.shape)
    frames = []
    for offset in offsets:
        cut = section(
            depth=plan.depth,
            width=plan.width,
            site=plan.site,
            grid=grid,
            scanner=scanner,
            rng=chance(seed, Stream.ANATOMY, plan.index),
            nuisance=nuisance,
            offset=offset,
        )
        echo = envelope(cut.tissue, grid, scanner, speckle, white(rng, grid.shape))
        image, mask = display(compress(echo, scanner)), pair_rows(cut.lesion)
        if doppler:
            flow = chance(seed, Stream.FLOW, plan.index)
            image = overlay(image, mask, depth=plan.depth, spacing=grid.dx, rng=flow)
        if plan.seen.calliper:
            image = measure(image, mask, grid.dx)
        frames.append((image, mask))
        speckle = np.float32(0.6) * speckle + np.float32(0.8) * white(rng, grid.shape)
    return frames


def measure(image: Pixels, mask: Image, spacing: float) -> Pixels:
    """Draw callipers at the lateral ends of a lesion, and their distance, into an image."""
    rows, columns = np.nonzero(mask > 0.5)
    if len(rows) == 0:
        return image
    canvas = Pillow.fromarray(image).convert("RGB")
    draw = ImageDraw.Draw(canvas)
    arm = max(2, round(len(image) / 64))
    (x0, y0), (x1, y1) = (
        (int(end), int(rows[columns == end].mean())) for end in (columns.min(), columns.max())
    )
    for x, y in ((x0, y0), (x1, y1)):
        draw.line([(x - arm, y), (x + arm, y)], fill="white")
        draw.line([(x, y - arm), (x, y + arm)], fill="white")
    for t in np.arange(0, 1, 3 / max(x1 - x0, 3)):
        draw.point((round(x0 + t * (x1 - x0)), round(y0 + t * (y1 - y0))), fill="lightgrey")
    if len(image) >= 96:  # the text would not be legible below
        text = f"1 D {np.hypot(x1 - x0, y1 - y0) * spacing:.1f} mm"
        font = ImageFont.load_default(size=max(9, len(image) // 20))
        draw.text((4, len(image) - 5), text, fill="white", font=font, anchor="ls")
    return np.asarray(canvas.convert("L" if image.ndim == 2 else "RGB"))


@dataclass(frozen=True, kw_only=True)
class Written:
    """The files of one lesion, as cells of the cases table: paths joined by `|`, or empty."""

    clinical: str = ""
    ultrasound: str = ""
    clinical_mask: str = ""
    ultrasound_mask: str = ""


def write_lesion(plan: Plan, *, config: PhantomConfig, recipe: Recipe, folder: Path) -> Written:
    """Draw a lesion and write its files under `folder`."""
    clinic = centre(config.seed, plan.centre, recipe)
    settings = {"seed": config.seed, "size": config.size}
    name = f"{plan.index // 1000:04d}/{plan.lesion_id}"
    for kind in ("images", "masks"):
        (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
    done = Written()
    if plan.surface is not None:
        photo = take_photo(plan, clinic, **settings, nuisance=recipe.nuisance)
        image, mask = f"images/{name}_photo.jpg", f"masks/{name}_photo.png"
        Pillow.fromarray(photo.image).save(folder / image, quality=clinic.quality)
        _save_mask(photo.lesion, folder / mask)
        done = replace(done, clinical=image, clinical_mask=mask)
    if plan.depth is not None:
        frames = take_sweep(
            plan, clinic, **settings, nuisance=recipe.nuisance, doppler=recipe.doppler
        )
        names = [f"{name}_us{number}.png" for number in range(1, len(frames) + 1)]
        images = [f"images/{each}" for each in names]
        masks = [f"masks/{each}" for each in names]
        for (_, outline), mask in zip(frames, masks, strict=True):
            _save_mask(outline, folder / mask)
        if config.ultrasound_format == "dicom":
            images = [f"images/{name}_us.dcm"]
            write_sweep(
                folder / images[0],
                [pixels for pixels, _ in frames],
                lesion_id=plan.lesion_id,
                patient_id=plan.patient_id,
                station=clinic.name,
                spacing=clinic.scanner.field / config.size,
                frequency=clinic.scanner.frequency,
                burned_in=plan.seen.calliper,
            )
        else:
            for (pixels, _), image in zip(frames, images, strict=True):
                Pillow.fromarray(pixels).save(folder / image, compress_level=3)
        done = replace(done, ultrasound="|".join(images), ultrasound_mask="|".join(masks))
    return done


def _save_mask(mask: Image, path: Path) -> None:
    Pillow.fromarray(np.where(mask > 0.5, 255, 0).astype(np.uint8)).save(path, compress_level=3)
