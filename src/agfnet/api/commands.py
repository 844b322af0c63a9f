"""Functions that do what the commands of the same names do."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from agfnet.api.model import Model, load
from agfnet.api.scores import Comparison
from agfnet.api.settings import make_settings
from agfnet.api.tables import path_text, table_file
from agfnet.config import (
    CompareConfig,
    PhantomConfig,
    Preset,
    SplitConfig,
    TrainCommand,
    TrainConfig,
)
from agfnet.config.forms import given_settings
from agfnet.errors import naming_extras


def make_phantom(out: str | Path, **settings: Any) -> Path:
    """Render a synthetic cohort with known diagnoses.

    Args:
        out: Folder to write; it must be empty or not exist.
        **settings: Settings of `agfnet phantom`, as in `lesions=100, preset="hard"`.

    Returns:
        The cases table.

    Examples:
        >>> agfnet.make_phantom(folder / "cohort", lesions=4, size=32).name
        'cases.csv'
    """
    from agfnet.phantom.cohort import make_cohort

    return make_cohort(make_settings(PhantomConfig, {"out": str(out), **settings}, "phantom"))


def split(cases: str | Path, out: str | Path, **settings: Any) -> Path:
    """Split cases by patient into train, val and test, or into folds, in a new table.

    Args:
        cases: Cases table without a split.
        out: Table to write.
        **settings: Settings of `agfnet split`, as in `folds=5`.

    Returns:
        The new table.

    Examples:
        >>> agfnet.split(unsplit, folder / "data.csv", seed=1).name
        'data.csv'
    """
    from agfnet.data.folds import split_table
    from agfnet.data.table import find_modalities, read_cases, write_cases

    values = {"cases": path_text(cases, "split"), "out": str(out), **settings}
    config = make_settings(SplitConfig, values, "split")
    modalities = config.modalities or find_modalities(config.cases)
    table = split_table(read_cases(config.cases, modalities=modalities), config)
    write_cases(table, config.out, modalities=modalities)
    return Path(config.out)


@naming_extras()
def train(
    cases: Any,
    *,
    preset: Preset = "auto",
    time_limit: float | None = None,
    progress: bool = True,
    **settings: Any,
) -> Model:
    """Train a network, calibrate it, and evaluate it on the test split, if there is one.

    Args:
        cases: Cases table with a split (see `agfnet.split`): its path, a pandas DataFrame, or a
            list of mappings. The last two are written to `RUNS/NAME-cases.csv`.
        preset: Rule for the settings that are left out: `auto`, `fast`, `best`, or `none` for the
            plain defaults.
        time_limit: Minutes that training may take.
        progress: Show a progress bar during training.
        **settings: Settings of `agfnet train`: `name="first"`, `optim={"epochs": 3}` or
            `optim__epochs=3`, `data={"modalities": ["clinical"]}`.

    Returns:
        The model. Its run folder is `Model.path`.

    Raises:
        AgfnetError: The settings, the data or the run folder are wrong.

    Examples:
        >>> model = agfnet.train(
        ...     cases, preset="none", runs=folder / "runs", name="tiny", progress=False,
        ...     data__size=32, model__backbone__name="resnet10t", optim__epochs=1,
        ... )
        >>> model.path.name
        'tiny'
    """
    from agfnet.study.preset import plan_training
    from agfnet.study.run import run
    from agfnet.training.presets import as_record

    values = {name.replace("__", "."): value for name, value in settings.items()}
    values = {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
    folder = Path(values.get("runs", TrainConfig.runs))
    file = table_file(cases, folder / f"{values.get('name', TrainConfig.name)}-cases.csv")
    data = values.pop("data", {})
    values = {"data": {"cases": file, **data}, **values}
    of_command = {"preset": preset, "time_limit": time_limit}
    command = make_settings(TrainCommand, {**values, **of_command}, "train")
    config = TrainConfig(**{f.name: getattr(command, f.name) for f in fields(TrainConfig)})
    explicit = given_settings({k.replace("__", "."): v for k, v in values.items()}, TrainConfig)
    plan = plan_training(config, explicit, preset=command.preset, time_limit=command.time_limit)
    return load(run(plan.config, plan=as_record(plan), bar=progress))


@naming_extras()
def compare(a: Model | str | Path, b: Model | str | Path, **settings: Any) -> Comparison:
    """Compare two runs on the lesions that both predicted.

    Args:
        a: Model or run folder. Differences are those of this run minus the other.
        b: Model or run folder to compare with.
        **settings: Settings of `agfnet compare`, as in `resamples=200`.

    Examples:
        >>> comparison = agfnet.compare(run, other, resamples=10)
        >>> comparison.metrics["accuracy"]["difference"]["value"]
        0.0
    """
    from agfnet.report.run import run_comparison

    folders = [str(x.path if isinstance(x, Model) else x) for x in (a, b)]
    values = {"run_a": folders[0], "run_b": folders[1], **settings}
    return Comparison(run_comparison(make_settings(CompareConfig, values, "compare")))
