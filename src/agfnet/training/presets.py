"""Settings of a training that follow from the data, the machine and the time that it may take.

`agfnet train` fills in the settings that the user left out. The rules are those by which an
experienced user would start; nnU-Net (Isensee et al., 2021, doi 10.1038/s41592-020-01008-z) is the
model for configuring from a fingerprint of the data.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from agfnet.config import DataConfig, Preset, TrainConfig, format_duration
from agfnet.config.data import default_modality
from agfnet.config.dotted import is_explicit, plain, with_value
from agfnet.data.table import find_modalities
from agfnet.models.pretrained import PACKAGES, RANDOM, find_weights
from agfnet.training.cases import TrainingCases, read_table, select_cases
from agfnet.training.timing import Speed, measure_speed

STEPS = {"fast": 600, "auto": 1500, "best": 3000}  # of the optimiser in a training
EPOCHS = (8, 100)  # bounds
FINE_TUNING = (8, 12)  # the same: with more, pretrained networks learn few lesions by heart
SIZES = {"fast": (96,), "auto": (160, 128, 96), "best": (224, 160, 128, 96)}  # tried in this order
MEMBERS = {"fast": 1, "auto": 3, "best": 5}  # of an ensemble, if there is time for this many
GPU_SIZE = 224
LIMITS = {"fast": 15, "auto": 60, "best": 240}  # minutes on a CPU without --time-limit
FEW_LESIONS = 1000  # with fewer, `auto` trains an ensemble, and dropout is stronger
GPU_BACKBONES = ("resnet50", "resnet34", "resnet18")
FROZEN_VARIANTS = (8, 4, 2, 1)  # tried in this order
FEW_STEPS = 400  # of a whole network, which then needs a higher learning rate
FEWEST_STEPS = 40  # of a whole network; if there is time for fewer, frozen backbones are better
PROBE_SIZE = 96  # pixels of the images with which the speed is measured


@dataclass(frozen=True)
class Choice:
    """A setting that was left out, its value, and why."""

    setting: str
    """Dotted name, as in `optim.lr`."""
    value: Any
    reason: str


@dataclass(frozen=True)
class Fingerprint:
    """Data and machine of a training, before it starts."""

    modalities: tuple[str, ...]
    lesions: int
    """Training lesions."""
    missing: bool
    """Some training lesions lack an image of a modality."""
    gpu: bool


@dataclass(frozen=True)
class Plan:
    """All settings of a training, and those that were chosen."""

    config: TrainConfig
    choices: tuple[Choice, ...]
    seconds: float | None = None
    """Estimated training time; None if it was not measured."""


def make_plan(
    config: TrainConfig,
    explicit: Collection[str],
    *,
    preset: Preset = "auto",
    time_limit: float | None = None,
) -> Plan:
    """Choose the settings that were not given.

    Args:
        config: the settings, with the plain defaults of those that were not given.
        explicit: dotted names of the settings that were given, which are kept.
        preset: `auto`, `fast`, `best`, or `none`, which chooses nothing.
        time_limit: minutes that the training may take. 60 on a CPU for `auto`, 15 for `fast`, and
            240 for `best` if None; no limit on a GPU.

    Raises:
        DataError: the table has problems.
    """
    if preset == "none":
        return Plan(config, ())
    choices = (
        [*choose_modalities(config.data)] if not is_explicit("data.modalities", explicit) else []
    )
    config = apply(config, choices)
    cases = select_cases(read_table(config.data), config)
    data = fingerprint(config, cases)
    named = is_explicit("model.backbone.name", explicit)
    choices += [
        choice
        for choice in network(data, config.model.backbone.name if named else None)
        if not is_explicit(choice.setting, explicit)
    ]
    config = apply(config, choices)
    limit = time_limit or (None if data.gpu else LIMITS[preset])
    epochs = config.optim.epochs if is_explicit("optim.epochs", explicit) else None
    decided = is_explicit("model.backbone.frozen", explicit)
    config, rest, seconds = first_that_fits(
        config,
        explicit,
        candidates(data, config, preset, decided=decided, epochs=epochs),
        None if limit is None else 60 * limit / config.members,
    )
    choices += rest
    steps = config.optim.epochs * data.lesions / config.optim.batch_size
    possible = None if limit is None or seconds is None else math.floor(60 * limit / seconds)
    if epochs is not None:  # the user has decided how long it takes
        possible = 1
    rest = [
        choice
        for choice in (*length(config, steps, preset), *ensemble(data, preset, possible))
        if not is_explicit(choice.setting, explicit)
    ]
    config = apply(config, rest)
    return Plan(config, (*choices, *rest), None if seconds is None else seconds * config.members)


def fingerprint(config: TrainConfig, cases: TrainingCases) -> Fingerprint:
    """Describe the training cases and the machine."""
    return Fingerprint(
        modalities=tuple(config.data.modalities),
        lesions=len(cases.train),
        missing=any(
            not case.images[name] for case in cases.train for name in config.data.modalities
        ),
        gpu=torch.cuda.is_available(),
    )


def choose_modalities(data: DataConfig) -> Iterator[Choice]:
    """Choose the image columns of the table, unless they are those of the default."""
    columns = find_modalities(data.cases)
    if columns and set(columns) != set(data.modalities):
        modalities = {name: default_modality(name) for name in columns}
        absent = [name for name in data.modalities if name not in columns]
        reason = "the image columns of the table"
        if absent:
            names = ", ".join(absent)
            reason = f"the image columns of the table, which has no image of {names}"
        yield Choice("data.modalities", modalities, reason)


def network(data: Fingerprint, named: str | None) -> Iterator[Choice]:
    """Choose the network and what does not depend on time; never what needs a download.

    Args:
        data: the fingerprint.
        named: the backbone that the user has named.
    """
    name = next(iter(PACKAGES))
    reason = "small enough for a CPU; its pretrained weights are installed"
    if data.gpu:
        local = [model for model in GPU_BACKBONES if find_weights(model) is not None]
        reason = "pretrained weights are installed"
        if local:
            name, reason = local[0], "pretrained weights are in AGFNET_WEIGHTS_DIR"
    yield Choice("model.backbone.name", name, reason)
    if named is None or find_weights(named) is not None:
        yield Choice("model.backbone.weights", "timm", "pretrained weights need far fewer lesions")
    else:
        why = "nothing was set, and timm would be a download; they need many more lesions"
        yield Choice("model.backbone.weights", RANDOM, why)
    if data.lesions < FEW_LESIONS:
        yield Choice("model.dropout", 0.2, f"{data.lesions} training lesions are few")
    batch = 32 if data.lesions >= 300 else 16 if data.lesions >= 60 else 8
    yield Choice("optim.batch_size", batch, f"{data.lesions} training lesions")
    if len(data.modalities) > 1:
        share, why = (0.2, "some lesions lack a modality") if data.missing else (0.1, "robustness")
        yield Choice("optim.modality_dropout", share, why)


@dataclass(frozen=True)
class Candidate:
    """Settings that may be chosen together; the number of epochs follows from the time."""

    choices: Sequence[Choice]
    least: int
    """Epochs for which there must be time; otherwise the next candidate is better."""
    most: int


def candidates(
    data: Fingerprint,
    config: TrainConfig,
    preset: Preset,
    *,
    decided: bool = False,
    epochs: int | None = None,
) -> Iterator[Candidate]:
    """Yield the rest of the settings, the most expensive first (decision 051).

    Args:
        data: the fingerprint.
        config: the settings that were given or chosen so far.
        preset: `auto`, `fast` or `best`.
        decided: the user has decided whether backbones are frozen.
        epochs: the number that the user has given.
    """
    steps = data.lesions / config.optim.batch_size  # of an epoch
    frozen = config.model.backbone.frozen
    random_weights = config.model.backbone.weights in (None, RANDOM)
    whole, kept = (
        epochs or min(max(round(STEPS[preset] / steps), least), most)
        for least, most in (EPOCHS if random_weights else FINE_TUNING, EPOCHS)
    )
    may_freeze = frozen or not (decided or random_weights)
    fewest = epochs or (min(whole, math.ceil(FEWEST_STEPS / steps)) if may_freeze else 1)
    sizes = (GPU_SIZE,) if data.gpu else SIZES[preset]
    for size in () if frozen else sizes:
        choices = [
            Choice("data.size", size, "as large as the time permits"),
            Choice("optim.backbone_lr", 0.3, "pretrained weights change less"),
        ]
        yield Candidate(choices, fewest if size == sizes[-1] else whole, whole)
    for variants in FROZEN_VARIANTS if may_freeze else ():
        choices = [
            Choice("model.backbone.frozen", True, "whole networks take too long here"),
            Choice("data.feature_variants", variants, "the maps of frozen backbones are kept"),
            Choice("data.size", 96, "for a CPU"),
        ]
        yield Candidate(choices, epochs or 2 * variants, kept)


def first_that_fits(
    config: TrainConfig,
    explicit: Collection[str],
    candidates: Iterator[Candidate],
    limit: float | None,
) -> tuple[TrainConfig, list[Choice], float | None]:
    """Choose the first candidate within the limit in seconds for each member, or the last one.

    The speed is measured once with whole networks and once with frozen backbones, and extrapolated
    by the number of pixels.

    Returns:
        The settings, the choices among them, and the seconds; None if they were not measured.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speeds: dict[bool, Speed] = {}
    settings, choices, seconds = config, list[Choice](), None
    for candidate in candidates:
        choices = [c for c in candidate.choices if not is_explicit(c.setting, explicit)]
        settings = with_value(apply(config, choices), "optim.epochs", candidate.most)
        if limit is None:
            break
        frozen = settings.model.backbone.frozen
        if frozen not in speeds:
            probe = replace(settings, data=replace(settings.data, size=PROBE_SIZE))
            speeds[frozen] = measure_speed(probe, device)
        pixels = (settings.data.size / PROBE_SIZE) ** 2
        first, second = (
            pixels * speeds[frozen].seconds(with_value(settings, "optim.epochs", n)) for n in (1, 2)
        )
        possible = math.floor(1 + (limit - first) / (second - first))
        if not is_explicit("optim.epochs", explicit):
            settings = with_value(settings, "optim.epochs", max(1, min(possible, candidate.most)))
        seconds = first + (settings.optim.epochs - 1) * (second - first)
        if possible >= candidate.least:
            break
    if seconds is not None and limit is not None:
        planned, most = (format_duration(settings.members * each) for each in (seconds, limit))
        why = f"about {planned}, within {most}"
        if seconds > limit:
            why = f"about {planned}, the shortest plan here; the limit is {most}"
        choices = [replace(c, reason=why) if c.setting == "data.size" else c for c in choices]
    return settings, choices, seconds


