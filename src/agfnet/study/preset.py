"""All settings of a training: those that were given, and those of a preset or of a resumed run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from agfnet.config import Preset, TrainConfig
from agfnet.config.dotted import value_of, with_value
from agfnet.config.renamed import run_settings
from agfnet.errors import ConfigError
from agfnet.study.settings import build
from agfnet.training.presets import Plan, make_plan
from agfnet.training.run_folder import SETTINGS, changed_settings

ALWAYS = ("data.cases", "runs", "resume")


def plan_training(
    config: TrainConfig,
    explicit: Collection[str],
    *,
    preset: Preset = "auto",
    time_limit: float | None = None,
    reproduce: str | None = None,
) -> Plan:
    """Return the settings of a training with the reasons for those that were chosen.

    A run that is resumed keeps its settings. Given ones replace them, so that the training can
    refuse those that differ.

    Args:
        config: the given settings, with plain defaults for the others.
        explicit: dotted names of the given settings.
        preset: rule for the others.
        time_limit: minutes that the training may take.
        reproduce: run folder whose settings are taken; None for a new training.

    Raises:
        DataError: the table has problems.
        ConfigError: a setting has no place in the resumed run.
    """
    if reproduce is not None:
        return Plan(reproduced(Path(reproduce), config, explicit), ())
    folder = Path(config.runs) / config.name
    if not (config.resume and (folder / SETTINGS).is_file()):
        return make_plan(config, explicit, preset=preset, time_limit=time_limit)
    resumed = build(TrainConfig, run_settings(folder), str(folder / SETTINGS))
    whole = {"data.labels" if n.startswith("data.labels.") else n for n in explicit}
    for name in {*ALWAYS, *whole}:
        resumed = with_value(resumed, name, value_of(config, name))
    return Plan(resumed, ())


def reproduced(run: Path, config: TrainConfig, explicit: Collection[str]) -> TrainConfig:
    """Return the settings of a run that is trained again, under another name.

    Args:
        run: the run folder.
        config: the given settings, with plain defaults for the others.
        explicit: dotted names of the given settings.

    Raises:
        ConfigError: A setting is given that changes the result.
    """
    before = run_settings(run)
    settings = build(TrainConfig, before, str(run / SETTINGS))
    settings = with_value(settings, "name", f"{settings.name}-reproduced")
    for name in {*ALWAYS, *explicit}:
        settings = with_value(settings, name, value_of(config, name))
    before["data"]["cases"] = settings.data.cases  # compared by its content
    changed = [name for name in changed_settings(before, settings) if name != "name"]
    if changed:
        raise ConfigError(f"reproduce: takes the settings of {run}; leave out {', '.join(changed)}")
    return settings
