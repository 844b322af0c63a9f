"""The images of a case as the network sees them, and their geometry in the original files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import BundleConfig
from agfnet.data.frames import expand
from agfnet.data.geometry import Geometry
from agfnet.data.paths import Box, split_box
from agfnet.data.preprocess import locate, prepare_image, read_for
from agfnet.data.readers import Image, read_image, upright_size

Array = np.ndarray[Any, Any]
Files = Mapping[str, Sequence[Path]]  # by modality
TOLERANCE = 0.02  # of the proportions of a mask


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """The prepared image of one modality."""

    path: Path
    frames: int  # number of frames of the case; this is the first
    square: Array  # (size, size, 3) uint8, prepared
    geometry: Geometry
    mask: Array | None  # (size, size), 0 to 1, the lesion in the square image
    misfit: bool  # the mask does not have the proportions of the image


def load_images(images: Files, masks: Files, config: BundleConfig) -> dict[str, PreparedImage]:
    """Load the first frame of every modality that a case has, with the first mask.

    Raises:
        ImageError: a file that cannot be read.
    """
    prepared = {}
    for name, modality in config.modalities.items():
        if not images.get(name):
            continue
        frames = expand(images[name])
        path = frames[0]
        image = read_for(path, size=config.size, modality=modality)
        about: dict[str, Any] = {"name": str(path), "size": config.size, "modality": modality}
        geometry = locate(image, **about)
        outline = read_image(expand(masks[name][:1])[0]) if masks.get(name) else None
        box = split_box(path)[1]
        size = (image.pixels.shape[1], image.pixels.shape[0]) if box is None else upright_size(path)
        fits = outline is not None and _fits(outline, size)
        prepared[name] = PreparedImage(
            path=path,
            frames=len(frames),
            square=prepare_image(image, **about),
            geometry=geometry,
            mask=geometry.to_square(_part(outline, box, size)) / 255 if outline and fits else None,
            misfit=outline is not None and not fits,
        )
    return prepared


def stack_images(
    cases: Sequence[Mapping[str, PreparedImage]], config: BundleConfig
) -> tuple[list[Array], Array]:
    """Images per modality (B, size, size, 3), black where missing, and present (B, M)."""
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    images = [
        np.stack([case[name].square if name in case else blank for case in cases])
        for name in config.modalities
    ]
    return images, np.array([[name in case for name in config.modalities] for case in cases])


def _part(mask: Image, box: Box | None, size: tuple[int, int]) -> Array:
    """Return the mask (H, W) of the box of an image of a width and height, or the whole mask."""
    pixels = mask.pixels[..., 0]
    if box is None:
        return pixels
    x, y, width, height = box
    rows, columns = pixels.shape[0] / size[1], pixels.shape[1] / size[0]
    y0, x0 = round(y * rows), round(x * columns)
    return pixels[y0 : round((y + height) * rows), x0 : round((x + width) * columns)]


def _fits(mask: Image, size: tuple[int, int]) -> bool:
    """Return whether a mask has the proportions of an image of a width and height."""
    (height, width), (columns, rows) = mask.pixels.shape[:2], size
    return abs(height * columns - width * rows) <= TOLERANCE * width * rows
