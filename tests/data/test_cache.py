from __future__ import annotations

import copy
import logging
import os
import pickle
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from agfnet.config import ModalityConfig
from agfnet.data import cache as module
from agfnet.data import store
from agfnet.data.cache import ImageCache, identity

SIDE = 64
KEY = identity(size=SIDE, modality=ModalityConfig())
Touch = Callable[[str], Path]


def pixels(value: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, dtype=np.uint8)


def never() -> np.ndarray:
    raise AssertionError("made again")


def kept(cache: ImageCache, path: Path, value: int, key: bytes = KEY) -> bool:
    """Whether the image of this value is kept; an image of another value is a failure."""
    found = cache.image(path, key, lambda: pixels(255))
    assert found.shape == (SIDE, SIDE, 3)
    assert (found == 255).all() or (found == value).all()
    return bool((found == value).all())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> ImageCache:
    return ImageCache(folder=folder, max_bytes=2**24)


@pytest.fixture
def touch(tmp_path: Path) -> Touch:
    """Writes a file; what is in it plays no part."""

    def write(name: str) -> Path:
        (tmp_path / name).write_bytes(b"x")
        return tmp_path / name

    return write


def test_an_image_is_made_once(cache: ImageCache, folder: Path, touch: Touch):
    path = touch("a.png")
    cache.image(path, KEY, lambda: pixels(7))
    again = ImageCache(folder=folder, max_bytes=2**24)
    for other in (cache, pickle.loads(pickle.dumps(cache)), again):
        assert (other.image(path, KEY, never) == 7).all()


def test_a_changed_file_is_read_again_and_no_other(cache: ImageCache, touch: Touch):
    paths = [touch(name) for name in "abc"]
    for value, path in enumerate(paths):
        cache.image(path, KEY, lambda value=value: pixels(value))
    os.utime(paths[0], ns=(0, 1))
    paths[1].write_bytes(b"longer")
    for value, path in enumerate(paths[:2], start=10):
        assert (cache.image(path, KEY, lambda value=value: pixels(value)) == value).all()
    assert [kept(cache, path, value) for path, value in zip(paths, (10, 11, 2), strict=True)] == [
        True
    ] * 3
    assert cache.store.open().execute("SELECT count(*) FROM images").fetchone() == (3,)


def test_a_file_that_changes_while_it_is_read(cache: ImageCache, touch: Touch):
    path = touch("a.png")

    def slow() -> np.ndarray:
        path.write_bytes(b"changed")
        return pixels(1)

    cache.image(path, KEY, slow)
    assert (cache.image(path, KEY, lambda: pixels(2)) == 2).all()


def test_a_missing_file_is_not_kept(cache: ImageCache, tmp_path: Path):
    assert (cache.image(tmp_path / "none", KEY, lambda: pixels(1)) == 1).all()
    assert (cache.image(tmp_path / "none", KEY, lambda: pixels(2)) == 2).all()


def test_everything_that_decides_pixels_is_in_the_identity(monkeypatch: pytest.MonkeyPatch):
    usual = ModalityConfig()
    found = {identity(size=size, modality=usual) for size in (64, 65)}
    for field in fields(ModalityConfig):
        changed = copy.copy(usual)
        object.__setattr__(changed, field.name, "other")  # whether the settings allow it or not
        found.add(identity(size=64, modality=changed))
    assert len(found) == 2 + len(fields(ModalityConfig))
    assert identity(size=64, modality=ModalityConfig()) in found
    monkeypatch.setattr(module, "_code", lambda: "changed")
    assert identity(size=64, modality=usual) not in found


def test_identities_do_not_share_images(cache: ImageCache, touch: Touch):
    path = touch("a.png")
    cache.image(path, KEY, lambda: pixels(1))
    other = identity(size=SIDE, modality=ModalityConfig(resize="pad"))
    assert not kept(cache, path, 1, other)


def test_the_folder_says_what_it_is(cache: ImageCache, folder: Path, touch: Touch):
    cache.image(touch("a.png"), KEY, lambda: pixels(1))
    text = (folder / "CACHEDIR.TAG").read_text()
    assert text.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert "May be deleted" in text
    shutil.rmtree(folder)
    again = ImageCache(folder=folder, max_bytes=2**24)
    assert not kept(again, touch("a.png"), 1)


# limits


def test_the_file_stays_within_its_limit(folder: Path, touch: Touch):
    most = 10 * 3 * SIDE**2
    cache = ImageCache(folder=folder, max_bytes=most)
    paths = [touch(f"{i}.png") for i in range(30)]
    for value, path in enumerate(paths):
        cache.image(path, KEY, lambda value=value: pixels(value))
    assert 7 <= sum(kept(cache, path, value) for value, path in enumerate(paths)) <= 10
    assert (folder / "images.sqlite").stat().st_size <= most


