"""Regions of a DICOM image, and its pixel spacing, as the header states them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

Spacing = tuple[float, float]
"""Pixel spacing: distance of neighbouring rows and of neighbouring columns in millimetres."""
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_TWO_DIMENSIONAL, _TISSUE, _CENTIMETRES = 1, 1, 3  # the codes of a region
_MIN_REGION = 16  # rows and columns of a region that is taken for an image
_SQUARE, _MAX_ASPECT = 0.01, 20  # ratios that are rounding errors, and that no device makes
_REGION_TOLERANCE = 2  # pixels that a region may reach beyond the image: devices count differently


def largest_region(
    header: Dataset, shape: tuple[int, ...]
) -> tuple[tuple[int, int, int, int] | None, Spacing | None]:
    """Return the largest region of 2D tissue and its pixel spacing.

    A region that reaches beyond the image was stated for a larger one, of which this is a reduced
    copy or a part: then no region is believed.

    Returns:
        Top, bottom, left and right, the ends not included, in an image of this shape (H, W); and
        the pixel spacing if it is stated in centimetres. None for what is missing.
    """
    best, area = None, 0
    for region in items_of(header, "SequenceOfUltrasoundRegions"):
        names = ("MinY0", "MaxY1", "MinX0", "MaxX1")
        corners = [region.get(f"RegionLocation{name}") for name in names]
        if not all(isinstance(corner, int) for corner in corners):
            continue
        y0, y1, x0, x1 = corners  # the ends included
        beyond = max(-y0, -x0, y1 + 1 - shape[0], x1 + 1 - shape[1])
        if beyond > _REGION_TOLERANCE:
            return None, None
        box = max(y0, 0), min(y1 + 1, shape[0]), max(x0, 0), min(x1 + 1, shape[1])
        height, width = box[1] - box[0], box[3] - box[2]
        layout = region.get("RegionSpatialFormat"), region.get("RegionDataType")
        if layout != (_TWO_DIMENSIONAL, _TISSUE) or height * width <= area:
            continue
        if min(height, width) >= _MIN_REGION:
            best, area = (box, _physical_delta(region)), height * width
    return best or (None, None)


def items_of(dataset: Dataset, name: str) -> list[Dataset]:
    """Return the items of a sequence; none if it is missing or is not a sequence."""
    from pydicom import Dataset

    value = dataset.get(name)
    items = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else []
    return [item for item in items if isinstance(item, Dataset)]


def _physical_delta(region: Dataset) -> Spacing | None:
    units = [region.get(f"PhysicalUnits{axis}Direction") for axis in "XY"]
    if units != [_CENTIMETRES, _CENTIMETRES]:
        return None
    return _spacing([region.get(f"PhysicalDelta{axis}") for axis in "YX"], 10)


def pixel_spacing(header: Dataset) -> Spacing | None:
    """Return the pixel spacing of the whole image, if it is stated."""
    for name in SPACINGS:
        if spacing := _spacing(header.get(name)):
            return spacing
    return None


def pixel_aspect(header: Dataset, spacing: Spacing | None) -> float:
    """Return the height of a pixel relative to its width, from its spacing or as it is stated.

    It is 1 where nothing is stated, where only rounding makes it differ, and where no device has
    such pixels.
    """
    row, column = spacing or _spacing(header.get("PixelAspectRatio")) or (1, 1)
    aspect = row / column
    if abs(aspect - 1) <= _SQUARE or max(aspect, 1 / aspect) > _MAX_ASPECT:
        return 1
    return aspect


def _spacing(values: Any, factor: float = 1) -> Spacing | None:
    """Return row and column spacing, if these are two lengths; decimal commas are accepted."""
    try:
        row, column = (factor * abs(float(str(value).replace(",", "."))) for value in values)
    except (TypeError, ValueError):
        return None
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None
