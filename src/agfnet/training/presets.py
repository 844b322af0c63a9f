"""Settings of a training that follow from the data, the machine and the time that it may take.

`agfnet train` fills in the settings that the user left out. The rules are those by which an
experienced user would start; nnU-Net (Isensee et al., 2021, doi 10.1038/s41592-020-01008-z) is the
model for configuring from a fingerprint of the data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, TypeVar

import torch

from agfnet.config import DataConfig, Preset, TrainConfig, format_duration
from agfnet.config.data import default_modality
from agfnet.data.table import find_modalities
from agfnet.errors import ConfigError
from agfnet.models.pretrained import PACKAGES, RANDOM, find_weights
from agfnet.training.cases import TrainingCases, read_table, select_cases
from agfnet.training.timing import Speed, measure_speed

STEPS = {"fast": 600, "auto": 1500, "best": 3000}  # of the optimiser in a training
EPOCHS = (8, 100)  # bounds
SIZES = {"fast": (96,), "auto": (160, 128, 96), "best": (224, 160, 128, 96)}  # tried in this order
T = TypeVar("T")
GPU_SIZE = 224
LIMITS = {"fast": 15, "auto": 60, "best": 240}  # minutes on a CPU without --time-limit
GPU_BACKBONES = ("resnet50", "resnet34", "resnet18")
FROZEN_VARIANTS = (8, 4, 2, 1)  # tried in this order
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
    plans = (
        [choice for choice in candidate if not is_explicit(choice.setting, explicit)]
        for candidate in candidates(
            data,
            config,
            preset,
            decided=is_explicit("model.backbone.frozen", explicit),
            epochs=config.optim.epochs if is_explicit("optim.epochs", explicit) else None,
        )
    )
    return first_that_fits(config, choices, plans, None if limit is None else 60 * limit)


def is_explicit(setting: str, explicit: Collection[str]) -> bool:
    """Return whether a setting, its group, or a part of it was given."""
    return any(
        f"{name}.".startswith(f"{setting}.") or setting.startswith(f"{name}.") for name in explicit
    )


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
    if data.lesions < 1000:
        yield Choice("model.dropout", 0.2, f"{data.lesions} training lesions are few")
    batch = 32 if data.lesions >= 300 else 16 if data.lesions >= 60 else 8
    yield Choice("optim.batch_size", batch, f"{data.lesions} training lesions")
    if len(data.modalities) > 1:
        share, why = (0.2, "some lesions lack a modality") if data.missing else (0.1, "robustness")
        yield Choice("optim.modality_dropout", share, why)


def candidates(
    data: Fingerprint,
    config: TrainConfig,
    preset: Preset,
    *,
    decided: bool = False,
    epochs: int | None = None,
) -> Iterator[list[Choice]]:
    """Yield the rest of the settings, the most expensive first.

    Args:
        data: the fingerprint.
        config: the settings that were given or chosen so far.
        preset: `auto`, `fast` or `best`.
        decided: the user has decided whether backbones are frozen.
        epochs: the number that the user has given.
    """
    batch = config.optim.batch_size
    most = epochs or min(max(round(STEPS[preset] * batch / data.lesions), EPOCHS[0]), EPOCHS[1])
    fewer = [] if epochs else [most // 2**n for n in range(1, most.bit_length())]
    random_weights = config.model.backbone.weights in (None, RANDOM)
    may_freeze = config.model.backbone.frozen or not (decided or random_weights)
    if preset != "fast" or not may_freeze:
        sizes = (GPU_SIZE,) if data.gpu else SIZES[preset]
        shorter = [] if may_freeze else [(sizes[-1], epochs) for epochs in fewer]
        for size, number in [*((size, most) for size in sizes), *shorter]:
            yield [
                Choice("data.size", size, "as large as the time permits"),
                Choice("optim.lr", 1e-3, "for fine-tuning"),
                Choice("optim.backbone_lr", 0.3, "pretrained weights change less"),
                *length(data, preset, batch, number),
            ]
    if not may_freeze:
        return
    last = [(FROZEN_VARIANTS[-1], epochs) for epochs in fewer]
    for variants, number in [*((variants, most) for variants in FROZEN_VARIANTS), *last]:
        yield [
            Choice("model.backbone.frozen", True, "whole networks take too long here"),
            Choice("data.feature_variants", variants, "the maps of frozen backbones are kept"),
            Choice("data.size", 128, "for a CPU"),
            Choice("optim.lr", 1e-3, "for frozen backbones"),
            *length(data, preset, batch, number),
        ]


def length(data: Fingerprint, preset: Preset, batch: int, epochs: int) -> Iterator[Choice]:
    """Yield what depends on the number of epochs, and flips, which only `fast` leaves out."""
    steps = epochs * data.lesions / batch
    yield Choice("optim.epochs", epochs, f"about {round(steps)} steps")
    decay = round(1 - 1 / max(10.0, 0.03 * steps), 4)
    yield Choice("optim.ema", decay, "an average of the weights varies less than the last ones")
    if preset != "fast":
        yield Choice("calibration.flips", True, "the mean over mirrored images is better")


def first_that_fits(
    config: TrainConfig,
    choices: list[Choice],
    candidates: Iterator[list[Choice]],
    limit: float | None,
) -> Plan:
    """Return the plan of the first candidate within the limit in seconds, or of the last one.

    The speed is measured once with whole networks and once with frozen backbones, and extrapolated
    by the number of pixels.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speeds: dict[bool, Speed] = {}
    seconds: float | None = None
    candidate, rest = config, list[Choice]()
    for rest in candidates:
        candidate = apply(config, rest)
        if limit is None:
            break
        frozen = candidate.model.backbone.frozen
        if frozen not in speeds:
            probe = replace(candidate, data=replace(candidate.data, size=PROBE_SIZE))
            speeds[frozen] = measure_speed(probe, device)
        pixels = (candidate.data.size / PROBE_SIZE) ** 2
        seconds = pixels * speeds[frozen].seconds(candidate)
        if seconds <= limit:
            break
    if seconds is not None and limit is not None:
        planned, most = format_duration(seconds), format_duration(limit)
        why = f"about {planned}, within {most}"
        if seconds > limit:
            why = f"about {planned}, the shortest plan here; the limit is {most}"
        rest = [replace(c, reason=why) if c.setting == "data.size" else c for c in rest]
    return Plan(candidate, (*choices, *rest), seconds)


