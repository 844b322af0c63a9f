"""Checks of a study file that need none of its runs: its folder, names and margins."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path

from agfnet.config import StudyFile
from agfnet.errors import ConfigError
from agfnet.metrics.summary import HIGHEST
from agfnet.study.settings import margins, slug

SPLITS = ("train", "val", "test")
"""Of the table of the runs; test is also the name of its results."""


def check_study_file(file: StudyFile, where: str) -> None:
    """Check the folder, names and margins of a study.

    Args:
        file: Content of the study file.
        where: Prefix of error messages: the file.

    Raises:
        ConfigError: The folder would be a file, a name cannot be used, two names cannot be told
            apart, or a margin is too large.
    """
    _check_out(file.out, where)
    groups = {"methods": file.methods, "settings": file.settings, "evaluate": file.evaluate}
    for group, names in groups.items():
        _check_names(names, f"{where}: {group}")
    for name in file.evaluate:
        _check_table_name(name, f"{where}: evaluate.{name}")
    _check_files_of_tables(file, where)
    for names in (file.methods, file.settings, [SPLITS[-1], *file.evaluate]):
        _check_display_names(names, file, where)
    _check_margins(file, where)


def _check_out(out: str, where: str) -> None:
    """Raise ConfigError if the folder of the study would be a file, or within one."""
    if not out.strip():
        raise ConfigError(f"{where}: out: is empty; name a folder")
    for folder in (Path(out), *Path(out).parents):
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{where}: out: {folder} is a file; name a folder")


def _check_names(names: Iterable[str], where: str) -> None:
    """Raise ConfigError for a name that gives no name of a folder or file."""
    for name in names:
        if not slug(name):
            raise ConfigError(
                f"{where}: {name!r} has neither a letter nor a digit; give it a name for its files"
            )


def _check_display_names(names: Iterable[str], file: StudyFile, where: str) -> None:
    """Raise ConfigError if the report would show two methods, settings or tables as the same."""
    first: dict[str, str] = {}
    for name in names:
        shown = file.names.get(name, name)
        if not shown.strip():
            raise ConfigError(f"{where}: names.{name}: is empty; leave it out, or give a name")
        other = first.setdefault(shown, name)
        if other != name:
            raise ConfigError(
                f"{where}: names: {other!r} and {name!r} would both be shown as {shown!r}; "
                "give each another name"
            )


def _check_table_name(name: str, where: str) -> None:
    """Raise ConfigError if a further table cannot have results of this name."""
    if name in SPLITS:
        raise ConfigError(f"{where}: is the name of a split of the table of the runs; rename it")
    if Path(name).name != name or "\\" in name:
        raise ConfigError(f"{where}: expected a plain name, not a path")


def _check_files_of_tables(file: StudyFile, where: str) -> None:
    """Raise ConfigError if two tables of results would have the same files."""
    first: dict[str, str] = {}
    for pair in product(file.settings or [""], [SPLITS[-1], *file.evaluate]):
        files = "-".join(filter(None, map(slug, pair)))
        named = " ".join(repr(name) for name in pair if name)
        other = first.setdefault(files, named)
        if other != named:
            raise ConfigError(
                f"{where}: the results of {other} and of {named} would share the files {files}.*; "
                "rename one"
            )


def _check_margins(file: StudyFile, where: str) -> None:
    """Raise ConfigError for a margin that every difference is below."""
    for metric, margin in margins(file.rope, file.metrics).items():
        highest = HIGHEST.get(metric, 1.0)
        if margin >= highest:
            raise ConfigError(
                f"{where}: rope: {margin:g} is no margin for {metric}, whose highest value is "
                f"{highest:g}; give a difference in units of the metric, such as 0.01"
            )
