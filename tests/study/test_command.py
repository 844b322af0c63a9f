"""The whole command, with runs that only write their answers; `test_resume.py` trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from agfnet.cli import main
from agfnet.config import StudyConfig
from agfnet.data.table import read_cases
from agfnet.errors import ConfigError, DataError, RunError
from agfnet.inference.predictions import format_predictions, parse_predictions
from agfnet.locks import locked
from agfnet.study.executors import job, local
from agfnet.study.plan import read_study
from agfnet.study.predictions import DIGITS
from agfnet.study.runner import run_study
from agfnet.training.run_folder import write_run

OWN = {"cohort": None, "base": {"data.cases": "cases.csv"}}


CHANGED = {"lesions": 41, "size": 32, "frames": 1, "entities": ["naevus", "melanoma"]}


def tables(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((path / "tables").iterdir())}


@pytest.mark.slow
def test_a_study_ends_with_tables_and_a_page(study_file, quick, tmp_path):
    run_study(StudyConfig(file=str(study_file(**OWN, seeds=list(range(6))))))
    assert len(quick) == 12
    names = set(tables(tmp_path / "study"))
    assert names == {"test.md", "test.tex", "test.csv", "test.json"}
    figures = {path.name for path in (tmp_path / "study" / "figures").iterdir()}
    assert {"test-differences-88mm.pdf", "test-differences-180mm.svg"} <= figures
    found = json.loads((tmp_path / "study" / "tables" / "test.json").read_text())
    rows = {(row["method"], row["metric"]): row for row in found["rows"]}
    assert rows["concatenation", "nll"]["verdict"] == "worse"
    assert rows["AGFnet", "nll"]["p"] is None
    assert rows["AGFnet", "accuracy"]["seeds"] == 6
    page = (tmp_path / "study" / "report.html").read_text()
    assert "Research use only" in page
    assert '<td class="worse">worse<small>' in page


@pytest.mark.slow
def test_a_finished_study_only_makes_its_tables_again(study_file, quick, tmp_path):
    path = str(study_file(**OWN))
    run_study(StudyConfig(file=path))
    before = tables(tmp_path / "study")
    (tmp_path / "study" / "tables" / "test.md").unlink()
    run_study(StudyConfig(file=path))
    assert len(quick) == 4
    assert tables(tmp_path / "study") == before


@pytest.mark.slow
def test_the_stored_predictions_suffice_for_tables_and_report(study_file, quick, tmp_path, capsys):
    path = str(study_file(**OWN))
    out, stored = tmp_path / "study", tmp_path / "predictions.zip"
    run_study(StudyConfig(file=path))
    before = {row["metric"]: row for row in rows_of(out)}
    (out / "predictions.zip").rename(stored)
    shutil.rmtree(out)
    run_study(StudyConfig(file=path, predictions=str(stored)))
    assert len(quick) == 4
    assert {file.name for file in out.iterdir()} == {"figures", "report.html", "tables"}
    for row in rows_of(out):
        for name, value in row.items():
            near = pytest.approx(value, abs=2e-3) if isinstance(value, float) else value
            assert before[row["metric"]][name] == near
    again = stored.read_bytes()
    run_study(StudyConfig(file=path))
    assert (out / "predictions.zip").read_bytes() == again  # always the same bytes
    capsys.readouterr()
    run_study(StudyConfig(file=str(study_file(**OWN, seeds=[0, 2])), predictions=str(stored)))
    assert "concatenation-seed2: not complete in predictions.zip" in (
        out / "report.html"
    ).read_text(encoding="utf-8")


def rows_of(out: Path) -> list[dict[str, object]]:
    """Rows of the second method."""
    content = json.loads((out / "tables" / "test.json").read_text())
    return [row for row in content["rows"] if row["method"] == "concatenation"]


def test_stored_probabilities_keep_a_close_answer(tmp_path):
    text = "lesion_id,patient_id,label,predicted,p_a,p_b\nL1,P1,a,b,0.4999785,0.5000215\n"
    predictions = parse_predictions(text, tmp_path / "predictions.csv")
    stored = format_predictions(predictions, DIGITS)
    assert parse_predictions(stored, tmp_path / "stored.csv").predicted == ("b",)


def test_files_that_hold_no_predictions_of_a_study(study_file, tmp_path):
    path = str(study_file(**OWN))
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        archive.writestr("agfnet-seed0/test.csv", "lesion_id,patient_id,label,predicted,p_a,p_b\n")
    whole = content.getvalue()
    for name, offset in (("method.zip", whole.index(b"PK\1\2") + 10), ("data.zip", 51)):
        damaged = bytearray(whole)  # an unknown compression method, and no compressed data
        damaged[offset] = 0xFF
        (tmp_path / name).write_bytes(damaged)
    (tmp_path / "p.zip").write_bytes(b"PK no archive")
    with ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("other/test.csv", "")
    for name, message in (
        ("none.zip", "not a readable file with predictions"),
        ("p.zip", "not a readable file with predictions"),
        ("method.zip", "not a readable file with predictions"),
        ("data.zip", "not a readable file with predictions"),
        ("other.zip", r"has no run of .*, such as agfnet-seed0/test\.csv"),
    ):
        with pytest.raises(DataError, match=message):
            run_study(StudyConfig(file=path, predictions=str(tmp_path / name)))
    with pytest.raises(ConfigError, match="export: not with predictions"):
        StudyConfig(file=path, predictions="p.zip", export="paper")


@pytest.mark.slow
def test_a_failed_run_is_reported_and_stops_no_other(study_file, quick, tmp_path, capsys):
    methods = {"AGFnet": {}, "bad": {"model.dropout": 0.9}, "peer": "concatenation"}
    assert main(["study", str(study_file(**OWN, methods=methods))]) == 1
    assert sorted(quick) == ["agfnet-seed0", "agfnet-seed1", "peer-seed0", "peer-seed1"]
    errors = capsys.readouterr().err
    assert "2 of 6 runs failed" in errors
    assert "bad-seed1: no such luck" in errors
    assert "Traceback" not in errors
    log = (tmp_path / "study" / "runs" / "bad-seed0" / "error.log").read_text()
    assert "ValueError" in log
    page = (tmp_path / "study" / "report.html").read_text()
    assert "2 runs of 6 not finished" in page
    assert "bad-seed0" in page


def test_ctrl_c_stops_and_says_how_to_go_on(study_file, quick, capsys):
    methods = {"AGFnet": {}, "stopped": {"model.dropout": 0.8}}
    assert main(["study", str(study_file(**OWN, methods=methods))]) == 1
    assert "same command again to continue" in capsys.readouterr().err
    assert quick == ["agfnet-seed0"]


def test_dry_run_lists_and_runs_nothing(study_file, quick, tmp_path, capsys):
    path = str(study_file(**OWN))
    assert main(["study", path, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "concatenation-seed1" in shown
    assert "4 runs, 0 of them finished" in shown
    assert not (tmp_path / "study").exists()
    run_study(StudyConfig(file=path, shard="1/4"))
    capsys.readouterr()
    main(["study", path, "--dry-run"])
    assert "4 runs, 1 of them finished" in capsys.readouterr().out


@pytest.mark.slow
def test_shares_are_all_of_the_study(study_file, quick, tmp_path):
    path = str(study_file(**OWN))
    for share in ("1/3", "2/3", "3/3"):
        run_study(StudyConfig(file=path, shard=share))
    assert len(quick) == len(set(quick)) == 4
    assert not (tmp_path / "study" / "tables").exists()
    run_study(StudyConfig(file=path))
    assert len(quick) == 4
    assert (tmp_path / "study" / "tables" / "test.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_shard_that_does_not_exist_is_refused(study_file, shard):
    with pytest.raises(ConfigError, match="expected i/n"):
        run_study(StudyConfig(file=str(study_file(**OWN)), shard=shard))


@pytest.mark.slow
def test_a_run_with_other_settings_is_an_error(study_file, quick):
    run_study(StudyConfig(file=str(study_file(**OWN))))
    changed = study_file(**OWN | {"base": {"data.cases": "cases.csv", "optim.epochs": 7}})
    with pytest.raises(RunError, match=r"other settings \(optim.epochs\)"):
        run_study(StudyConfig(file=str(changed)))


@pytest.mark.slow
def test_two_studies_on_one_folder_are_refused(study_file, quick, tmp_path):
    path = str(study_file(**OWN))
    with (
        locked([tmp_path / "study" / "locks" / "agfnet-seed1.lock"], cure=""),
        pytest.raises(RunError, match=f"process {os.getpid()} on .* is at work here .*, delete "),
    ):
        run_study(StudyConfig(file=path))
    assert quick == []
    run_study(StudyConfig(file=path))


@pytest.mark.slow
def test_a_cohort_is_made_once_and_never_silently_another(study_file, quick, tmp_path):
    run_study(StudyConfig(file=str(study_file())))
    table = tmp_path / "study" / "cohorts" / "cohort" / "cases.csv"
    before = table.stat().st_mtime_ns
    run_study(StudyConfig(file=str(study_file())))
    assert table.stat().st_mtime_ns == before
    with pytest.raises(RunError, match=r"other settings \(lesions\)"):
        run_study(StudyConfig(file=str(study_file(cohort=CHANGED))))


def test_a_cohort_of_unknown_settings_is_not_used(study_file, quick, tmp_path):
    folder = tmp_path / "study" / "cohorts" / "cohort"
    folder.mkdir(parents=True)
    (folder / "cases.csv").write_text("")
    with pytest.raises(RunError, match=r"cohort: holds a table, but cohort\.yaml next to it"):
        run_study(StudyConfig(file=str(study_file())))
    assert quick == []


def test_a_further_table_that_is_not_there_costs_no_training(study_file, quick, tmp_path, capsys):
    path = study_file(**OWN, evaluate={"other": str(tmp_path / "other.csv")})
    assert main(["study", str(path), "--shard", "1/1"]) == 1
    assert quick == []
    assert "other.csv: no such file" in capsys.readouterr().err


def test_runs_on_a_table_that_has_changed_are_not_mixed(study_file, tmp_path):
    table = tmp_path / "cases.csv"
    rows = ["L1,P1,naevus,train,a.png,b.png", "L2,P2,melanoma,test,a.png,b.png"]
    header = "lesion_id,patient_id,label,split,clinical,ultrasound"
    table.write_text("\n".join([header, *rows]))
    study = read_study(study_file(cohort=None, base={"data.cases": str(table)}))
    first = study.runs[0]
    cases = read_cases(table, modalities=tuple(first.config.data.modalities), check_files=False)
    write_run(first.folder, first.config, cases)
    job.check_table_unchanged(study.runs)
    table.write_text("\n".join([header, rows[0].replace("naevus", "melanoma"), rows[1]]))
    message = rf"cases\.csv: is not the table that .*{first.name} .*\(other values in label\)"
    with pytest.raises(RunError, match=message):
        run_study(StudyConfig(file=str(study.path)))
    table.unlink()
    job.check_table_unchanged(study.runs)  # the runs that need it will say so


@pytest.mark.slow
def test_folds_are_pooled_and_settings_have_tables_and_a_learning_curve(
    study_file, quick, tmp_path
):
    settings = {"half": {"data.train_fraction": 0.5}, "all": {}}
    run_study(StudyConfig(file=str(study_file(**OWN, folds=[0, 1], settings=settings))))
    assert len(quick) == 16
    found = json.loads((tmp_path / "study" / "tables" / "half-test.json").read_text())
    assert (found["cases"], found["patients"], found["ranked_runs"]) == (120, 80, 4)
    assert (tmp_path / "study" / "figures" / "learning-curves-test-180mm.svg").is_file()


@pytest.mark.slow
def test_networks_scored_on_other_cases_are_not_compared(study_file, quick, tmp_path):
    path = str(study_file(**OWN))
    run_study(StudyConfig(file=path))
    file = tmp_path / "study/runs/concatenation-seed1/evaluation/test/predictions.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert main(["study", path]) == 1


@pytest.mark.slow
def test_failures_in_processes_of_their_own_are_reported(study_file, capsys):
    path = str(study_file(**OWN, seeds=[0], methods=["concatenation"]))
    assert main(["study", path, "--workers", "2", "--cpus", "1"]) == 1
    errors = capsys.readouterr().err
    assert "1 of 1 runs failed" in errors
    assert "cases.csv" in errors


def test_settings_that_contradict_each_other(study_file):
    with pytest.raises(ConfigError, match="needs --executor ray"):
        StudyConfig(file="x", gpus=1)
    with pytest.raises(ConfigError, match="needs --executor ray"):
        StudyConfig(file="x", address="auto")


def test_a_signal_stops_the_whole_study(study_file, monkeypatch, capsys):
    """And the exit code tells the scheduler to start it again."""
    begun = []

    def signalled(run):
        begun.append(run)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(local, "attempt", signalled)
    assert main(["study", str(study_file(**OWN, seeds=[0, 1]))]) == 75
    assert len(begun) == 1
    assert "stopped; run the same command again" in capsys.readouterr().err
