"""Which runs may go on: the same settings and the same table, wherever it lies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agfnet.config import DataConfig, ModalityConfig, TrainConfig
from agfnet.config.renamed import run_settings
from agfnet.data.table import CasesTable, read_cases
from agfnet.errors import RunError
from agfnet.training.environment import git_version
from agfnet.training.run_folder import changed_settings, check_run, record, write_run

ROWS = [
    {
        "lesion_id": f"L{n}",
        "patient_id": f"P{n}",
        "label": "ab"[n % 2],
        "split": ("train", "val", "test")[n % 3],
        "clinical": f"{n}.png",
    }
    for n in range(6)
]


def settings(table: Path, **changes: Any) -> TrainConfig:
    data = DataConfig(cases=str(table), modalities={"clinical": ModalityConfig()})
    return TrainConfig(data=data, **changes)


def read(table: Path) -> CasesTable:
    return read_cases(table, modalities=("clinical",))


@pytest.fixture
def started(tmp_path: Path, write_table: Callable[..., Path]) -> tuple[Path, Path]:
    """Run folder and table of a run that was stopped."""
    table = write_table(ROWS)
    folder = tmp_path / "run"
    write_run(folder, settings(table), read(table))
    return folder, table


def test_a_taken_name_needs_resume(started: tuple[Path, Path]) -> None:
    folder, table = started
    with pytest.raises(RunError, match=r"exists; give another --name, continue it with --resume"):
        check_run(folder, settings(table), read(table))
    check_run(folder, settings(table, resume=True), read(table))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("split", "other values in split"),
        ("label", "other values in label"),
        ("patient_id", "other values in patient_id"),
        ("clinical", "other values in clinical"),
        ("rows", "4 lesions instead of 6"),
        ("content", "other values in its image files"),
    ],
)
def test_a_changed_table_is_refused(
    started: tuple[Path, Path], write_table: Callable[..., Path], change: str, difference: str
) -> None:
    folder, table = started
    rows = [dict(row) for row in ROWS]
    if change == "split":
        exchanged = {"train": "test", "val": "val", "test": "train"}
        rows = [row | {"split": exchanged[row["split"]]} for row in rows]
    elif change == "label":
        rows = [row | {"label": row["label"].replace("a", "c")} for row in rows]
    elif change == "rows":
        rows = rows[:4]
    elif change != "content":
        rows[0][change] = "other.png"
    write_table(rows)
    if change == "content":
        with (table.parent / "0.png").open("ab") as file:
            file.write(b"\0")
    with pytest.raises(RunError, match=rf"cases\.csv: is not the table that .*\({difference}\);"):
        check_run(folder, settings(table, resume=True), read(table))


@pytest.mark.parametrize("name", ["config.yaml", "environment.json"])
def test_checkpoints_without_what_trained_them_are_refused(
    started: tuple[Path, Path], name: str
) -> None:
    folder, table = started
    (folder / name).unlink()
    check_run(folder, settings(table, resume=True), read(table))  # stopped before the first epoch
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(RunError, match=rf"{name}: is missing.*copy it from a backup"):
        check_run(folder, settings(table, resume=True), read(table))


def test_a_run_without_columns_is_compared_by_its_hash(
    started: tuple[Path, Path], write_table: Callable[..., Path]
) -> None:
    """As runs of agfnet 0.1 are."""
    folder, table = started
    environment = json.loads((folder / "environment.json").read_text())
    del environment["table"]
    (folder / "environment.json").write_text(json.dumps(environment))
    check_run(folder, settings(table, resume=True), read(table))
    write_table(ROWS[:5])
    with pytest.raises(RunError, match="its SHA-256 differs"):
        check_run(folder, settings(table, resume=True), read(table))


def test_settings_without_effect_on_the_result_may_change(
    started: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, table = started
    monkeypatch.chdir(tmp_path)
    link = table.with_name("again.csv")
    link.hardlink_to(table)
    config = settings(Path("again.csv"), resume=True, runs="elsewhere")
    data = replace(config.data, workers=3, cache_mb=7, cache="cache")
    check_run(folder, replace(config, data=data), read(link))


def test_other_settings_are_named(started: tuple[Path, Path]) -> None:
    folder, table = started
    config = settings(table, resume=True, seed=4)
    config = replace(config, optim=replace(config.optim, epochs=3))
    with pytest.raises(RunError, match=r"other settings \(optim\.epochs, seed\)"):
        check_run(folder, config, read(table))


def test_the_number_of_parts_of_a_batch_is_chosen_once(started: tuple[Path, Path]) -> None:
    folder, table = started
    config = settings(table, resume=True)
    check_run(folder, replace(config, optim=replace(config.optim, accumulate=0)), read(table))
    with pytest.raises(RunError, match=r"\(optim\.accumulate\)"):
        check_run(folder, replace(config, optim=replace(config.optim, accumulate=2)), read(table))


def test_a_run_that_was_copied_finds_its_table(started: tuple[Path, Path], tmp_path: Path) -> None:
    folder, table = started
    assert run_settings(folder)["data"]["cases"] == str(table)
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    folder.rename(copy / "run")
    new = table.rename(copy / "cases.csv")
    assert run_settings(copy / "run")["data"]["cases"] == str(new)
    new.unlink()
    assert run_settings(copy / "run")["data"]["cases"] == str(table)  # for the error


def test_a_study_notices_another_table(tmp_path: Path) -> None:
    before = record(settings(tmp_path / "a.csv"))
    assert changed_settings(before, settings(tmp_path / "b.csv")) == ["data.cases"]


def test_a_run_of_before_a_setting_existed_is_the_same(tmp_path: Path) -> None:
    config = settings(tmp_path / "a.csv")
    before = record(config)
    del before["break_lock"], before["optim"]["ema"]
    assert changed_settings(before, config) == []


def test_settings_under_their_former_names_are_the_same(started: tuple[Path, Path]) -> None:
    folder, table = started
    text = (folder / "config.yaml").read_text()
    old = text.replace("gradient_clip_norm", "clip").replace("mask_ratio", "hide")
    assert old != text
    (folder / "config.yaml").write_text(old)
    check_run(folder, settings(table, resume=True), read(table))


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "name: x", "data: {cases: 5}", None])
def test_settings_that_no_training_has_written_are_refused(
    started: tuple[Path, Path], text: str | None
) -> None:
    folder, _ = started
    file = folder / "config.yaml"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml: is not the settings .*; copy it from"):
        run_settings(folder)


def test_a_machine_without_git_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", missing)
    assert git_version() is None


def test_a_continued_run_keeps_its_environment(
    started: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    folder, table = started
    write_run(folder, settings(table, resume=True), read(table))
    assert caplog.text == ""
    file = folder / "environment.json"
    record = json.loads(file.read_text())
    record["packages"]["torch"] = "1.0"
    file.write_text(json.dumps(record))
    write_run(folder, settings(table, resume=True), read(table))
    assert json.loads(file.read_text()) == record
    assert "was started with torch 1.0 (now " in caplog.text
