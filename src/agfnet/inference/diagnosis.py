"""The prediction for one case, and those for a table of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import BundleConfig
from agfnet.data.dicom_patient import patients_of
from agfnet.data.paths import named_frame
from agfnet.data.quality import ANIMATION, HINTS, OTHER_TYPE, PATIENTS, REPEATED
from agfnet.data.readers import is_animation
from agfnet.data.same_files import first_of_same
from agfnet.data.table import Case
from agfnet.inference.combinations import Decoded, Images
from agfnet.inference.familiarity import FOREIGN
from agfnet.inference.percents import whole_percents
from agfnet.inference.predictions import DECISIONS, Predictions

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Diagnosis:
    """The prediction for one case."""

    probabilities: Array  # (C,), calibrated, over all frames
    frames: Array  # (K, C), calibrated, one row per frame combination
    images: tuple[Mapping[str, Path], ...]  # K, the image of each modality in the combination
    prediction_set: Array | None = None  # (C,) bool, classes that cannot be ruled out
    abstain: bool | None = None  # too uncertain: a physician decides
    above_threshold: bool | None = None  # positive at the operating point of the malignant group
    ood_score: float | None = None  # the higher, the less like the training cases
    out_of_distribution: bool | None = None  # the score is above the threshold
    distances: Mapping[str, float] = field(default_factory=dict)
    """Distance of each modality's least familiar image, relative to its threshold; nan if none."""
    quality: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modality to the quality hints of its images (`agfnet.data.quality.HINTS`), where there are
    any; not measured for tables."""
    groups: tuple[tuple[int, ...], ...] = ()
    """The classes of each group, by number."""

    @property
    def percents(self) -> tuple[int, ...]:
        """The classes in whole per cent, as readers are shown them; they add up to the groups."""
        return whole_percents(self.probabilities, self.groups)

    @property
    def unfamiliar(self) -> tuple[str, ...]:
        """Modalities with an image that is unlike the training images."""
        return tuple(name for name, distance in self.distances.items() if distance > 1)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Modalities with a picture of another kind; the diagnosis then has no meaning."""
        return tuple(name for name, distance in self.distances.items() if distance >= FOREIGN)


def common_hints(
    hints: Mapping[tuple[str, Path], Sequence[str]], distances: Mapping[str, float]
) -> dict[str, tuple[str, ...]]:
    """Return the hints that at least half of the images of a modality have, by modality.

    For an image that is unlike the training images, a hint that it is of another type would say the
    same again.
    """
    quality = {}
    for name in dict.fromkeys(name for name, _ in hints):
        images = [each for (modality, _), each in hints.items() if modality == name]
        common = [h for h in HINTS if 2 * sum(h in each for each in images) >= len(images)]
        if distances.get(name, 0) > 1:
            common = [hint for hint in common if hint not in OTHER_TYPE]
        if common:
            quality[name] = tuple(common)
    return quality


def with_lesion_hints(
    quality: Mapping[str, tuple[str, ...]], images: Images, decoded: Decoded
) -> dict[str, tuple[str, ...]]:
    """Add the hints on the files of a lesion: some are the same, of other patients, or animations.

    Images of one modality are the same by their pixels, which are prepared alike, and those of
    different modalities by their files.

    Args:
        quality: hints by modality.
        images: files by modality.
        decoded: the prepared images of these files.
    """
    hints = dict(quality)
    shared = _shared(images)
    patients = {name: patients_of(paths) for name, paths in images.items()}
    several = len(set().union(*patients.values())) > 1
    for name, paths in images.items():
        frames = [image for (key, _), image in decoded.items() if key == name]
        pixels = (image.result().pixels.tobytes() for image in frames if len(frames) > 1)
        digests = [blake2b(content).digest() for content in pixels]
        if len(set(digests)) < len(digests) or len(set(paths)) < len(paths) or name in shared:
            hints[name] = (*hints.get(name, ()), REPEATED)
        if several and patients[name]:
            hints[name] = (*hints.get(name, ()), PATIENTS)
        if any(map(is_animation, paths)):
            hints[name] = (*hints.get(name, ()), ANIMATION)
    return hints


def _shared(images: Images) -> set[str]:
    """Return the modalities with an image that another modality has as well."""
    first = first_of_same(named_frame(path)[0] for paths in images.values() for path in paths)
    users: dict[tuple[Path, str], set[str]] = {}
    for name, paths in images.items():
        for path in paths:
            file, _ = named_frame(path)
            part = path.name.removeprefix(file.name)  # the frame and the box
            users.setdefault((first[file], part), set()).add(name)
    return {name for names in users.values() if len(names) > 1 for name in names}


def collect_predictions(
    cases: Sequence[Case], answers: Sequence[Diagnosis], config: BundleConfig
) -> Predictions:
    """Return cases and their diagnoses as one table."""
    classes = config.classes
    return Predictions(
        classes=classes,
        lesion_id=tuple(case.lesion_id for case in cases),
        patient_id=tuple(case.patient_id for case in cases),
        label=tuple(case.label for case in cases),
        probabilities=np.array([a.probabilities for a in answers]).reshape(-1, len(classes)),
        groups=config.groups,
        distances={
            name: np.array([answer.distances[name] for answer in answers])
            for name in config.modalities
            if answers and name in answers[0].distances
        },
        **{name: _column([getattr(a, name) for a in answers]) for name in DECISIONS},
    )


def _column(values: Sequence[Any]) -> Array | None:
    """Return the decisions on all cases as one array; None if the calibration makes none."""
    return None if not values or values[0] is None else np.array(values)
