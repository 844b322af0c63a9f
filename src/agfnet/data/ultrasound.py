"""Field of view, annotations and skin surface of an ultrasound image, found in its pixels.

The steps are independent of each other: each takes pixels and returns pixels, unchanged if it finds
nothing.
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

# field of view: grey levels
TEXTURE = 4  # smallest difference within 3 x 3 pixels of an echo; drawn areas have none
BLACK = 2  # brightest background; text has much of it between its strokes
# annotations: grey levels
WHITE = 200  # darkest stroke
EDGE = 80  # smallest step, from one pixel to the next, at both sides of a stroke
PURE, PURE_EDGE = 254, 60  # a stroke in pure white needs less of a step
FLAT = 30  # largest difference along a stroke's width
BLURRED = 80  # smallest contrast of the parts of an annotation whose edges are not sharp
COLOURED = 60  # smallest difference of the channels of a coloured stroke
SHARP = 0.35  # smallest fraction of sharp strokes in an annotation; echoes have fewer
DOPPLER = 0.002  # fraction of the image in wide coloured areas from which it is colour Doppler
GLOW = 60  # smallest brightness that an annotation adds to what is next to it
MIN_SIDE = 128  # pixels of a side below which no annotations are looked for
# skin surface
CLEAR = 40  # grey levels by which the skin is brighter than what lies above it
STEEP = 6  # grey levels that each row of a slope must be worth


def crop_field_of_view(pixels: Pixels) -> Pixels:
    """Crop to the ultrasound image on a screen, a sector or a rectangle, and blacken the rest.

    Completely black gel above the skin looks like the background and is cropped as well.
    """
    field = find_field_of_view(pixels)
    if field is None:
        return pixels
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(field[box][..., None], pixels[box], np.uint8(0))


def find_field_of_view(pixels: Pixels) -> Mask | None:
    """Return the convex hull of the largest textured area, without thin parts such as text.

    None if there is no such area.
    """
    grey = pixels.max(axis=2)
    contrast = ndimage.maximum_filter(grey, 3) - ndimage.minimum_filter(grey, 3)
    textured = (contrast >= TEXTURE) & (grey > BLACK)
    step = max(1, min(grey.shape) // 256)  # positions need not be exact to the pixel
    rows, columns = (side // step for side in grey.shape)
    cells = textured[: rows * step, : columns * step].reshape(rows, step, columns, step)
    reach = max(3, min(rows, columns) // 12)
    fraction = ndimage.uniform_filter(cells.mean(axis=(1, 3), dtype=np.float32), reach // 2)
    dense = fraction > 0.5
    core = ndimage.maximum_filter(ndimage.minimum_filter(dense, reach), reach)
    labels, count = ndimage.label(core)
    if not count:
        return None
    largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
    # the corners that a square does not reach into
    field = dense & ndimage.maximum_filter(labels == largest, reach)
    return _hull(field, step, grey.shape)


def _hull(field: Mask, step: int, shape: tuple[int, ...]) -> Mask:
    """Return the convex hull of cells of `step` pixels, as a mask of this shape."""
    rows = np.flatnonzero(field.any(axis=1))
    first = field[rows].argmax(axis=1)
    last = field.shape[1] - field[rows, ::-1].argmax(axis=1)
    above = np.stack([np.concatenate([first, last]), np.tile(rows, 2)], axis=1)
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


def remove_annotations(pixels: Pixels) -> Pixels:
    """Fill callipers, dotted lines and text with the mirror image of what lies next to them.

    It is mirrored and not smoothed, because a smooth patch in speckle would be visible again.
    """
    annotations = find_annotations(pixels)
    if not annotations.any():
        return pixels
    around = ndimage.binary_dilation(annotations, np.ones((3, 3)))
    positions = np.nonzero(around)
    at = np.stack(positions)  # (2, N)
    nearest = ndimage.distance_transform_edt(around, return_distances=False, return_indices=True)
    neighbour = nearest[:, *positions]
    mirrored = np.clip(2 * neighbour - at, 0, np.array(around.shape)[:, None] - 1)
    source = np.where(around[tuple(mirrored)], neighbour, mirrored)
    filled = pixels[tuple(source)]
    # next to an annotation, only what it shines into
    glow = pixels[positions].max(axis=1).astype(int) - filled.max(axis=1) > GLOW
    change = annotations[positions] | glow
    clean = pixels.copy()
    clean[tuple(at[:, change])] = filled[change]
    return clean


def find_annotations(pixels: Pixels) -> Mask:
    """Find strokes that were drawn into an image: coloured ones, and white ones with sharp edges.

    Speckle and interfaces are blurred by the beam; a drawn stroke steps from white to tissue within
    a pixel, on both sides. This works on images as the device saved them, not on enlarged or
    reduced ones. In small images speckle is as sharp as a stroke, and nothing is searched.
    """
    if min(pixels.shape[:2]) < MIN_SIDE:
        return np.zeros(pixels.shape[:2], dtype=np.bool_)
    grey = pixels.min(axis=2).astype(np.int16)  # dark where there is colour
    widest = int(np.clip(min(grey.shape) // 200, 3, 6))
    frame = np.pad(grey, widest + 1, mode="edge")
    inside = np.s_[widest + 1 : -widest - 1, widest + 1 : -widest - 1]
    sharp = _strokes(frame, inside, widest)
    parts = sharp | _thin(frame, inside, widest)
    labels, count = ndimage.label(parts, np.ones((3, 3)))
    whole = np.bincount(labels.ravel(), minlength=count + 1)
    drawn = np.bincount(labels[sharp], minlength=count + 1)
    white: Mask = ((drawn >= SHARP * whole) & (drawn > 0))[labels]
    return white | _coloured(pixels, widest)


def _strokes(frame: NDArray[np.int16], inside: Box, widest: int) -> Mask:
    """Find the pixels of runs across a stroke: white and even, with a sharp edge at both ends.

    Args:
        frame: grey levels with a margin.
        inside: the image within the margin.
        widest: longest run.
    """
    grey, strokes = frame.ravel(), np.zeros(frame.shape, dtype=np.bool_)
    at = _bright(frame, inside, WHITE)
    for step, length in itertools.product(_steps(frame), range(1, widest + 1)):
        run = np.stack([grey[at + k * step] for k in range(length)])
        darkest = run.min(axis=0)
        edge = np.where(darkest >= PURE, PURE_EDGE, EDGE)
        hit = darkest >= np.maximum(grey[at - step], grey[at + length * step]) + edge
        hit &= (darkest >= WHITE) & (run.max(axis=0) - darkest <= FLAT)
        for k in range(length):
            strokes.ravel()[at[hit] + k * step] = True
    return strokes[inside]


def _thin(frame: NDArray[np.int16], inside: Box, widest: int) -> Mask:
    """Find pixels that are clearly brighter than both sides of them in some direction."""
    grey, strokes = frame.ravel(), np.zeros(frame.shape, dtype=np.bool_)
    at = _bright(frame, inside, WHITE - BLURRED)
    for step, k in itertools.product(_steps(frame), range(1, widest + 1)):
        sides = np.maximum(grey[at - k * step], grey[at + k * step])
        strokes.ravel()[at[grey[at] >= sides + BLURRED]] = True
    return strokes[inside]


def _bright(frame: NDArray[np.int16], inside: Box, threshold: int) -> NDArray[np.int_]:
    """Return the positions in the flat frame of pixels of this brightness: they are few."""
    bright = np.zeros(frame.shape, dtype=np.bool_)
    bright[inside] = frame[inside] >= threshold
    return np.flatnonzero(bright)


def _steps(frame: NDArray[np.int16]) -> tuple[int, ...]:
    """Return the steps in the flat frame to the right, lower and diagonal neighbours."""
    row = frame.shape[1]
    return 1, row, row + 1, row - 1


def _coloured(pixels: Pixels, widest: int) -> Mask:
    """Find coloured strokes; none where wide coloured areas indicate colour Doppler."""
    colour = pixels.max(axis=2) - pixels.min(axis=2)
    coloured: Mask = colour >= COLOURED
    wide = ndimage.minimum_filter(coloured, 2 * widest + 1)
    if not coloured.any() or wide.mean() >= DOPPLER:
        return np.zeros_like(coloured)
    # JPEG smears colour beyond the stroke
    smeared = colour >= COLOURED // 2
    return ndimage.binary_dilation(coloured, np.ones((3, 3)), iterations=widest, mask=smeared)


def align_skin_surface(pixels: Pixels, *, depth: float, flatten: bool = False) -> Pixels:
    """Move an image up or down until its skin surface lies at a row; black moves in.

    Args:
        pixels: (H, W, 3).
        depth: row of the skin surface.
        flatten: move every column separately instead of the image as a whole.
    """
    line = find_skin_surface(pixels)
    if line is None:
        return pixels
    height, width = pixels.shape[:2]
    line = ndimage.median_filter(line, max(3, width // 20), mode="nearest") if flatten else line
    move = np.rint(depth - (line if flatten else np.median(line))).astype(int)
    rows = np.arange(height)[:, None] - move
    inside = (rows >= 0) & (rows < height)
    moved = pixels[np.clip(rows, 0, height - 1), np.arange(width)]
    return np.where(inside[..., None], moved, np.uint8(0))


def find_skin_surface(pixels: Pixels) -> NDArray[np.float64] | None:
    """Return the row of the entry echo in every column (W,), or None if there is no clear line.

    It is the path from left to right in the upper half with the strongest step from everything
    above it to the bright line below: gel is dark, and deeper interfaces have skin above them.
    Each row of a slope costs `STEEP`.
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
    """Return the mean of the next `reach` rows minus that of the near or of all rows before."""
    height = len(grey)
    total = np.pad(np.cumsum(grey, axis=0), ((1, 0), (0, 0)))  # (H + 1, W)
    rows = np.arange(height)
    start, end = np.maximum(rows - reach, 0), np.minimum(rows + reach, height)

    def mean(first: NDArray[np.int_], last: NDArray[np.int_]) -> NDArray[np.float32]:
        count = np.maximum(last - first, 1).astype(np.float32)
        return (total[last] - total[first]) / count[:, None]

    return mean(rows, end) - np.maximum(mean(start, rows), mean(np.zeros_like(rows), rows))


def _best_path(step: NDArray[np.float32], steepest: int) -> NDArray[np.int_]:
    """Return the rows (W,) of the path with the largest sum minus `STEEP` for each row of slope."""
    height, width = step.shape
    slopes = np.arange(-steepest, steepest + 1)
    previous = np.empty((width, height), dtype=np.int_)
    best = step[:, 0]
    for column in range(1, width):
        padded = np.pad(best, steepest, constant_values=-np.inf)
        options = np.lib.stride_tricks.sliding_window_view(padded, len(slopes))
        options = options - STEEP * np.abs(slopes)  # (H, slopes)
        choice = options.argmax(axis=1)
        previous[column] = np.arange(height) + slopes[choice]
        best = options.max(axis=1) + step[:, column]
    path = np.empty(width, dtype=np.int_)
    path[-1] = best.argmax()
    for column in range(width - 1, 0, -1):
        path[column - 1] = previous[column, path[column]]
    return path
