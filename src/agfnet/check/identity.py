"""Data that identify patients. No message repeats an identifying value."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from agfnet.check.findings import Findings
from agfnet.check.headers import Header
from agfnet.check.survey import Use
from agfnet.data.spelling import is_placeholder, patient_key
from agfnet.data.table import Case

_FIX = "write a copy without it (agfnet deidentify) before the data leave the hospital"
_PSEUDONYM = {"phantom", "anonymous", "anonymized", "anonymised", "anon", "patient", "subject"}
"""Words of a DICOM name that identify nobody."""
_COLUMNS = {
    *("name", "patientname", "fullname", "firstname", "lastname", "surname", "forename"),
    *("familyname", "givenname", "birthdate", "dateofbirth", "dob", "patientdob", "birthday"),
    *("email", "phone", "telephone", "address", "street", "mrn", "medicalrecordnumber"),
    *("ssn", "nhsnumber", "insurancenumber"),
}
# but no image@2x.png
_EMAIL = re.compile(
    r"[\w.+-]+@[\w-]+\.(?!png|jpe?g|tiff?|dcm|webp|bmp|gif)[a-z]{2,}", re.IGNORECASE
)
_PERSON = re.compile(
    r"[^\W\d_]{2,}\^[^\W\d_]+"  # Family^Given, as DICOM has it
    r"|\b[A-Z][a-z]{2,}, ?[A-Z][a-z]+"  # Family, Given
    r"|(?:\b|_)(?:[Mm]rs?|[Mm]s|[Ff]rau|[Hh]err|[Mm]me)[._ ]+[A-Z][a-z]+"
)
_DAY, _MONTH = r"(?:0[1-9]|[12]\d|3[01])", r"(?:0[1-9]|1[0-2])"
_BIRTH = re.compile(
    r"(?i:\b|_)(?i:dob|born|birth|geb|né)[ ._-]*\d"
    # before 2000 a date is rather one of birth than of an examination
    rf"|(?<![\d.])19\d\d([-._]?){_MONTH}\1{_DAY}(?!\d|\.\d)"
    rf"|(?<![\d.]){_DAY}[-._]{_MONTH}[-._]19\d\d(?!\d|\.\d)"
)


def check_names(cases: Sequence[Case], folder: Path, findings: Findings) -> None:
    """Report ids and paths that hold a person's name, a birth date or an e-mail address."""
    for case in cases:
        for column, text in _texts(case, folder):
            if what := _identifies(text):
                message = (
                    f"looks as if it holds {what}; rename it to a code and keep the list apart"
                )
                findings.add("identity_name", message, case=case, column=column)
    columns = dict.fromkeys(name for case in cases[:1] for name in case.attributes)
    for column in columns:
        plain = re.sub(r"[\W_]", "", column).casefold()
        if plain in _COLUMNS and any(case.attributes[column] for case in cases):
            message = f"the name of the column says that it identifies patients; {_FIX}"
            findings.add("identity_column", message, column=column)


def _texts(case: Case, folder: Path) -> Iterator[tuple[str, str]]:
    yield "lesion_id", case.lesion_id
    if case.patient_id != case.lesion_id:
        yield "patient_id", case.patient_id
    for column, paths in case.images.items():
        yield column, " | ".join(_below(path, folder) for path in paths)
    for column, text in case.attributes.items():
        if "@" in text:
            yield column, text


def _below(path: Path, folder: Path) -> str:
    """Return the path below the table's folder: the folders above are the user's."""
    text, start = os.fspath(path), f"{folder}{os.sep}"
    return text[len(start) :] if text.startswith(start) else path.name


def _identifies(text: str) -> str:
    if "@" in text and _EMAIL.search(text):
        return "an e-mail address"
    if _BIRTH.search(text):
        return "a birth date"
    return "a name" if _PERSON.search(text) else ""


def check_headers(uses: Sequence[Use], findings: Findings) -> None:
    """Report DICOM attributes and EXIF fields that identify, and patients under several ids."""
    for use in uses:
        header = use.facts.header
        fields = _identifying(header, use.case)
        if fields:
            name = "dicom_identity" if header.format == "DICOM" else "exif_identity"
            message = f"{use.path.name!r} has {', '.join(fields)} filled in; {_FIX}"
            findings.add(name, message, case=use.case, column=use.column)
        if header.gps:
            message = f"{use.path.name!r} holds the place where it was taken; {_FIX}"
            findings.add("exif_gps", message, case=use.case, column=use.column)
    _check_patients(uses, findings)
    _check_lesions(uses, findings)


def _identifying(header: Header, case: Case) -> tuple[str, ...]:
    """Return the fields that identify. A name or an id that the table has too is a pseudonym."""
    ids = {case.patient_id.casefold(), case.lesion_id.casefold(), ""}
    fields = header.identity
    words = set(re.split(r"[\^=,\s]+", header.patient_name.casefold()))
    if words <= ids | _PSEUDONYM:
        fields = tuple(name for name in fields if name != "PatientName")
    replaced = header.deidentified or header.patient_id.casefold() in ids
    return fields if replaced else ("PatientID", *fields)


def _check_patients(uses: Sequence[Use], findings: Findings) -> None:
    """Report one PatientID of DICOM under several patients of the table."""
    first: dict[str, dict[str, Use]] = defaultdict(dict)
    for use in uses:
        if use.facts.header.patient_id:
            first[use.facts.header.patient_id].setdefault(use.case.patient_id, use)
    known = {patient for patients in first.values() for patient in patients}
    for patients in first.values():
        if len(patients) > max(2, len(known) // 2):
            continue  # one word in place of all ids
        people = list(patients.values())
        for number, use in enumerate(people[1:], start=1):
            earlier = people[:number]
            other = next((each for each in earlier if use.across(each)), earlier[0])
            findings.add(
                "dicom_patient_leak" if use.across(other) else "dicom_patient",
                f"{use.path.name!r} has the PatientID of {other.path.name!r} in row "
                f"{other.case.row}, which is of patient {other.case.patient_id!r}; "
                "give both lesions the same patient_id",
                case=use.case,
                column="patient_id",
            )


def _check_lesions(uses: Sequence[Use], findings: Findings) -> None:
    """Report lesions whose DICOM files name several patients."""
    named: dict[int, dict[str, Use]] = defaultdict(dict)
    comparable = set()
    for use in uses:
        patient = use.facts.header.patient_id
        if not patient or is_placeholder(patient):
            continue
        if named[use.case.row]:
            comparable.add(use.case.row)
        named[use.case.row].setdefault(patient_key(patient), use)
    mixed = [list(patients.values()) for patients in named.values() if len(patients) > 1]
    if len(mixed) > max(2, len(comparable) // 2):
        return  # the archives of the two modalities number patients by themselves
    for earlier, *others in mixed:
        for use in others:
            findings.add(
                "dicom_patients",
                f"{use.path.name!r} has another PatientID than {earlier.path.name!r} of this "
                "lesion; replace the image of the other patient",
                case=use.case,
                column=use.column,
            )
