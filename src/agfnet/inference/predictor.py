"""From image files to a diagnosis: decode, prepare, run the network, average frames, calibrate."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from agfnet.bundle import WEIGHTS, Bundle, BundleConfig, read_bundle
from agfnet.config import Backend as BackendName
from agfnet.data.frames import expand
from agfnet.data.preprocess import load
from agfnet.data.table import Case
from agfnet.errors import DataError, ImageError
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend
from agfnet.inference.postprocessing import calibrated, decide, energy, log_softmax
from agfnet.inference.predictions import DECISIONS, Predictions

Array = np.ndarray[Any, Any]
Images = Mapping[str, Sequence[Path]]  # image files per modality
T = TypeVar("T")


class Backend(Protocol):
    """What runs the network."""

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Images per modality (B, H, W, 3) uint8 and present (B, M) bool to logits (B, C)."""
        ...


@dataclass(frozen=True)
class Diagnosis:
    """The answer for one case."""

    probabilities: Array  # (C,), calibrated, over all frames
    frames: Array  # (K, C), calibrated, one row per pass over the network
    images: tuple[Mapping[str, Path], ...]  # K, which image of each modality was in the pass
    prediction_set: Array | None = None  # (C,) bool, classes that cannot be ruled out
    abstain: bool | None = None  # whether to leave the answer to a person
    ood_score: float | None = None  # energy: the higher, the less like the training cases
    out_of_distribution: bool | None = None  # whether that is more than ordinary cases have


@dataclass(frozen=True)
class Pass:
    """What goes through the network at once: at most one image of each modality."""

    images: dict[str, Path]
    last: bool  # of its case
    unreadable: ImageError | None = None  # why the images of the case could not be counted
    decoded: dict[str, Future[Array]] = field(default_factory=dict)

    def fault(self) -> ImageError | None:
        """What is wrong with an image, if anything is; waits until all are decoded."""
        for image in self.decoded.values():
            error = image.exception()
            if isinstance(error, ImageError):
                return error
        return self.unreadable


class Predictor:
    """A bundle ready to answer.

    A case takes as many passes as the modality with the most frames has, over all its files; a
    modality with fewer frames repeats them in turn. Log-probabilities are averaged over the
    passes, and the average is calibrated. What follows from it (the set of possible classes,
    whether to abstain) is None where the bundle's calibration has no such part. A modality
    without images is missing, which the network was built to handle. A case of a table without
    images of any modality that the network reads is answered by what it learned of the frequencies
    of the classes.

    Args:
        bundle: the bundle.
        backend: what runs it.
        batch_size: passes per run of the network.
        threads: threads that decode images; as many as there are cores, up to eight, if None.
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
        self.threads = threads or min(8, os.cpu_count() or 1)

    @classmethod
    def load(
        cls, folder: str | Path, *, backend: BackendName = "auto", batch_size: int = 16
    ) -> Predictor:
        """Open a bundle, or the bundle of a run folder.

        Args:
            folder: the bundle.
            backend: `torch`, or a graph of the bundle in ONNX Runtime; `auto` takes the fp32 graph
                where there is one.
            batch_size: passes per run of the network.

        Raises:
            BundleError: not a bundle, damaged, or without the graph.
        """
        bundle = read_bundle(folder)
        return cls(bundle=bundle, backend=open_backend(bundle, backend), batch_size=batch_size)

    def diagnose(self, images: Images) -> Diagnosis:
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
        self,
        cases: Sequence[Case],
        *,
        progress: Callable[[int], None] | None = None,
        each: Callable[[Case, Diagnosis], None] | None = None,
    ) -> Predictions:
        """Diagnose a table of cases.

        Args:
            cases: the cases.
            progress: told how many are done.
            each: told every case and its answer, in order (see `agfnet.inference.frames_table`).

        Raises:
            ImageError: a file that cannot be read.
        """
        answers: list[Diagnosis] = []
        for case, diagnosis in zip(cases, self.stream(case.images for case in cases), strict=True):
            # what every frame said by itself is for `each` alone: a large table has many
            answers.append(replace(diagnosis, frames=diagnosis.frames[:0], images=()))
            if each is not None:
                each(case, diagnosis)
            if progress is not None:
                progress(len(answers))
        return together(cases, answers, self.bundle.config.classes)

    def stream(self, cases: Iterable[Images]) -> Iterator[Diagnosis]:
        """Diagnose cases in order; memory holds the images of three batches, however many frames.

        Raises:
            ImageError: a file that cannot be read.
        """
        for answer in self.attempt(cases):
            if isinstance(answer, ImageError):
                raise answer
            yield answer

    def attempt(
        self, cases: Iterable[Images], *, block: int | None = None
    ) -> Iterator[Diagnosis | ImageError]:
        """Diagnose cases in order, or say what is wrong with an image of the case.

        The next batch is decoded while the network is at work on this one.

        Args:
            cases: image files per modality.
            block: so many cases share no batch with those before and after. A network rounds
                differently in batches of another size: with blocks, the answers are the same to the
                last bit wherever one begins, as long as it is at the beginning of a block.
        """
        images: list[Mapping[str, Path]] = []  # of the case that is under way
        logits: list[Array] = []
        fault: ImageError | None = None
        with ThreadPoolExecutor(self.threads) as pool:
            for batch in ahead(self.batches(pool, cases, block)):
                rows = iter(self.run([one for one in batch if one.fault() is None]))
                for one in batch:
                    fault = fault or one.fault()
                    images.append(one.images)
                    if one.fault() is None:
                        logits.append(next(rows))
                    if one.last:
                        yield fault or self.answer(images, np.stack(logits))
                        images, logits, fault = [], [], None

    def batches(
        self, pool: Executor, cases: Iterable[Images], block: int | None
    ) -> Iterator[list[Pass]]:
        """What goes through the network together, its images being decoded."""
        rest = iter(cases)
        decoded: dict[tuple[str, Path], Future[Array]] = {}
        while True:
            passes = self.passes(islice(rest, block))
            batch = list(islice(passes, self.batch_size))
            if not batch:
                return
            while batch:
                wanted = dict.fromkeys(item for one in batch for item in one.images.items())
                decoded = {
                    item: decoded.get(item) or pool.submit(self.prepare, item) for item in wanted
                }
                for one in batch:
                    one.decoded.update({item[0]: decoded[item] for item in one.images.items()})
                yield batch
                batch = list(islice(passes, self.batch_size))

    def passes(self, cases: Iterable[Images]) -> Iterator[Pass]:
        """Every case as passes over the network; one without images if a header is unreadable."""
        modalities = self.bundle.config.modalities
        for case in cases:
            try:
                frames = {name: expand(case.get(name, ())) for name in modalities}
            except ImageError as error:
                yield Pass({}, last=True, unreadable=error)
                continue
            *first, last = frame_passes(frames, modalities)
            yield from (Pass(one, last=False) for one in first)
            yield Pass(last, last=True)

    def answer(self, images: Sequence[Mapping[str, Path]], logits: Array) -> Diagnosis:
        """The answer for one case from its logits (K, C)."""
        logits = logits.astype(np.float64)
        frames = log_softmax(logits)
        calibration = self.bundle.calibration
        probabilities = calibrated(frames.mean(axis=0), calibration)
        said = decide(probabilities[None], np.array([energy(logits)]), calibration)
        mine: dict[str, Any] = {
            name: None if values is None else values[0] for name, values in said.items()
        }
        return Diagnosis(
            probabilities=probabilities,
            frames=calibrated(frames, calibration),
            images=tuple(images),
            **{
                name: one.item() if isinstance(one, np.generic) else one
                for name, one in mine.items()
            },
        )

    def prepare(self, item: tuple[str, Path]) -> Array:
        """One frame of one modality to (size, size, 3) uint8."""
        name, path = item
        config = self.bundle.config
        return load(path, size=config.size, modality=config.modalities[name])

    def run(self, passes: Sequence[Pass]) -> Array:
        """Logits (B, C) of some passes."""
        if not passes:
            return np.empty((0, len(self.bundle.config.classes)))
        made = [{name: one.decoded[name].result() for name in one.images} for one in passes]
        return self.backend.logits(*stacked(made, self.bundle.config))


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each given when the one after it has been taken from its source."""
    held: list[T] = []
    for item in items:
        yield from held
        held = [item]
    yield from held


