"""What an ultrasound screen has beside tissue, and where the skin begins: found in the pixels.

Each step stands alone, takes pixels and gives pixels; what finds nothing changes nothing.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull

Pixels = NDArray[np.uint8]
"""(H, W, 3), RGB."""
Mask = NDArray[np.bool_]
"""(H, W)."""
Box = tuple[slice, slice]
"""Rows and columns."""

# field: grey levels
TEXTURE = 4  # least difference within 3 x 3 pixels of an echo; areas drawn by the screen have none
BLACK = 2  # brightest background; text has much of it between its strokes
# marks: grey levels
WHITE = 200  # darkest stroke
EDGE = 80  # least step, from one pixel to the next, at both sides of a stroke
PURE, PURE_EDGE = 254, 60  # a stroke in pure white needs less of a step
FLAT = 30  # largest difference along a stroke's width
BLURRED = 80  # least contrast of the parts of a mark whose edges are not sharp
COLOURED = 60  # least difference of the channels of a coloured stroke
SHARP = 0.35  # least share of sharp strokes in a mark; echoes have fewer
DOPPLER = 0.002  # share of the image in wide coloured areas from which it is colour Doppler
SHINE = 60  # least brightness that a mark adds to what is next to it
SMALL = 128  # pixels of a side below which no marks are looked for
# skin line
CLEAR = 40  # grey levels by which the skin is brighter than what lies above it
STEEP = 6  # grey levels that each row of a slope must be worth


def crop_field(pixels: Pixels) -> Pixels:
    """Crop to the ultrasound image on a screen, a sector or a rectangle, and blacken the rest.

    Completely black gel above the skin cannot be told from the background, and is cropped too.
    """
    field = find_field(pixels)
    if field is None:
        return pixels
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(field[box][..., None], pixels[box], np.uint8(0))


def find_field(pixels: Pixels) -> Mask | None:
    """The convex hull of the largest textured area, without what is thin, as text and scales are.

    None if there is no such area.
    """
    grey = pixels.max(axis=2)
    contrast = ndimage.maximum_filter(grey, 3) - ndimage.minimum_filter(grey, 3)
    textured = (contrast >= TEXTURE) & (grey > BLACK)
    step = max(1, min(grey.shape) // 256)  # places need not be known to the pixel
    rows, columns = (side // step for side in grey.shape)
    cells = textured[: rows * step, : columns * step].reshape(rows, step, columns, step)
    reach = max(3, min(rows, columns) // 12)
    share = ndimage.uniform_filter(cells.mean(axis=(1, 3), dtype=np.float32), reach // 2)
    dense = share > 0.5
    core = ndimage.maximum_filter(ndimage.minimum_filter(dense, reach), reach)
    names, count = ndimage.label(core)
    if not count:
        return None
    largest = 1 + np.argmax(np.bincount(names.ravel())[1:])
    # the corners that a square does not reach into
    field = dense & ndimage.maximum_filter(names == largest, reach)
    return _hull(field, step, grey.shape)


def _hull(field: Mask, step: int, shape: tuple[int, ...]) -> Mask:
    """The convex hull of cells of `step` pixels, as a mask of this shape."""
    rows = np.flatnonzero(field.any(axis=1))
    left = field[rows].argmax(axis=1)
    right = field.shape[1] - field[rows, ::-1].argmax(axis=1)
    above = np.stack([np.concatenate([left, right]), np.tile(rows, 2)], axis=1)
    points = step * np.concatenate([above, above + np.array([0, 1])])
    # a cell ends at the pixel before the next one, and the pixel on a corner is drawn
    ends = np.stack(
        [np.tile(np.arange(len(above)) >= len(rows), 2), np.arange(len(points)) >= len(above)],
        axis=1,
    )
    outline = (points - ends)[ConvexHull(points).vertices]
    canvas = Pillow.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in outline], fill=1)
    return np.asarray(canvas)


def remove_marks(pixels: Pixels) -> Pixels:
    """Fill callipers, dotted lines and text with the mirror image of what lies beside them.

    Mirrored and not smoothed: a smooth patch in speckle would be a mark again.
    """
    marks = find_marks(pixels)
    if not marks.any():
        return pixels
    around = ndimage.binary_dilation(marks, np.ones((3, 3)))
    places = np.nonzero(around)
    at = np.stack(places)  # (2, N)
    nearest = ndimage.distance_transform_edt(around, return_distances=False, return_indices=True)
    beside = nearest[:, *places]
    mirrored = np.clip(2 * beside - at, 0, np.array(around.shape)[:, None] - 1)
    source = np.where(around[tuple(mirrored)], beside, mirrored)
    filled = pixels[tuple(source)]
    # next to a mark, only what it shines into
    glow = pixels[places].max(axis=1).astype(int) - filled.max(axis=1) > SHINE
    change = marks[places] | glow
    clean = pixels.copy()
    clean[tuple(at[:, change])] = filled[change]
    return clean


def find_marks(pixels: Pixels) -> Mask:
    """Strokes that were drawn into an image: coloured ones, and white ones with sharp edges.

    Speckle and interfaces are blurred by the beam; a drawn stroke steps from white to tissue within
    a pixel, on both sides. So this is for images as the device saved them, not for enlarged or
    reduced ones; in small ones, speckle is as sharp as a stroke, and nothing is found.
    """
    if min(pixels.shape[:2]) < SMALL:
        return np.zeros(pixels.shape[:2], dtype=np.bool_)
    grey = pixels.min(axis=2).astype(np.int16)  # dark where there is colour
    widest = int(np.clip(min(grey.shape) // 200, 3, 6))
    frame = np.pad(grey, widest + 1, mode="edge")
    inside = np.s_[widest + 1 : -widest - 1, widest + 1 : -widest - 1]
    sharp = _strokes(frame, inside, widest)
    parts = sharp | _thin(frame, inside, widest)
    names, count = ndimage.label(parts, np.ones((3, 3)))
    whole = np.bincount(names.ravel(), minlength=count + 1)
    drawn = np.bincount(names[sharp], minlength=count + 1)
    marks: Mask = ((drawn >= SHARP * whole) & (drawn > 0))[names]
    return marks | _coloured(pixels, widest)


def _strokes(frame: NDArray[np.int16], inside: Box, widest: int) -> Mask:
    """Pixels of runs across a stroke: white and even, with a sharp edge at both ends.

    Args:
        frame: grey levels with a margin.
        inside: the image in it.
        widest: longest run.
    """
    grey, found = frame.ravel(), np.zeros(frame.shape, dtype=np.bool_)
    at = _bright(frame, inside, WHITE)
    for step, length in itertools.product(_steps(frame), range(1, widest + 1)):
        run = np.stack([grey[at + k * step] for k in range(length)])
        darkest = run.min(axis=0)
        least = np.where(darkest >= PURE, PURE_EDGE, EDGE)
        hit = darkest >= np.maximum(grey[at - step], grey[at + length * step]) + least
        hit &= (darkest >= WHITE) & (run.max(axis=0) - darkest <= FLAT)
        for k in range(length):
            found.ravel()[at[hit] + k * step] = True
    return found[inside]


def _thin(frame: NDArray[np.int16], inside: Box, widest: int) -> Mask:
    """Pixels clearly brighter than their surroundings on both sides, in some direction."""
    grey, found = frame.ravel(), np.zeros(frame.shape, dtype=np.bool_)
    at = _bright(frame, inside, WHITE - BLURRED)
    for step, k in itertools.product(_steps(frame), range(1, widest + 1)):
        sides = np.maximum(grey[at - k * step], grey[at + k * step])
        found.ravel()[at[grey[at] >= sides + BLURRED]] = True
    return found[inside]


def _bright(frame: NDArray[np.int16], inside: Box, least: int) -> NDArray[np.int_]:
    """Positions in the flat frame of the image's pixels of this brightness: they are few."""
    bright = np.zeros(frame.shape, dtype=np.bool_)
    bright[inside] = frame[inside] >= least
    return np.flatnonzero(bright)


