"""Former names of settings and of their values, which version 0.3 changed.

They may occur on the command line, in settings and study files, in the `config.yaml` of a run and
in the JSON of a bundle. `update` replaces them wherever such settings are read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from agfnet.config.settings_file import Loader
from agfnet.config.training import TrainConfig
from agfnet.errors import ConfigError, RunError
from agfnet.files import read_record

Warn = Callable[[str], None]
REMOVED_IN = "0.4"
"""Version that no longer accepts the former names in what a user writes."""

METHODS = {"sum": "addition", "hyper_branch": "hccnn", "adversarial": "amfam"}
NAMES: dict[str, dict[str, str]] = {
    "ModalityConfig": {
        "kind": "modality_type",
        "crop_field": "crop_field_of_view",
        "remove_marks": "remove_annotations",
        "mm_per_pixel": "pixel_spacing",
        "skin": "skin_surface",
        "skin_depth": "skin_surface_depth",
    },
    "FusionConfig": {"rebuild_missing": "reconstruct_missing"},
    "ReconstructionConfig": {
        "hide": "mask_ratio",
        "hide_modality": "modality_mask_prob",
        "focus": "attribution_power",
        "across": "cross_modality",
        "rebuild": "reconstruction_weight",
        "classify": "cross_entropy_weight",
        "agree": "consistency_weight",
        "ramp": "warmup",
    },
    "OptimConfig": {"clip": "gradient_clip_norm"},
    "CalibrationConfig": {"risk": "target_risk", "delta": "confidence", "strangers": "ood_rate"},
    "Abstention": {"risk": "target_risk", "delta": "confidence"},
    "CheckConfig": {"patients": "min_patients", "shortcut": "shortcut_threshold"},
    "EvaluateConfig": {"focus": "max_focus_lesions"},
    "ExplainConfig": {"most": "max_lesions"},
    "StudyConfig": {"only": "shard"},
    "PhantomConfig": {"mark_rate": "annotation_rate"},
}
"""Class of settings to former and present names."""
CONVERSIONS: dict[str, Callable[[float], float]] = {"delta": lambda value: round(1 - value, 12)}
"""Former name to the present value, where that is another one."""
REMOVED: dict[str, dict[str, Any]] = {
    "FusionConfig": {"exchange": 0.1, "layers": 2},
    "ServeConfig": {"preview_frames": 48, "batch_ratio": 200, "batch_nesting": 0},
}
"""Class of settings to settings that are ignored, with the value that they now always have."""
VALUES: dict[str, dict[str, dict[str, str]]] = {
    "ModelConfig": {"method": METHODS},
}
"""Class of settings to former and present values of a setting."""


def update(values: Any, kind: Any, *, warn: Warn | None = None, where: str = "") -> Any:
    """Replace former names and values in settings.

    Args:
        values: settings by name or dotted name, nested or not.
        kind: the dataclass whose fields they are, or another type, whose values stay.
        warn: called with a line for each former name; None where the user did not write them.
        where: dotted name of the group that `values` are.

    Raises:
        ConfigError: a setting is there under its former and its present name.
    """
    kind = group_type(kind)
    named = is_dataclass(kind)
    if not isinstance(values, Mapping) or not (named or is_dataclass(entry_type(kind))):
        return values
    result: dict[Any, Any] = {}
    for key, value in values.items():
        head, dot, rest = str(key).partition(".")
        if named:
            head = head.replace("-", "_")
        elif isinstance(value, Mapping):  # a name of the user's, which may have dots
            head, dot, rest = str(key), "", ""
        name, inner = _member(kind, head)
        text, present = f"{where}{head}", f"{where}{name}"
        if name != head and warn is not None:
            warn(renamed(text, present))
        if head in REMOVED.get(_title(kind), {}):
            if warn is not None and value != REMOVED[_title(kind)][head]:
                warn(f"{text} has no effect any more; leave it out")
            continue
        if dot:
            changed = update({rest: value}, inner, warn=warn, where=f"{present}.")
        else:
            changed = {"": _value(kind, head, value, warn, present)}
            changed[""] = update(changed[""], inner, warn=warn, where=f"{present}.")
        for part, content in changed.items():
            whole = f"{name}.{part}" if part else name if named else key
            if whole in result or (name != head and whole in values):
                raise ConfigError(f"{text} and {present} are the same setting; keep {present}")
            result[whole] = content
    return result


def renamed(former: str, present: str) -> str:
    """Return the warning that names what replaces a former name."""
    return f"{former} is now {present}; version {REMOVED_IN} will not accept the old name"


def run_settings(run: str | Path) -> dict[str, Any]:
    """Return the content of a run's config.yaml, under present names.

    If its table is no longer at its absolute path, but at the path relative to the run folder that
    `environment.json` has, as after copying both, this is the path of the table.

    Raises:
        RunError: There is no config.yaml, or it is not one that a training has written.
    """
    folder = Path(run)
    file = folder / "config.yaml"
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(values["data"]["cases"], str):
            raise TypeError("no data.cases")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise RunError(
            f"{file}: is not the settings that a training has written; copy it from a backup, or "
            "delete the run folder and train again"
        ) from error
    settings: dict[str, Any] = update(values, TrainConfig)
    environment = folder / "environment.json"
    if not Path(settings["data"]["cases"]).is_file() and environment.is_file():
        relative = read_record(environment).get("cases")
        if relative and (folder / relative).is_file():
            settings["data"]["cases"] = str((folder / relative).resolve())
    return with_former_defaults(settings)


def relative_table(cases: str | Path, run: Path) -> dict[str, str]:
    """Return what `environment.json` has so that `run_settings` finds the table of a moved run.

    Args:
        cases: path of the table.
        run: run folder.
    """
    try:
        return {"cases": Path(os.path.relpath(cases, run)).as_posix()}
    except ValueError:  # no relative path leads to another drive
        return {}


def with_former_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Fill in, in place, what a run or bundle of before a setting existed has always done."""
    fusion = settings.get("model", {}).get("fusion")
    if fusion is not None:
        fusion.setdefault("average", False)
        fusion.setdefault("residual", False)
    if "optim" in settings:
        settings["optim"].setdefault("keep", "best")
    return settings


