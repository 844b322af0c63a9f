import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from agfnet.inference.predictions import Predictions
from agfnet.metrics.discrimination import macro_auc
from agfnet.report.plots.confusion import confusion_matrix
from agfnet.report.plots.curves import risk_coverage_curve, roc_curves
from agfnet.report.plots.reliability import reliability_diagram

FIGURES = [
    confusion_matrix,
    roc_curves,
    reliability_diagram,
    risk_coverage_curve,
]
NAMES = (
    "黑色素瘤",
    "<b>&\"'",
    "$\\frac{",
    "a very long name of a class / that has no end whatsoever, none",
)


def _texts(svg: str) -> str:
    return " ".join("".join(element.itertext()) for element in ET.fromstring(svg).iter())


@pytest.mark.slow
@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (2, 11), (60, 11), (60, NAMES)])
def test_draws_every_table_and_leaves_no_trace(draw, rows, classes, table):
    before = dict(mpl.rcParams)
    svg = draw(table(rows, classes))
    assert dict(mpl.rcParams) == before
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")


def test_an_id_means_the_same_in_every_figure(table):
    meaning: dict[str, bytes] = {}
    for cases in (table(60), table(20, 2)):
        for draw in FIGURES:
            for element in ET.fromstring(draw(cases)).iter():
                if name := element.get("id"):
                    text = ET.tostring(element).strip()
                    assert meaning.setdefault(name, text) == text


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_table_gives_the_same_text(draw, table):
    assert draw(table()) == draw(table())


def test_the_confusion_matrix_shows_counts_shares_and_names():
    cases = Predictions(
        classes=("naevus", "melanoma"),
        lesion_id=("1", "2", "3", "4"),
        patient_id=("1", "2", "3", "4"),
        label=("naevus", "naevus", "naevus", "melanoma"),
        probabilities=np.eye(2)[[0, 0, 1, 1]],
    )
    text = _texts(confusion_matrix(cases))
    for expected in ("67%", "33%", "100%", "naevus", "melanoma", "True class"):
        assert expected in text


def test_the_roc_legend_names_the_area(table):
    cases = table(100, 3)
    text = _texts(roc_curves(cases))
    area = macro_auc(cases.probabilities, cases.target)
    assert f"mean of the classes: {area:.3f}" in text


def test_names_are_text_and_not_markup_or_formulas(table):
    text = _texts(roc_curves(table(60, NAMES)))
    assert all(name in text for name in NAMES[:3])
    assert NAMES[3][:40] in text
    assert NAMES[3] not in text


def test_unlabelled_rows_are_left_out(table):
    full = table(40)
    mixed = Predictions(
        classes=full.classes,
        lesion_id=full.lesion_id,
        patient_id=full.patient_id,
        label=full.label[:20] + ("",) * 20,
        probabilities=full.probabilities,
    )
    for draw in FIGURES:
        assert draw(mixed) == draw(full.select(range(20)))


def test_a_table_of_equal_confidences_can_be_drawn():
    cases = Predictions(
        classes=("a", "b"),
        lesion_id=("1", "2"),
        patient_id=("1", "2"),
        label=("a", "b"),
        probabilities=np.full((2, 2), 0.5),
    )
    for draw in FIGURES:
        draw(cases)


@pytest.mark.slow
def test_pyplot_stays_out():
    code = (
        "import sys, agfnet.report.run; "
        "sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
