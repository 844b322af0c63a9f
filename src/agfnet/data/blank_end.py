"""Uncompressed images whose last rows are missing: a copy stopped, and zeros fill its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agfnet.errors import ImageError

_ROWS_COMPARED = 4
_STRAIGHT, _CUT = 50, 32  # fractions of the width: sides that are straight, and what is missing


def check_blank_end(rows: NDArray[Any]) -> None:
    """Check that the rows of an image do not stop in the middle of one.

    A black border begins with a whole row. A copy that stopped, on a disk that had reserved the
    whole file, ends at any pixel: all after it are alike, although the rows above are wider. One
    that stopped exactly at the end of a row cannot be distinguished from a border, and is accepted:
    where rows end at the limits of disk sectors, true borders begin there as well.

    Args:
        rows: (H, W) or (H, W, C), in the order of the file.

    Raises:
        ImageError: without a name of the file; they do.
    """
    fill = rows[-1, -1]
    if (rows[-1] != fill).any():
        return
    content = rows != fill
    if content.ndim == 3:
        content = content.any(axis=2)
    last = int(np.flatnonzero(content.any(axis=1))[-1:].sum())
    if last < _ROWS_COMPARED:  # one colour, or too little to judge
        return
    starts, ends = zip(
        *(_extent(content[row]) for row in range(last - _ROWS_COMPARED, last + 1)), strict=True
    )
    width = rows.shape[1]
    straight = max(1, width // _STRAIGHT)
    missing = min(ends[:-1]) - ends[-1]
    stops = (
        max(starts) - min(starts) <= straight
        and max(ends[:-1]) - min(ends[:-1]) <= straight
        and min(missing, ends[-1] - starts[-1]) >= max(2, width // _CUT)
    )
    if stops and _continues(rows[last - 1 : last + 1, starts[-1] : ends[-1]].astype(float), fill):
        raise ImageError(
            f"is damaged or truncated: its data end in row {last + 1} of {len(rows)}; copy or "
            "export it again"
        )


def _extent(content: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first column of a row with content, and the one behind the last."""
    columns = np.flatnonzero(content)
    return (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 0)


def _continues(pair: NDArray[np.float64], fill: Any) -> bool:
    """Return whether the second of two rows looks like the first, unlike the edge of a shape."""
    above, row = pair
    return bool(np.abs(row - above).mean() < np.abs(above - fill).mean() / 2)
