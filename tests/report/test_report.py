import re
from dataclasses import replace

import numpy as np
import pytest

from agfnet.evaluation.evaluate import evaluate, result_files
from agfnet.evaluation.subgroups import subgroups
from agfnet.inference.predictions import Predictions
from agfnet.metrics.bootstrap import to_json
from agfnet.report.cases import Example, choose_examples
from agfnet.report.certainty import certainty
from agfnet.report.evaluation import report_page
from agfnet.report.subgroups import group_table, named_groups
from agfnet.report.wording import decisions, summary

from .pages import EVIL, Page


def _examples(cases: Predictions) -> list[Example]:
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    return [
        Example(
            lesion_id=cases.lesion_id[row],
            label=cases.label[row],
            predicted=cases.predicted[row],
            probabilities=cases.probabilities[row],
            images={"clinical": pixels, EVIL: pixels},
            overlays={"clinical": pixels},
            prediction_set=(cases.predicted[row], EVIL),
            abstained=cases.abstain is not None and bool(cases.abstain[row]),
        )
        for row in choose_examples(cases, 6)
    ]


@pytest.fixture
def written():
    def write(cases: Predictions, *, results: dict | None = None, **options) -> Page:
        results = {"metrics.json": evaluate(cases, resamples=20)} | (results or {})
        return Page(report_page(title="T", predictions=cases, results=results, **options))

    return write


