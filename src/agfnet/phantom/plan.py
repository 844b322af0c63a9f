"""Plan of the cohort: patients, lesions, splits and centres, one lesion at a time.

Only phenotypes, annotations and missing modalities depend on the label. Everything else is drawn
independently of it, so that nothing else in an image or an attribute reveals it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from agfnet.config import PhantomConfig
from agfnet.data.table import SPLITS
from agfnet.phantom.bmode import Scanner
from agfnet.phantom.entities import class_table
from agfnet.phantom.observer import Observer, Seen, missing_rates
from agfnet.phantom.photo import ITA_CLASSES, Camera
from agfnet.phantom.presets import Recipe
from agfnet.phantom.tissue import SITES


class Stream(IntEnum):
    """Streams of random numbers, so that no part of a lesion depends on the draws of another."""

    CENTRE = 0
    PATIENT = 1
    LESION = 2
    PHOTO = 3
    ANATOMY = 4
    SPECKLE = 5
    FLOW = 6


def chance(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Return the generator of one stream of one lesion, patient or centre."""
    return np.random.default_rng([seed, stream, index])


@dataclass(frozen=True, kw_only=True)
class Centre:
    """A clinic and its devices."""

    name: str
    scanner: Scanner
    camera: Camera
    quality: int  # of the JPEG


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is decided about one lesion before it is drawn."""

    index: int
    lesion_id: str
    patient_id: str
    split: str
    label: str  # as recorded
    truth: str  # as drawn
    seen: Seen
    surface: str | None  # None if the photograph is missing
    depth: str | None
    width: float  # mm
    site: str
    tone: str
    ita: float  # degrees
    age: int
    sex: str
    centre: int
    frames: int  # number of ultrasound images, unless they are missing


def observers(recipe: Recipe) -> dict[str, Observer]:
    """Return the probabilistic model of each split. Test labels are the true ones."""
    table = class_table(entities=recipe.entities, atypia=recipe.atypia, imbalance=recipe.imbalance)

    def rates(rate: float) -> NDArray[np.float64]:
        return missing_rates(table, rate, by_class=recipe.missing_by_class)

    return {
        split: Observer(
            table=table,
            missing_clinical=rates(recipe.missing_clinical),
            missing_ultrasound=rates(recipe.missing_ultrasound),
            shortcut=recipe.shortcut_test if split == "test" else recipe.shortcut_train,
            annotation_rate=recipe.annotation_rate,
            label_noise=0.0 if split == "test" else recipe.label_noise,
        )
        for split in SPLITS
    }


def centre(seed: int, index: int, recipe: Recipe) -> Centre:
    """Draw the devices of a centre; with `shift` they differ widely, those of the last one most."""
    rng = chance(seed, Stream.CENTRE, index)
    spread = 1.0 if recipe.shift else 0.25
    held_out = recipe.shift and index == recipe.centres - 1
    frequency = recipe.frequency + spread * rng.uniform(-5, 5) + (8 if held_out else 0)
    scanner = Scanner(
        frequency=float(np.clip(frequency, 15, 50)),
        bandwidth=float(rng.uniform(0.5, 0.7)),
        f_number=float(2.8 + spread * rng.uniform(-0.6, 0.8)),
        gain=float(spread * rng.uniform(-4, 4) + (5 if held_out else 0)),
        dynamic_range=float(58 + spread * rng.uniform(-6, 10)),
        field=10.0,
    )
    warm = spread * rng.uniform(-0.1, 0.1) + (0.12 if held_out else 0)
    camera = Camera(
        field=float(17 + spread * rng.uniform(-2, 3)),
        balance=(float(1 + warm), 1.0, float(1 - warm)),
        exposure=1.1,
        defocus=float(0.04 + 0.05 * spread * rng.uniform()),
    )
    quality = int(92 - 12 * spread * rng.uniform())
    return Centre(name=f"centre_{index + 1}", scanner=scanner, camera=camera, quality=quality)


class _Splitter:
    """Assign patients, one after the other, to the split that lacks their labels most."""

    def __init__(self, shares: tuple[float, ...], classes: int) -> None:
        self._shares = np.array(shares)
        self._counts = np.zeros((len(shares), classes))

    def assign(self, labels: list[int]) -> int:
        deficits = self._shares[:, None] * (self._counts.sum(axis=0) + 1) - self._counts
        deficit = deficits[:, labels].sum(axis=1)
        deficit[self._shares == 0] = -np.inf
        split = int(deficit.argmax())
        np.add.at(self._counts[split], labels, 1)
        return split


def plans(config: PhantomConfig, recipe: Recipe) -> Iterator[Plan]:
    """Yield all lesions of the cohort in order, in constant memory."""
    models = observers(recipe)
    table = models["test"].table
    splitter = _Splitter(config.split, len(table.classes))
    credit = np.zeros(len(table.classes))
    lesion = patient = 0
    while lesion < config.lesions:
        rng = chance(config.seed, Stream.PATIENT, patient)
        count = min(1 + int(rng.poisson(0.4)), config.lesions - lesion)
        labels = []
        for _ in range(count):  # frequencies stay close to the prior in every stretch of lesions
            credit += table.prior
            label = int((credit + 0.6 * rng.uniform(size=len(credit))).argmax())
            credit[label] -= 1
            labels.append(label)
        split = SPLITS[splitter.assign(labels)]
        clinic = int(rng.integers(recipe.centres))
        if recipe.shift:
            last = recipe.centres - 1
            clinic = last if split == "test" else int(rng.integers(last))
        tone = str(rng.choice(list(ITA_CLASSES)))
        ita, age = float(rng.uniform(*ITA_CLASSES[tone])), int(rng.integers(18, 91))
        sex = str(rng.choice(["female", "male"]))
        for label in labels:
            lesion_rng = chance(config.seed, Stream.LESION, lesion)
            model = models[split]
            seen = _show(lesion_rng, model, label)
            yield Plan(
                index=lesion,
                lesion_id=f"L{lesion:06d}",
                patient_id=f"P{patient:06d}",
                split=split,
                label=table.classes[_record(lesion_rng, model, label)],
                truth=table.classes[label],
                seen=seen,
                surface=None if seen.surface is None else table.surfaces[seen.surface],
                depth=None if seen.depth is None else table.depths[seen.depth],
                width=float(lesion_rng.uniform(4.0, 7.0)),
                site=str(lesion_rng.choice(list(SITES))),
                tone=tone,
                ita=ita,
                age=age,
                sex=sex,
                centre=clinic,
                frames=int(lesion_rng.integers(1, recipe.frames + 1)),
            )
            lesion += 1
        patient += 1


def _show(rng: np.random.Generator, model: Observer, label: int) -> Seen:
    """Draw the visible features of a lesion of a class."""
    table, mark = model.table, float(model.mark()[label])
    surface = int(rng.choice(len(table.surfaces), p=table.surface[label]))
    depths = table.pair[label, surface]
    depth = int(rng.choice(len(table.depths), p=depths / depths.sum()))
    ruler, calliper, lack = rng.uniform(size=3)
    no_photo = model.missing_clinical[label]
    no_scan = no_photo <= lack < no_photo + model.missing_ultrasound[label]
    return Seen(
        surface=None if lack < no_photo else surface,
        depth=None if no_scan else depth,
        ruler=bool(ruler < mark),
        calliper=bool(calliper < mark),
    )


def _record(rng: np.random.Generator, model: Observer, label: int) -> int:
    """Draw the recorded class of a lesion of a class."""
    step = int(rng.integers(1, len(model.table.classes)))
    wrong = rng.uniform() < model.label_noise
    return (label + step) % len(model.table.classes) if wrong else label
