"""De-identified copy of a folder of images, or of a cases table with its images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from agfnet.config import DeidentifyConfig
from agfnet.data.dicom import is_dicom
from agfnet.data.folds import FOLD
from agfnet.data.paths import named_frame, names_file, split_box, with_box, with_frame
from agfnet.data.problems import near
from agfnet.data.table import Case, CasesTable, cell_paths, find_modalities, read_cases, write_cases
from agfnet.deidentify.names import Names, new_key, read_key
from agfnet.deidentify.photos import strip_photo
from agfnet.deidentify.tags import deidentify_dicom
from agfnet.errors import DISK_FULL, ConfigError, DataError, ImageError
from agfnet.files import replacing_folder

Progress = Callable[[int, int], None]  # files done, files in all
SYSTEM = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class DeidentifyReport:
    """Result of `deidentify`."""

    files: int
    burned_in: tuple[Path, ...]
    """Sources that state that identifying text is burnt into their pixels."""
    dropped: tuple[str, ...]
    """Columns of the table that were left out."""
    key: Path
    """The file with the secret key."""


def deidentify(config: DeidentifyConfig, *, progress: Progress | None = None) -> DeidentifyReport:
    """Write `config.out` completely, or nothing.

    A folder becomes the same tree with folders and files renamed. A table becomes `cases.csv` with
    new lesion and patient ids, and the folder `images`. Names are keyed hashes of the ids and of
    the paths below the source, so that the same key gives the same names again.

    Raises:
        ConfigError: the paths contradict each other, the key is unusable, or a column is unknown.
        DataError: `config.out` or the mapping exist, the table has problems, or files cannot be
            processed: all of them are listed, and nothing is written.
    """
    source, out, mapping = Path(config.source), Path(config.out), Path(config.mapping or "")
    _check_paths(source, out, mapping)
    key_file = Path(config.key_file) if config.key_file else mapping.with_suffix(".key")
    key = read_key(key_file) if config.key_file else new_key()
    if not config.key_file:
        _check_new(key_file)
    names = Names(key)
    with replacing_folder(out) as folder:
        if source.is_dir():
            stems = {path: _tree_name(path.relative_to(source), names) for path in _files(source)}
            _, burned_in = _copy(stems, folder, names, progress)
            dropped: Sequence[str] = ()
        else:
            table = _read(config)
            stems = {path: _image_name(path, table, names) for path in _images(table)}
            copies, burned_in = _copy(stems, folder, names, progress)
            dropped = _dropped(table, config.keep)
            cases = [_renamed(case, copies, names, config.keep) for case in table]
            cases.sort(
                key=lambda case: case.lesion_id
            )  # the order of the original names would reveal them
            write_cases(cases, folder / "cases.csv", modalities=table.modalities)
        if not config.key_file:
            _write_secret(key_file, key.decode() + "\n")
        _write_secret(mapping, names.mapping())
    return DeidentifyReport(len(stems), tuple(burned_in), tuple(dropped), key_file)


def _check_paths(source: Path, out: Path, mapping: Path) -> None:
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; expected a cases table or images")
    _check_new(out)
    _check_new(mapping)
    if mapping.resolve().is_relative_to(out.resolve()):
        raise ConfigError(
            f"mapping: {mapping} is in {out}; keep it in a folder that is never shared"
        )
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"out: {out} is in {source}; choose a folder outside")


def _check_new(path: Path) -> None:
    if path.exists():
        raise DataError(f"{path}: exists already; choose another name or delete it first")


def _write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(
        path,
        "x",
        encoding="utf-8",
        newline="",
        opener=lambda name, flags: os.open(name, flags, 0o600),
    ) as file:
        file.write(text)


def _files(source: Path) -> list[Path]:
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    files = [p for p in paths if not p.name.startswith(".") and p.name.lower() not in SYSTEM]
    if not files:
        raise DataError(f"{source}: there are no files in this folder")
    return files


def _tree_name(path: PurePath, names: Names) -> PurePath:
    """Return the new name of a file, without a suffix, in folders with new names."""
    folders = [names.name("directory", parent.as_posix()) for parent in list(path.parents)[-2::-1]]
    return PurePath(*folders, names.name("file", path.as_posix()))


def _image_name(path: Path, table: CasesTable, names: Names) -> PurePath:
    relative = os.path.relpath(path, table.path.parent).replace(os.sep, "/")
    return PurePath("images", names.name("file", relative))


def _read(config: DeidentifyConfig) -> CasesTable:
    modalities = config.modalities or find_modalities(config.source)
    table = read_cases(config.source, modalities=modalities)
    columns = {name for case in table for name in case.attributes}
    for name in config.keep:
        if name not in columns:
            raise ConfigError(f"keep: there is no column {name!r}; {near(name, columns)}")
        paths = (path for case in table for path in cell_paths(case.attributes[name]))
        if any(names_file(table.path.parent / path) for path in paths):
            raise ConfigError(f"keep: {name!r} names files; name it under --modalities instead")
    return table


def _images(table: CasesTable) -> list[Path]:
    """Return every image and mask file once."""
    paths = (
        path
        for case in table
        for files in (*case.images.values(), *case.masks.values())
        for path in files
    )
    return list(dict.fromkeys(named_frame(path)[0] for path in paths))


def _copy(
    stems: dict[Path, PurePath], folder: Path, names: Names, progress: Progress | None
) -> tuple[dict[Path, Path], list[Path]]:
    """Copy files; return the path of each copy, and the sources with burnt-in text."""
    copies: dict[Path, Path] = {}
    burned_in, faults = [], []
    for done, (source, stem) in enumerate(stems.items(), start=1):
        target = folder / stem
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with source.open("rb") as file:
                dicom = is_dicom(file.read(132))
            if dicom:
                copies[source] = target.with_suffix(".dcm")
                if deidentify_dicom(source, copies[source], names):
                    burned_in.append(source)
            else:
                content, suffix = strip_photo(source.read_bytes())
                copies[source] = target.with_suffix(suffix)
                copies[source].write_bytes(content)
        except ImageError as error:
            faults.append(f"{source}: {error}")
        except OSError as error:
            if error.errno in DISK_FULL:  # of the copies, not of this file
                error.filename = str(folder.parent)
                raise
            faults.append(f"{source}: cannot be read: {error.strerror}")
        if progress:
            progress(done, len(stems))
    if faults:
        raise DataError(
            "\n".join(
                [*faults, f"nothing was written, because {len(faults)} files cannot be processed"]
            )
        )
    return copies, burned_in


def _dropped(table: CasesTable, keep: Sequence[str]) -> list[str]:
    columns = dict.fromkeys(name for case in table for name in case.attributes)
    return [name for name in columns if name not in (*keep, FOLD)]


def _renamed(case: Case, copies: dict[Path, Path], names: Names, keep: Sequence[str]) -> Case:
    def moved(path: Path) -> Path:
        file, frame = named_frame(path)
        return with_box(with_frame(copies[file], frame), split_box(path)[1])

    return replace(
        case,
        lesion_id=names.name("lesion", case.lesion_id),
        patient_id=names.name("patient", case.patient_id),
        images={name: tuple(map(moved, paths)) for name, paths in case.images.items()},
        masks={name: tuple(map(moved, paths)) for name, paths in case.masks.items()},
        attributes={k: cell for k, cell in case.attributes.items() if k in (*keep, FOLD)},
    )