def update_arguments(arguments: Sequence[str], kind: type, warn: Warn) -> list[str]:
    """Replace former names and values in the options of a command, `--name value`."""
    result: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option = re.fullmatch(r"--([\w.-]+)(=.*)?", argument, re.DOTALL)
        if option is None:
            result.append(argument)
            continue
        name, text = option[1], option[2] and option[2][1:]
        if text is None and waiting and not waiting[0].startswith("--"):
            text = waiting.pop(0)
        value = plain_value(text)
        for present, content in update({name: value}, kind, warn=warn).items():
            result.append(f"--{present}")
            if text is not None:
                plain = content if isinstance(content, str) else json.dumps(content, default=str)
                result[-1] += f"={text if content == value else plain}"
    return result


def group_type(kind: Any) -> Any:
    """The dataclass among alternatives, as in `SearchConfig | None`; other types as they are."""
    if isinstance(kind, UnionType):
        return next((option for option in get_args(kind) if is_dataclass(option)), kind)
    return kind


def entry_type(kind: Any) -> Any:
    """Type of the values of a mapping; Any for other types."""
    return group_type(get_args(kind)[1]) if get_origin(kind) is dict else Any


def _member(kind: Any, name: str) -> tuple[str, Any]:
    """Present name and type of a setting."""
    if not is_dataclass(kind):
        return name, entry_type(kind)
    present = NAMES.get(_title(kind), {}).get(name, name)
    return present, _types(kind).get(present)  # type: ignore[arg-type]


@cache
def _types(kind: Any) -> dict[str, Any]:
    """Types of the settings of a class; their names are evaluated once, which takes time."""
    return get_type_hints(kind)


def _value(kind: Any, name: str, value: Any, warn: Warn | None, present: str) -> Any:
    """Present value of a setting."""
    if name in CONVERSIONS and name in NAMES.get(_title(kind), {}):
        convert = CONVERSIONS[name]
        many = isinstance(value, list)
        return [convert(float(v)) for v in value] if many else convert(float(value))
    choices = VALUES.get(_title(kind), {}).get(name, {})
    for former in value if isinstance(value, list) else [value]:
        if warn is not None and isinstance(former, str) and former in choices:
            warn(renamed(f"{present}: {former}", choices[former]))
    if isinstance(value, list):
        return [choices.get(v, v) if isinstance(v, str) else v for v in value]
    return choices.get(value, value) if isinstance(value, str) else value


def _title(kind: Any) -> str:
    return getattr(kind, "__name__", "")


def plain_value(text: str | None) -> Any:
    """The value that an option has in YAML."""
    try:
        return None if text is None else yaml.load(text, Loader)
    except yaml.YAMLError:
        return text
