"""The report's part on maps that can be relied on."""

from __future__ import annotations

from agfnet.pages.blocks import page
from agfnet.report.attribution import sanity


def found(**changes: object) -> dict[str, object]:
    order = {"value": 0.1, "low": 0.05, "high": 0.2}
    good = {
        "parameter_randomisation": 0.1,
        "tiles": 0.2,
        "noise": 0.9,
        "order": order,
        "failed": [],
    }
    return {
        "cases": 12,
        "limits": {"same": 0.5},
        "methods": {"layercam": good, "guide": good | changes, "of a later version": good},
    }


def test_nothing_without_checks() -> None:
    assert sanity(None) is None


def test_what_fails_is_marked_and_what_holds_is_not() -> None:
    plain = page("T", [], [sanity(found())])
    assert "Do not rely on it" not in plain
    assert "LayerCAM" in plain
    assert "12 lesions" in plain
    failed = found(parameter_randomisation=0.8, failed=["parameter_randomisation"])
    failing = page("T", [], [sanity(failed)])
    assert failing.count("Do not rely on it") == 1
    assert "0.80 (fails)" in failing