def apply(config: TrainConfig, choices: Collection[Choice]) -> TrainConfig:
    """Return the settings with the chosen ones."""
    for choice in choices:
        config = with_value(config, choice.setting, choice.value)
    return config


def with_value(settings: T, name: str, value: Any) -> T:
    """Return settings with the one of a dotted name replaced.

    Raises:
        ConfigError: the name leads to an entry that a mapping lacks.
    """
    first, _, rest = name.partition(".")
    current = getattr(settings, first)
    new = value
    if rest and isinstance(current, dict):  # a part of a mapping, as in `data.modalities.photo`
        entry, _, part = rest.partition(".")
        if part and entry not in current:
            raise ConfigError(f"{name}: there is no {entry}; expected {', '.join(current)}")
        new = current | {entry: with_value(current[entry], part, value) if part else value}
    elif rest:
        new = with_value(current, rest, value)
    return replace(settings, **{first: new})  # type: ignore[type-var]


def value_of(settings: Any, name: str) -> Any:
    """Return the setting of a dotted name."""
    for part in name.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else getattr(settings, part)
    return settings


def as_record(plan: Plan) -> list[dict[str, Any]]:
    """Return the choices as `plan.json` holds them."""
    return [
        {"setting": c.setting, "value": plain(c.value), "reason": c.reason} for c in plan.choices
    ]


def plain(value: Any) -> Any:
    """Return a value of a setting in plain types."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
