"""Ready mixtures of difficulty, and what a configuration makes of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from agfnet.config import PhantomConfig
from agfnet.errors import ConfigError
from agfnet.phantom.dicom import require_pydicom
from agfnet.phantom.entities import CROSSED, ORDINARY

_EASY = (
    "naevus",
    "melanoma",
    "basal_cell_carcinoma",
    "squamous_cell_carcinoma",
    "seborrhoeic_keratosis",
    "haemangioma",
    "pilomatrixoma",
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every choice that a preset makes; the fields mean what they mean in `PhantomConfig`."""

    entities: tuple[str, ...] = ORDINARY
    atypia: float = 0.5
    nuisance: float = 0.6
    imbalance: float = 0.0
    label_noise: float = 0.0
    missing_clinical: float = 0.0
    missing_ultrasound: float = 0.0
    missing_by_class: bool = False
    shortcut_train: float = 0.0
    shortcut_test: float = 0.0
    annotation_rate: float = 0.0
    centres: int = 2
    shift: bool = False
    doppler: bool = False
    frames: int = 2
    frequency: float = 22.0


PRESETS: dict[str, Recipe] = {
    "easy": Recipe(entities=_EASY, atypia=0.1, nuisance=0.4),
    "hard": Recipe(atypia=1.0, nuisance=1.0, label_noise=0.05, frames=3, centres=4),
    "shortcut": Recipe(entities=_EASY, atypia=0.5, annotation_rate=0.25, shortcut_train=0.9),
    "missing": Recipe(
        entities=_EASY,
        atypia=0.1,
        missing_clinical=0.1,
        missing_ultrasound=0.4,
        missing_by_class=True,
    ),
    "shift": Recipe(entities=_EASY, atypia=0.1, centres=4, shift=True),
    "imbalanced": Recipe(imbalance=1.0, atypia=0.3),
    "joint": Recipe(entities=CROSSED, atypia=0.1, nuisance=0.4),
}


def resolve(config: PhantomConfig) -> Recipe:
    """Return the preset, overridden by the settings of the configuration.

    Raises:
        ConfigError: a setting is out of range or contradicts another, by name.
    """
    if config.preset not in PRESETS:
        raise ConfigError(f"preset: {config.preset!r} is unknown; choose {', '.join(PRESETS)}")
    overrides = {
        f.name: value for f in fields(Recipe) if (value := getattr(config, f.name)) is not None
    }
    if "entities" in overrides:
        overrides["entities"] = tuple(overrides["entities"])
    recipe = replace(PRESETS[config.preset], **overrides)
    if len(config.split) != 3 or min(config.split) < 0 or abs(sum(config.split) - 1) > 1e-6:
        raise ConfigError(
            f"split: {config.split} are not three fractions of train, val and test that sum to 1"
        )
    if recipe.shift and recipe.centres < 2:
        raise ConfigError("centres: shift keeps one centre for testing; give at least 2")
    if config.ultrasound_format not in ("png", "dicom"):
        raise ConfigError(f"ultrasound_format: {config.ultrasound_format!r} is not png or dicom")
    if config.ultrasound_format == "dicom":
        require_pydicom()
    if not Path(config.out).name:
        raise ConfigError(f"out: {config.out!r} is not the name of a folder")
    return recipe
