"""The features of training lesions in a bundle: `similar.safetensors`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from agfnet.bundle.files import Bundle, read_bundle
from agfnet.errors import BundleError
from agfnet.files import staged_files

SIMILAR = "similar.safetensors"


@dataclass(frozen=True, eq=False)
class SimilarIndex:
    """Training lesions, to find those that are similar to another lesion."""

    features: np.ndarray[Any, Any]  # (N, D) float16, what the network classifies from
    labels: tuple[str, ...]
    lesion_ids: tuple[str, ...]


def write_similar(bundle: Bundle, index: SimilarIndex | None) -> Bundle:
    """Replace the index of a bundle; None removes it."""
    with staged_files(bundle.folder, drop=(SIMILAR,)) as new:
        if index is not None:
            lists = {"labels": index.labels, "lesion_ids": index.lesion_ids}
            texts = {name: json.dumps(values) for name, values in lists.items()}
            features = np.ascontiguousarray(index.features, dtype=np.float16)
            (new / SIMILAR).write_bytes(save({"features": features}, metadata=texts))
    return read_bundle(bundle.folder)


def read_similar(bundle: Bundle) -> SimilarIndex | None:
    """Read the index of a verified bundle; None if it has none.

    Raises:
        BundleError: the file is damaged.
    """
    if SIMILAR not in bundle.files:
        return None
    path = bundle.folder / SIMILAR
    try:
        with safe_open(path, framework="numpy") as file:
            texts = file.metadata()
            labels, ids = (tuple(json.loads(texts[name])) for name in ("labels", "lesion_ids"))
            features = file.get_tensor("features")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: damaged: {error}; run `agfnet calibrate RUN` again") from error
    if not len(features) == len(labels) == len(ids):
        raise BundleError(
            f"{path}: damaged: its lists differ in length; run `agfnet calibrate RUN`"
        )
    return SimilarIndex(features, labels, ids)