def _everything(cases: Predictions) -> dict[str, dict]:
    """Every result file, as `evaluate_run` would write them."""
    shown = dict.fromkeys(("value", "low", "high"), 0.5)
    measures = dict.fromkeys(
        ("accuracy", "balanced_accuracy", "nll", "ece", "accuracy_drop"), shown
    )
    conditions = [
        {"modality": view, "corruption": name, "severity": severity, **measures}
        for view, name in ((EVIL, "blur"), (EVIL, "missing"), ("", "frames_lost"))
        for severity in ((0,) if name == "missing" else range(1, 6))
    ]
    focus = dict.fromkeys(
        ("relevance_mass_accuracy", "lesion_area", "pointing_game", "deletion", "insertion"),
        shown,
    )
    attributes = {EVIL: ["x", EVIL] * (len(cases) // 2)}
    return result_files(cases, attributes=attributes, malignant=cases.classes[:1], resamples=20) | {
        "robustness.json": {
            "n": 9,
            "clean": measures,
            "means": dict.fromkeys(
                (
                    "corruption_error",
                    "corruption_error_increase",
                    "mean_corruption_error",
                    "relative_mean_corruption_error",
                ),
                shown,
            ),
            "conditions": conditions,
        },
        "focus.json": {
            "method": "occlusion",
            "n": 3,
            "modalities": {EVIL: {"n": 3, **focus}},
            "left_out": [EVIL],
        },
    }


def _decided(cases: Predictions) -> Predictions:
    """With sets and abstention, as a calibrated bundle answers."""
    return replace(
        cases,
        prediction_set=cases.probabilities > 0.2,
        abstain=cases.probabilities.max(axis=1) < 0.5,
    )


def _unlabelled(cases: Predictions) -> Predictions:
    return Predictions(
        classes=cases.classes,
        lesion_id=cases.lesion_id,
        patient_id=cases.patient_id,
        label=("",) * len(cases),
        probabilities=cases.probabilities,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (2, 11), (80, 2), (80, 11)])
def test_a_page_for_every_table(rows, classes, table, written):
    cases = table(rows, classes)
    page = written(cases, examples=_examples(cases), context={"Seed": 3})
    assert page.text.count("Research use only, not a medical device.") == 2
    assert "Seed 3" in page.text
    assert ("html", {"lang": "en"}) in page.tags


SECTIONS = {
    "confusion": "Confusion matrix",
    "classes": "Class by class",
    "group": "Malignant against the rest",
    "certainty": "Abstention",
    "subgroups": "Subgroups",
    "robustness": "Robustness to image corruption",
    "focus": "Attribution on the lesion",
    "cases": "Correct and confident",
    "numbers": "Balanced accuracy",
    "limits": "Limitations",
    "data": "Data and run",
    "checklists": "TRIPOD+AI",
}


@pytest.mark.slow
def test_every_section_is_there_and_linked(table, written):
    cases = _decided(table(60))
    page = written(
        cases,
        results=_everything(cases),
        examples=_examples(cases),
        facts={"data": "A table.", "model": "A network."},
    )
    assert [link[1:] for link in page.links if link.startswith("#")][: len(SECTIONS)] == list(
        SECTIONS
    )
    for anchor, words in SECTIONS.items():
        assert anchor in page.ids
        assert words in page.text
    assert "Not measured here" not in page.text
    assert "relative mean corruption error 50.0 % (—)" in page.text
    assert page.text.count("A table.") == 2  # CLAIM 7 and TRIPOD 5
    assert "42 funding." in page.text  # to be answered by the authors
    svgs = [tag for tag, _ in page.tags if tag == "svg"]
    assert len(svgs) == 9


def test_sections_of_what_was_not_measured_are_left_out(table, written):
    page = written(table(60))
    assert not {"classes", "group", "subgroups", "robustness", "focus"} & set(page.ids)
    assert "Not measured here: robustness to image corruption" in page.text


def test_one_class_in_the_target(written):
    cases = Predictions(
        classes=("a", "b"),
        lesion_id=("1", "2"),
        patient_id=("1", "2"),
        label=("a", "a"),
        probabilities=np.array([[0.9, 0.1], [0.8, 0.2]]),
    )
    page = written(cases)
    assert "classified 2 correctly (100 %, interval not defined)" in page.text
    assert "ROC" not in str(page.tags)
    assert "Classes with fewer than 20 lesions cannot be judged: a, b." in page.text
    assert "leave out those without a lesion in this table: b." in page.text


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_without_labels_nothing_is_scored(rows, table, written):
    cases = _unlabelled(table(rows))
    page = written(cases, examples=_examples(cases))
    assert "cannot say how good they are" in page.text
    assert "Accuracy" not in page.text
    assert "svg" not in dict(page.tags)


def test_nothing_is_loaded_from_outside(table, written):
    cases = table(60)
    page = written(cases, examples=_examples(cases))
    assert page.links
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert "script" not in dict(page.tags)
    assert not re.search(r"url\((?!#)|@import", str(page.tags) + page.text)


def test_every_link_inside_the_page_has_its_target(table, written):
    page = written(table(60))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


@pytest.mark.slow
def test_what_the_user_wrote_is_shown_and_not_run(table, written):
    cases = _decided(table(60, (EVIL, "other", "third")))
    cases = replace(cases, lesion_id=tuple(EVIL + lesion for lesion in cases.lesion_id))
    page = written(
        cases,
        results=_everything(cases),
        examples=_examples(cases),
        context={EVIL: EVIL},
        facts={"data": EVIL},
    )
    assert "b" not in dict(page.tags)
    assert page.text.count(EVIL) > 5
    alternatives = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert any(EVIL in text for text in alternatives)


@pytest.mark.slow
def test_every_metric_is_shown_with_its_limit_where_known(table, written):
    page = written(table(60), optimal_accuracy=0.9)
    for word in ("Accuracy", "Balanced accuracy", "AUC", "F1", "ECE", "AURC", "Brier"):
        assert word in page.text
    assert "The best possible here is 90.0 %." in page.text
    assert "The best possible accuracy on these images is 90 %." in page.text


def test_an_unknown_metric_is_shown_by_its_name(table, written):
    cases = table(60)
    metrics = evaluate(cases, resamples=20) | {"focus": {"value": 0.5, "low": 0.4, "high": 0.6}}
    assert "focus" in written(cases, results={"metrics.json": metrics}).text


def _said(right: int, rows: int, confidence: float, patients: int = 100) -> str:
    cases = Predictions(
        classes=("a", "b"),
        lesion_id=tuple(map(str, range(rows))),
        patient_id=tuple(str(row % patients) for row in range(rows)),
        label=("a",) * rows,
        probabilities=np.where(
            np.arange(rows)[:, None] < right,
            [confidence, 1 - confidence],
            [1 - confidence, confidence],
        ),
    )
    return " ".join(summary(cases, evaluate(cases, resamples=200))).replace("\u00a0", " ")


@pytest.mark.slow
def test_the_summary_in_plain_words():
    assert _said(83, 100, 0.85).startswith(
        "Of 100 lesions, the network classified 83 correctly (83 %, "
    )
    assert "at face value" in _said(83, 100, 0.85)
    assert "too few cases to be sure" in _said(8, 10, 0.8)
    assert "are too high" in _said(70, 100, 0.95)
    assert "are too low" in _said(90, 100, 0.7)
    assert "With only 4 patients" in _said(8, 10, 0.8, patients=4)
    assert "With only" not in _said(83, 100, 0.85)
    assert _said(1, 1, 0.9).startswith("The only labelled lesion was classified correctly.")


def test_only_none_and_all_are_0_and_100_per_cent():
    assert "classified 997 correctly (>99 %, " in _said(997, 1000, 0.9)
    assert "classified 1,000 correctly (100 %, " in _said(1000, 1000, 0.9)
    values = {"abstained": 0.0, "selective_risk": 0.004, "set_coverage": 0.999, "set_size": 1.0}
    text = " ".join(decisions({name: {"value": value} for name, value in values.items()}))
    text = text.replace("\u00a0", " ")
    assert "abstained for 0 % of" in text
    assert "<1 % were wrong" in text
    assert "the true class of >99 % of" in text


def test_one_patient_gives_no_interval():
    text = _said(8, 10, 0.8, patients=1)
    assert "interval not defined" in text
    assert "no interval is defined" in text
    assert "narrower" not in text


def test_sets_are_never_said_to_be_empty(table):
    """The most probable class is in every set."""
    cases = table(60)
    section = certainty(replace(cases, prediction_set=cases.probabilities > 0), {})
    assert "Classes in the set" in repr(section)
    assert "empty" not in repr(section).lower()


def test_a_group_of_many_lesions_of_few_patients_is_called_so(table):
    cases = table(120, per_patient=10)
    found = subgroups(cases, {"x": ["a", "b"] * 60}, resamples=5)
    rows = group_table(named_groups(to_json(found)["columns"])).rows
    assert [row[:3] for row in rows] == [
        ("x: a\nfew patients", "60", "12"),
        ("x: b\nfew patients", "60", "12"),
    ]