def length(config: TrainConfig, steps: float, preset: Preset) -> Iterator[Choice]:
    """Yield what depends on the number of steps, and flips, which only `fast` leaves out."""
    yield Choice("optim.epochs", config.optim.epochs, f"about {round(steps)} steps")
    if config.model.backbone.frozen:
        yield Choice("optim.lr", 4e-3, "for frozen backbones")
    elif steps < FEW_STEPS:
        yield Choice("optim.lr", 4e-3, "for fine-tuning with few steps")
    else:
        yield Choice("optim.lr", 1e-3, "for fine-tuning")
    decay = average(steps)
    yield Choice("optim.ema", decay, "an average of the weights varies less than the last ones")
    if preset != "fast":
        yield Choice("calibration.flips", True, "the mean over mirrored images is better")


def ensemble(data: Fingerprint, preset: Preset, possible: int | None) -> Iterator[Choice]:
    """Yield the number of members of an ensemble, if it is to be one (decision 053).

    Args:
        data: the fingerprint.
        preset: `auto`, `fast` or `best`.
        possible: number of networks for which there is time; None without a limit.
    """
    members = MEMBERS[preset] if preset == "best" or data.lesions < FEW_LESIONS else 1
    if possible is not None:
        members = min(members, possible)
    if members > 1:
        yield Choice("members", members, "the mean of several networks is better than one")


def average(steps: float) -> float:
    """Return the decay of the moving average of the weights: over the last 3 % of the steps."""
    return round(1 - 1 / max(10.0, 0.03 * steps), 4)


def apply(config: TrainConfig, choices: Collection[Choice]) -> TrainConfig:
    """Return the settings with the chosen ones."""
    for choice in choices:
        config = with_value(config, choice.setting, choice.value)
    return config


def as_record(plan: Plan) -> list[dict[str, Any]]:
    """Return the choices as `plan.json` holds them."""
    return [
        {"setting": c.setting, "value": plain(c.value), "reason": c.reason} for c in plan.choices
    ]
