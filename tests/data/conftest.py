"""Small tables with real image files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

MODALITIES = ("clinical", "ultrasound")

WriteImage = Callable[..., Path]
WriteTable = Callable[..., Path]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Writes a small noise image at a path relative to `tmp_path`."""

    def write(name: str, *, height: int = 12, width: int = 16, seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(noise(height, width, seed)).save(path)
        return path

    return write


@pytest.fixture
def write_table(tmp_path: Path, write_image: WriteImage) -> WriteTable:
    """Writes a table of the given rows, and every image that they name."""

    def write(
        rows: Sequence[Mapping[str, str]], *, name: str = "cases.csv", images: bool = True
    ) -> Path:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        if images:
            names = [row.get(column, "") for row in rows for column in MODALITIES]
            for seed, image in enumerate("|".join(names).split("|")):
                if image.strip():
                    write_image(image.strip(), seed=seed)
        return path

    return write
