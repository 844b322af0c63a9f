import numpy as np
import pytest

from agfnet.errors import ConfigError
from agfnet.phantom.entities import CROSSED, DEPTHS, ENTITIES, ORDINARY, SURFACES, class_table


def typical(name):
    """The typical surface and depth of each presentation."""
    return [(next(iter(p.surface)), next(iter(p.depth))) for p in ENTITIES[name].presentations]


def test_entities_are_well_formed():
    for entity in ENTITIES.values():
        for presentation in entity.presentations:
            assert sum(presentation.surface.values()) == pytest.approx(1)
            assert sum(presentation.depth.values()) == pytest.approx(1)
            assert set(presentation.surface) <= set(SURFACES)
            assert set(presentation.depth) <= set(DEPTHS)


@pytest.mark.parametrize("names", [ORDINARY, CROSSED])
def test_typical_presentations_of_a_preset_differ(names):
    shown = [pair for name in names for pair in typical(name)]
    assert len(set(shown)) == len(shown)
    assert sum(ENTITIES[name].share for name in names) == pytest.approx(1)


def test_ordinary_entities_have_independent_phenotypes():
    table = class_table(atypia=0.7)
    product = table.surface[:, :, None] * table.depth[:, None, :]
    np.testing.assert_allclose(table.pair, product, atol=1e-12)


@pytest.mark.parametrize("atypia", [0.0, 0.4, 1.0])
def test_only_the_combination_distinguishes_crossed_entities(atypia):
    table = class_table(entities=CROSSED, atypia=atypia)
    for benign, malignant in zip(range(0, 8, 2), range(1, 8, 2), strict=True):
        assert not table.malignant[benign]
        assert table.malignant[malignant]
        np.testing.assert_allclose(table.surface[benign], table.surface[malignant], atol=1e-12)
        np.testing.assert_allclose(table.depth[benign], table.depth[malignant], atol=1e-12)
        difference = np.abs(table.pair[benign] - table.pair[malignant]).sum() / 2
        assert difference == pytest.approx((1 - 0.4 * atypia) ** 2)  # total variation


def test_each_phenotype_occurs_in_another_set_of_crossed_pairs():
    """A modality alone then tells its phenotypes apart, so that a network learns to see them."""
    table = class_table(entities=CROSSED, atypia=0.0)
    for shown in (table.surface, table.depth):
        occurs = (shown > 0).T  # (phenotype, class)
        assert len({tuple(row) for row in occurs.tolist()}) == 5


@pytest.mark.parametrize("names", [("naevus",), ("naevus", "naevus"), ("naevus", "wart")])
def test_entities_are_checked(names):
    with pytest.raises(ConfigError, match="entities"):
        class_table(entities=names)
