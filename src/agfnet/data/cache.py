"""Prepared images kept in memory, shared by the processes that prepare them."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ImageCache:
    """Prepared images in anonymous shared memory: what one forked worker fills in, all can read.

    Anonymous, since containers leave /dev/shm 64 MB. A worker that is spawned, not forked, gets
    an empty cache that keeps nothing: a copy per worker would break the promised size.
    """

    def __init__(self, *, images: int, shape: tuple[int, int, int], most: int) -> None:
        size = int(np.prod(shape))
        self._count = min(images, most // (size + 1))
        if self._count:
            memory = mmap.mmap(-1, self._count * (size + 1))
            flat = np.frombuffer(memory, dtype=np.uint8)
            self._images = flat[self._count :].reshape(self._count, *shape)
            self._filled = flat[: self._count]

    def __getstate__(self) -> dict[str, Any]:
        return {"_count": 0}

    def get(self, slot: int) -> NDArray[np.uint8] | None:
        """The image (H, W, 3) in a slot, not to be written to; None if it is not kept."""
        if slot < self._count and self._filled[slot]:
            pixels: NDArray[np.uint8] = self._images[slot]
            return pixels
        return None

    def put(self, slot: int, pixels: NDArray[np.uint8]) -> None:
        """Keep an image (H, W, 3), if its slot is among those that fit."""
        if slot < self._count:
            self._images[slot] = pixels
            self._filled[slot] = 1
