"""Answers as DICOM structured reports."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from agfnet import NOTICE
from agfnet.errors import DataError
from agfnet.inference.dicom_report import make_report
from agfnet.phantom.dicom import write_sweep
from agfnet.translation import words

from .test_wording import BUNDLE, diagnosis

ANSWER = replace(diagnosis(0.7, 0.2, 0.1), abstain=True)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.dcm"
    frames = [np.full((40, 40), 9 * k, np.uint8) for k in range(3)]
    write_sweep(
        path,
        frames,
        lesion_id="L1",
        patient_id="P1",
        station="s",
        spacing=0.1,
        frequency=20.0,
        burned_in=False,
    )
    return path


def report(*sources: Path, identifiers: bool, answer: Any = ANSWER) -> Any:
    content = make_report(bundle=BUNDLE, diagnosis=answer, sources=sources, identifiers=identifiers)
    return pydicom.dcmread(io.BytesIO(content))


def texts(document: Any) -> list[str]:
    return [item.TextValue for item in document.ContentSequence if item.ValueType == "TEXT"]


def test_the_report_has_the_answer_and_the_notice(sweep: Path) -> None:
    document = report(sweep, identifiers=True)
    said = texts(document)
    assert NOTICE in said
    assert "Most likely melanoma (70%), then basal cell carcinoma (20%)." in said
    assert "The uncertainty is too high for a result at the guaranteed risk." in said
    values = {
        item.ConceptNameCodeSequence[0].CodeValue: item.MeasuredValueSequence[0].NumericValue
        for item in document.ContentSequence
        if item.ValueType == "NUM"
    }
    assert values == {"C1": 0.7, "C2": 0.2, "C3": 0.1}
    assert (document.CompletionFlag, document.VerificationFlag) == ("PARTIAL", "UNVERIFIED")


def test_a_report_is_of_one_patient(sweep: Path, tmp_path: Path) -> None:
    """It would be filed under the patient of the first image."""
    other = tmp_path / "other.dcm"
    dataset = pydicom.dcmread(sweep)
    dataset.PatientID = "P2"
    dataset.save_as(other)
    with pytest.raises(DataError, match="more than one patient"):
        report(sweep, other, identifiers=True)
    assert report(sweep, other, identifiers=False).PatientID == ""


def test_the_report_has_the_warnings_of_the_page(sweep: Path) -> None:
    config = replace(BUNDLE.config, simulated=True, optional=("clinical",))
    content = make_report(
        bundle=replace(BUNDLE, config=config),
        diagnosis=replace(ANSWER, images=({"clinical": sweep},)),
        sources=[sweep],
        identifiers=False,
    )
    said = texts(pydicom.dcmread(io.BytesIO(content)))
    assert words()["model.simulated"] in said
    missing = words()["warning.missing_untrained"].format(modalities="Ultrasound")
    assert missing in said


def test_identifiers_are_copied_only_if_asked(sweep: Path) -> None:
    source = pydicom.dcmread(sweep)
    named = report(Path(f"{sweep}#1"), Path(f"{sweep}#2"), identifiers=True)
    assert (named.PatientID, named.PatientName) == (source.PatientID, source.PatientName)
    assert named.StudyInstanceUID == source.StudyInstanceUID
    images = [item for item in named.ContentSequence if item.ValueType == "IMAGE"]
    assert [i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in images] == [
        source.SOPInstanceUID
    ]
    nameless = report(sweep, identifiers=False)
    everything = str(nameless)
    for value in (source.PatientID, source.StudyInstanceUID, source.SOPInstanceUID, "PHANTOM"):
        assert str(value) not in everything
    assert (nameless.PatientID, nameless.PatientName) == ("", "")


def test_images_that_are_not_dicom_have_no_identifiers(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert report(photo, identifiers=True).PatientID == ""


def test_a_picture_of_another_kind_has_no_probability_in_the_report() -> None:
    document = report(identifiers=False, answer=replace(ANSWER, distances={"clinical": 3.0}))
    assert not [item for item in document.ContentSequence if item.ValueType == "NUM"]
    assert "melanoma" not in str(document)
    assert any(text.startswith("No diagnosis") for text in texts(document))


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize("identifiers", [True, False])
def test_another_toolkit_reads_the_report(sweep: Path, tmp_path: Path, identifiers: bool) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(
        make_report(bundle=BUNDLE, diagnosis=ANSWER, sources=[sweep], identifiers=identifiers)
    )
    command = ["dsrdump", "+Pl", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Comprehensive SR Document" in done.stdout
    assert NOTICE in done.stdout
    assert not any(line.startswith("E:") for line in done.stderr.splitlines()), done.stderr
