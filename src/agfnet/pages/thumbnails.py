"""Small copies of images for pages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from agfnet.errors import ImageError

SIDE = 160
"""Pixels of the longer side."""


def data_uri(read: Callable[[], Any], side: int = SIDE) -> str:
    """Return a small copy of an image as a data URI; a grey square where it cannot be read.

    Args:
        read: returns pixels (H, W, 3), uint8.
        side: pixels of the longer side.
    """
    try:
        image = Image.fromarray(read())
    except ImageError:
        image = Image.new("RGB", (side, side), "grey")
    image.thumbnail((side, side))
    file = BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
