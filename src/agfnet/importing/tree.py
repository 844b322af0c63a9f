"""A folder tree: files of the user, and what operating systems and network storages left there."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agfnet.data.heic import can_read_heic
from agfnet.data.problems import MAX_SHOWN
from agfnet.data.write_table import printable

# files of other programs are recognised by name; whether a file is an image, the reader decides by
# its content
HEIC = (".heic", ".heif")
SUFFIXES = (
    *("", ".dcm", ".dicom", ".ima"),
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".jpe", ".jfif"),
    *(HEIC if can_read_heic() else ()),
)
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".iso")
UNREAD = (
    *(".avif", ".jxl"),
    *(".cr2", ".cr3", ".nef", ".arw", ".raf", ".dng", ".orf", ".rw2"),
)
"""Pictures of telephones and cameras that are not read."""
VIDEOS = (".avi", ".mp4", ".mov", ".wmv", ".mpg", ".mpeg", ".mkv", ".m4v")
SYSTEM: dict[str, str] = {
    **dict.fromkeys(("thumbs.db", "ehthumbs.db", "picasa.ini"), "thumbnails"),
    **dict.fromkeys(("desktop.ini", "__macosx", "system volume information"), "system files"),
    **dict.fromkeys(("$recycle.bin", "#recycle", "lost+found", "recycler"), "recycle bin"),
    **dict.fromkeys(("#snapshot", "~snapshot", ".snapshot"), "snapshots"),
    **dict.fromkeys((".trash", ".trashes", "@recycle", "@recently-snapshot"), "recycle bin"),
    **dict.fromkeys(("@eadir", ".@__thumb", ".thumbnails", ".picasaoriginals"), "thumbnails"),
    **dict.fromkeys(("thumbnails", "_thumbnails", "_thumbs"), "thumbnails"),
    **dict.fromkeys((".appledouble", ".ds_store"), "system files"),
    "dicomdir": "DICOM indexes",
}
"""Files and folders of operating systems and network storages, by name in lower case."""
SYSTEM_PREFIXES: dict[str, str] = {
    "._": "system files",
    ".trash": "recycle bin",
    ".": "hidden files",
    "@": "system files",
    "~$": "files that were open in Office",
    "synofile_thumb": "thumbnails",
    "synophoto_thumb": "thumbnails",
}

_THUMBNAIL = re.compile(r"(?P<image>.+?)[ _.-]+(?:thumb|thumbnail|preview)", re.IGNORECASE)
"""Name of a reduced copy next to its image; alone, a thumb may be where the lesion is."""


@dataclass(frozen=True)
class Tree:
    """Paths below the source, relative to it, in natural order."""

    source: Path
    files: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)
    """Links to a folder that holds them; not followed."""
    broken: list[Path] = field(default_factory=list)
    """Links that lead nowhere."""
    undecodable: list[Path] = field(default_factory=list)
    """Files and folders whose names are not UTF-8."""
    unreadable: list[Path] = field(default_factory=list)
    skipped: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """Files and folders of systems, by what they are."""


def system_type(name: str) -> str:
    """Return what a file or folder of an operating system or a storage is; or empty."""
    lower = name.lower()
    if lower in SYSTEM:
        return SYSTEM[lower]
    return next((what for head, what in SYSTEM_PREFIXES.items() if lower.startswith(head)), "")


def walk(source: Path) -> Tree:
    """List a folder. Links are followed, except those to a folder that holds them."""
    tree = Tree(source)

    def denied(error: OSError) -> None:
        tree.unreadable.append(Path(str(error.filename)).relative_to(source))

    for folder, folders, names in os.walk(source, followlinks=True, onerror=denied):
        relative = Path(folder).relative_to(source)
        if not folders and not names:
            tree.empty.append(relative)
        for name in list(folders):
            real = os.path.realpath(Path(folder, name))
            if printable(name) != name:
                tree.undecodable.append(relative / name)
            elif what := system_type(name):
                tree.skipped[what].append(relative / name)
            elif Path(folder, name).is_symlink() and Path(os.path.realpath(folder)).is_relative_to(
                real
            ):
                tree.loops.append(relative / name)
            else:
                continue
            folders.remove(name)
        stems = {Path(name).stem for name in names}
        for name in names:
            copy = _THUMBNAIL.fullmatch(Path(name).stem)
            if printable(name) != name:
                tree.undecodable.append(relative / name)
            elif copy and copy["image"] in stems:
                tree.skipped["thumbnails"].append(relative / name)
            elif what := system_type(name):
                tree.skipped[what].append(relative / name)
            elif not Path(folder, name).exists():
                tree.broken.append(relative / name)
            else:
                tree.files.append(relative / name)
    for paths in (tree.files, tree.empty, tree.loops, tree.broken, tree.undecodable):
        paths.sort(key=natural)
    return tree


def notes(tree: Tree) -> list[str]:
    """Return a line for each group of entries that are not read, with the reason."""
    groups = [
        (tree.empty, "empty folders"),
        (tree.loops, "links that lead back into their own folder, not followed"),
        (tree.broken, "links that lead nowhere, left out; correct them"),
        (tree.undecodable, "names that are not UTF-8, left out; rename the files or folders"),
        (tree.unreadable, "folders that may not be read, left out"),
        *((paths, f"{what}, left out") for what, paths in tree.skipped.items()),
    ]
    return [listed(paths, what) for paths, what in groups if paths]


def listed(paths: Sequence[Path], what: str) -> str:
    """Return a number of things in words, with their paths; equal names are counted."""
    counts = Counter(str(path) for path in paths)
    if len(paths) > 3 and len({path.name for path in paths}) == 1:
        counts = Counter(path.name for path in paths)
    shown = [
        printable(name) + (f" ({count} times)" if count > 1 else "")
        for name, count in list(counts.items())[:MAX_SHOWN]
    ]
    return f"{len(paths)} {what}: {', '.join(shown)}" + ", …" * (len(counts) > MAX_SHOWN)


def reason_unread(path: Path) -> str:
    """Return why a file is no image by its name, and what to do; empty for an image."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return ""
    if suffix in ARCHIVES:
        return "archives, left out (unpack them below the folder of the images)"
    if suffix in VIDEOS:
        return "videos, left out (export their frames as PNG, or save them as DICOM)"
    if suffix in HEIC:
        return "HEIC photographs, left out (pip install 'agfnet[heic]', or export them as JPEG)"
    if suffix in UNREAD:
        return "photographs in a format that is not read, left out (export them as JPEG)"
    return "files that are no images by their names, left out"


def sort_out(tree: Tree, without: Path) -> tuple[list[Path], list[str]]:
    """Return the images of a tree by their names, and a line about each kind of other files.

    Args:
        tree: of files.
        without: a file that is neither, below the source or elsewhere.
    """
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for path in tree.files:
        if tree.source / path != without:
            groups[reason_unread(path)].append(path)
    images = groups.pop("", [])
    return images, [listed(paths, what) for what, paths in groups.items()]


def natural(path: Path) -> list[list[tuple[int, str]]]:
    """Return a key that orders numbers in names by value, and names that differ by case."""
    return [
        [
            *((int(n), "") if n.isdecimal() else (-1, n) for n in re.split(r"(\d+)", part.lower())),
            (-1, part),
        ]
        for part in path.parts
    ]
