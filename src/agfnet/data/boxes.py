"""The box column of a modality: the part of each image that is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agfnet.data.case import JOIN, box_column
from agfnet.data.paths import Box, box_text, check_box, parse_box, split_box, with_box
from agfnet.data.problems import Problems
from agfnet.data.readers import upright_size
from agfnet.data.rows import Row
from agfnet.data.spelling import is_placeholder
from agfnet.errors import ImageError


def add_boxes(
    paths: tuple[Path, ...], row: Row, modality: str, problems: Problems, *, check_files: bool
) -> tuple[Path, ...]:
    """Add the boxes of a row to the paths of its images, and the problems of the cell.

    Args:
        paths: the images of the modality, in the order of the cell.
        row: the row of the table.
        modality: the name of the modality.
        problems: where to add problems.
        check_files: compare the boxes with the sizes of the images, from their headers.

    Returns:
        The paths of the images, or of parts of them.
    """
    column = box_column(modality)
    cell = row.cells.get(column, "").strip()
    if not cell or is_placeholder(cell):
        return paths
    texts = [text.strip() for text in cell.split(JOIN)]
    if len(texts) != len(paths):
        problems.add(
            f"{cell!r} has {len(texts)} boxes for {len(paths)} images under {modality}; expected a"
            f" box for each image, joined by {JOIN!r}, or nothing between two {JOIN!r} for none",
            row=row.line,
            column=column,
            finding="box",
        )
        return paths
    boxed = []
    for path, text in zip(paths, texts, strict=True):
        box: Box | None = None
        try:
            if text:
                box = parse_box(text)
                _compare(path, box, check_files=check_files)
        except ValueError as error:
            problems.add(f"{path.name}: {error}", row=row.line, column=column, finding="box")
        boxed.append(with_box(path, box))
    return tuple(boxed)


def _compare(path: Path, box: Box, *, check_files: bool) -> None:
    """Raise ValueError if a box ends beyond its image, or the path has a box already."""
    if split_box(path)[1] is not None:
        raise ValueError("the path has a box, too; give one of them")
    if not check_files:
        return
    try:
        size = upright_size(path)
    except ImageError:
        return  # reported when it is read
    check_box(box, size)


def boxes_cell(paths: Sequence[Path]) -> str:
    """Return the cell with the boxes of images; empty if none has one."""
    boxes = [split_box(path)[1] for path in paths]
    if not any(boxes):
        return ""
    return JOIN.join("" if box is None else box_text(box) for box in boxes)