def open_backend(bundle: Bundle, name: BackendName) -> Backend:
    """What runs a bundle's network; imports only what that needs."""
    file = network_file(bundle, name)
    if file == WEIGHTS:
        from agfnet.inference.torch_backend import TorchBackend

        return TorchBackend(bundle=bundle)
    return OnnxBackend(bundle=bundle, file=file)


def network_file(bundle: Bundle, name: BackendName) -> str:
    """Which file of a bundle holds the network that a backend runs."""
    if name == "auto":
        name = "onnx" if ONNX in bundle.files else "torch"
    return {"torch": WEIGHTS, "onnx": ONNX, "int8": INT8}[name]


def stacked(
    passes: Sequence[Mapping[str, Array]], config: BundleConfig
) -> tuple[list[Array], Array]:
    """Prepared images of some passes, by modality, as a backend reads them: images and present."""
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    images = [np.stack([one.get(name, blank) for one in passes]) for name in config.modalities]
    return images, np.array([[name in one for name in config.modalities] for one in passes])


def together(
    cases: Sequence[Case], answers: Sequence[Diagnosis], classes: tuple[str, ...]
) -> Predictions:
    """Cases and their answers as one table."""
    said = {name: [getattr(one, name) for one in answers] for name in DECISIONS}
    return Predictions(
        classes=classes,
        lesion_id=tuple(case.lesion_id for case in cases),
        patient_id=tuple(case.patient_id for case in cases),
        label=tuple(case.label for case in cases),
        probabilities=np.array([one.probabilities for one in answers]).reshape(-1, len(classes)),
        **{name: column(values) for name, values in said.items()},
    )


def column(values: Sequence[Any]) -> Array | None:
    """What was said of each case as one array; None where it was not said."""
    return None if not values or values[0] is None else np.array(values)


def frame_passes(
    images: Mapping[str, Sequence[Path]], modalities: Iterable[str]
) -> list[dict[str, Path]]:
    """Which frames go together through the network: frame i of every modality, in turn."""
    given = {name: images[name] for name in modalities if images.get(name)}
    count = max((len(paths) for paths in given.values()), default=1)
    return [{name: paths[i % len(paths)] for name, paths in given.items()} for i in range(count)]
