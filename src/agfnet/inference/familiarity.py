"""Distance of an image's features from those of the training images of its modality.

The features are the pooled last map of the modality's backbone. A Gaussian is fitted to those of
the training images: the principal components with their variances, and one variance for all other
directions (probabilistic PCA: Tipping and Bishop, JRSS B 61:611-622, 1999).
The distance is that of Mahalanobis; with all directions it also counts what no training image
shows, as in Wang et al., "ViM: out-of-distribution with virtual-logit matching", CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FeatureModel:
    """A Gaussian of the features of one modality."""

    mean: Array  # (D,)
    components: Array  # (K, D), orthonormal
    variances: Array  # (K,)
    residual: float  # variance of every other direction

    def distance(self, features: Array) -> Array:
        """Return the root mean square distance (B,) of features (B, D); about 1 for the fit."""
        centred = features.astype(np.float64) - self.mean
        along = centred @ self.components.T
        across = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squared = (along**2 / self.variances).sum(axis=1) + across / self.residual
        root: Array = np.sqrt(squared / len(self.mean))
        return root


def to_arrays(models: Mapping[str, FeatureModel]) -> dict[str, Array]:
    """Return the arrays of a safetensors file."""
    return {
        f"{name}/{part}": np.ascontiguousarray(np.asarray(getattr(model, part), dtype=np.float32))
        for name, model in models.items()
        for part in ("mean", "components", "variances", "residual")
    }


def from_arrays(arrays: Mapping[str, Array]) -> dict[str, FeatureModel]:
    """Return the models of the arrays of a safetensors file."""
    names = dict.fromkeys(key.rpartition("/")[0] for key in arrays)
    return {
        name: FeatureModel(
            mean=arrays[f"{name}/mean"].astype(np.float64),
            components=arrays[f"{name}/components"].astype(np.float64),
            variances=arrays[f"{name}/variances"].astype(np.float64),
            residual=float(arrays[f"{name}/residual"]),
        )
        for name in names
    }
