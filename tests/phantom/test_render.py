import numpy as np
import pytest

from agfnet.config import PhantomConfig
from agfnet.phantom.doppler import overlay
from agfnet.phantom.plan import centre, plans
from agfnet.phantom.presets import PRESETS
from agfnet.phantom.render import measure, take_photo, take_sweep

RECIPE = PRESETS["easy"]
PLANS = list(plans(PhantomConfig(out="x", lesions=12), RECIPE))
LOOK = {"seed": 0, "size": 96, "nuisance": 0.4}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.lesion_id)
def test_views_have_the_shape_that_was_asked(plan):
    place = centre(0, plan.centre, RECIPE)
    photo = take_photo(plan, place, **LOOK)
    assert photo.image.shape == (96, 96, 3)
    assert photo.image.dtype == np.uint8
    frames = take_sweep(plan, place, **LOOK)
    assert len(frames) == plan.frames
    for image, mask in frames:
        assert image.shape == mask.shape == (96, 96)
        assert 20 < image.mean() < 200  # neither black nor white


def test_callipers_measure_the_lesion():
    mask = np.zeros((128, 128))
    mask[40:60, 30:90] = 1
    image = measure(np.zeros((128, 128), np.uint8), mask, 0.1)
    assert image.ndim == 2
    assert image[50 - 5 : 50 + 5, 30].max() == 255
    assert image[50 - 5 : 50 + 5, 89].max() == 255
    assert image[110:].max() > 150  # the distance in words
    empty = np.zeros((128, 128), np.uint8)
    assert measure(empty, np.zeros((128, 128)), 0.1) is empty


def test_doppler_colours_a_vascular_lesion_inside_its_box_only():
    mask = np.zeros((128, 128), np.float32)
    mask[40:80, 40:90] = 1
    grey = np.full((128, 128), 90, np.uint8)
    rng = np.random.default_rng(0)
    flow = overlay(grey, mask, depth="infiltrating", spacing=0.08, rng=rng).astype(int)
    coloured = np.ptp(flow, axis=2) > 0
    assert coloured.sum() > 30
    assert not coloured[:25].any()
    assert not coloured[:, 105:].any()
    none = overlay(grey, np.zeros_like(mask), depth="band", spacing=0.08, rng=rng)
    assert (none == 90).all()
