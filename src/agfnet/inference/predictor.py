"""From image files to a diagnosis: decode, prepare, predict, average frames, calibrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.allocation import keep_freed_memory
from agfnet.bundle import Bundle, read_bundle
from agfnet.config import Backend as BackendName
from agfnet.data.preprocess import load, prepare_image, read_for
from agfnet.data.quality import measure_appearance, quality_hints
from agfnet.data.table import Case
from agfnet.errors import DataError, ImageError
from agfnet.inference.backends import Backend, open_backend
from agfnet.inference.combinations import (
    Array,
    Combination,
    Decoded,
    Images,
    Prepared,
    batches,
    one_ahead,
    stack_images,
)
from agfnet.inference.diagnosis import (
    Diagnosis,
    collect_predictions,
    common_hints,
    with_lesion_hints,
)
from agfnet.inference.familiarity import image_statistics, relative_distance
from agfnet.inference.postprocessing import calibrated, decide, energy, log_softmax
from agfnet.inference.predictions import Predictions
from agfnet.parallel import usable_cores


class Predictor:
    """A bundle that is ready to predict.

    The modality with the most frames, over all its files, sets the number of frame combinations; a
    modality with fewer frames repeats them in turn. Log-probabilities are averaged over the
    combinations, and the average is calibrated. The decisions (prediction set, abstention, OOD)
    are None where the bundle's calibration has no such part. A modality without images is missing,
    which the network is built to handle. A case of a table without any image gets the class
    frequencies that the network has learned.

    Args:
        bundle: the bundle.
        backend: the runtime of its network.
        batch_size: frame combinations per batch.
        threads: threads that decode images; None: one per core, at most eight.
    """

    def __init__(
        self,
        *,
        bundle: Bundle,
        backend: Backend,
        batch_size: int = 16,
        threads: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.backend = backend
        self.batch_size = batch_size
        self.threads = threads or min(8, usable_cores())

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        backend: BackendName = "auto",
        batch_size: int = 16,
        features: Path | None = None,
        threads: int | None = None,
    ) -> Predictor:
        """Load a bundle, or the bundle of a run folder.

        Args:
            folder: the bundle.
            backend: `torch`, or a graph of the bundle in ONNX Runtime; `auto` takes the fp32 graph
                if the bundle has one.
            batch_size: frame combinations per batch.
            features: folder with kept feature maps, which the backend `torch` uses.
            threads: threads that decode images, and threads of ONNX Runtime; torch has its own
                setting. None: all cores.

        Raises:
            BundleError: not a bundle, damaged, or without the graph.
        """
        bundle = read_bundle(folder)
        runtime = open_backend(bundle, backend, features=features, threads=threads)
        return cls(bundle=bundle, backend=runtime, batch_size=batch_size, threads=threads)

    def diagnose(self, images: Images, *, decoded: Decoded | None = None) -> Diagnosis:
        """Diagnose one case from its image files per modality.

        Args:
            images: image files per modality.
            decoded: gets the images, so that nothing else need decode them again.

        Raises:
            DataError: no image at all, or a modality that the network does not know.
            ImageError: a file that cannot be read.
        """
        known = ", ".join(self.bundle.config.modalities)
        if unknown := set(images) - set(self.bundle.config.modalities):
            raise DataError(f"unknown modality {min(unknown)!r}; this model reads {known}")
        if not any(images.values()):
            raise DataError(f"no image of any of the modalities {known}; give at least one")
        decoded = {} if decoded is None else decoded
        answer = next(self.stream_with_errors([images], quality=True, keep=decoded))
        if isinstance(answer, ImageError):
            raise answer
        return replace(answer, quality=with_lesion_hints(answer.quality, images, decoded))

    def predict(
        self,
        cases: Sequence[Case],
        *,
        progress: Callable[[int], None] | None = None,
        each: Callable[[Case, Diagnosis], None] | None = None,
    ) -> Predictions:
        """Diagnose a table of cases.

        Args:
            cases: the cases.
            progress: called with the number of finished cases.
            each: called with every case and its diagnosis, in order.

        Raises:
            ImageError: a file that cannot be read.
        """
        answers: list[Diagnosis] = []
        for case, diagnosis in zip(cases, self.stream(case.images for case in cases), strict=True):
            # only `each` gets the frames: a large table has many
            answers.append(replace(diagnosis, frames=diagnosis.frames[:0], images=()))
            if each is not None:
                each(case, diagnosis)
            if progress is not None:
                progress(len(answers))
        return collect_predictions(cases, answers, self.bundle.config)

    def stream(self, cases: Iterable[Images]) -> Iterator[Diagnosis]:
        """Diagnose cases in order; memory holds the images of three batches at most.

        Raises:
            ImageError: a file that cannot be read.
        """
        for answer in self.stream_with_errors(cases):
            if isinstance(answer, ImageError):
                raise answer
            yield answer

    def stream_with_errors(
        self,
        cases: Iterable[Images],
        *,
        block: int | None = None,
        quality: bool = False,
        keep: Decoded | None = None,
    ) -> Iterator[Diagnosis | ImageError]:
        """Diagnose cases in order; an image that cannot be read gives the error of its case.

        The next batch is decoded while the network works on this one.

        Args:
            cases: image files per modality.
            block: cases per block; blocks share no batch. A network rounds differently in batches
                of another size: with blocks, the results are the same to the last bit from
                whichever block the work begins.
            quality: measure the quality of the images as well.
            keep: gets all images; otherwise they are dropped after their batch.
        """
        images: list[Mapping[str, Path]] = []  # of the current case
        logits: list[Array] = []
        distances: list[tuple[str, float]] = []
        hints: dict[tuple[str, Path], tuple[str, ...]] = {}
        fault: ImageError | None = None
        with keep_freed_memory(), ThreadPoolExecutor(self.threads) as pool:
            decoding = batches(
                cases,
                self.bundle.config.modalities,
                size=self.batch_size,
                block=block,
                decode=lambda image: pool.submit(self.examine, image, quality),
                keep=keep,
            )
            for batch in one_ahead(decoding):
                faults = [item.fault() for item in batch]
                readable = [item for item, e in zip(batch, faults, strict=True) if e is None]
                rows = iter(self.logits_of(readable))
                for item, error in zip(batch, faults, strict=True):
                    fault = fault or error
                    images.append(item.images)
                    if error is None:
                        logits.append(next(rows))
                        distances += item.distances()
                        hints |= item.hints() if quality else {}
                    if item.last:
                        yield fault or self.diagnosis_of(images, np.stack(logits), distances, hints)
                        images, logits, distances, hints, fault = [], [], [], {}, None

    def diagnosis_of(
        self,
        images: Sequence[Mapping[str, Path]],
        logits: Array,
        distances: Iterable[tuple[str, float]] = (),
        hints: Mapping[tuple[str, Path], Sequence[str]] | None = None,
    ) -> Diagnosis:
        """Return the diagnosis of one case.

        Args:
            images: of each of the K frame combinations.
            logits: (K, C).
            distances: modality and distance of every image, where they are known.
            hints: on the quality of each image, by modality and path.
        """
        farthest = dict.fromkeys(self.bundle.calibration.familiarity or {}, math.nan)
        for name, distance in distances:
            farthest[name] = float(np.fmax(distance, farthest[name]))
        logits = logits.astype(np.float64)
        frames = log_softmax(logits)
        calibration = self.bundle.calibration
        probabilities = calibrated(frames.mean(axis=0), calibration)
        score = energy(logits)
        if calibration.familiarity is not None:
            score = max(np.nan_to_num(list(farthest.values())).tolist(), default=0.0)
        decisions = decide(probabilities[None], np.array([score]), calibration)
        return Diagnosis(
            probabilities=probabilities,
            frames=calibrated(frames, calibration),
            images=tuple(images),
            distances=farthest,
            quality=common_hints(hints or {}, farthest),
            groups=self.bundle.config.group_numbers,
            **{name: _first(values) for name, values in decisions.items()},
        )

    def prepare(self, item: tuple[str, Path]) -> Array:
        """Prepare one frame of one modality as (size, size, 3) uint8."""
        name, path = item
        config = self.bundle.config
        return load(path, size=config.size, modality=config.modalities[name])

    def examine(self, item: tuple[str, Path], quality: bool = False) -> Prepared:
        """Prepare one frame of one modality, and measure its distance and its quality."""
        name, path = item
        size, modality = self.bundle.config.size, self.bundle.config.modalities[name]
        image = read_for(path, size=size, modality=modality)
        pixels = prepare_image(image, name=str(path), size=size, modality=modality)
        hints: tuple[str, ...] = ()
        if quality:
            hints = quality_hints(measure_appearance(image.pixels), modality.modality_type)
        return Prepared(pixels, self.distance(name, pixels), hints)

    def distance(self, modality: str, pixels: Array) -> float | None:
        """Return the distance of a prepared image; None without statistics of its modality."""
        model = (self.bundle.calibration.familiarity or {}).get(modality)
        return None if model is None else relative_distance(image_statistics(pixels), model)

    def logits_of(self, batch: Sequence[Combination]) -> Array:
        """Run the network on a batch: logits (B, C)."""
        if not batch:
            return np.empty((0, len(self.bundle.config.classes)))
        images = [
            {name: item.decoded[name].result().pixels for name in item.images} for item in batch
        ]
        return self.backend.logits(*stack_images(images, self.bundle.config))


def _first(values: Array | None) -> Any:
    """Return the decision on the only case."""
    if values is None:
        return None
    return values[0].item() if values.ndim == 1 else values[0]
