from __future__ import annotations

from itertools import combinations

import pytest

from agfnet.check.findings import Findings
from agfnet.check.labels import alike, check_patients
from agfnet.data.table import Case


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("melanoma", "melanomma"),
        ("melanoma", "melanom"),
        ("melanoma", "nelanoma"),
        ("basal cell carcinoma", "basal-cell_carcinoma"),
        ("Basal Cell Carcinoma", "basal_cell_carcinomas"),
        ("naevus", "nevus"),
        ("haemangioma", "Hemangioma"),
        ("BCC", "basal cell carcinoma"),
        ("NV", "NEV"),
        ("TRUE", "1"),
        ("no", "False"),
        ("yes", "Y"),
        ("melanoma", "黑色素瘤"),
        ("basal cell lesion", "Lesion, basal cell"),
    ],
)
def test_spellings_of_one_label(one: str, other: str) -> None:
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Melanoma", "mela noma"),  # which read_cases reports
        ("lipoma", "lymphoma"),
        ("myoma", "myxoma"),
        ("grade a", "grade b"),
        ("yes", "no"),
        ("TRUE", "True"),  # which read_cases reports
        ("melanoma1", "melanoma2"),
        ("melanoma i", "melanoma ii"),
        ("melanomaII", "melanomaIII"),
        ("lentigo maligna", "lentigo"),
        ("benign", "malign"),
        ("naevus", "blue naevus"),
        ("?", "-"),
        ("grade 1 type 2", "type 1 grade 2"),
    ],
)
def test_labels_that_differ(one: str, other: str) -> None:
    assert not alike(one, other)
    assert not alike(other, one)


def test_short_codes_differ() -> None:
    codes = ["NV", "MEL", "BCC", "SCC", "AK", "BKL", "DF", "SK", "INF"]
    codes += ["AKIEC", "VASC", "SCCKA", "BEN_OTH", "MAL_OTH"]
    assert not [pair for pair in combinations(codes, 2) if alike(*pair)]


def test_days_among_patient_ids_are_reported() -> None:
    cases = [Case(n, n, "a", {}, {}, "", {}, 2) for n in ("1-13", "01.02.2026", "2-20")]
    findings = Findings()
    check_patients(cases, findings)
    messages = [each.message for each in findings.sorted() if each.name == "patient_rounded"]
    assert messages == [
        "'01.02.2026' (1 lesion) is a day, into which a spreadsheet turns ids such as 1-2; export "
        "the ids as text"
    ]
