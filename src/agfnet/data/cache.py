"""Prepared images kept on disk: decoded once, not in every epoch and every run."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.config import ModalityConfig
from agfnet.data.paths import named_frame
from agfnet.data.store import Entry, Store, Wording

FOLDER = "agfnet-cache"

PIXEL_CODE = (
    *("blank_end", "colours", "decoding", "dicom", "dicom_display", "dicom_geometry"),
    *("dicom_header", "dicom_jpeg", "dicom_stated", "jpeg", "png"),
    *("file_types", "geometry", "heic", "paths", "preprocess", "readers", "tiff", "ultrasound"),
)
"""Modules of `agfnet.data` that decide the pixels of a prepared image."""
_LIBRARIES = ("numpy", "pillow", "scipy", "pydicom", "pylibjpeg-openjpeg", "pyjpegls", "pi-heif")
_WORDING = Wording(
    entries="prepared images",
    shortage="the others are decoded in every epoch",
    failure="those that are not yet are decoded in every epoch",
    limit="data.cache_mb",
)


class ImageCache:
    """Prepared images in one SQLite file, shared by processes and by runs.

    An image is found by the path of its file and by everything else that decides its pixels (see
    `identity`), and counts as long as time and size of the file are those that it was made from.
    Failures are logged once per process; images are then prepared again for every access.

    Args:
        folder: where the file is or will be.
        max_bytes: largest size of the file.
    """

    def __init__(self, *, folder: Path, max_bytes: int) -> None:
        self.store = Store(
            folder=folder, name="images.sqlite", max_bytes=max_bytes, wording=_WORDING
        )

    def expect(self, images: Iterable[tuple[Path, bytes]], *, size: int) -> None:
        """Announce the images of a run: others may be deleted to make room for them.

        Args:
            images: file and identity; all frames of a file count as one.
            size: side of the images, in pixels.
        """
        owners = {_key(path, identity) for path, identity in images}
        self.store.expect(owners, count=len(owners), size=3 * size**2)

    def image(
        self, path: Path, identity: bytes, make: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        """Return a prepared image (size, size, 3), read-only: from the cache, or made and cached.

        Args:
            path: its file, or a frame of a file.
            identity: the rest that decides its pixels.
            make: prepares it.
        """
        file, _ = named_frame(path)
        key, owner = _key(path, identity), _key(file, identity)
        stamp = _stamp(file)  # before it is read: if it changes now, no stamp will match
        content = self.store.read(key, stamp)
        if content is None:
            pixels = make()
            if stamp:
                self.store.write([Entry(key, owner, pixels.tobytes(), stamp)])
            return pixels
        side = math.isqrt(len(content) // 3)
        return np.frombuffer(content, dtype=np.uint8).reshape(side, side, 3)


def cache_folder(cache: str | None, table: Path) -> Path:
    """Return the folder of the cache: the setting `data.cache`, or one next to the table."""
    return Path(cache) if cache else table.parent / FOLDER


def identity(*, size: int, modality: ModalityConfig) -> bytes:
    """Return a digest of the settings and the code that decide the pixels of a prepared image."""
    return hashlib.blake2b(repr((size, modality, _code())).encode(), digest_size=32).digest()


@cache
def _code() -> str:
    """Digest of the code that prepares images, and of the versions of the libraries it uses."""
    return code_digest(PIXEL_CODE, _LIBRARIES)


def code_digest(modules: Sequence[str], libraries: Sequence[str]) -> str:
    """Return a digest of modules of this room and of the versions of libraries.

    The code itself, since between two releases it changes under one version number; and no other
    code, so that what is kept outlasts changes that leave it alone.
    """
    digest = hashlib.blake2b()
    for name in modules:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    for name in libraries:
        try:
            digest.update(f"{name} {version(name)}".encode())
        except PackageNotFoundError:
            digest.update(name.encode())
    return digest.hexdigest()


def _key(path: Path, identity: bytes) -> bytes:
    return hashlib.blake2b(os.fsencode(path), key=identity, digest_size=16).digest()


def _stamp(file: Path) -> str:
    """Return the time and size of a file; empty if it is missing, which reading it will report."""
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def feature_folder(settings: Mapping[str, Any]) -> Path | None:
    """Return the folder with the feature maps that a training has kept; None if it has not."""
    data = settings["data"]
    if not (data.get("feature_variants") and data.get("feature_cache_mb")):
        return None
    return cache_folder(data.get("cache"), Path(data["cases"]))