def test_room_is_made_by_deleting_the_oldest_that_nobody_expects(
    folder: Path, touch: Touch, caplog: pytest.LogCaptureFixture
):
    cache = ImageCache(folder=folder, max_bytes=10 * (3 * SIDE**2 + store.PAGE))
    old = [touch(f"old{i}.png") for i in range(8)]
    for path in old:
        cache.image(path, KEY, lambda: pixels(1))
    new = [touch(f"new{i}.png") for i in range(4)]
    cache.expect([(path, KEY) for path in (*new, old[0], old[7])], size=SIDE)
    for path in new:
        cache.image(path, KEY, lambda: pixels(2))
    survivors = [kept(ImageCache(folder=folder, max_bytes=0), path, 1) for path in old]
    assert survivors[0]
    assert survivors[1:] == sorted(survivors[1:])
    assert not survivors[1]
    assert survivors[7]
    assert all(kept(cache, path, 2) for path in new)
    assert not caplog.records


def test_frames_belong_to_their_file(folder: Path, touch: Touch):
    """A run expects files; what frames they hold comes out later."""
    cache = ImageCache(folder=folder, max_bytes=6 * (3 * SIDE**2 + store.PAGE))
    scan, changed = touch("scan.dcm"), touch("changed.dcm")
    cache.image(touch("old.png"), KEY, lambda: pixels(9))
    cache.expect([(scan, KEY), (changed, KEY)], size=SIDE)
    frames = [path.with_name(f"{path.name}#{n}") for path in (scan, changed) for n in range(2)]
    for _ in range(2):
        for value, frame in enumerate(frames):
            cache.image(frame, KEY, lambda value=value: pixels(value))
        for value in range(5):
            cache.image(touch(f"{value}.png"), KEY, lambda: pixels(9))
    assert all(kept(cache, frame, value) for value, frame in enumerate(frames))
    changed.write_bytes(b"longer")
    assert [kept(cache, frame, value) for value, frame in enumerate(frames)] == [True] * 2 + [
        False
    ] * 2


def test_what_does_not_fit_is_said(folder: Path, touch: Touch, caplog: pytest.LogCaptureFixture):
    cache = ImageCache(folder=folder, max_bytes=5 * (3 * SIDE**2 + store.PAGE))
    cache.expect([(touch(f"{i}.png"), KEY) for i in range(9)], size=SIDE)
    (record,) = caplog.records
    assert f"{folder}: room for about 5 of 9 prepared images" in record.getMessage()


def test_a_disk_that_is_nearly_full_is_left_alone(
    cache: ImageCache,
    touch: Touch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    free = SimpleNamespace(free=store.RESERVE)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: free)
    path = touch("a.png")
    cache.expect([(path, KEY)], size=SIDE)
    assert "room for about 0 of 1 prepared images" in caplog.text
    assert [kept(cache, path, 255) for _ in range(2)] == [True, True]
    assert cache.store.open().execute("SELECT count(*) FROM images").fetchone() == (0,)


FULL = """
import resource, sys
from pathlib import Path
from threading import Thread
import numpy as np
from agfnet.data.cache import ImageCache
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
cache = ImageCache(folder=Path(sys.argv[1]), max_bytes=2**24)
for _ in range(2):
    for value in range(20):
        path = Path(sys.argv[2]) / f"{value}.png"
        found = cache.image(path, b"k", lambda: np.full((64, 64, 3), value, np.uint8))
        assert (found == value).all()
"""


def test_a_disk_that_refuses_is_said_once(folder: Path, tmp_path: Path, touch: Touch):
    for value in range(20):
        touch(f"{value}.png")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"{folder}: prepared images cannot be kept here (" in line


# faults


def test_a_folder_that_cannot_be_made(touch: Touch, caplog: pytest.LogCaptureFixture):
    cache = ImageCache(folder=touch("file") / "cache", max_bytes=2**24)
    path = touch("a.png")
    cache.expect([(path, KEY)], size=SIDE)
    for value in (1, 2):
        assert (cache.image(path, KEY, lambda value=value: pixels(value)) == value).all()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "name another folder with data.cache" in record.getMessage()


def test_a_folder_that_cannot_be_written_is_read(
    cache: ImageCache,
    folder: Path,
    touch: Touch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    first, second = touch("a.png"), touch("b.png")
    cache.image(first, KEY, lambda: pixels(1))
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **o: connect(f"file:{path}?mode=ro", uri=True, **o)
    )
    again = ImageCache(folder=folder, max_bytes=2**24)
    for value in (2, 3):
        assert (again.image(second, KEY, lambda value=value: pixels(value)) == value).all()
    assert (again.image(first, KEY, never) == 1).all()
    assert len(caplog.records) == 1