def _steps(frame: NDArray[np.int16]) -> tuple[int, ...]:
    """From a pixel to its neighbours right, below and on both diagonals, in the flat frame."""
    row = frame.shape[1]
    return 1, row, row + 1, row - 1


def _coloured(pixels: Pixels, widest: int) -> Mask:
    """Coloured strokes; none where wide coloured areas say that this is colour Doppler."""
    colour = pixels.max(axis=2) - pixels.min(axis=2)
    coloured: Mask = colour >= COLOURED
    wide = ndimage.minimum_filter(coloured, 2 * widest + 1)
    if not coloured.any() or wide.mean() >= DOPPLER:
        return np.zeros_like(coloured)
    # JPEG smears colour beyond the stroke
    smeared = colour >= COLOURED // 2
    return ndimage.binary_dilation(coloured, np.ones((3, 3)), iterations=widest, mask=smeared)


def align_skin(pixels: Pixels, *, depth: float, flatten: bool = False) -> Pixels:
    """Move an image up or down until its skin line lies at this row; black moves in.

    Args:
        pixels: (H, W, 3).
        depth: row of the skin line.
        flatten: move every column by itself, instead of the image as a whole.
    """
    line = skin_line(pixels)
    if line is None:
        return pixels
    height, width = pixels.shape[:2]
    line = ndimage.median_filter(line, max(3, width // 20), mode="nearest") if flatten else line
    move = np.rint(depth - (line if flatten else np.median(line))).astype(int)
    rows = np.arange(height)[:, None] - move
    inside = (rows >= 0) & (rows < height)
    moved = pixels[np.clip(rows, 0, height - 1), np.arange(width)]
    return np.where(inside[..., None], moved, np.uint8(0))


def skin_line(pixels: Pixels) -> NDArray[np.float64] | None:
    """Row of the entry echo in every column (W,), or None where there is no clear line.

    It is the path from left to right, in the upper half, with the strongest step from what lies
    above, all of it, to the bright line below: gel is dark, and deeper interfaces have skin above
    them. Steep paths must be worth it.
    """
    grey = pixels.max(axis=2).astype(np.float32)
    height, width = grey.shape
    grey = ndimage.uniform_filter1d(grey, max(3, width // 60), axis=1, mode="nearest")
    step = _step(grey, max(2, height // 50))[: max(1, height // 2)]
    path = _best_path(step, steepest=2 * max(1, round(height / width)))
    columns = np.arange(width)
    if np.median(step[path, columns]) < CLEAR:
        return None
    # from the upper edge of the line to its brightest row
    reach = np.minimum(path + np.arange(max(2, height // 50))[:, None], height - 1)
    brightest = path + grey[reach, columns].argmax(axis=0)
    return brightest.astype(np.float64)


def _step(grey: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Brightness of `reach` rows from here on, less that of those before, or of all before."""
    height = len(grey)
    total = np.pad(np.cumsum(grey, axis=0), ((1, 0), (0, 0)))  # (H + 1, W)
    rows = np.arange(height)
    start, end = np.maximum(rows - reach, 0), np.minimum(rows + reach, height)

    def mean(first: NDArray[np.int_], last: NDArray[np.int_]) -> NDArray[np.float32]:
        count = np.maximum(last - first, 1).astype(np.float32)
        return (total[last] - total[first]) / count[:, None]

    return mean(rows, end) - np.maximum(mean(start, rows), mean(np.zeros_like(rows), rows))


def _best_path(step: NDArray[np.float32], steepest: int) -> NDArray[np.int_]:
    """Rows (W,) of the path with the largest sum, less `STEEP` for each row up or down."""
    height, width = step.shape
    slopes = np.arange(-steepest, steepest + 1)
    came = np.empty((width, height), dtype=np.int_)
    best = step[:, 0]
    for column in range(1, width):
        padded = np.pad(best, steepest, constant_values=-np.inf)
        options = np.lib.stride_tricks.sliding_window_view(padded, len(slopes))
        options = options - STEEP * np.abs(slopes)  # (H, slopes)
        choice = options.argmax(axis=1)
        came[column] = np.arange(height) + slopes[choice]
        best = options.max(axis=1) + step[:, column]
    path = np.empty(width, dtype=np.int_)
    path[-1] = best.argmax()
    for column in range(width - 1, 0, -1):
        path[column - 1] = came[column, path[column]]
    return path
