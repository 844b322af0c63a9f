"""All settings of a training: those that were given, and those of a preset or of a resumed run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from agfnet.config import Preset, TrainConfig
from agfnet.config.renamed import run_settings
from agfnet.study.settings import build
from agfnet.training.presets import Plan, make_plan, value_of, with_value
from agfnet.training.run_folder import SETTINGS

ALWAYS = ("data.cases", "runs", "resume")


def plan_training(
    config: TrainConfig,
    explicit: Collection[str],
    *,
    preset: Preset = "auto",
    time_limit: float | None = None,
) -> Plan:
    """Return the settings of a training with the reasons for those that were chosen.

    A run that is resumed keeps its settings. Given ones replace them, so that the training can
    refuse those that differ.

    Args:
        config: the given settings, with plain defaults for the others.
        explicit: dotted names of the given settings.
        preset: rule for the others.
        time_limit: minutes that the training may take.

    Raises:
        DataError: the table has problems.
        ConfigError: a setting has no place in the resumed run.
    """
    folder = Path(config.runs) / config.name
    if not (config.resume and (folder / SETTINGS).is_file()):
        return make_plan(config, explicit, preset=preset, time_limit=time_limit)
    resumed = build(TrainConfig, run_settings(folder), str(folder / SETTINGS))
    whole = {"data.labels" if n.startswith("data.labels.") else n for n in explicit}
    for name in {*ALWAYS, *whole}:
        resumed = with_value(resumed, name, value_of(config, name))
    return Plan(resumed, ())