def test_a_file_that_is_no_cache(folder: Path, touch: Touch, caplog: pytest.LogCaptureFixture):
    folder.mkdir()
    (folder / "images.sqlite").write_bytes(b"something else" * 1000)
    cache = ImageCache(folder=folder, max_bytes=2**24)
    assert [kept(cache, touch("a.png"), 1) for _ in range(2)] == [False, False]
    assert "file is not a database" in caplog.text
    assert len(caplog.records) == 1


def test_damaged_pixels_are_made_again(cache: ImageCache, folder: Path, touch: Touch):
    path = touch("a.png")
    cache.image(path, KEY, lambda: pixels(7))
    file = folder / "images.sqlite"
    content = bytearray(file.read_bytes())
    content[content.rindex(b"\7" * 1000) + 500] = 8
    file.write_bytes(content)
    again = ImageCache(folder=folder, max_bytes=2**24)
    assert (again.image(path, KEY, lambda: pixels(9)) == 9).all()
    assert (again.image(path, KEY, never) == 9).all()


# several processes


def test_an_image_is_not_kept_while_another_process_writes(
    folder: Path,
    touch: Touch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(store, "WAIT", 0.01)
    path = touch("a.png")
    cache = ImageCache(folder=folder, max_bytes=2**24)
    cache.image(path, KEY, lambda: pixels(1))
    other = sqlite3.connect(folder / "images.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert not kept(cache, path, 1)
    assert not kept(ImageCache(folder=folder, max_bytes=2**24), path, 1)
    other.close()
    assert kept(cache, path, 1)
    assert not caplog.records


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_share_it_and_inherit_no_connection(cache: ImageCache, touch: Touch):
    first, second = touch("a.png"), touch("b.png")
    cache.image(first, KEY, lambda: pixels(1))
    before = cache.store.open()
    child = os.fork()
    if child == 0:
        good = kept(cache, first, 1) and cache.store.open() is not before
        cache.image(second, KEY, lambda: pixels(2))
        os._exit(not good)
    assert os.waitpid(child, 0)[1] == 0
    assert (cache.image(second, KEY, never) == 2).all()
    assert (cache.image(first, KEY, never) == 1).all()


WRITER = """
import sys
from pathlib import Path
from threading import Thread
import numpy as np
from agfnet.data.cache import ImageCache
cache = ImageCache(folder=Path(sys.argv[1]), max_bytes=2**21)
paths = [Path(sys.argv[2]) / f"{value}.png" for value in range(50)]
for turn in range(1000):
    cache.expect([(path, b"%d" % turn) for path in paths], size=64)
    for value, path in enumerate(paths):
        cache.image(path, b"%d" % turn, lambda: np.full((64, 64, 3), value, np.uint8))
    print(turn, flush=True)
"""


@pytest.mark.slow
def test_killed_writers_leave_no_wrong_image(folder: Path, tmp_path: Path, touch: Touch):
    """Two processes that write the same images and delete them, killed at any moment."""
    paths = [touch(f"{value}.png") for value in range(50)]
    command = [sys.executable, "-c", WRITER, str(folder), str(tmp_path)]
    right = 0
    for delay in (0.0, 0.03):
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(delay)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        cache = ImageCache(folder=folder, max_bytes=2**24)
        for turn in range(30):
            key = b"%d" % turn
            right += sum(kept(cache, path, value, key) for value, path in enumerate(paths))
        assert cache.store.open().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        shutil.rmtree(folder)
    assert right


def test_the_collector_may_close_it_from_another_thread(tmp_path: Path) -> None:
    cache = ImageCache(folder=tmp_path / "cache", max_bytes=2**24)
    cache.store.open()
    failed: list[BaseException] = []

    def close() -> None:
        try:
            cache.store.__del__()
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=close)
    thread.start()
    thread.join()
    assert not failed


def modules_used_by(name: str) -> set[str]:
    """Modules of `agfnet.data` that one of them imports, directly or through others."""
    text = Path(module.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    names = set(re.findall(r"^ *from agfnet\.data\.(\w+) import", text, re.MULTILINE))
    for line in re.findall(r"^ *from agfnet\.data import (.+)", text, re.MULTILINE):
        names |= set(line.split(", "))
    return {name}.union(*map(modules_used_by, names))


def test_the_key_covers_the_code_that_makes_pixels_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert set(module.PIXEL_CODE) == modules_used_by("preprocess")
    for file in Path(module.__file__).parent.glob("*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "cache.py"))
    code = module._code.__wrapped__
    first = code()
    for name in ("table", "rows", "splits", "cache"):
        with (tmp_path / f"{name}.py").open("a") as file:
            file.write("# edited")
    assert code() == first
    digests = {first}
    for name in module.PIXEL_CODE:
        with (tmp_path / f"{name}.py").open("a") as file:
            file.write("# edited")
        digests.add(code())
    assert len(digests) == 1 + len(module.PIXEL_CODE)
