"""Two runs on the same lesions: pairing, numbers by hand, and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from agfnet.cli import main
from agfnet.config import CompareConfig
from agfnet.errors import ConfigError, DataError
from agfnet.evaluation.compare import compare, paired
from agfnet.evaluation.compare_runs import disagreements
from agfnet.inference.predictions import Predictions, write_predictions
from agfnet.report.run import run_comparison

from ..report.pages import EVIL, Page


def answers(right: str, first: int = 0, classes: tuple[str, str] = ("a", "b")) -> Predictions:
    """A lesion per letter, labels by turns: 1 right, 0 wrong, the earlier the surer."""
    rows = np.arange(len(right))
    names = tuple(f"L{first + row}" for row in rows)
    target = (first + rows) % 2
    said = np.where(np.array(list(right)) == "1", target, 1 - target)
    sure = 0.9 - 0.01 * rows
    probabilities = np.where(said[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
    return Predictions(
        classes=classes,
        lesion_id=names,
        patient_id=names,
        label=tuple(classes[index] for index in target),
        probabilities=probabilities,
    )


def shuffled(cases: Predictions) -> Predictions:
    """The same rows and columns in another order."""
    turned = cases.select(list(range(len(cases)))[::-1])
    return replace(
        turned, classes=turned.classes[::-1], probabilities=turned.probabilities[:, ::-1]
    )


A, B = answers("1111100011"), answers("1100011100")


def test_numbers_by_hand() -> None:
    found = compare(paired(A, B), resamples=50)
    assert (found["n"], found["patients"], found["only_a"], found["only_b"]) == (10, 10, 0, 0)
    accuracy = found["metrics"]["accuracy"]
    assert (accuracy["a"]["value"], accuracy["b"]["value"]) == (0.7, 0.5)
    assert accuracy["difference"]["value"] == pytest.approx(0.2)
    assert accuracy["difference"]["low"] < 0.2 < accuracy["difference"]["high"]
    right = found["right"]
    counts = [right[key] for key in ("both", "only_a", "only_b", "neither")]
    assert counts == [2, 5, 3, 0]
    assert right["mcnemar"] == pytest.approx(binomtest(5, 8).pvalue)
    assert right["permutation"] > 0.3
    a = found["classes"]["a"]
    assert a["n"] == 5
    assert a["sensitivity"]["a"] == pytest.approx(4 / 5)
    assert a["sensitivity"]["b"] == pytest.approx(2 / 5)
    assert a["sensitivity"]["difference"]["value"] == pytest.approx(0.4)


def test_order_of_rows_and_classes_does_not_matter() -> None:
    one, other = (compare(paired(A, b), resamples=20) for b in (B, shuffled(B)))
    assert json.dumps(one) == json.dumps(other)


def test_against_itself_nothing_differs() -> None:
    found = compare(paired(A, A), resamples=20)
    assert all(row["difference"]["value"] == 0 for row in found["metrics"].values())
    assert found["right"]["mcnemar"] == found["right"]["permutation"] == 1
    assert found["metrics"]["accuracy"]["difference"]["p"] == 1


def test_what_both_judged_is_compared_and_the_rest_counted() -> None:
    pair = paired(A, answers("11111", first=8))
    assert pair.a.lesion_id == pair.b.lesion_id == ("L8", "L9")
    assert (pair.only_a, pair.only_b) == (8, 3)


def test_disjoint_tables_are_an_error() -> None:
    with pytest.raises(DataError, match=r"no labelled lesion in common \(10 and 3 lesions\)"):
        paired(A, answers("111", first=10))
    with pytest.raises(DataError, match="no labelled lesion in common"):
        paired(A, replace(B, label=("",) * 10))


def test_ids_in_two_spellings_are_named() -> None:
    others = replace(B, lesion_id=(*B.lesion_id[:-2], "l-08 ", "l9"))
    with pytest.raises(DataError, match="'L8' of the first table is 'l-08 ' in the second, and 2"):
        paired(A, others)


def test_tables_that_contradict_each_other_are_an_error() -> None:
    with pytest.raises(DataError, match="different classes"):
        paired(A, answers("1111111111", classes=("a", "c")))
    with pytest.raises(DataError, match="column label"):
        paired(A, replace(B, label=("b", *B.label[1:])))


def test_disagreements_by_turns_and_the_surest_first() -> None:
    shown = disagreements(paired(A, B), max_cases=4)
    assert shown == [(0, 2), (0, 3), (1, 5), (1, 6)]
    assert len(disagreements(paired(A, B), max_cases=100)) == 8
    assert disagreements(paired(A, A)) == []
    few = disagreements(paired(answers("1111111111"), B), max_cases=4)
    assert few == [(0, row) for row in (2, 3, 4, 8)]


def test_the_page_needs_no_images_and_runs_nothing(tmp_path: Path) -> None:
    for name, cases in (("one", A), ("two", B)):
        hostile = replace(cases, lesion_id=tuple(EVIL + lesion for lesion in cases.lesion_id))
        path = tmp_path / name / "evaluation" / "test" / "predictions.csv"
        path.parent.mkdir(parents=True)
        write_predictions(hostile, path)
    config = CompareConfig(run_a=str(tmp_path / "one"), run_b=str(tmp_path / "two"), resamples=20)
    folder = run_comparison(config)
    assert folder == tmp_path / "one" / "comparison" / "two"
    page = Page((folder / "compare.html").read_text(encoding="utf-8"))
    assert "Of 10 lesions, one classified 70.0 % correctly and two 50.0 %" in page.text
    assert "The difference is compatible with chance." in page.text
    assert page.text.count(EVIL + "L") == 8
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "script" not in dict(page.tags)
    found = json.loads((folder / "compare.json").read_text())
    assert found["right"]["only_a"] == 5


def test_lesions_left_out_are_counted_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cases in (("one", A), ("two", answers("11111", first=7))):
        path = tmp_path / name / "evaluation" / "test" / "predictions.csv"
        path.parent.mkdir(parents=True)
        write_predictions(cases, path)
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 lesions that both runs predicted" in shown
    assert "Left out, because only one run predicted them: 7 lesions of a, 2 of b." in shown


def test_what_cannot_be_compared_is_refused_with_its_files(tmp_path: Path) -> None:
    for name, cases in (("one", A), ("two", replace(B, label=("b", *B.label[1:])))):
        path = tmp_path / name / "evaluation" / "test" / "predictions.csv"
        path.parent.mkdir(parents=True)
        write_predictions(cases, path)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"one/.*csv and .*two/.*csv: lesion 'L0', column label"):
        run_comparison(CompareConfig(run_a=one, run_b=two))
    for changes, message in (
        ({"out": str(tmp_path / "file")}, "out: .*file is a file; name a folder"),
        ({"cases": str(tmp_path / "x.csv")}, r"cases: .*x\.csv: no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_comparison(CompareConfig(**{"run_a": one, "run_b": two} | changes))


def test_a_run_is_not_compared_with_itself_and_a_copy_of_it_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        path = tmp_path / name / "evaluation" / "test" / "predictions.csv"
        path.parent.mkdir(parents=True)
        write_predictions(A, path)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    one = str(tmp_path / "one")
    for same in (one, f"{one}/", str(tmp_path / "link")):
        with pytest.raises(ConfigError, match=r"run_b: .*has the same predictions file as .*one,"):
            run_comparison(CompareConfig(run_a=one, run_b=same))
    run_comparison(CompareConfig(run_a=one, run_b=str(tmp_path / "two"), resamples=20))
    assert "all probabilities are equal, so every difference is 0" in caplog.text


def test_why_a_difference_may_not_be_one_of_the_networks_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = "3 of these lesions were used to train or validate this network."
    records = {
        "one": {"training_overlap": {"lesions": 3, "warning": seen}},
        "two": {"warnings": ["2 of 5 lesions have no image of ultrasound."]},
    }
    for name, table in (("one", A), ("two", B)):
        folder = tmp_path / name / "evaluation" / "test"
        folder.mkdir(parents=True)
        write_predictions(table, folder / "predictions.csv")
        record = {"table": {"path": f"/{name}.csv", "sha256": name}} | records[name]
        (folder / "metrics.json").write_text(json.dumps(record))
    assert main(["compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "one" / "comparison" / "two" / "compare.html").read_text(encoding="utf-8")
    for text in (f"one: {seen}", "two: 2 of 5 lesions have no", "(/one.csv and /two.csv)"):
        assert text in said
        assert text in page


def test_a_run_that_was_not_evaluated_is_an_error(tmp_path: Path) -> None:
    config = CompareConfig(run_a=str(tmp_path / "one"), run_b=str(tmp_path / "two"))
    with pytest.raises(DataError, match="one: no such folder; name a run"):
        run_comparison(config)
    (tmp_path / "one").mkdir()
    with pytest.raises(DataError, match="no such file; run `agfnet evaluate"):
        run_comparison(config)
    other = tmp_path / "one" / "evaluation" / "hospital" / "predictions.csv"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(DataError, match="this run has hospital: choose one with --name"):
        run_comparison(config)
