"""Writing of files: after an interruption at any point, all old files or all new ones."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from agfnet.errors import ConfigError, RunError
from agfnet.files import (
    check_outputs,
    finish_change,
    read_record,
    remove_temporary,
    seal,
    staged_files,
    verify,
    write_text,
)

from .interruption import interruptions


def content(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in verify(folder)}


def change(folder: Path) -> None:
    with staged_files(folder, drop=["dropped", "missing"]) as new:
        write_text(new / "changed", "new")
        write_text(new / "added", "new")


@pytest.mark.parametrize("content", [None, "", "{", "[]", "\udcff"])
def test_a_damaged_record_of_a_run_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "environment.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"no readable environment\.json; expected a run folder"):
        read_record(path)


def test_several_files_change_as_a_whole(tmp_path: Path) -> None:
    before = {"kept": "old", "changed": "old", "dropped": "old"}
    after = {"kept": "old", "changed": "new", "added": "new"}
    ends = set()
    for interruption in interruptions(tmp_path / "folder"):
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, text in before.items():
            (folder / name).write_text(text)
        seal(folder)
        (folder / "notes").write_text("not listed")
        with interruption:
            change(folder)
        finish_change(folder)
        assert content(folder) in (before, after)
        ends.add("added" in content(folder))
        change(folder)
        assert content(folder) == after
        assert {path.name for path in folder.iterdir()} == {*after, "notes", "SHA256SUMS"}
    assert ends == {False, True}


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed when a file is closed, by an error without a name."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space") as error:
        write_text(tmp_path / "a.html", "text")
    assert error.value.filename == str(tmp_path / "a.html")
    with pytest.raises(OSError, match="No space") as error:
        change(tmp_path / "folder")
    assert Path(error.value.filename).is_relative_to(tmp_path / "folder")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.html").mkdir()
    with pytest.raises(OSError, match="Is a directory") as error:
        write_text(tmp_path / "a.html", "text")
    assert error.value.filename == str(tmp_path / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_a_new_folder_is_complete_or_has_no_sums(tmp_path: Path) -> None:
    for interruption in interruptions(tmp_path / "folder"):
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        with interruption:
            change(folder)
        finish_change(folder)
        assert not (folder / "SHA256SUMS").exists() or set(verify(folder)) == {"changed", "added"}


def test_an_error_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    seal(tmp_path)
    with suppress(ValueError), staged_files(tmp_path, drop=["a"]) as new:
        write_text(new / "a", "new")
        raise ValueError
    assert content(tmp_path) == {"a": "old"}
    change(tmp_path)
    assert content(tmp_path) == {"a": "old", "changed": "new", "added": "new"}


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".history.csv.17", "checkpoints/.last.ckpt.99", "history.csv", ".lock", "a.1"):
        (tmp_path / name).touch()
    remove_temporary(tmp_path)
    kept = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert kept == [".lock", "a.1", "history.csv"]


def test_a_command_does_not_overwrite_what_it_reads(tmp_path: Path) -> None:
    table, link, other = tmp_path / "cases.csv", tmp_path / "link.csv", tmp_path / "other.csv"
    table.write_text("a")
    other.write_text("b")
    link.symlink_to(table)
    (tmp_path / "folder").mkdir()
    check_outputs({"json": other, "html": None, "fix": tmp_path / "new"}, [table, tmp_path / "no"])
    for output in (table, str(table), link, tmp_path / "folder" / ".." / "cases.csv"):
        with pytest.raises(ConfigError, match=r"json: .* would be overwritten; name another file"):
            check_outputs({"html": other, "json": output}, [other.with_name("x"), table])
    with pytest.raises(ConfigError, match=r"json: .* is a folder; name a file"):
        check_outputs({"json": tmp_path}, [])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"json: .* is a device or a pipe; name a file"):
        check_outputs({"json": tmp_path / "pipe"}, [])
