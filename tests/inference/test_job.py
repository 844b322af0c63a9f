from __future__ import annotations

import json
from pathlib import Path

import pytest

from agfnet.errors import DataError, RunError
from agfnet.inference.job import Job, part_of

IDENTITY = {"table": "1", "model": "2", "shard": None}


def job(folder: Path, **identity: str) -> Job:
    tables = {folder / "a.csv": ["x", "y"], folder / "b.csv": ["z"]}
    return Job(file=folder / "a.csv.job", headers=tables, identity=IDENTITY | identity)


def begin(folder: Path) -> None:
    """Two rows kept, a third only begun."""
    with job(folder) as work:
        work.add(folder / "a.csv", [["1", "with\nline"], [2, ""]])
        work.add(folder / "b.csv", [[1], [2]])
        work.save(done=2, skipped=1)
        work.add(folder / "a.csv", [[3, 3]])
    with part_of(folder / "b.csv").open("a") as file:
        file.write("3 and half a r")


def test_tables_get_their_names_at_the_end(tmp_path: Path) -> None:
    with job(tmp_path) as work:
        work.add(tmp_path / "a.csv", [["1", "2"]])
        assert not (tmp_path / "a.csv").exists()
        work.finish()
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_what_was_not_kept_is_cut_off(tmp_path: Path) -> None:
    begin(tmp_path)
    with job(tmp_path) as work:
        assert (work.done, work.skipped) == (2, 1)
        work.add(tmp_path / "a.csv", [[3, 4]])
        work.finish(without=[tmp_path / "b.csv"])
    assert (tmp_path / "a.csv").read_text() == 'x,y\n1,"with\nline"\n2,\n3,4\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_temporary_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / ".a.csv.job.4711").write_text("{")
    with job(tmp_path) as work:
        work.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("stop", [0, 1])
def test_a_stop_between_the_names_is_made_good(
    tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)
    replace, calls = Path.replace, iter(range(9))

    def fail(path: Path, target: Path) -> Path:
        if path.suffix == ".part" and next(calls) == stop:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, job(tmp_path) as work:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            work.finish()
    with job(tmp_path) as work:
        assert work.finished
        work.finish()
    assert (tmp_path / "b.csv").read_text() == "z\n1\n2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_another_job_is_not_gone_on_with(tmp_path: Path) -> None:
    begin(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(RunError, match=r"another table and shard; delete .*a\.csv\.job to start"),
        job(tmp_path, table="9", shard="1/2"),
    ):
        pass
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "a.csv.job").unlink()
    with job(tmp_path, table="9") as work:
        assert work.done == 0
        work.finish()
    assert (tmp_path / "a.csv").read_text() == "x,y\n"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}', '{"identity": {}, "done": 1}'])
def test_a_damaged_job_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv.job").write_text(text)
    with pytest.raises(RunError, match="is damaged; delete") as error, job(tmp_path):
        pass
    assert "\n" not in str(error.value)


def test_a_table_that_lost_rows_is_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    part_of(tmp_path / "b.csv").write_text("z\n")
    with pytest.raises(DataError, match="shorter than recorded"), job(tmp_path):
        pass
    part_of(tmp_path / "b.csv").unlink()
    with pytest.raises(DataError, match="missing or"), job(tmp_path):
        pass


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with job(tmp_path), pytest.raises(RunError, match="another process"), job(tmp_path):
        pass


def test_a_folder_in_the_way_is_found_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(RunError, match="is a folder"), job(tmp_path):
        pass


def test_a_full_disk_is_told_and_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)
    with job(tmp_path) as work, monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("os.fsync", full)
        with pytest.raises(DataError, match=r"No space left on device; fix this and run the same"):
            work.save(done=3, skipped=1)
    assert json.loads((tmp_path / "a.csv.job").read_text())["done"] == 2
    with job(tmp_path) as work:
        assert work.done == 2
