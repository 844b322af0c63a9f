import numpy as np
import pytest

from agfnet.phantom.bmode import Grid, Scanner, envelope, white
from agfnet.phantom.entities import DEPTHS
from agfnet.phantom.tissue import FAT, GEL, SITES, section

GRID, SCANNER = Grid(field=10.0, size=128), Scanner(noise=-300.0)


def cut(depth, seed=0, **settings):
    settings = {"width": 5.0, "site": "trunk", "nuisance": 0.0} | settings
    rng = np.random.default_rng(seed)
    return section(depth=depth, grid=GRID, scanner=SCANNER, rng=rng, **settings)


def echo_level(found, seed=0):
    rng = np.random.default_rng(seed)
    e = envelope(found.tissue, GRID, SCANNER, white(rng, GRID.shape), white(rng, GRID.shape))
    return 20 * np.log10(e + 1e-6)


def below_and_beside(depth):
    """Mean level under the lesion and at the same depth beside it, over several lesions."""
    under, beside = [], []
    for seed in range(6):
        found = cut(depth, seed)
        mask = found.lesion > 0.5
        bottom = np.flatnonzero(mask.any(axis=1)).max() + 6
        rows = slice(bottom, bottom + 25)
        columns = np.flatnonzero(mask.any(axis=0))
        inner = slice(columns.min() + 8, columns.max() - 8)
        level = echo_level(found, seed)
        under.append(level[rows, inner].mean())
        beside.append(level[rows, : columns.min() - 8].mean())
    return np.mean(under), np.mean(beside)


def test_enhancement_behind_a_cyst():
    under, beside = below_and_beside("cystic")
    assert under > beside + 3


def test_shadow_behind_deposits():
    under, beside = below_and_beside("shadowing")
    assert under < beside - 6


def test_neither_behind_a_band():
    under, beside = below_and_beside("band")
    assert under == pytest.approx(beside, abs=3)


@pytest.mark.parametrize("depth", DEPTHS)
def test_mask_lies_where_the_lesion_is_drawn(depth):
    differences = []
    for seed in range(4):
        found = cut(depth, seed)
        mask = found.lesion > 0.5
        assert 0.005 < mask.mean() < 0.4
        rows, columns = np.nonzero(mask)
        aside = np.zeros_like(mask)
        aside[rows.min() : rows.max(), : columns.min() - 3] = True
        level = echo_level(found, seed)
        differences.append(level[mask].mean() - level[aside].mean())
    # a lipoma is brighter than the fat around it; the others are darker than dermis
    assert np.mean(differences) > 2 if depth == "lobular" else np.mean(differences) < -4


@pytest.mark.parametrize("depth", DEPTHS)
def test_lesions_have_their_width_and_stay_in_the_skin(depth):
    found = cut(depth, width=6.0, nuisance=1.0)
    mask = found.lesion > 0.5
    width = np.ptp(np.flatnonzero(mask.any(axis=0))) * GRID.dx
    assert 4.0 < width < 7.0
    assert not mask[: int(0.5 / GRID.dz)].any()


def test_layers_from_gel_to_fat():
    scatter = cut("band", site="arm").tissue.scatter[:, 5]
    assert scatter[0] == pytest.approx(GEL, abs=1)
    at = int((1.1 + 0.7) / GRID.dz)
    assert scatter[at - 8 : at + 8].mean() > -6  # dermis
    deep = cut("band", site="arm").tissue.scatter[int(4.0 / GRID.dz), :]
    assert np.median(deep) < FAT + 8


def test_dermis_thickness_follows_the_site():
    def thickness(site):
        scatter = cut("lobular", site=site).tissue.scatter[:, :8].mean(axis=1)
        return (scatter[: int(5 / GRID.dz)] > -12).sum() * GRID.dz

    assert thickness("trunk") > thickness("arm") + 0.3
    assert SITES["trunk"].dermis > SITES["arm"].dermis


def test_sections_off_the_centre_are_shorter():
    assert cut("cystic", offset=0.6).lesion.sum() < cut("cystic").lesion.sum()


def test_same_chance_same_tissue():
    a, b = cut("infiltrating", 3, nuisance=1.0), cut("infiltrating", 3, nuisance=1.0)
    np.testing.assert_array_equal(a.tissue.scatter, b.tissue.scatter)
    assert a.tissue.scatter.dtype == np.float32
