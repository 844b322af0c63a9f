"""Tables and folders in an object store: here the file system in memory of fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from agfnet.cli import main
from agfnet.config import DataConfig, PredictConfig, TrainConfig
from agfnet.errors import ConfigError, DataError
from agfnet.remote import Copy, local_copies

TABLE = "lesion_id,patient_id,label,clinical\nL1,P1,naevus,images/a.png\nL2,P2,nevus,images/b.png\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    monkeypatch.setenv("AGFNET_REMOTE_DIR", str(tmp_path / "copies"))
    store = fsspec.filesystem("memory")
    store.pipe({"/b/data.csv": TABLE.encode(), "/b/images/a.png": b"a", "/b/images/b.png": b"b"})
    yield store
    store.rm("/b", recursive=True)


def test_a_table_comes_with_its_images_and_again_only_what_has_changed(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    get = store.get_file
    monkeypatch.setattr(type(store), "get_file", lambda _, a, b: (read.append(a), get(a, b)))
    config = TrainConfig(data=DataConfig(cases="memory://b/data.csv"))
    with local_copies(config, print) as local:
        cases = Path(local.data.cases)
        assert cases.read_text() == TABLE
        assert (cases.parent / "images" / "a.png").read_bytes() == b"a"
    assert len(read) == 3
    store.pipe("/b/images/b.png", b"changed")
    with local_copies(config, print) as local:
        assert (Path(local.data.cases).parent / "images" / "b.png").read_bytes() == b"changed"
    assert read[3:] == ["/b/images/b.png"]


def test_what_a_command_writes_is_copied_back(store: fsspec.AbstractFileSystem) -> None:
    config = PredictConfig(model="m", cases="memory://b/data.csv", out="memory://b/out/p.csv")
    lines: list[str] = []
    with local_copies(config, lines.append) as local:
        Path(local.out).write_text("predictions")
        Path(local.out).with_name("p_frames.csv").write_text("frames")
    assert store.cat("/b/out/p.csv") == b"predictions"
    assert sorted(store.ls("/b/out", detail=False)) == ["/b/out/p.csv", "/b/out/p_frames.csv"]
    assert lines == ["Copied 2 files to memory://b/out/p.csv"]


def test_a_run_continues_on_another_machine(
    store: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, as of a signal, does not keep the files of the run from being copied back."""
    config = TrainConfig(data=DataConfig(cases="memory://b/data.csv"), runs="memory://b/runs")

    def train() -> None:
        with local_copies(config, print) as local:
            checkpoint = Path(local.runs) / config.name / "checkpoints" / "last.ckpt"
            before = checkpoint.read_text() if checkpoint.is_file() else ""
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write_text(before + "step ")
            raise DataError("stopped")

    for number in (1, 2):
        monkeypatch.setenv("AGFNET_REMOTE_DIR", str(tmp_path / f"machine {number}"))
        with pytest.raises(DataError, match="stopped"):
            train()
    assert store.cat("/b/runs/agfnet/checkpoints/last.ckpt") == b"step step "


def test_a_command_splits_a_table_in_the_store(store: fsspec.AbstractFileSystem) -> None:
    rows = "".join(f"L{i},P{i},{'ab'[i % 2]},images/a.png\n" for i in range(40))
    store.pipe("/b/many.csv", ("lesion_id,patient_id,label,clinical\n" + rows).encode())
    assert main(["split", "memory://b/many.csv", "memory://b/split.csv"]) == 0
    assert b",train" in store.cat("/b/split.csv")


def test_addresses_that_cannot_be_read(
    store: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(cases: str) -> None:
        with local_copies(TrainConfig(data=DataConfig(cases=cases)), print):
            pass

    with pytest.raises(DataError, match=r"memory://b/none\.csv: none\.csv does not exist"):
        read("memory://b/none.csv")
    with pytest.raises(ConfigError, match=r"nothing://b/data\.csv: .*agfnet\[cloud\]"):
        read("nothing://b/data.csv")
    with pytest.raises(DataError, match="outside the folder of the table"):
        Copy("memory://b/data.csv", print).local("../secret.png")
