import math
import re
from dataclasses import replace

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from agfnet.report.plots.style import to_pdf, to_svg
from agfnet.study import plots

from .sections import ALL, MANY, METHODS, METRICS, section

WIDTHS = [plots.ONE_COLUMN, plots.TWO_COLUMNS]


def curves(drawn, width):
    halves = [replace(drawn, setting=name) for name in ("all", "half")]
    return plots.learning_curves({"half": 0.5, "all": 1.0}, halves, width)


DRAW = [plots.differences, plots.critical_differences, curves]


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("methods", "metrics"), [(METHODS, METRICS), (MANY[:15], ALL)])
def test_figures_fit_a_page_and_can_be_read(draw, width, methods, metrics):
    before = dict(mpl.rcParams)
    figures = draw(section(methods=methods, metrics=metrics), width)
    assert dict(mpl.rcParams) == before
    for figure in figures:
        wide, high = figure.get_size_inches()
        assert wide == pytest.approx(width / 25.4)
        assert high * 25.4 <= 247  # A4 without margins of 25 mm
        points = re.search(r'width="([\d.]+)pt"', to_svg(figure, "x"))[1]
        assert float(points) == pytest.approx(wide * 72)
        drawn = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        assert drawn.x0 > -0.01, "cut off at the left"
        assert drawn.x1 < wide + 0.01, "cut off at the right"
        assert all(text.get_fontsize() >= 7 for text in texts(figure))
        panels = [axes.get_window_extent().height / figure.dpi * 25.4 for axes in figure.axes]
        assert min(panels) > 8  # mm
    shown = [axes.get_title(loc) for f in figures for axes in f.axes for loc in ("left", "center")]
    assert len(list(filter(None, shown))) == len(metrics)  # each metric once


@pytest.mark.slow
@pytest.mark.parametrize("draw", DRAW)
def test_figures_name_every_method_and_are_the_same_every_time(draw):
    (figure,) = draw(section(), plots.TWO_COLUMNS)
    svg, pdf = to_svg(figure, "Of all <methods>"), to_pdf(figure)
    assert 'aria-label="Of all &lt;methods&gt;"' in svg
    assert "Late fusion" in svg
    assert "late_fusion" not in svg
    assert pdf.startswith(b"%PDF")
    (again,) = draw(section(), plots.TWO_COLUMNS)
    assert (to_svg(again, "Of all <methods>"), to_pdf(again)) == (svg, pdf)


def test_the_intervals_of_methods_at_one_fraction_do_not_overlap():
    (figure,) = curves(section(), plots.TWO_COLUMNS)
    positions = {line.get_xdata()[0] for line in figure.axes[0].lines}
    assert len(positions) == len(METHODS)
    assert max(positions) - min(positions) < math.log(2) / 2


def test_history_and_a_curve_of_one_fraction():
    assert "50 %" in to_svg(plots.learning_curves({"half": 0.5}, [section()], 180)[0], "x")
    drawn = plots.search_history({"AGFnet": [0.5, math.nan, 0.4]}, "nll")
    assert "AGFnet" in to_svg(drawn, "x")


def test_a_difference_without_p_is_drawn_as_not_tested():
    drawn = to_svg(plots.differences(section(p=math.nan), plots.ONE_COLUMN)[0], "x")
    assert "not tested" in drawn
    assert "inconclusive" not in drawn
    assert "inconclusive" in to_svg(plots.differences(section(p=0.3), plots.ONE_COLUMN)[0], "x")


def test_two_methods_have_no_critical_difference():
    few = replace(section(), methods=METHODS[:2])
    assert plots.critical_differences(few, plots.ONE_COLUMN) == []
