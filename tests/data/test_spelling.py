from __future__ import annotations

import pytest

from agfnet.data.spelling import (
    column_key,
    days_among,
    is_damaged,
    is_placeholder,
    is_rounded,
    label_key,
    patient_key,
    rounded,
)


@pytest.mark.parametrize(
    "spellings",
    [
        ("12", "0012", "12.0", "12,00", " 12", "\u200b12", "\uff11\uff12", "'12"),
        ("P1", "p1", "P 1", "P-1", "p_01", "P\u20131", "P\u00a01", "P.1"),
        ("Zoe\u0308", "Zo\u00eb", "zo\u00eb"),
        ("1-2", "01-2", "1\u20132"),
        ("12", "#12", "(12)", "[12]", "12.", "12:", "\u0661\u0662", "\u06f1\u06f2", "\u202a12"),
        ("1234", "1,234", "1.234", "1'234", "1\u2019234", "1\u202f234", "01234"),
        ("1000", "1,000"),
        ("2023-7", "2023/07", "2023_7"),
        ("C1", "\u0421 1", "\u0441-01"),  # Cyrillic
        ("A1", "\u0391-1", "\u03b11"),  # Greek
        ("IZ1", "iz1", "\u0130z1", "\u0131z1"),  # Turkish
        ("\u0416\u04121", "\u0436\u0432-1"),
    ],
)
def test_spellings_of_one_patient(spellings: tuple[str, ...]):
    assert len(set(map(patient_key, spellings))) == 1


def test_different_patients():
    names = (
        "12",
        "120",
        "1.2",
        "1-2",
        "P1",
        "P10",
        "1-23",
        "12-3",
        "P1a",
        "Zoe",
        "0",
        "12,34",
        "#A",
        "\u04161",
    )
    assert len(set(map(patient_key, names))) == len(names)


def test_spellings_of_labels():
    assert label_key("1") == label_key("1.0") == label_key("01")
    assert label_key("\u201cBCC\u201d") == label_key("'BCC'") == label_key("BCC")
    assert label_key("Na\u0308vus") == label_key("n\u00e4 vus")
    names = ("0.5", "0.05", "1.05", "1.5", "NV", "BCC", "KA", "mel-1", "mel1")
    assert len(set(map(label_key, names))) == len(names)


@pytest.mark.parametrize(
    "word",
    [
        *("nan", "NaN", "NA", "N/A", "n.a.", "<NA>", "#N/A", "#REF!", "None", "null", "unknown"),
        *("Unknown ", "not known", "?", "???", "-", "\u2014", ".", "missing", "\u672a\u77e5"),
        *("unlabeled", "Unlabelled", "un-classified", "未标注"),
        *("n.d.", "k. A.", "s/d", "pending", "Not performed", "unklar", "desconocida", "待定"),
        *(
            "(blank)",
            "XXX",
            "\\N",
            "to be determined",
            "unknown patient",
            "sin dato",
            "kein Befund",
        ),
        *(
            "\u043d\u0435\u0442 \u0434\u0430\u043d\u043d\u044b\u0445",
            "暂无",
            "缺失",
            "해당없음",
            "#\u041d/\u0414",
            "#¡VALOR!",
            "#ДЕЛ/0!",
        ),
    ],
)
def test_placeholders(word: str):
    assert is_placeholder(word)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "NV",
        "KA",
        "Nadine",
        "P1",
        "0",
        "other",
        "nanometre",
        "#12",
        "#0",
        "#A",
        "#AB",
        "K/A",
        "nd",
        "рак",
    ],
)
def test_words_that_are_no_placeholders(word: str):
    assert not is_placeholder(word)


def test_numbers_that_a_spreadsheet_rounded():
    assert all(map(is_rounded, ("1.23457E+11", "1,23457E+11", "1.2e11", "1E+12")))
    assert not any(map(is_rounded, ("123457000000", "1E12", "E1", "12.5", "P1E+5", "")))


def test_long_numbers_whose_last_digits_a_spreadsheet_replaced_by_zeros():
    eighteen = [f"11010119900307{digit}000" for digit in range(3)]
    assert rounded(["P1", "12", *eighteen]) == set(eighteen)
    assert rounded([*eighteen, "110101199003071234"]) == set()
    assert rounded(["1234567890123450"]) == set()  # one id may end in zero by chance
    assert rounded(["1.23457E+11", "7"]) == {"1.23457E+11"}


def test_columns_in_other_spellings():
    names = ("patient_id", "Patient_ID", "Patient ID", "patient-id", "patientId", "PATIENT\u00a0ID")
    assert len(set(map(column_key, names))) == 1
    assert column_key("patient_id") != column_key("patients")


def test_ids_that_became_days() -> None:
    days = {"01.02.2026", "1-Feb", "2026-02-01", "3. Mai", "1/2/2026"}
    ids = {"1-13", "P2", "13/2", "2026-1", "mar-01", "12.13.2026", "20260201", "1.2"}
    assert days_among(days | ids) == days
    assert days_among(days) == set()


def test_letters_of_a_wrong_encoding() -> None:
    assert all(map(is_damaged, ["N\u00c3\u00a4vus", "N\ufffdvus", "Gr\u00c3\u00b6\u00c3\u0178e"]))
    assert not any(map(is_damaged, ["Nävus", "lesão", "痣", "BCC", "Größe", "Ångström"]))


def test_formulas_without_a_result_are_no_values() -> None:
    assert all(map(is_placeholder, ["=B2", "=VLOOKUP(A2;Sheet2!A:B;2)", "=A2&B2"]))
    assert not is_placeholder("a=b")
