"""Paths that name one frame of a file, or a part of its image.

`scan.dcm#3` is frame 3 of a file, counted from 0. `photo.jpg#xywh=40,60,800,800` is the box of an
image whose left upper corner is at x 40 and y 60, with its width and height, in pixels of the
upright image (W3C Media Fragments URI 1.0). `scan.dcm#3#xywh=40,60,800,800` is both. Such a path
goes wherever the path of a file goes, so that training, evaluation, prediction and the cache of
prepared images need to know nothing of boxes. A file whose own name ends like that takes
precedence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

StrPath = str | os.PathLike[str]
Box = tuple[int, int, int, int]
"""x, y, width, height, in pixels of the upright image."""

MIN_SIDE = 8
"""Fewest rows and columns of an image: less is a line, such as a script that cuts images leaves."""
BOX_MARK = "#xywh="


def named_frame(path: StrPath) -> tuple[Path, int | None]:
    """Split a path such as `scan.dcm#3` into the file and the number of the frame, from 0.

    A box in the path is left out.
    """
    path, _ = split_box(path)
    name, _, number = path.name.rpartition("#")
    if name and number.isascii() and number.isdigit() and not path.exists():
        return path.with_name(name), int(number)
    return path, None


def names_file(path: Path) -> bool:
    """Return whether a path is a file, or names a frame or a part of one; a long text does not."""
    try:
        return named_frame(path)[0].is_file()
    except OSError:
        return False


def split_box(path: StrPath) -> tuple[Path, Box | None]:
    """Split a path such as `photo.jpg#xywh=40,60,800,800` into that without box, and the box."""
    path = path if isinstance(path, Path) else Path(path)
    name, mark, text = path.name.rpartition(BOX_MARK)
    if not mark or not name or path.exists():
        return path, None
    try:
        return path.with_name(name), parse_box(text)
    except ValueError:  # the name of a file, which then is missing
        return path, None


def with_frame(path: Path, frame: int | None) -> Path:
    """Return the path of a frame of a file, with the box of the path."""
    plain, box = split_box(path)
    return with_box(plain if frame is None else plain.with_name(f"{plain.name}#{frame}"), box)


def with_box(path: Path, box: Box | None) -> Path:
    """Return the path of a part of an image."""
    if box is None:
        return path
    return path.with_name(f"{path.name}{BOX_MARK}{','.join(map(str, box))}")


def parse_box(text: str) -> Box:
    """Read a box: four whole numbers x, y, width and height, separated by spaces or commas.

    Raises:
        ValueError: the text is no box; the message says why.
    """
    cells = re.split(r"[\s,;]+", text.strip())
    numbers = [int(float(cell)) for cell in cells if re.fullmatch(r"\d{1,9}(\.0*)?", cell)]
    if len(numbers) != len(cells) or len(numbers) != 4:
        raise ValueError(
            f"{text!r} is not a box; expected x, y, width and height in pixels of the upright"
            " image, as in '40 60 800 800'"
        )
    x, y, width, height = numbers
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"the box {text!r} is {width} x {height} pixels; expected at least {MIN_SIDE} pixels in"
            " width and in height"
        )
    return x, y, width, height


def box_text(box: Sequence[int]) -> str:
    """Write a box as a cell of the cases table."""
    return " ".join(map(str, box))


def check_box(box: Box, size: tuple[int, int]) -> None:
    """Check that a box lies within an upright image.

    Args:
        box: the box.
        size: width and height of the image.

    Raises:
        ValueError: it does not.
    """
    x, y, width, height = box
    if x + width > size[0] or y + height > size[1]:
        raise ValueError(
            f"has the box '{box_text(box)}', which ends at x {x + width}, y {y + height},"
            f" beyond the image of {size[0]} x {size[1]} pixels; expected x, y, width and height"
            " in pixels of the upright image"
        )
