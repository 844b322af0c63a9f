"""An answer as a DICOM structured report, for a picture archive. Research use only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agfnet import NOTICE, __version__
from agfnet.bundle import Bundle
from agfnet.data.dicom import is_dicom
from agfnet.data.dicom_patient import patients_of
from agfnet.data.paths import named_frame
from agfnet.errors import ConfigError, DataError
from agfnet.inference.about import answer_warnings
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.wording import group_sentences, sentence

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
SCHEME = "99AGFNET"
"""Coding scheme of the classes of a model: C1 is its first class."""
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
MAX_MEANING = 64
"""Characters of the meaning of a code (value representation LO)."""


def make_report(
    *, bundle: Bundle, diagnosis: Diagnosis, sources: Sequence[Path], identifiers: bool
) -> bytes:
    """Make a Comprehensive SR of one answer.

    It has the notice, the answer in words, the warnings and the probability of each class. It is
    neither complete nor verified, in the words of DICOM: no person has confirmed it.

    Args:
        bundle: the model.
        diagnosis: the answer.
        sources: the image files of the lesion.
        identifiers: copy the identifiers of patient and study from the first DICOM image, and
            refer to all DICOM images. Otherwise the report is of no patient, in a new study.

    Returns:
        The content of a DICOM file.

    Raises:
        ConfigError: pydicom is not installed.
        DataError: with identifiers, the images are of several patients.
    """
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
    except ImportError:
        raise ConfigError("a DICOM report needs pydicom; pip install 'agfnet[dicom]'") from None
    if identifiers and len(patients_of(sources)) > 1:
        raise DataError(
            "the images name more than one patient (PatientID), and a report is of one; give images"
            " of one patient, or write the report without identifiers"
        )
    images = _headers(sources) if identifiers else []
    report = Dataset()
    report.SpecificCharacterSet = "ISO_IR 192"
    report.SOPClassUID, report.SOPInstanceUID = COMPREHENSIVE_SR, generate_uid()
    for keyword in (*PATIENT, *STUDY):
        setattr(report, keyword, images[0].get(keyword, "") if images else "")
    known = images[0].get("StudyInstanceUID") if images else None
    report.StudyInstanceUID = known or generate_uid()
    report.Modality, report.SeriesInstanceUID, report.SeriesNumber = "SR", generate_uid(), 1
    report.SeriesDescription = "agfnet, research use only"
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.Manufacturer, report.ManufacturerModelName = "agfnet", "agfnet"
    report.SoftwareVersions = __version__
    now = datetime.now()
    report.InstanceNumber = 1
    report.ContentDate, report.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    report.CompletionFlag, report.VerificationFlag = "PARTIAL", "UNVERIFIED"
    if images:
        report.CurrentRequestedProcedureEvidenceSequence = _evidence(images)
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    report.ContentSequence = [*_items(bundle, diagnosis), *map(_image_item, images)]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(COMPREHENSIVE_SR)
    meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta = meta
    target = io.BytesIO()
    report.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _headers(sources: Sequence[Path]) -> list[Dataset]:
    """Return the headers of the DICOM files, each once."""
    from pydicom import dcmread

    headers = []
    for path in dict.fromkeys(named_frame(source)[0] for source in sources):
        with path.open("rb") as file:
            if is_dicom(file.read(132)):
                file.seek(0)
                headers.append(dcmread(file, stop_before_pixels=True, force=True))
    return [header for header in headers if "SOPInstanceUID" in header]


def _items(bundle: Bundle, diagnosis: Diagnosis) -> list[Dataset]:
    """Return the content of the report, without the images."""
    names = bundle.config.names
    language = _item(
        "HAS CONCEPT MOD", "CODE", "121049", "Language of Content Item and Descendants"
    )
    language.ConceptCodeSequence = [_code("en", "RFC5646", "English")]
    observer = _item("HAS OBS CONTEXT", "CODE", "121005", "Observer Type")
    observer.ConceptCodeSequence = [_code("121007", "DCM", "Device")]
    device = f"agfnet {__version__}"
    finding = sentence(names, diagnosis)
    items = [
        language,
        observer,
        _text("HAS OBS CONTEXT", "121013", "Device Observer Name", device),
        _text("CONTAINS", "121106", "Comment", NOTICE),
        _text("CONTAINS", "121071", "Finding", finding),
    ]
    warnings = [text for text in answer_warnings(bundle, diagnosis) if text != finding]
    texts = [*group_sentences(bundle, diagnosis), *warnings]
    items += [_text("CONTAINS", "121106", "Comment", text) for text in texts]
    if diagnosis.foreign:
        return items  # there is no diagnosis
    for c in np.argsort(-diagnosis.probabilities, kind="stable"):
        items.append(_probability(int(c), names[c], float(diagnosis.probabilities[c])))
    return items


def _probability(number: int, name: str, value: float) -> Dataset:
    from pydicom.dataset import Dataset

    measured = Dataset()
    measured.NumericValue = f"{value:.4f}"
    measured.MeasurementUnitsCodeSequence = [_code("1", "UCUM", "no units")]
    item = _item("CONTAINS", "NUM", f"C{number + 1}", f"Probability of {name}", scheme=SCHEME)
    item.MeasuredValueSequence = [measured]
    return item


def _image_item(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [_reference(header)]
    return item


def _evidence(images: Sequence[Dataset]) -> list[Dataset]:
    """Return the references to images, by study and series."""
    from pydicom.dataset import Dataset

    studies: dict[str, dict[str, list[Dataset]]] = {}
    for header in images:
        series = studies.setdefault(str(header.get("StudyInstanceUID", "")), {})
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(_reference(header))
    sequence = []
    for study, series in studies.items():
        entry = Dataset()
        entry.StudyInstanceUID, entry.ReferencedSeriesSequence = study, []
        for uid, references in series.items():
            part = Dataset()
            part.SeriesInstanceUID, part.ReferencedSOPSequence = uid, references
            entry.ReferencedSeriesSequence.append(part)
        sequence.append(entry)
    return sequence


def _reference(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = header.SOPClassUID
    reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return reference


def _text(relationship: str, code: str, meaning: str, text: str) -> Dataset:
    item = _item(relationship, "TEXT", code, meaning)
    item.TextValue = text
    return item


def _item(
    relationship: str, value_type: str, code: str, meaning: str, *, scheme: str = "DCM"
) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [_code(code, scheme, meaning)]
    return item


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = value, scheme
    code.CodeMeaning = meaning[:MAX_MEANING]
    return code
