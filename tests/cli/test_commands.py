"""The commands as a user types them: answers, errors in one line, exit codes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agfnet.bundle import read_bundle
from agfnet.cli import build_parser, main
from agfnet.cli.arguments import current_arguments, join_images
from agfnet.config import CalibrationConfig
from agfnet.data.table import read_cases
from agfnet.terminal import warn

VIEWS = ("clinical", "ultrasound")


@pytest.fixture(scope="module")
def pair(cohort: Path) -> dict[str, str]:
    images = read_cases(cohort, modalities=VIEWS).cases[0].images
    return {name: str(images[name][0]) for name in VIEWS}


def predict(model: Path, images: dict[str, str], *more: str) -> int:
    named = [f"--images.{name}={path}" for name, path in images.items()]
    return main(["predict", str(model), *named, *more])


def exits(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def test_predict_answers_in_plain_words(
    trained: Path, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "answer.png"
    assert predict(trained, pair, "--picture", str(picture)) == 0
    text = capsys.readouterr().out
    assert "ost likely" in text
    assert "Research use only, not a medical device." in text
    with Image.open(picture) as image:
        assert image.width > 500


def test_predict_draws_a_picture_of_another_kind_without_an_answer(
    trained: Path,
    pair: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    foreign = property(lambda diagnosis: ("clinical",))
    monkeypatch.setattr("agfnet.inference.diagnosis.Diagnosis.foreign", foreign)
    picture = tmp_path / "answer.png"
    picture.write_bytes(b"of the lesion before")
    assert predict(trained, pair, "--picture", str(picture)) == 0
    text = capsys.readouterr().out
    assert "No diagnosis" in text
    assert "probability" not in text
    with Image.open(picture) as image:
        assert image.width > 100


@pytest.mark.parametrize("option", ["--picture", "--dicom"])
def test_predict_does_not_overwrite_its_images(
    trained: Path,
    pair: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    photo = Path(shutil.copy(pair["clinical"], tmp_path / "photo.jpg"))
    before = photo.read_bytes()
    images = {**pair, "clinical": f"{photo}#0"}
    assert predict(trained, images, option, str(photo)) == 2
    assert f"{option[2:]}: {photo} is read by this command" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_a_picture_of_an_unknown_format_is_refused_before_the_prediction(
    pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tmp_path / "none", pair, "--picture", str(tmp_path / "answer.xyz")) == 2
    assert "expected .png, .pdf or .svg" in capsys.readouterr().err


def test_commands_do_not_overwrite_the_table_that_they_read(
    trained: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cases.csv"
    table.write_bytes(cohort.read_bytes())
    for arguments in (
        ["predict", str(trained), "--cases", str(table), "--out", str(table)],
        ["check", str(table), "--json", str(table)],
        ["check", str(table), "--html", str(table)],
    ):
        assert main(arguments) == 2
        assert "would be overwritten; name another file" in capsys.readouterr().err
        assert table.read_bytes() == cohort.read_bytes()


def test_predict_without_ultrasound_says_so(
    trained: Path, pair: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(trained, {**pair, "ultrasound": ""}) == 0
    assert "Not provided, although the network was not trained" in capsys.readouterr().out


def broken_files(folder: Path, photo: str) -> dict[str, Path]:
    truncated = folder / "truncated.jpg"
    truncated.write_bytes(Path(photo).read_bytes()[:700])
    text = folder / "text.png"
    text.write_text("not an image")
    empty = folder / "empty.png"
    empty.touch()
    return {
        "truncated": truncated,
        "text": text,
        "empty": empty,
        "missing": folder / "missing.jpg",
        "folder": folder,
    }


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "missing", "folder"])
def test_predict_names_a_bad_file_in_one_line(
    kind: str,
    trained: Path,
    pair: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = broken_files(tmp_path, pair["clinical"])[kind]
    assert predict(trained, {**pair, "clinical": str(bad)}) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert str(bad) in error
    assert len(error.strip().splitlines()) == 1


def test_predict_needs_images_or_a_table(
    trained: Path, cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(trained)]) == 2
    assert main(["predict", str(trained), "--cases", str(cohort), "--images.clinical", "a"]) == 2
    assert main(["predict", str(trained), "--cases", str(cohort), "--picture", "a.png"]) == 2
    assert "--images.MODALITY" in capsys.readouterr().err


def test_predict_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "--images.clinical", "a.png"]) == 1
    assert "config.json" in capsys.readouterr().err


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_predict_a_table_without_labels_and_with_an_empty_cell(
    trained: Path, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(
        tmp_path / "new.csv",
        [{"lesion_id": "a", **pair}, {"lesion_id": "b", **pair, "ultrasound": ""}],
    )
    out = tmp_path / "out.csv"
    assert main(["predict", str(trained), "--cases", str(table), "--out", str(out)]) == 0
    rows = rows_of(out)
    assert [row["lesion_id"] for row in rows] == ["a", "b"]
    assert rows[0]["label"] == ""
    said = capsys.readouterr()
    assert "1 of 2 lesions have no image of ultrasound" in said.out + said.err
    assert "simulated lesions" in said.out + said.err


def test_predict_a_table_counts_pictures_of_another_kind(
    trained: Path,
    pair: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("agfnet.inference.decisions_table.count_foreign", lambda path: 1)
    table = write_table(tmp_path / "new.csv", [{"lesion_id": "a", **pair}])
    out = tmp_path / "out.csv"
    assert main(["predict", str(trained), "--cases", str(table), "--out", str(out)]) == 0
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).split())
    assert "1 of 1 lesions have a picture of another kind than the training images" in text


def test_predict_a_table_names_every_missing_file_and_writes_nothing(
    trained: Path, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(
        tmp_path / "new.csv",
        [
            {"lesion_id": "a", "clinical": "none.jpg", "ultrasound": pair["ultrasound"]},
            {"lesion_id": "b", "clinical": pair["clinical"], "ultrasound": "gone.png"},
        ],
    )
    out = tmp_path / "out.csv"
    assert main(["predict", str(trained), "--cases", str(table), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "new.csv:2 column clinical" in error
    assert "new.csv:3 column ultrasound" in error
    assert not out.exists()


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run that tests share, whose card lists every evaluation."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


@pytest.mark.slow
def test_evaluate_another_table(
    own: Path, cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(own), "--cases", str(cohort), "--split", "val"]
    assert main([*arguments, "--name", "validation", "--resamples", "20"]) == 0
    folder = own / "evaluation" / "validation"
    count = json.loads((folder / "metrics.json").read_text())["n"]
    split = [case for case in read_cases(cohort, modalities=VIEWS) if case.split == "val"]
    assert count == len(split)
    assert "report.html" in capsys.readouterr().out.replace("\n", "")


def test_evaluate_an_unlabelled_table(own: Path, pair: dict[str, str], tmp_path: Path) -> None:
    table = write_table(tmp_path / "new.csv", [{"lesion_id": "a", **pair}])
    assert main(["evaluate", str(own), "--cases", str(table)]) == 0
    folder = own / "evaluation" / "new"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"n", "calibration", "table", "training_overlap"}
    assert metrics["n"] == 0
    assert metrics["training_overlap"]["images"] == 1  # a training lesion under another name
    assert (folder / "predictions.csv").is_file()


def test_evaluate_replaces_no_results_of_another_table(
    own: Path, pair: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"lesion_id": "a", **pair}]
    first, second = (tmp_path / name / "cases.csv" for name in "ab")
    for path in (first, second):
        path.parent.mkdir()
        write_table(path, rows)
        rows = [{"lesion_id": "b", **pair}]
    assert main(["evaluate", str(own), "--cases", str(first)]) == 0
    assert main(["evaluate", str(own), "--cases", str(first)]) == 0
    results = own / "evaluation"
    assert not (results / "cases-1").exists()
    assert main(["evaluate", str(own), "--cases", str(second)]) == 0
    assert f"they are in {results / 'cases-1'} now" in caplog.text
    assert rows_of(results / "cases" / "predictions.csv")[0]["lesion_id"] == "b"
    assert rows_of(results / "cases-1" / "predictions.csv")[0]["lesion_id"] == "a"
    assert main(["evaluate", str(own), "--cases", str(first)]) == 0
    assert rows_of(results / "cases-2" / "predictions.csv")[0]["lesion_id"] == "b"
    assert main(["evaluate", str(own), "--cases", str(second), "--name", "cases"]) == 0
    assert not (results / "cases-3").exists()


def test_evaluate_names_an_unknown_label(
    trained: Path, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "new.csv", [{"lesion_id": "a", "label": "wart", **pair}])
    assert main(["evaluate", str(trained), "--cases", str(table)]) == 1
    assert "new.csv:2 column label: 'wart'" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate_tries_poor_images_and_compare_pairs_two_runs(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    fits_schema: Callable[[str, Any], None],
) -> None:  # fmt: skip
    small = ["--resamples", "20", "--split", "val", "--name", "tried"]
    assert main(["evaluate", str(own), *small, "--robustness", "--max-focus-lesions", "0"]) == 0
    folder = own / "evaluation" / "tried"
    tried = json.loads((folder / "robustness.json").read_text())
    assert len(tried["conditions"]) > 70
    fits_schema("robustness.json", tried)
    assert "Robustness to image corruption" in (folder / "report.html").read_text(encoding="utf-8")
    against = ["--robustness", "--reference"]
    assert main(["evaluate", str(own), "--split", "val", *against, str(tmp_path)]) == 1
    assert "--robustness` on the same table first" in capsys.readouterr().err
    assert main(["evaluate", str(own), *small, "--reference", str(own)]) == 2
    assert main(["evaluate", str(own), *small]) == 0
    assert not (folder / "robustness.json").exists()  # that was another evaluation
    focus = json.loads((folder / "focus.json").read_text())
    assert set(focus["modalities"]) == set(VIEWS)
    fits_schema("focus.json", focus)

    out = tmp_path / "compared"
    other = tmp_path / "other"
    shutil.copytree(own / "evaluation", other / "evaluation")
    compare = ["compare", str(own), str(other), "--out", str(out), "--resamples", "20"]
    assert main([*compare, "--name", "tried"]) == 0
    assert "lesions that both runs predicted" in capsys.readouterr().out
    assert json.loads((out / "compare.json").read_text())["metrics"]["nll"]["difference"]["p"] == 1
    assert main([*compare, "--name", "absent"]) == 1
    assert "agfnet evaluate" in capsys.readouterr().err


@pytest.mark.slow
def test_calibrate_again_with_another_coverage(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    before = read_bundle(run).calibration
    assert main(["calibrate", str(run), "--calibration.coverage", "0.6"]) == 0
    after = read_bundle(run).calibration
    coverages = [c.sets.coverage for c in (before, after) if c.sets is not None]
    assert coverages == [CalibrationConfig().coverage, 0.6]
    assert after.temperature == before.temperature
    assert f"Next: agfnet evaluate {run}" in capsys.readouterr().out
    assert main(["calibrate", str(run)]) == 0  # the settings of the run
    assert read_bundle(run).calibration == before


def test_evaluate_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "not a run folder" in capsys.readouterr().err


def test_split_writes_a_new_table_once(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = cohort.parent / "unsplit.csv"
    rows = rows_of(cohort)
    write_table(table, [{k: v for k, v in row.items() if k != "split"} for row in rows])
    out = tmp_path / "split.csv"
    assert main(["split", str(table), str(out)]) == 0
    assert {row["split"] for row in rows_of(out)} == {"train", "val", "test"}
    assert main(["split", str(table), str(out)]) == 1
    assert main(["split", str(cohort), str(tmp_path / "again.csv")]) == 1
    assert "once" in capsys.readouterr().err
    table.unlink()


def test_split_into_folds(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = cohort.parent / "unfolded.csv"
    rows = rows_of(cohort)
    write_table(table, [{k: v for k, v in row.items() if k != "split"} for row in rows])
    folded, tested = tmp_path / "folds.csv", tmp_path / "fold1.csv"
    assert main(["split", str(table), str(folded), "--folds", "50"]) == 0
    assert {row["fold"] for row in rows_of(folded)} == {str(fold) for fold in range(50)}
    assert "Note: labels with fewer patients than folds" in capsys.readouterr().out
    assert main(["split", str(folded), str(tested), "--fold", "1"]) == 0
    assert "test" in capsys.readouterr().out
    assert all((row["split"] == "test") == (row["fold"] == "1") for row in rows_of(tested))
    assert main(["split", str(folded), str(tmp_path / "x.csv"), "--folds", "3"]) == 1
    assert "already" in capsys.readouterr().err
    assert main(["split", str(table), str(tmp_path / "x.csv"), "--folds", "1"]) == 2
    table.unlink()


def test_import_and_deidentify(
    pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lesion = tmp_path / "tree" / "naevus" / "Anna Mueller"
    lesion.mkdir(parents=True)
    for name, path in pair.items():
        (lesion / f"{name}{Path(path).suffix}").write_bytes(Path(path).read_bytes())
    (lesion / "letter.txt").touch()
    table = tmp_path / "table"
    assert main(["import", "folder", str(tmp_path / "tree"), str(table)]) == 0
    assert "letter.txt" in capsys.readouterr().out.replace("\n", "")
    assert main(["import", "milk10k", "x", str(table), "--modalities", "[a]"]) == 2
    assert main(["import", "derm7pt", str(tmp_path), str(table)]) == 1
    assert "release_v0" in capsys.readouterr().err
    source, out = str(table / "cases.csv"), tmp_path / "out"
    assert main(["deidentify", source, str(out)]) == 2
    mapping = ["--mapping", str(tmp_path / "secret" / "mapping.csv")]
    assert main(["deidentify", source, str(out), *mapping]) == 0
    assert "look for names, faces" in capsys.readouterr().out.replace("\n", "")
    (case,) = read_cases(out / "cases.csv", modalities=VIEWS)
    assert (case.label, len(list(out.rglob("*.*")))) == ("naevus", 3)
    assert not any("Mueller" in str(path) for path in out.rglob("*"))
    assert "Mueller" not in (out / "cases.csv").read_text()
    assert main(["deidentify", source, str(out), *mapping]) == 1


def test_phantom_refuses_a_full_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert main(["phantom", str(tmp_path), "--lesions", "3", "--size", "64"]) == 1
    assert str(tmp_path) in capsys.readouterr().err.replace("\n", "")
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        "--data.size=0",
        "--optim.epochs=0",
        "--optim.lr=0",
        "--reconstruction.mask_ratio=2",
        "--model.fusion.heads=5",
    ],
)
def test_settings_out_of_range_are_wrong_use(
    setting: str, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    code = main(["train", "--data.cases", str(cohort), "--runs", str(runs), setting])
    assert code == 2
    assert setting.split("=")[0].rpartition(".")[2] in capsys.readouterr().err
    assert not runs.exists()


def test_a_failed_start_does_not_take_the_name(cohort: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data.cases", str(cohort), "--runs", str(tmp_path), "--name", "first"]
    assert main([*arguments, "--model.backbone.weights", "weights.pth"]) == 2
    assert not (tmp_path / "first").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--print_config", "--print-config"])
def test_printed_settings_are_a_settings_file(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.yaml"
    assert exits(["train", "--data.cases", "x.csv", "--data.labels", "[yes, '1']", option]) == 0
    printed = capsys.readouterr().out
    assert "modality_type: ultrasound" in printed
    file.write_text(printed, encoding="utf-16")
    assert exits(["train", "--config", str(file), option]) == 0
    assert capsys.readouterr().out == printed


def test_settings_files_are_refused_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("optim: {epochs: 3}\nname: x\noptim: {epochs: 4}\n")
    assert main(["train", "--data.cases", "x.csv", "--config", str(file)]) == 2
    assert f"{file}:3:1: cannot be read as YAML: 'optim' occurs twice" in capsys.readouterr().err


def test_former_names_warn_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warn.cache_clear()
    file = tmp_path / "settings.yaml"
    file.write_text("optim: {clip: 2}\n")
    arguments = ["train", "--data.cases", "x.csv", "--config", str(file), "--optim.clip", "3"]
    assert exits([*arguments, "--print-config"]) == 0
    out, err = capsys.readouterr()
    assert "gradient_clip_norm: 3.0" in out
    assert err.count("optim.clip is now optim.gradient_clip_norm") == 1


@pytest.mark.parametrize("command", ["train", "evaluate", "split", "phantom", "explain"])
def test_a_negative_seed_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    start = {"train": ["--data.cases", "x"], "split": ["x", "y"], "phantom": ["x"]}
    rest = start.get(command, ["x"])
    more = ["--cases", "x"] if command == "explain" else []
    assert main([command, *rest, *more, "--seed", "-1"]) == 2
    assert "seed: -1 is out of range; expected 0 to 4294967295" in capsys.readouterr().err


def test_a_terminal_without_unicode_gets_replacements(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["evaluate", "läsion"]) == 1
    sys.stderr.flush()
    assert b"l?sion" in raw.getvalue()


def test_a_path_is_a_path_whatever_its_letters() -> None:
    names = ["arm: left.jpg", "{a}.png", "- b.png", "# c.png", "12"]
    for name in names:
        for words in ([f"--images.clinical={name}"], ["--images.clinical", name]):
            parsed = build_parser(["predict"]).parse_args(
                current_arguments(join_images(["predict", "model", *words]))
            )
            assert parsed.predict.images == {"clinical": name}


def test_a_terminal_of_width_0_shows_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    assert main(["check", "none.csv"]) == 1
    assert "none.csv: no such file" in capsys.readouterr().err
