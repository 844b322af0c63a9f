"""The patient that DICOM files name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agfnet.data.dicom import is_dicom
from agfnet.data.paths import named_frame
from agfnet.data.spelling import is_placeholder, patient_key


def patients_of(paths: Iterable[Path]) -> set[str]:
    """Return the patients that image files name, in one spelling; only DICOM names any."""
    files = dict.fromkeys(named_frame(path)[0] for path in paths)
    names = map(_patient_id, files)
    return {patient_key(name) for name in names if name and not is_placeholder(name)}


def _patient_id(file: Path) -> str:
    """Return the PatientID of a file; empty without one."""
    try:
        with file.open("rb") as content:
            if not is_dicom(content.read(132)):
                return ""
            from pydicom import dcmread

            content.seek(0)
            header = dcmread(
                content, force=True, stop_before_pixels=True, specific_tags=["PatientID"]
            )
            return str(header.get("PatientID") or "").strip()
    except Exception:  # of a damaged file, and of damaged text: reading the pixels says more
        return ""
