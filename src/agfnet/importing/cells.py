"""Cells that name files: paths, names without a folder or an extension, folders, several in one."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from agfnet.data.problems import near
from agfnet.importing.ids import key
from agfnet.importing.tree import SUFFIXES, reason_unread


class Cells:
    """Finds the files that a cell names.

    Args:
        root: folder of the files.
        files: images, relative to it.
        others: other files, which explain why a name is not found.
    """

    def __init__(self, root: Path, files: Sequence[Path], others: Sequence[Path] = ()) -> None:
        self.root = root
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_folder: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_number: defaultdict[str, list[Path]] = defaultdict(list)
        self._files = set(files)
        self._others = {_folded(path.name): path for path in others if path not in self._files}
        for path in files:
            folded = _folded(path.as_posix())
            parts = folded.split("/")
            stem = re.sub(r"\.[a-z]{2,5}$", "", folded).split("/")
            for names in (parts, stem):
                for start in range(len(names)):
                    name = "/".join(names[start:])
                    if path not in self._by_name[name][-1:]:
                        self._by_name[name].append(path)
            if number := re.search(r"(\d{3,})\D*$", path.stem):
                self._by_number[number[1].lstrip("0")].append(path)
            for end in range(1, len(parts)):
                for start in range(end):
                    self._by_folder["/".join(parts[start:end])].append(path)

    def names_file(self, cell: str) -> bool:
        """Return whether a cell names at least one file or folder."""
        return any(self._look_up(name) for name in self._names(cell))

    def find(self, cell: str, hints: Sequence[str]) -> tuple[list[Path], list[str]]:
        """Return the files that a cell names, and the names for which there are none.

        Args:
            cell: of the spreadsheet.
            hints: ids of the row: of several files of the name, those whose path has most of them.
        """
        paths: list[Path] = []
        missing = []
        for name in self._names(cell):
            options = self._look_up(name)
            if not options:
                missing.append(name)
            elif len(options) > 1 and _folded(_relative(name)) not in self._by_folder:
                best = _by_hints(options, hints)
                missing += [] if len(best) == 1 else [name]
                paths += best if len(best) == 1 else []
            else:
                paths += options
        return list(dict.fromkeys(paths)), missing

    def hint(self, name: str) -> str:
        """Return the end of a message about a name for which there is no single file."""
        options = self._look_up(name)
        if options:
            listed = ", ".join(repr(str(path)) for path in options[:3])
            return f" once: there are {listed}; write the folder too"
        if other := self._others.get(_folded(Path(_relative(name)).name)):
            return f": it is one of the {reason_unread(other)}"
        return "; " + near(Path(_relative(name)).name, [path.name for path in self._files])

    def _names(self, cell: str) -> Iterator[str]:
        """Yield the names in a cell, separated by `|`, line ends, or what `_split` knows.

        A part is one name (`Smith, John/1.png`) if it is that of a file and its pieces are not: a
        path is found by its end, so that `1.png; a/2.png` as a whole would be the second file.
        """
        for part in re.split(r"[|\n\r]+", cell):
            pieces = _split(part)
            files = all(self._look_up(name) or _is_image(name) for name in pieces)
            names = [part] if not files and self._look_up(part) else pieces
            yield from (name.strip().strip("\"'") for name in names)

    def _look_up(self, name: str) -> list[Path]:
        plain = _relative(name)
        options = self._by_end(plain)
        if not options and "%" in plain:
            plain = unquote(plain)
            options = self._by_end(plain)
        exact = [path for path in options if plain.endswith(path.name)]  # by case
        return exact if len(exact) == 1 else options

    def _by_end(self, plain: str) -> list[Path]:
        try:
            inside = (
                Path(plain).resolve().relative_to(self.root.resolve()) if "/" in plain else None
            )
        except (ValueError, OSError):
            inside = None
        folded = _folded(str(inside) if inside is not None else plain)
        parts = folded.strip("/").split("/")
        suffix = Path(parts[-1]).suffix
        for start in range(len(parts)):  # a path on another machine: its end is here
            end = "/".join(parts[start:])
            for options in (self._by_name, self._by_folder):
                if end in options:
                    return options[end]
                shorter = end.removesuffix(suffix) if suffix in SUFFIXES else end
                if shorter != end and options is self._by_name and shorter in options:
                    return options[shorter]
        # the number that the camera gave: 4000 for IMG_4000.JPG
        return self._by_number.get(plain.lstrip("0"), []) if re.fullmatch(r"\d{3,}", plain) else []


def _split(part: str) -> list[str]:
    """Split at what separates files, and may also be within the name of one."""
    names = re.split(r";|,\s*|\s+(?=\S+\.\w{2,5}(?:\s|$))|\s+\+\s+|\s+&\s+", part)
    return [name for name in names if name.strip(" \"'")]


def _is_image(name: str) -> bool:
    suffix = Path(_relative(name)).suffix.lower()
    return bool(suffix) and suffix in SUFFIXES


def _relative(name: str) -> str:
    plain = name.strip().strip("\"'").replace("\\", "/")
    plain = re.sub(r"^(?:file:)?/*[A-Za-z]:/|^\./", "", plain)
    return re.sub(r"#\d+$", "", plain)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _by_hints(options: Sequence[Path], hints: Sequence[str]) -> list[Path]:
    """Return the paths that hold most of the ids of a row."""

    def score(path: Path) -> int:
        text = f"-{key(path.as_posix())}-"
        return sum(f"-{key(hint)}-" in text for hint in hints)

    best = max(map(score, options))
    return [path for path in options if score(path) == best] if best else list(options)
