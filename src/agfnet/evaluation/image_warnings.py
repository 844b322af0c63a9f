"""Warnings about the images of an evaluated table, without which its metrics mislead."""

from __future__ import annotations

from collections.abc import Sequence

from agfnet.bundle import BundleConfig
from agfnet.inference.about import foreign_warning, table_warnings
from agfnet.inference.diagnosis import Diagnosis


def image_warnings(diagnoses: Sequence[Diagnosis], config: BundleConfig) -> list[str]:
    """Return the warnings about images that are missing or of another kind than in training.

    Some lesions without an image of a modality are usual, if the network was trained to do without
    it, and are no reason to warn; a table without any is one.
    """
    lesions = len(diagnoses)
    missing = {}
    for name in config.modalities:
        count = sum(not any(name in images for images in d.images) for d in diagnoses)
        trained = config.optional is None or name in config.optional
        if count == lesions or (count and not trained):
            missing[name] = count
    texts = table_warnings(config, missing, lesions)
    if foreign := sum(bool(diagnosis.foreign) for diagnosis in diagnoses):
        texts.append(foreign_warning(foreign, lesions, "decisions.csv"))
    return texts
