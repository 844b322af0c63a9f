"""Feature maps of frozen backbones kept on disk: computed once, not in every epoch and every run.

Training with `data.feature_variants` draws each image in one of a fixed number of augmented
variants. A variant depends on the content of the prepared image and its number alone, so that the
maps of all variants can be kept, and shared by all runs, seeds, folds and methods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.config import ModalityConfig
from agfnet.data.cache import code_digest
from agfnet.data.store import Entry, Store, Wording

FILE = "features.sqlite"
Maps = NDArray[Any]  # (D,), all feature maps of an image in one row; see `agfnet.models.maps`
Variant = int | None  # number of an augmented variant; None for the image itself

_WORDING = Wording(
    entries="feature maps",
    shortage="none is kept, and all are computed in every step",
    failure="those that are not yet are computed in every step",
    limit="data.feature_cache_mb, choose fewer data.feature_variants",
)


class FeatureCache:
    """Feature maps in one SQLite file, shared by processes and by runs.

    Maps are found by the digest of the prepared image (`digest_pixels`), the variant, and
    everything else that decides them. They are kept as float16 for augmented variants, and as
    float32 for the images themselves, with which networks are validated and evaluated. Failures
    are logged once per process; maps are then computed for every access.

    Args:
        folder: where the file is or will be.
        max_bytes: largest size of the file.
        backbones: see `identities`.
    """

    def __init__(self, *, folder: Path, max_bytes: int, backbones: Sequence[bytes]) -> None:
        self.store = Store(folder=folder, name=FILE, max_bytes=max_bytes, wording=_WORDING)
        self._backbones = tuple(backbones)
        self.width = 0  # largest number D of values in the maps of an image, if announced

    def expect(self, owners: Collection[bytes], variants: Sequence[Variant], *, width: int) -> bool:
        """Announce the maps of a run: others may be deleted to make room for them.

        Args:
            owners: see `owner`.
            variants: the variant of every entry.
            width: number D of values in the maps of an image.

        Returns:
            All of them fit; otherwise a message has been logged.
        """
        self.width = width
        size = width * sum(dtype_of(variant).itemsize for variant in variants)
        count = len(variants)
        return self.store.expect(owners, count=count, size=-(-size // max(1, count)))

    def read(self, modality: int, image: bytes, variant: Variant) -> Maps | None:
        """Return the maps (D,) of an image, read-only; None if they are not kept.

        Args:
            modality: position of the modality.
            image: digest of the prepared image.
            variant: the variant.
        """
        content = self.store.read(self.key(modality, image, variant))
        return None if content is None else np.frombuffer(content, dtype=dtype_of(variant))

    def has(self, modality: int, image: bytes, variant: Variant) -> bool:
        """Check that the maps of an image are kept."""
        return self.store.has(self.key(modality, image, variant))

    def entry(self, modality: int, image: bytes, variant: Variant, maps: Maps) -> Entry:
        """Return maps (D,) as an entry for `store.write`."""
        content = np.asarray(maps).astype(dtype_of(variant)).tobytes()
        key, owner = self.key(modality, image, variant), self.owner(modality, image)
        return Entry(key, owner, content)

    def images(
        self, modality: int, pixels: NDArray[np.uint8], present: NDArray[np.bool_]
    ) -> NDArray[Any] | None:
        """Return the maps (B, D) float32 of prepared images; None if not all of them are kept.

        Args:
            modality: position of the modality.
            pixels: (B, size, size, 3).
            present: (B,) bool; the maps of other images are zeros.
        """
        return stack_maps(
            (self.read(modality, digest_pixels(p), None) for p in pixels[present]), present
        )

    def owner(self, modality: int, image: bytes) -> bytes:
        """Return the owner of all variants of an image."""
        return hashlib.blake2b(image, key=self._backbones[modality], digest_size=16).digest()

    def key(self, modality: int, image: bytes, variant: Variant) -> bytes:
        """Return the key of a variant of an image."""
        name = "image" if variant is None else f"{_augmentation()} {variant}"
        owner = self.owner(modality, image)
        return hashlib.blake2b(name.encode(), key=owner, digest_size=16).digest()


def stack_maps(rows: Iterable[Maps | None], present: NDArray[np.bool_]) -> NDArray[Any] | None:
    """Stack maps (D,) of the present images of a batch, (B,) bool, to (B, D), zeros elsewhere.

    None if the maps of an image are missing, or no image is present.
    """
    known = []
    for row in rows:
        if row is None:
            return None
        known.append(row)
    if not known:
        return None
    stacked = np.zeros((len(present), len(known[0])), dtype=known[0].dtype)
    stacked[present] = np.stack(known)
    return stacked


def dtype_of(variant: Variant) -> np.dtype[Any]:
    """Return the type in which the maps of a variant are kept."""
    return np.dtype(np.float32 if variant is None else np.float16)


def digest_pixels(pixels: NDArray[np.uint8]) -> bytes:
    """Return a digest of a prepared image."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def variant_generator(image: bytes, variant: int) -> np.random.Generator:
    """Return the generator of an augmented variant of the image with this digest."""
    return np.random.default_rng([*np.frombuffer(image, dtype=np.uint32).tolist(), variant])


def identities(
    backbones: Sequence[bytes],
    modalities: Iterable[ModalityConfig],
    *,
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> list[bytes]:
    """Return a digest, per modality, of all that decides the maps of a prepared image.

    Args:
        backbones: digest of the backbone of each modality, with its weights.
        modalities: their type decides the augmentation.
        size: side of the images, in pixels.
        mean: per RGB channel, on a 0 to 1 scale.
        std: likewise.
    """
    statistics = tuple(map(float, (*mean, *std)))
    settings = [
        (backbone, modality.modality_type, size, statistics)
        for backbone, modality in zip(backbones, modalities, strict=True)
    ]
    return [hashlib.blake2b(repr(each).encode(), digest_size=32).digest() for each in settings]


@cache
def _augmentation() -> str:
    """Digest of the code of the augmentation and of the versions of its libraries."""
    return code_digest(("transforms",), ("numpy", "pillow"))
