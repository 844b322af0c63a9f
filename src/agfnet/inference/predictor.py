"""From image files to a diagnosis: decode, prepare, run the network, average frames, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.special import log_softmax

from agfnet.bundle import Bundle, BundleConfig, read_bundle
from agfnet.config import Backend as BackendName
from agfnet.data.cases import Case
from agfnet.data.frames import expand
from agfnet.data.preprocess import load
from agfnet.errors import DataError
from agfnet.inference.decision import calibrated, decide, energy
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend
from agfnet.inference.predictions import DECISIONS, Predictions

Array = np.ndarray[Any, Any]


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
            each: told every case and its answer, in order (see `agfnet.inference.frames`).

        Raises:
            ImageError: a file that cannot be read.
        """
        answers: dict[str, list[Any]] = {name: [] for name in ("probabilities", *DECISIONS)}
        for case, diagnosis in zip(cases, self.stream(case.images for case in cases), strict=True):
            for name, said in answers.items():
                said.append(getattr(diagnosis, name))
            if each is not None:
                each(case, diagnosis)
            if progress is not None:
                progress(len(answers["probabilities"]))
        classes = self.bundle.config.classes
        return Predictions(
            classes=classes,
            lesion_id=tuple(case.lesion_id for case in cases),
            patient_id=tuple(case.patient_id for case in cases),
            label=tuple(case.label for case in cases),
            probabilities=np.array(answers["probabilities"]).reshape(-1, len(classes)),
            **{name: column(answers[name]) for name in DECISIONS},
        )

    def stream(self, cases: Iterable[Mapping[str, Sequence[Path]]]) -> Iterator[Diagnosis]:
        """Diagnose cases in order; memory holds the images of one batch, however many frames."""
        images: list[Mapping[str, Path]] = []  # of the case that is under way
        logits: list[Array] = []
        prepared: dict[tuple[str, Path], Array] = {}
        passes = self.passes(cases)
        with ThreadPoolExecutor(self.threads) as pool:
            while batch := list(islice(passes, self.batch_size)):
                wanted = sorted({item for one, _ in batch for item in one.items()})
                new = [item for item in wanted if item not in prepared]
                made = prepared | dict(zip(new, pool.map(self.prepare, new), strict=True))
                prepared = {item: made[item] for item in wanted}
                rows = self.run([one for one, _ in batch], prepared)
                for (one, last), row in zip(batch, rows, strict=True):
                    images.append(one)
                    logits.append(row)
                    if last:
                        yield self.answer(images, np.stack(logits))
                        images, logits = [], []

    def passes(
        self, cases: Iterable[Mapping[str, Sequence[Path]]]
    ) -> Iterator[tuple[dict[str, Path], bool]]:
        """Which images go through the network together, and whether they are a case's last."""
        for case in cases:
            modalities = self.bundle.config.modalities
            frames = {name: expand(case.get(name, ())) for name in modalities}
            *first, last = frame_passes(frames, modalities)
            yield from ((one, False) for one in first)
            yield last, True

    def answer(self, images: Sequence[Mapping[str, Path]], logits: Array) -> Diagnosis:
        """The answer for one case from its logits (K, C)."""
        logits = logits.astype(np.float64)
        frames = log_softmax(logits, axis=1)
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

    def run(
        self, passes: Sequence[Mapping[str, Path]], prepared: Mapping[tuple[str, Path], Array]
    ) -> Array:
        """Logits (B, C) of some passes."""
        made = [{name: prepared[name, path] for name, path in one.items()} for one in passes]
        return self.backend.logits(*stacked(made, self.bundle.config))


def open_backend(bundle: Bundle, name: BackendName) -> Backend:
    """What runs a bundle's network; imports only what that needs."""
    if name == "auto":
        name = "onnx" if ONNX in bundle.files else "torch"
    if name == "torch":
        from agfnet.inference.torch_backend import TorchBackend

        return TorchBackend(bundle=bundle)
    return OnnxBackend(bundle=bundle, file=ONNX if name == "onnx" else INT8)


def stacked(
    passes: Sequence[Mapping[str, Array]], config: BundleConfig
) -> tuple[list[Array], Array]:
    """Prepared images of some passes, by modality, as a backend reads them: images and present."""
    blank = np.zeros((config.size, config.size, 3), dtype=np.uint8)
    images = [np.stack([one.get(name, blank) for one in passes]) for name in config.modalities]
    return images, np.array([[name in one for name in config.modalities] for one in passes])


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
