"""Only a sound bundle leaves for the hub, only a sound one is accepted; the hub itself is faked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agfnet import hub
from agfnet.bundle import read_bundle
from agfnet.cli import main
from agfnet.errors import BundleError


class FakeHub:
    """Keeps what is uploaded in a folder."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def create_repo(self, repo: str, *, private: bool, exist_ok: bool) -> str:
        if "/" not in repo:
            raise OSError("no such owner")
        return f"hub/{repo}{' (private)' if private else ''}"

    def upload_folder(
        self, *, repo_id: str, folder_path: Path, allow_patterns: list[str], commit_message: str
    ) -> None:
        self.store.mkdir()
        for name in allow_patterns:
            shutil.copy(folder_path / name, self.store / name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store = tmp_path / "hub"

    def download(repo: str, *, local_dir: Any, allow_patterns: list[str]) -> None:
        shutil.copytree(store, local_dir)

    monkeypatch.setattr(hub, "HfApi", lambda: FakeHub(store))
    monkeypatch.setattr(hub, "snapshot_download", download)
    return store


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "bundle", tmp_path / "bundle"))


def test_a_bundle_goes_to_the_hub_and_comes_back(
    bundle: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "notes.txt").write_text("names of patients")
    assert main(["bundle", "push", str(bundle), "--repo", "clinic/skin"]) == 0
    assert "clinic/skin (private)" in capsys.readouterr().out
    assert not (store / "notes.txt").exists()
    back = tmp_path / "back"
    assert main(["bundle", "pull", str(back), "--repo", "clinic/skin"]) == 0
    assert read_bundle(back).config == read_bundle(bundle).config


def test_a_damaged_bundle_does_not_leave(bundle: Path, store: Path) -> None:
    (bundle / "card.md").write_text("another card")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        hub.push(bundle, "clinic/skin", private=True)
    assert not store.exists()


def test_what_was_changed_on_the_hub_is_refused(bundle: Path, store: Path, tmp_path: Path) -> None:
    hub.push(bundle, "clinic/skin", private=True)
    (store / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        hub.pull("clinic/skin", tmp_path / "back")


def test_the_hubs_refusal_is_one_line(
    bundle: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "push", str(bundle), "--repo", "skin"]) == 1
    assert "skin: the hub refused: no such owner" in capsys.readouterr().err
    assert main(["bundle", "push", str(bundle)]) == 2
    assert "--repo owner/name" in capsys.readouterr().err


def test_show_and_verify(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "show", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "agfnet, backbone resnet10t" in shown
    assert "not a medical device" in shown
    assert main(["bundle", "verify", str(bundle)]) == 0
    assert "6 files" in capsys.readouterr().out
    (bundle / "config.json").write_text((bundle / "config.json").read_text() + " ")
    assert main(["bundle", "verify", str(bundle)]) == 1
