"""From image files to a diagnosis: decode, prepare, run the network, average frames, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.special import log_softmax, softmax

from agfnet.bundle import Bundle, read_bundle
from agfnet.data.cases import Case
from agfnet.data.preprocess import load, normalise
from agfnet.errors import DataError
from agfnet.inference.predictions import Predictions

Array = np.ndarray[Any, Any]


class Backend(Protocol):
    """What runs the network."""

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Images per modality (B, 3, H, W) float32 and present (B, M) bool to logits (B, C)."""
        ...


@dataclass(frozen=True)
class Diagnosis:
    """The answer for one case."""

    probabilities: Array  # (C,), calibrated, over all frames
    frames: Array  # (K, C), calibrated, one row per pass over the network


class Predictor:
    """A bundle ready to answer.

    A case with several images of a modality takes max(images per modality) passes; a modality with
    fewer images repeats them in turn. Log-probabilities are averaged over the passes, divided by
    the temperature and normalised again. A modality without images is missing, which the network
    was built to handle. A case of a table without images of any modality that the network reads
    is answered by what it learned of the frequencies of the classes.

    Args:
        bundle: the bundle.
        backend: what runs it.
        batch_size: passes per run of the network.
        threads: threads that decode images.
    """

    def __init__(
        self, *, bundle: Bundle, backend: Backend, batch_size: int = 16, threads: int = 2
    ) -> None:
        self.bundle = bundle
        self.backend = backend
        self.batch_size = batch_size
        self.threads = threads

    @classmethod
    def load(cls, folder: str | Path, *, batch_size: int = 16) -> Predictor:
        """Open a bundle, or the bundle of a run folder, with the torch backend.

        Raises:
            BundleError: not a bundle, or damaged.
        """
        from agfnet.inference.torch_backend import TorchBackend

        bundle = read_bundle(folder)
        return cls(bundle=bundle, backend=TorchBackend(bundle=bundle), batch_size=batch_size)

    def diagnose(self, images: Mapping[str, Sequence[Path]]) -> Diagnosis:
        """Diagnose one case from its image files per modality.

        Raises:
            DataError: no image at all, or a modality that the network does not know.
            ImageError: a file that cannot be read.
        """
        known = ", ".join(self.bundle.config.modalities)
        if unknown := set(images) - set(self.bundle.config.modalities):
            raise DataError(f"unknown modality '{min(unknown)}'; this model reads {known}")
        if not any(images.values()):
            raise DataError(f"no image of any of the modalities {known}")
        return next(self.stream([images]))

    def predict(
        self, cases: Sequence[Case], *, progress: Callable[[int], None] | None = None
    ) -> Predictions:
        """Diagnose a table of cases. `progress` is told how many are done.

        Raises:
            ImageError: a file that cannot be read.
        """
        rows = []
        for diagnosis in self.stream(case.images for case in cases):
            rows.append(diagnosis.probabilities)
            if progress is not None:
                progress(len(rows))
        classes = self.bundle.config.classes
        return Predictions(
            classes=classes,
            lesion_id=tuple(case.lesion_id for case in cases),
            patient_id=tuple(case.patient_id for case in cases),
            label=tuple(case.label for case in cases),
            probabilities=np.array(rows).reshape(-1, len(classes)),
        )

    def stream(self, cases: Iterable[Mapping[str, Sequence[Path]]]) -> Iterator[Diagnosis]:
        """Diagnose cases in order, a few batches in memory at a time."""
        iterator = iter(cases)
        with ThreadPoolExecutor(self.threads) as pool:
            while chunk := list(islice(iterator, self.batch_size)):
                yield from self.diagnose_chunk(chunk, pool)

    def diagnose_chunk(
        self, chunk: Sequence[Mapping[str, Sequence[Path]]], pool: ThreadPoolExecutor
    ) -> Iterator[Diagnosis]:
        """Diagnose some cases together: decode each file once, then run all their passes."""
        passes = [frame_passes(images, self.bundle.config.modalities) for images in chunk]
        files = {(name, path) for case in passes for one in case for name, path in one.items()}
        ordered = sorted(files)
        prepared = dict(zip(ordered, pool.map(self.prepare, ordered), strict=True))
        flat = [one for case in passes for one in case]
        logits = np.concatenate(
            [
                self.run(flat[start : start + self.batch_size], prepared)
                for start in range(0, len(flat), self.batch_size)
            ]
        )
        ends = np.cumsum([len(case) for case in passes])
        for frames in np.split(log_softmax(logits.astype(np.float64), axis=1), ends[:-1]):
            temperature = self.bundle.calibration.temperature
            yield Diagnosis(
                probabilities=softmax(frames.mean(axis=0) / temperature),
                frames=softmax(frames / temperature, axis=1),
            )

    def prepare(self, item: tuple[str, Path]) -> Array:
        """One file of one modality to (3, size, size) float32."""
        name, path = item
        config = self.bundle.config
        pixels = load(path, size=config.size, resize=config.modalities[name].resize)
        return normalise(pixels, mean=config.mean, std=config.std)

    def run(
        self, passes: Sequence[Mapping[str, Path]], prepared: Mapping[tuple[str, Path], Array]
    ) -> Array:
        """Logits (B, C) of some passes."""
        config = self.bundle.config
        blank = np.zeros((3, config.size, config.size), dtype=np.float32)
        images = [
            np.stack([prepared[name, one[name]] if name in one else blank for one in passes])
            for name in config.modalities
        ]
        present = np.array([[name in one for name in config.modalities] for one in passes])
        return self.backend.logits(images, present)


def frame_passes(
    images: Mapping[str, Sequence[Path]], modalities: Iterable[str]
) -> list[dict[str, Path]]:
    """Which files go together through the network: file i of every modality, in turn."""
    given = {name: images[name] for name in modalities if images.get(name)}
    count = max((len(paths) for paths in given.values()), default=1)
    return [{name: paths[i % len(paths)] for name, paths in given.items()} for i in range(count)]
