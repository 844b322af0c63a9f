"""Cells of a cases table that name image files: their columns, paths and problems."""

from __future__ import annotations

import logging
import os
import re
import stat
import unicodedata
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from agfnet.config import default_modalities
from agfnet.data.case import COLUMNS, JOIN, mask_column
from agfnet.data.paths import named_frame
from agfnet.data.problems import Problems, StrPath
from agfnet.data.rows import Row, read_rows
from agfnet.data.spelling import INVISIBLE, is_placeholder
from agfnet.errors import DataError

TRIED = 50
"""Cells of a column that are looked up as files whatever they look like, and folders in which a
missing file is looked for."""
_OTHER_JOINS = ("+", "&", "\uff5c", "\uff1b", "\uff0c", "\u3001", " ")
"""Signs that join paths in a cell, where the text before them is the path of a file."""
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""The beginning of a path with a drive or a server."""
_IMAGE = re.compile(r"\.(jpe?g|png|tiff?|webp|bmp|gif|dcm|dicom|ima)(#\d+)?$", re.IGNORECASE)


def find_modalities(path: StrPath) -> tuple[str, ...]:
    """Return the image columns of a table.

    A column is one if a cell of it names a file. For the usual modalities, and for columns with
    masks, a cell with the suffix of an image is enough, so that wrong paths are reported.

    Raises:
        DataError: the table cannot be read, or it has no such column.
    """
    table = Path(path).absolute()
    rows = read_rows(table, Problems(path), required=("lesion_id",))
    masks = {mask_column(name) for name in rows.columns}
    candidates = [name for name in rows.columns if name not in {*COLUMNS, *masks}]
    known = {*default_modalities(), *(n for n in candidates if mask_column(n) in rows.columns)}
    tried: Counter[str] = Counter()
    like_paths: Counter[str] = Counter()
    images: set[str] = set()
    for row in rows.rows:
        for name in candidates:
            cell = row.cells[name].split(JOIN)[0].strip()
            if not cell or name in images:
                continue
            like_path = _IMAGE.search(cell) is not None
            tried[name] += not is_placeholder(cell)
            like_paths[name] += like_path
            if (like_path and name in known) or (
                (like_path or tried[name] <= TRIED) and names_file(cell, table.parent)
            ):
                images.add(name)
        if len(images) == len(candidates):
            break
    if not images:
        raise DataError(f"{path}: no column holds the path of a file; name the image columns")
    for name in candidates:
        if name in images or not tried[name]:
            continue
        paths = 2 * like_paths[name] > tried[name]
        if paths or name in known:
            logging.getLogger(__name__).warning(
                "%s column %s: %s; it is kept as text. To use it, correct the paths, or name it"
                " under --modalities",
                *(path, name),
                "holds paths of images, but none of these files exists"
                if paths
                else "should hold paths of images, but no cell is the path of a file",
            )
    return tuple(name for name in candidates if name in images)


def names_file(cell: str, folder: Path) -> bool:
    """Return whether a cell begins with the path of a file."""
    try:
        return bool(cell) and named_frame(folder / cell.split(JOIN)[0].strip())[0].is_file()
    except (OSError, ValueError):  # text that is too long for a name, or no text of a path
        return False


def counts_as_empty(name: str, folder: Path) -> bool:
    """Return whether a name is a placeholder such as `nan`, and no file is called that.

    A formula is none: its result may be a path.
    """
    if len(name) >= 20 or name.startswith("="):
        return False
    return is_placeholder(name) and not (folder / name).exists()


class PathCells:
    """Reads cells with paths, relative to the folder of the table."""

    def __init__(self, table: Path, problems: Problems, *, check_files: bool) -> None:
        self.folder = table.parent
        self._table = table
        self._problems = problems
        self._check_files = check_files
        self._real: dict[Path, str] = {}
        self._listings: dict[Path, dict[str, str]] = {}

    def read(self, row: Row, column: str) -> tuple[Path, ...]:
        """Return the paths of a cell, and add its problems."""
        cell = row.cells[column]
        names = [name.strip() for name in cell.split(JOIN) if name.strip()]
        kept = [name for name in names if not counts_as_empty(name, self.folder)]
        if len(kept) < len(names):
            names = kept
            message = f"{cell!r} counts as an empty cell: no image; empty the cell"
            self._problems.note(message, row=row.line, column=column, finding="image_placeholder")
        paths = tuple(map(self._path, names))
        faults = []
        if len(set(paths)) < len(paths):
            faults.append(("path_repeated", "lists a path twice; list each image once"))
        if self._check_files:
            faults += filter(None, map(self._file_fault, names, paths))
        for finding, fault in faults:
            self._problems.add(fault, row=row.line, column=column, finding=finding)
        return paths

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if ".." not in name:
            return path
        # by the file system and not as text: above a linked folder is where its target lies
        if path.parent not in self._real:
            self._real[path.parent] = os.path.realpath(path.parent)
        return Path(self._real[path.parent], path.name)

    def _file_fault(self, name: str, path: Path) -> tuple[str, str] | None:
        """Return the finding and the message if a path does not lead to a file with content."""
        try:
            status = named_frame(path)[0].stat()
        except OSError as error:
            reason = f"{name!r} cannot be found at {path} ({error.strerror})"
            return "file_missing", f"{reason}; {self._fix_of_missing(name, path)}"
        if stat.S_ISDIR(status.st_mode):
            return "file_folder", f"{name!r} is a folder; expected an image file"
        if not status.st_size:
            return "file_empty", f"{name!r} is an empty file; copy the image again"
        return None

    def _fix_of_missing(self, name: str, path: Path) -> str:
        if tail := self._existing_end(name):
            return f"there is {tail!r}: write it so, relative to the table, with / between folders"
        if _WINDOWS.match(name) and os.name != "nt":
            return "it is a path of Windows: write it relative to the table, with / between folders"
        if name.startswith("="):
            return "it is a formula: export the table again with its results"
        if "\\" in name:
            return "write / between folders"
        if name[0] in "~$%":
            return f"write the path in full, without {name[0]!r}"
        with suppress(OSError):  # a name that is too long, a folder that may not be read
            file = named_frame(path)[0]
            broken = (p for p in (file, *file.parents) if p.is_symlink() and not p.exists())
            if link := next(broken, None):
                shown = os.path.relpath(link, self.folder)
                return f"the target of the link {shown!r} is not there: correct or copy it"
            if existing := self._in_other_case(file):
                shown = os.path.relpath(existing, self.folder)
                return f"there is {shown!r}, which differs by case or Unicode form: correct it"
        real = Path(os.path.realpath(self._table))
        if self._table.is_symlink() and names_file(name, real.parent):
            return f"the table is a link; name the table itself, {str(real)!r}, next to its images"
        plain = unquote(name.strip("\"'[](),; ").removeprefix("file://"))
        if plain != name and names_file(plain, self.folder):
            return (
                f"there is {plain!r}: write it so, without quotes, brackets, file:// and codes "
                "such as %20"
            )
        if "://" in name:
            return "download the file, and write its path"
        for separator in (*";,\n", *_OTHER_JOINS):
            parts = [part.strip() for part in name.split(separator)]
            if len(parts) > 1 and (separator in ";,\n" or names_file(parts[0], self.folder)):
                return f"several paths are joined by {JOIN!r}, not by {separator!r}"
        if other := self._with_other_suffix(path):
            shown = os.path.relpath(other, self.folder)
            return f"there is {shown!r}, which differs by its ending: correct it"
        if elsewhere := self._in_another_folder(name):
            return f"there is {elsewhere!r}, in another folder: correct the path"
        if name.isalnum() and len(name) <= 5:  # such as 0 or no
            return "correct the path, or empty the cell if there is no image"
        return "correct the path or copy the file there"

    def _existing_end(self, name: str) -> str:
        """Return the end of a path of another computer or with backslashes that is a file here."""
        parts = name.replace("\\", "/").split("/")
        if "\\" not in name and not _WINDOWS.match(name) and name[0] not in "/~$":
            return ""
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((end for end in ends if end != name and names_file(end, self.folder)), "")

    def _in_another_folder(self, name: str) -> str:
        """Return the path with a folder more or fewer at its beginning, if that is a file.

        An archive of a folder has this folder above all paths.
        """
        entries = self._listing(self.folder).values()
        above = [f"{folder}/{name}" for folder in entries if len(entries) <= TRIED]
        paths = [path for path in (name.partition("/")[2], *above) if names_file(path, self.folder)]
        return paths[0] if len(paths) == 1 else ""

    def _with_other_suffix(self, path: Path) -> Path | None:
        """Return the one file of the same name with another ending, or with one at all."""
        folder = self._listing(path.parent)
        stems = {path.name.casefold(), path.stem.casefold()}
        same = [entry for entry in folder.values() if Path(entry).stem.casefold() in stems]
        return path.parent / same[0] if len(same) == 1 else None

    def _listing(self, folder: Path) -> dict[str, str]:
        """Return the names in a folder by their folded form; none if it cannot be read."""
        if folder not in self._listings:
            self._listings[folder] = {}
            with suppress(OSError):
                names = (entry.name for entry in folder.iterdir())
                self._listings[folder] = {_folded(name): name for name in names}
        return self._listings[folder]

    def _in_other_case(self, path: Path) -> Path | None:
        """Return an existing path that differs by case, Unicode form or invisible characters."""
        if path.exists() or path == path.parent:
            return path
        folder = self._in_other_case(path.parent)
        if folder is None or not folder.is_dir():
            return None
        entry = self._listing(folder).get(_folded(path.name))
        return None if entry is None else folder / entry


def _folded(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if c not in INVISIBLE)
    return unicodedata.normalize("NFC", plain.casefold())
