"""A bundle without calibration is not served unless this is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.bundle import Calibration, read_bundle, write_calibration
from agfnet.config import ServeConfig
from agfnet.errors import BundleError
from agfnet.serve.service import Service

from .live import make_bundle


def test_a_bundle_without_calibration_is_refused(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    Service(config=ServeConfig(bundle=str(folder))).spool.close()
    write_calibration(read_bundle(folder), Calibration())
    with pytest.raises(BundleError, match=r"is not calibrated.*--allow-uncalibrated"):
        Service(config=ServeConfig(bundle=str(folder)))


def test_it_is_served_with_the_setting(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    config = ServeConfig(bundle=str(folder), allow_uncalibrated=True, backend="onnx")
    Service(config=config).spool.close()
