from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agfnet.check.findings import Findings
from agfnet.check.headers import Header
from agfnet.check.images import Facts
from agfnet.check.shortcut import associate, check_shortcuts
from agfnet.check.survey import Use
from agfnet.config import PhantomConfig
from agfnet.data.quality import Appearance
from agfnet.data.table import Case
from agfnet.phantom.plan import plans
from agfnet.phantom.presets import resolve

LABELS = ("melanoma", "naevus", "wart")


def cases(count: int = 300, *, patients: int = 10**9, **columns: list[str]) -> list[Case]:
    labels = np.random.default_rng(0).choice(LABELS, count)
    return [
        Case(
            f"L{i}",
            f"P{i % patients}",
            str(label),
            {"clinical": (Path(f"{i}.jpg"),)},
            {},
            "",
            {name: values[i] for name, values in columns.items()},
            i + 2,
        )
        for i, label in enumerate(labels)
    ]


def found(cases: list[Case], uses: list[Use] | None = None) -> list[tuple[str, str]]:
    findings = Findings()
    check_shortcuts(cases, uses or [], findings, strength=0.3)
    return [(each.name, each.column) for each in findings.sorted()]


def column(rule: str, count: int = 300, noise: float = 0.0) -> list[str]:
    rng = np.random.default_rng(1)
    values = [
        {"device": "A" if case.label == "wart" else "B", "id": case.lesion_id}[rule]
        for case in cases(count)
    ]
    return [str(rng.choice(["A", "B"])) if rng.uniform() < noise else value for value in values]


def test_a_device_that_predicts_a_class() -> None:
    assert found(cases(device=column("device", noise=0.3))) == [("shortcut_column", "device")]


def test_chance_is_not_reported() -> None:
    rng = np.random.default_rng(2)
    columns = {f"c{i}": [str(v) for v in rng.integers(0, 2 + i, 300)] for i in range(30)}
    columns |= {f"n{i}": [f"{v:.4f}" for v in rng.normal(size=300)] for i in range(30)}
    assert found(cases(**columns, code=column("id"), fold=column("device"))) == []


def test_small_tables_are_left_alone() -> None:
    assert found(cases(20, device=column("device", 20))) == []


def test_lesions_of_one_patient_count_once() -> None:
    assert found(cases(patients=10, device=column("device"))) == []


def test_unlabelled_and_tested_cases_do_not_count() -> None:
    table = [
        Case(c.lesion_id, c.patient_id, c.label, c.images, {}, "test", c.attributes, c.row)
        for c in cases(device=column("device"))
    ]
    table[0] = Case("L0", "P0", "wart", {"clinical": ()}, {}, "train", {"device": "A"}, 2)
    assert found(table) == []


def test_numbers_are_compared_by_fifths() -> None:
    ages = [f"{v:.3f}" for v in np.random.default_rng(3).normal(size=300)]
    for i, case in enumerate(cases()):
        if case.label == "wart":
            ages[i] = str(float(ages[i]) + 5)
    assert found(cases(age=ages)) == [("shortcut_column", "age")]
    ages[::3] = [""] * 100
    assert found(cases(age=ages)) == [("shortcut_column", "age")]


def test_fifths_of_long_numbers_are_not_joined() -> None:
    """Nearly all warts were seen in the middle fifth of the days."""
    days = np.random.default_rng(4).integers(0, 40, 300)
    days = [20 if c.label == "wart" else d for d, c in zip(days, cases(), strict=True)]
    values = [str(20230101 + day) for day in days]
    result = associate([case.label for case in cases()], values)
    assert result is not None
    assert result.strength > 0.5
    assert "'20230121 or more' are 'wart'" in result.example


USUAL = Facts(
    header=Header(format="JPEG"),
    digest=b"",
    size=(64, 64),
    frames=1,
    appearance=Appearance(
        low=0, high=255, constant=False, chroma=90, coloured=1.0, dark=0.0, detail=50
    ),
    white_marks=False,
    coloured_marks=False,
    scaled=False,
)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("shortcut_image", {"size": (80, 80)}),
        ("shortcut_image", {"header": Header(format="PNG")}),
        ("shortcut_image", {"header": Header(format="JPEG", device="Camera X")}),
        ("shortcut_image", {"frames": 4}),
        ("shortcut_marks", {"white_marks": True}),
        ("shortcut_marks", {"header": Header(format="JPEG", burned_in=True)}),
    ],
)
def test_facts_of_images(kind: str, change: dict[str, Any]) -> None:
    table = cases()
    odd = replace(USUAL, **change)
    uses = [
        Use(case, "clinical", Path("a.jpg"), odd if case.label == "wart" else USUAL, number)
        for number, case in enumerate(table)
    ]
    assert found(table, uses) == [(kind, "clinical")]


@pytest.mark.parametrize(("preset", "kinds"), [("missing", {"shortcut_missing"}), ("easy", set())])
def test_missing_views_of_the_phantom(preset: str, kinds: set[str]) -> None:
    config = PhantomConfig(out="x", preset=preset, lesions=1000)  # type: ignore[arg-type]
    table = [
        Case(
            plan.lesion_id,
            plan.patient_id,
            plan.label,
            {
                "clinical": (Path("p"),) * (plan.surface is not None),
                "ultrasound": (Path("u"),) * (plan.depth is not None),
            },
            {},
            plan.split,
            {"site": plan.site, "skin_tone": plan.tone, "age": str(plan.age), "sex": plan.sex},
            row,
        )
        for row, plan in enumerate(plans(config, resolve(config)), start=2)
    ]
    assert {kind for kind, _ in found(table)} == kinds


def test_strength_and_p_of_known_tables() -> None:
    same = associate(["a"] * 50 + ["b"] * 50, ["x"] * 50 + ["y"] * 50)
    assert same is not None
    assert same.strength == pytest.approx(1, abs=0.02)
    assert same.p < 1e-15
    assert "50 of 50 lesions with 'x' are 'a', 50 of 100 of all" in same.example
    chance = associate(["a", "b"] * 50, ["x", "x", "y", "y"] * 25)
    assert chance is not None
    assert (chance.strength, chance.p) == (0, pytest.approx(1))
    # cells too small for the chi-square test: by permutation
    few = associate(["a"] * 40 + ["b"] * 5, ["x"] * 40 + ["y"] * 5)
    assert few is not None
    assert 0 < few.p < 0.001


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        ([], []),
        (["a"] * 50, ["x", "y"] * 25),
        (["a", "b"] * 25, ["x"] * 50),
        (["a", "b"] * 25, list(map(str, range(50)))),
    ],
)
def test_nothing_to_compare(labels: list[str], values: list[str]) -> None:
    result = associate(labels, values)
    assert result is None or result.p > 0.01
