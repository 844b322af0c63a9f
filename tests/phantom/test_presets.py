from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from agfnet.config import PhantomConfig
from agfnet.errors import ConfigError
from agfnet.phantom.presets import PRESETS, Recipe, resolve


def test_presets_are_those_of_the_configuration():
    assert get_args(get_type_hints(PhantomConfig)["preset"]) == tuple(PRESETS)


def test_every_choice_of_a_preset_can_be_overridden():
    settings = {f.name: f for f in fields(PhantomConfig)}
    for choice in fields(Recipe):
        assert settings[choice.name].default is None


def test_own_settings_win():
    recipe = resolve(
        PhantomConfig(out="x", preset="hard", atypia=0.25, entities=["naevus", "lipoma"])
    )
    assert (recipe.atypia, recipe.entities) == (0.25, ("naevus", "lipoma"))
    assert recipe.nuisance == PRESETS["hard"].nuisance


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("preset", {"preset": "hardest"}),
        ("atypia", {"atypia": 1.5}),
        ("nuisance", {"nuisance": -0.1}),
        ("label_noise", {"label_noise": 0.95}),
        ("lesions", {"lesions": 0}),
        ("size", {"size": 8}),
        ("workers", {"workers": -1}),
        ("frames", {"frames": 0}),
        ("frequency", {"frequency": 5.0}),
        ("seed", {"seed": -1}),
        ("split", {"split": (0.5, 0.1, 0.1)}),
        ("centres", {"shift": True, "centres": 1}),
        ("ultrasound_format", {"ultrasound_format": "bmp"}),
        ("out", {"out": ""}),
    ],
)
def test_bad_settings_are_refused_by_name(name, settings):
    with pytest.raises(ConfigError, match=name):
        resolve(PhantomConfig(**{"out": "x"} | settings))
