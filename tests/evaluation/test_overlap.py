"""Lesions that the network has seen in training are counted and said, however they are named."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image as Pillow

from agfnet.config import EvaluateConfig
from agfnet.data.table import Case
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.evaluation.inputs import read_inputs
from agfnet.evaluation.overlap import (
    CHANGED,
    has_changed,
    identical_images,
    overlap_sentence,
    training_overlap,
)
from agfnet.report.run import run_evaluation
from agfnet.terminal import show_result


@pytest.fixture
def table(cohort: Path, tmp_path: Path):
    """Write the cases of a split as a new table, with its images copied under other names."""

    def write(split: str, *, rename: bool) -> Path:
        with cohort.open() as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split][:6]
        for number, row in enumerate(rows):
            row["split"] = ""
            if rename:
                row["lesion_id"] = row["patient_id"] = f"new-{number}"
            for modality in ("clinical", "ultrasound"):
                source = cohort.parent / row[modality].split("|")[0]
                copy = tmp_path / f"{number}-{modality}{source.suffix}"
                row[modality] = str(copy)
                shutil.copy(source, copy)
            row.pop("clinical_mask", None), row.pop("ultrasound_mask", None)
        path = tmp_path / "again.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def overlap(run: Path, **options) -> dict[str, int]:
    found = training_overlap(read_inputs(EvaluateConfig(run=str(run), **options)))
    assert found is not None
    return dict(found)


def test_a_named_frame_counts_by_its_file(tmp_path: Path) -> None:
    for name, content in (("sweep.tif", b"a"), ("copy.tif", b"a"), ("other.tif", b"b")):
        (tmp_path / name).write_bytes(content)

    def case(name: str) -> Case:
        return Case("L", "P", "", {"ultrasound": (tmp_path / name,)}, {}, "", {}, 2)

    cases = [case("copy.tif#1"), case("sweep.tif#0"), case("other.tif#0")]
    assert identical_images(cases, [case("sweep.tif#2")]) == [True, True, False]


@pytest.mark.slow
def test_training_lesions_under_other_names_are_known_by_their_images(trained, table) -> None:
    counts = overlap(trained, cases=str(table("train", rename=True)))
    assert counts == {"lesions": 6, "images": 6, "lesion_ids": 0, "patient_ids": 0}


def test_ids_in_another_spelling_are_known(trained, table) -> None:
    path = table("train", rename=False)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for column in ("lesion_id", "patient_id"):
            row[column] = f"{row[column][0].lower()} {int(row[column][1:])}"
        for modality in ("clinical", "ultrasound"):
            Pillow.open(row[modality]).transpose(0).save(f"{row[modality]}.png")
            row[modality] += ".png"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    counts = overlap(trained, cases=str(path))
    assert counts == {"lesions": 6, "images": 0, "lesion_ids": 6, "patient_ids": 6}


def test_lesions_of_the_test_split_are_new(trained, table) -> None:
    assert overlap(trained, cases=str(table("test", rename=False)))["lesions"] == 0
    assert overlap(trained)["lesions"] == 0


def test_the_training_and_validation_splits_are_not_new(trained) -> None:
    for split in ("train", "val"):
        counts = overlap(trained, split=split)
        assert len(set(counts.values())) == 1
        assert counts["lesions"] > 0


@pytest.mark.slow
def test_it_is_said_on_the_terminal_in_the_metrics_and_in_the_report(
    trained: Path, table, tmp_path: Path, capsys
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    config = EvaluateConfig(run=str(run), cases=str(table("train", rename=False)), resamples=5)
    folder = run_evaluation(config)
    show_result(folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["training_overlap"]["lesions"] == 6
    expected = overlap_sentence(metrics["training_overlap"])
    assert expected.startswith("6 of these lesions were used to train or validate this network")
    assert f"Warning: {expected}" in capsys.readouterr().out
    assert expected in (folder / "report.html").read_text(encoding="utf-8")


def test_the_table_of_the_training_may_be_gone(trained: Path, table, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    settings = run / "config.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("cases.csv", "gone.csv"))
    assert settings.read_text() != text
    environment = run / "environment.json"
    record = json.loads(environment.read_text())
    assert record.pop("cases").endswith("cases.csv")  # relative to the run
    environment.write_text(json.dumps(record))
    config = EvaluateConfig(run=str(run), cases=str(table("train", rename=False)))
    assert training_overlap(read_inputs(config)) is None


def split_again(run: Path, cohort: Path) -> None:
    """Let a run name a copy of its table in which train and test are exchanged."""
    with cohort.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["split"] = {"train": "test", "test": "train"}.get(row["split"], row["split"])
        for name in ("clinical", "ultrasound"):
            paths = filter(None, row[name].split("|"))
            row[name] = "|".join(str(cohort.parent / path) for path in paths)
        del row["clinical_mask"], row["ultrasound_mask"]
    table = run / "cases.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = run / "config.yaml"
    settings.write_text(
        "\n".join(
            f"  cases: {table}" if line.startswith("  cases:") else line
            for line in settings.read_text().splitlines()
        )
    )


def test_a_table_that_was_split_again_is_said(
    trained: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its test split has trained the network."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    assert not has_changed(read_inputs(EvaluateConfig(run=str(run))))
    split_again(run, cohort)
    options = {"resamples": 5, "max_focus_lesions": 0, "examples": 0}
    folder = run_evaluation(EvaluateConfig(run=str(run), **options))
    show_result(folder)
    assert f"Warning: {CHANGED}" in capsys.readouterr().out
    assert CHANGED in (folder / "report.html").read_text(encoding="utf-8")


def test_a_calibration_says_it_too(
    trained: Path, cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    calibrate_run(run)
    assert CHANGED not in caplog.text
    split_again(run, cohort)
    calibrate_run(run)
    assert CHANGED in caplog.text
