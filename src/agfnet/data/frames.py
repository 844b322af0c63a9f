"""The frames of a lesion: one path each, whatever files they lie in.

A file of several frames is named once in the table. Here it becomes one path per frame,
`scan.dcm#0`, `scan.dcm#1`, ..., each of which `read_image` reads; a file of one frame keeps its
path. Counting opens files, so it is left to whoever needs a case, and is never done for a whole
table at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agfnet.config import Frames
from agfnet.data.paths import named_frame, with_frame
from agfnet.data.readers import count_frames
from agfnet.errors import ImageError


def expand(files: Sequence[Path]) -> tuple[Path, ...]:
    """The frames of some files, in order.

    Raises:
        ImageError: a file is missing or its header cannot be read.
    """
    return tuple(frame for file in files for frame in _frames(file))


def _frames(file: Path) -> tuple[Path, ...]:
    count = count_frames(file)
    if count == 1:
        return (file,)
    frames = tuple(with_frame(file, number) for number in range(count))
    for frame in frames:
        if named_frame(frame)[1] is None:  # a file has this very name, and would be read instead
            raise ImageError(f"{frame}: is named like a frame of {file.name}; rename this file")
    return frames


def choices(files: Sequence[Path], policy: Frames) -> tuple[Path, ...]:
    """The frames of a lesion that training draws from: all, or the one that the policy names.

    Raises:
        ImageError: as `expand`; `first` opens no file.
    """
    if policy == "first":
        return tuple(files[:1])
    frames = expand(files)
    return frames if policy == "random" else frames[len(frames) // 2 :][:1]
