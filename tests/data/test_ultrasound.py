"""Preparation of ultrasound, on phantom scans whose answer is known."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from agfnet.config import ModalityConfig, PhantomConfig, SkinSurface
from agfnet.data.preprocess import prepare_image
from agfnet.data.readers import Image
from agfnet.data.ultrasound import (
    MIN_SIDE,
    align_skin_surface,
    crop_field_of_view,
    find_annotations,
    find_field_of_view,
    find_skin_surface,
    remove_annotations,
)
from agfnet.phantom.bmode import Grid
from agfnet.phantom.plan import Stream, centre, chance, plans
from agfnet.phantom.presets import resolve
from agfnet.phantom.render import take_sweep
from agfnet.phantom.tissue import section

SIZE = 224


@cache
def scan(number: int = 0, *, calliper: bool = False, doppler: bool = False) -> np.ndarray:
    """(SIZE, SIZE, 3) of the preset with the strongest nuisance."""
    config = PhantomConfig(out="none", lesions=number + 1, size=SIZE, preset="hard", seed=5)
    recipe = resolve(config)
    plan = list(plans(config, recipe))[number]
    plan = replace(plan, frames=1, seen=replace(plan.seen, calliper=calliper))
    place = centre(5, plan.centre, recipe)
    sweep = take_sweep(plan, place, seed=5, size=SIZE, nuisance=recipe.nuisance, doppler=doppler)
    pixels = sweep[0][0]
    return pixels if doppler else np.repeat(pixels[..., None], 3, axis=2)


@cache
def true_skin(number: int) -> np.ndarray:
    """Row of the skin in every column of a scan, from the interface that was drawn."""
    config = PhantomConfig(out="none", lesions=number + 1, size=SIZE, preset="hard", seed=5)
    recipe = resolve(config)
    plan = list(plans(config, recipe))[number]
    place = centre(5, plan.centre, recipe)
    anatomy = section(
        depth=str(plan.depth),
        width=plan.width,
        site=plan.site,
        grid=Grid(place.scanner.field, SIZE),
        scanner=place.scanner,
        rng=chance(5, Stream.ANATOMY, plan.index),
        nuisance=recipe.nuisance,
    )
    echo = np.abs(anatomy.tissue.interface)
    return ((np.arange(len(echo))[:, None] * echo).sum(axis=0) / echo.sum(axis=0) - 0.5) / 2


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


# marks


@pytest.mark.parametrize("number", range(4))
def test_callipers_and_text_go_and_the_rest_stays(number: int):
    plain, marked = scan(number), scan(number, calliper=True)
    clean = remove_annotations(marked)
    drawn = (marked != plain).any(axis=2)
    bright = drawn & (marked[..., 0] - plain[..., 0].astype(int) > 60)
    assert find_annotations(marked)[bright].mean() > 0.75
    assert difference(clean[drawn], plain[drawn]) < difference(marked[drawn], plain[drawn]) / 2
    assert (clean != marked)[~drawn].mean() < 0.004
    text = np.s_[SIZE - 20 :, :80]
    assert find_annotations(clean)[text].sum() <= 0.1 * find_annotations(marked)[text].sum()


@pytest.mark.parametrize("number", range(4))
def test_an_image_without_marks_stays(number: int):
    assert (remove_annotations(scan(number)) != scan(number)).mean() < 0.003


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_coloured_marks(kind: str):
    plain = scan(1)
    canvas = Pillow.fromarray(plain.copy())
    draw = ImageDraw.Draw(canvas)
    for x, y in ((60, 90), (150, 120)):
        draw.line([x - 6, y, x + 6, y], fill=(255, 255, 0))
        draw.line([x, y - 6, x, y + 6], fill=(255, 255, 0))
    draw.text((20, 190), "+ D1 7.4 mm", fill=(60, 255, 60), font=ImageFont.load_default(size=14))
    drawn = np.ptp(np.asarray(canvas), axis=2) > 100
    file = io.BytesIO()
    canvas.save(file, kind, **({"quality": 92} if kind == "JPEG" else {}))
    marked = np.asarray(Pillow.open(file))
    clean = remove_annotations(marked)
    assert (np.ptp(clean, axis=2) > 60).sum() == 0
    assert difference(clean[drawn], plain[drawn]) < difference(marked[drawn], plain[drawn]) / 2
    assert (clean != marked)[~drawn].mean() < (0.01 if kind == "PNG" else 0.03)


def test_colour_doppler_stays():
    flow = next(
        found for found in (scan(n, doppler=True) for n in range(9)) if np.ptp(found, axis=2).any()
    )
    canvas = Pillow.fromarray(flow.copy())
    draw = ImageDraw.Draw(canvas)
    draw.rectangle([90, 60, 130, 90], fill=(220, 40, 20))  # a vessel, and a thin one
    draw.line([90, 100, 130, 120], fill=(20, 60, 230))
    pixels = np.asarray(canvas)
    coloured = np.ptp(pixels, axis=2) >= 60
    assert (remove_annotations(pixels) == pixels)[coloured].all()


def test_small_images_are_left_alone():
    small = scan(0, calliper=True)[: MIN_SIDE - 1]
    assert remove_annotations(small) is small


# field


def screen(pixels: np.ndarray, left: int, top: int) -> np.ndarray:
    canvas = Pillow.new("RGB", (560, 400))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    draw.rectangle([0, 0, 560, 24], fill=(40, 60, 90))
    draw.text((6, 5), "CLINIC  DOE^JANE  MI 0.4", fill="white", font=font)
    draw.text((6, 200), "18 MHz\nG 62\n2D", fill=(220, 220, 120), font=font)
    draw.ellipse([520, 30, 550, 60], fill=(30, 120, 255))
    for row in range(100):
        draw.line([14, 60 + row, 26, 60 + row], fill=(255 - 2 * row,) * 3)
    for row in range(top, top + SIZE, 20):
        draw.line([left + SIZE + 8, row, left + SIZE + 14, row], fill=(200, 200, 200))
    canvas.paste(Pillow.fromarray(pixels), (left, top))
    return np.asarray(canvas)


@pytest.mark.parametrize(("left", "top"), [(100, 80), (180, 120)])
@pytest.mark.parametrize("number", [1, 3])
def test_the_field_on_a_screen(number: int, left: int, top: int):
    field = find_field_of_view(screen(scan(number), left, top))
    assert field is not None
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    assert columns[0] == pytest.approx(left, abs=1)
    assert columns[-1] + 1 == left + SIZE
    assert rows[-1] + 1 == top + SIZE
    # black gel is cropped as far as it is black all over
    assert top <= rows[0] <= top + true_skin(number).max() + 2


def test_a_sector_loses_what_is_beside_it():
    mask = Pillow.new("1", (SIZE, SIZE))
    ImageDraw.Draw(mask).pieslice([-SIZE // 2, -SIZE, 3 * SIZE // 2, SIZE], 60, 120, fill=1)
    fan = np.where(np.asarray(mask)[..., None], np.maximum(scan(1), 20), np.uint8(0))
    shown = screen(fan, 150, 100)
    canvas = Pillow.fromarray(shown)
    ImageDraw.Draw(canvas).text((155, 280), "LOGO", fill="white")  # beside the fan, in its box
    cropped = crop_field_of_view(np.asarray(canvas))
    assert cropped.shape[0] <= SIZE + 4
    assert cropped.shape[1] <= SIZE + 4
    assert cropped.max(axis=2)[-60:, :25].max() < 255
    assert (cropped > 0).sum() == pytest.approx((fan > 0).sum(), rel=0.05)


@pytest.mark.parametrize("value", [0, 128])
def test_nothing_to_find(value: int):
    constant = np.full((150, 200, 3), value, dtype=np.uint8)
    assert find_field_of_view(constant) is None
    assert crop_field_of_view(constant) is constant
    assert remove_annotations(constant) is constant
    assert find_skin_surface(np.zeros((150, 200, 3), np.uint8)) is None
    assert (align_skin_surface(constant[:, :, :] * 0, depth=9) == 0).all()


def test_an_image_without_borders_is_kept():
    pixels = np.random.default_rng(0).integers(60, 200, (200, 180, 3), dtype=np.uint8)
    assert np.abs(np.subtract(crop_field_of_view(pixels).shape, pixels.shape)).max() <= 4


# skin


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("calliper", [False, True])
def test_the_skin_is_found(number: int, calliper: bool):
    line = find_skin_surface(scan(number, calliper=calliper))
    assert line is not None
    error = np.abs(line - true_skin(number))
    assert np.median(error) < 1
    assert np.quantile(error, 0.9) < 2.5


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("depth", [10.0, 60.0])
def test_the_skin_comes_to_the_depth(flatten: bool, depth: float):
    moved = align_skin_surface(scan(2), depth=depth, flatten=flatten)
    assert moved.shape == scan(2).shape
    line = find_skin_surface(moved)
    assert line is not None
    assert np.median(line) == pytest.approx(depth, abs=1)
    if flatten:
        assert np.quantile(np.abs(line - depth), 0.9) <= 2


def test_a_shift_keeps_what_it_moves():
    pixels = scan(2)
    line = find_skin_surface(pixels)
    assert line is not None
    move = round(60 - float(np.median(line)))
    moved = align_skin_surface(pixels, depth=60)
    assert (moved[move:] == pixels[:-move]).all()
    assert moved[:move].max() == 0


def test_tissue_that_begins_at_the_upper_edge_has_its_skin_there():
    whole = scan(0)
    below = whole[int(true_skin(0).max()) + 10 :]
    line = find_skin_surface(np.maximum(below, 60))
    assert line is not None
    assert np.median(line) < 5


def test_no_skin_line_in_noise():
    noise = np.random.default_rng(0).integers(90, 120, (100, 120, 3), dtype=np.uint8)
    noise[:9] = 110
    assert find_skin_surface(noise[9:] - 80) is None


@pytest.mark.parametrize(
    "step", [crop_field_of_view, remove_annotations, lambda p: align_skin_surface(p, depth=9)]
)
def test_a_step_changes_no_input_and_gives_the_same_again(step: Callable[..., np.ndarray]):
    pixels = screen(scan(0, calliper=True), 100, 80)
    before = pixels.copy()
    first = step(pixels)
    assert first.dtype == np.uint8
    assert (pixels == before).all()
    assert (step(before) == first).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 300), (300, 8), (9, 10), (16, 16), (8, 500)])
@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("skin", ["shift", "flatten"])
def test_a_square_whatever_the_image(shape: tuple[int, int], value: int, skin: SkinSurface):
    image = Image(np.full((*shape, 3), value, np.uint8), (0.01, 3.0))
    for scale in (None, 0.001, 10):
        modality = ModalityConfig(
            modality_type="ultrasound",
            crop_field_of_view=True,
            remove_annotations=True,
            pixel_spacing=scale,
            skin_surface=skin,
        )
        square = prepare_image(image, name="x", size=32, modality=modality)
        assert square.shape == (32, 32, 3)
        assert square.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200), seed=st.integers(0, 9))
def test_any_size_goes_through(height: int, width: int, seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert crop_field_of_view(pixels).size
    assert remove_annotations(pixels).shape == pixels.shape
    for flatten in (False, True):
        assert align_skin_surface(pixels, depth=5, flatten=flatten).shape == pixels.shape
