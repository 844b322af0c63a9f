import numpy as np
import pytest

from agfnet.phantom.entities import SURFACES
from agfnet.phantom.photo import (
    ITA_CLASSES,
    Camera,
    healthy_colour,
    melanin_for,
    photograph,
    typology_angle,
)


def shoot(surface, seed=0, **settings):
    settings = {
        "width": 6.0,
        "ita": 35.0,
        "hair_density": 0.0,
        "size": 96,
        "nuisance": 0.0,
    } | settings
    camera = settings.pop("camera", Camera())
    return photograph(surface=surface, camera=camera, rng=np.random.default_rng(seed), **settings)


@pytest.mark.parametrize(("low", "high"), ITA_CLASSES.values(), ids=ITA_CLASSES)
def test_every_skin_colour_can_be_reached(low, high):
    for wanted in np.linspace(low, high, 5):
        melanin = melanin_for(wanted)
        assert melanin > 0
        assert typology_angle(healthy_colour(np.array(melanin))) == pytest.approx(wanted, abs=1)


def test_typology_angle_of_a_known_colour():
    # sRGB (225, 172, 150): L* 74.6, b* 18.9 by the CIE formulas
    srgb = np.array([225, 172, 150]) / 255
    linear = ((srgb + 0.055) / 1.055) ** 2.4
    assert typology_angle(linear) == pytest.approx(np.rad2deg(np.arctan(24.6 / 18.9)), abs=1.0)


def test_darker_skin_is_darker_in_the_photograph():
    levels = [np.median(shoot("pearly", ita=sum(ends) / 2).image) for ends in ITA_CLASSES.values()]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("surface", SURFACES)
def test_mask_lies_where_the_lesion_is_drawn(surface):
    contrasts = []
    for seed in range(4):
        photo = shoot(surface, seed)
        mask = photo.lesion > 0.5
        assert 0.03 < mask.mean() < 0.3
        pixels = photo.image.astype(float)
        spread = pixels[~mask].std(axis=0).mean()
        inside, outside = pixels[mask], pixels[~mask]
        shift = np.abs(inside.mean(axis=0) - outside.mean(axis=0)).max()
        contrasts.append(max(shift, np.abs(inside - outside.mean(axis=0)).mean()) / spread)
    assert np.mean(contrasts) > (1.2 if surface == "skin_coloured" else 2.5)


def test_the_five_surfaces_look_different():
    def colour(surface):
        found = [shoot(surface, seed) for seed in range(6)]
        return np.mean([p.image[p.lesion > 0.5].mean(axis=0) for p in found], axis=0)

    healthy, violet, pearly = colour("skin_coloured"), colour("violaceous"), colour("pearly")
    assert violet[2] / violet[0] > 1.03 * healthy[2] / healthy[0]
    assert violet.mean() < 0.7 * healthy.mean()
    assert colour("pigmented").mean() < 0.75 * healthy.mean()
    assert pearly[0] / pearly[1] > 1.05 * healthy[0] / healthy[1]
    assert colour("keratotic")[2] < 0.9 * pearly[2]


def test_width_is_in_millimetres():
    photo = shoot("violaceous", width=8.0, camera=Camera(field=16.0))
    rows, columns = np.nonzero(photo.lesion > 0.5)
    longest = max(np.ptp(rows), np.ptp(columns)) / 96 * 16
    assert 6.0 < longest < 9.5


def test_a_ruler_and_hair_are_drawn():
    plain = shoot("pigmented").image.astype(int)
    assert (shoot("pigmented", ruler=True).image != plain).mean() > 0.05
    assert shoot("pigmented", nuisance=1.0, hair_density=20.0).image.shape == (96, 96, 3)


def test_defocus_blurs():
    sharp = shoot("keratotic", camera=Camera(defocus=0.0, noise=0.0)).image.astype(float)
    soft = shoot("keratotic", camera=Camera(defocus=0.5, noise=0.0)).image.astype(float)
    assert np.abs(np.diff(soft, axis=0)).mean() < 0.6 * np.abs(np.diff(sharp, axis=0)).mean()


def test_same_chance_same_photograph():
    one, two = (shoot("keratotic", 5, nuisance=1.0, hair_density=3.0).image for _ in range(2))
    np.testing.assert_array_equal(one, two)
