"""The check of an installation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from agfnet import doctor
from agfnet.cli import main


def test_advice_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "dicom", ("no_such_module", "DICOM cannot be read"))
    monkeypatch.setattr(doctor, "TRAINING", ("torch", "no-such-package"))
    checks = {check.name: check for check in doctor.examine(tmp_path / "runs", self_test=False)}
    assert checks["extra dicom"].status == "advice"
    assert "pip install 'agfnet[dicom]'" in checks["extra dicom"].text
    assert checks["no-such-package"].status == "problem"
    assert not doctor.is_ready(list(checks.values()))


def test_an_installation_without_torch_has_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(doctor, "TRAINING", ("no-such-package",))
    checks = {check.name: check for check in doctor.examine(tmp_path / "runs", self_test=False)}
    assert checks["no-such-package"].status == "advice"
    assert checks["device"].text == "torch is not installed"
    assert doctor.is_ready(list(checks.values()))


@pytest.mark.slow
def test_the_self_test_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--runs", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "self-test" in line]
    assert [line.split()[0] for line in lines] == ["ok"] * 3
