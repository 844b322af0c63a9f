"""Every kind of fault, planted in one table and found where it is, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agfnet.check.findings import FINDINGS
from agfnet.check.run import Checked, check_cases, column_types
from agfnet.cli import main
from agfnet.config import CheckConfig, ModalityConfig, PhantomConfig
from agfnet.errors import DataError
from agfnet.phantom.cohort import make_cohort

from . import planted
from .planted import Planter, save_table

PLANTS = (
    planted.plant_rows,
    planted.plant_labels,
    planted.plant_files,
    planted.plant_duplicates,
    planted.plant_looks,
    planted.plant_marks,
    planted.plant_masks,
    planted.plant_identities,
    planted.plant_dicom,
)
# what concerns the whole table, and cannot stand beside the others in one
APART = {"cells", "nameless_column", "patient_unknown", "patient_dominant", "column_type"}
APART |= {"column_spelling", "patient_missing", "fold_unknown", "patient_folds"}
APART |= {"row_extra", "lesion_hash", "lesion_spelling"}
SHORTCUTS = {kind for kind in FINDINGS if kind.startswith("shortcut")}  # test_shortcut.py


def check(path: Path, **settings: Any) -> Checked:
    return check_cases(CheckConfig(cases=str(path), **{"workers": 0, **settings}))


def places(checked: Checked) -> set[tuple[str, str]]:
    """Kind, and the lesion or else the column."""
    return {(each.name, each.lesion or each.column) for each in checked.findings}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    return make_cohort(PhantomConfig(out=str(folder), lesions=200, size=64, seed=1))


@pytest.fixture(scope="module")
def spoilt(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planter]:
    folder = tmp_path_factory.mktemp("spoilt")
    plant = Planter(clean, folder)
    for action in PLANTS:
        action(plant)
    return save_table(folder / "cases.csv", plant.rows), plant


def test_the_documentation_counts_the_planted_findings() -> None:
    text = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    planted = len(FINDINGS) - len(APART) - len(SHORTCUTS)
    assert f"{planted} of these {len(FINDINGS)} findings" in text


@pytest.mark.slow
def test_every_planted_fault_is_found_and_nothing_else(spoilt: tuple[Path, Planter]) -> None:
    path, plant = spoilt
    assert {kind for kind, _ in plant.expected} == FINDINGS.keys() - APART - SHORTCUTS
    assert places(check(path)) == plant.expected


@pytest.mark.slow
def test_workers_find_the_same(spoilt: tuple[Path, Planter], monkeypatch: Any) -> None:
    path, _ = spoilt
    monkeypatch.setattr("agfnet.check.survey.MIN_FILES", 0)
    assert check(path, workers=2) == check(path)


@pytest.mark.slow
def test_no_name_is_repeated(spoilt: tuple[Path, Planter]) -> None:
    path, _ = spoilt
    identities = [each for each in check(path).findings if each.name.startswith(("dicom", "exif"))]
    assert identities
    assert not [each for each in identities if "Jane" in each.message or "Who" in each.message]


def test_a_clean_cohort_gives_nothing(clean: Path) -> None:
    assert check(clean).findings == []


@pytest.mark.slow
def test_a_clean_cohort_of_dicom_gives_nothing(tmp_path: Path) -> None:
    config = PhantomConfig(
        out=str(tmp_path / "cohort"), lesions=60, size=64, ultrasound_format="dicom", seed=2
    )
    assert check(make_cohort(config)).findings == []


def test_the_table_alone(spoilt: tuple[Path, Planter]) -> None:
    path, plant = spoilt
    checked = check(path, images=False)
    assert checked.images == 0
    assert places(checked) < plant.expected
    assert {"file_missing", "patient_splits", "label_similar"} < {k for k, _ in places(checked)}


def test_cells_and_columns(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    path = tmp_path / "cases.csv"
    path.write_text("lesion_id,ultrasound,\nL1,a.png,\nL2,a.png,,y\nL3,a.png,x\n")
    kinds = [(each.name, each.row) for each in check(path).findings]
    assert kinds == [
        ("cells", 3),
        ("nameless_column", 4),
        ("file_lesions", 4),
        ("patient_unknown", None),
    ]


def test_columns_of_another_spelling_and_patients_left_out(tmp_path: Path) -> None:
    for number in range(3):
        Image.effect_noise((64, 64), 50 + number).save(tmp_path / f"{number}.png")
    path = tmp_path / "cases.csv"
    rows = "L1,P1,0.png,a\nL2,,1.png,b\nL3,P3,2.png,a\n"
    path.write_text("lesion_id,patient_id,ultrasound,Label\n" + rows)
    findings = [each for each in check(path).findings if each.name != "shortcut_column"]
    assert [(each.name, each.row, each.column) for each in findings] == [
        ("column_spelling", None, "label"),
        ("patient_missing", 3, "patient_id"),
    ]


def test_folds_that_cross_validation_refuses(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    cells = ("0", "1", "1", "2.0", "", "0")
    rows = [f"L{n},P{max(n, 1)},missing.png,a,{cell}\n" for n, cell in enumerate(cells)]
    path.write_text("lesion_id,patient_id,ultrasound,label,fold\n" + "".join(rows))

    def found() -> list[tuple[str, int | None]]:
        findings = check(path, images=False).findings
        return [(each.name, each.row) for each in findings if each.column == "fold"]

    assert found() == [("patient_folds", 3), ("fold_unknown", 5), ("fold_unknown", 6)]
    path.write_text(path.read_text().replace("fold\n", "group\n"))
    assert not found()


def test_one_patient_with_very_many_lesions(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    path = tmp_path / "cases.csv"
    header = "lesion_id,patient_id,label,ultrasound\n"

    def dominant(*counts: int) -> list[str]:
        patients = [str(patient) for patient, count in enumerate(counts) for _ in range(count)]
        rows = (f"L{number},P{patient},a,a.png\n" for number, patient in enumerate(patients))
        path.write_text(header + "".join(rows))
        findings = check(path, images=False).findings
        return [each.lesion for each in findings if each.name == "patient_dominant"]

    assert dominant(*[1] * 30, 10) == ["L30"]
    assert dominant(*[1] * 30, 9) == []
    assert dominant(*[1] * 41, 10) == []


def test_names_that_are_too_long(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(f"lesion_id,patient_id,ultrasound\nL1,P1,{'x' * 300}.png\n")
    assert [each.name for each in check(path).findings] == ["file_missing"]


def test_a_fold_is_a_side(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    path = tmp_path / "cases.csv"
    for other, kind in (("1", "file_leak"), ("0", "file_lesions")):
        path.write_text(
            f"lesion_id,patient_id,fold,ultrasound\nL1,P1,0,a.png\nL2,P2,{other},a.png\n"
        )
        assert [each.name for each in check(path).findings] == [kind]


def test_frames_of_one_file_are_different_images(tmp_path: Path) -> None:
    frames = [Image.effect_noise((64, 64), 50 + i) for i in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    path = tmp_path / "cases.csv"
    path.write_text("lesion_id,patient_id,ultrasound\nL1,P1,a.tif#0|a.tif#1\nL2,P2,a.tif#2\n")
    assert check(path).findings == []


@pytest.mark.slow
def test_columns_of_another_kind(clean: Path) -> None:
    swapped = {
        "clinical": ModalityConfig(modality_type="ultrasound"),
        "ultrasound": ModalityConfig(),
    }
    found = check(clean, modalities=swapped).findings
    assert [(each.name, each.column) for each in found] == [
        ("column_type", "clinical"),
        ("column_type", "ultrasound"),
    ]


def test_kinds_of_columns(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    columns = ("clinical", "dermoscopic", "US", "us_22mhz", "b-mode", "focus", "bus_stop")
    cells = ["gone.png", *["a.png"] * 6]
    path = tmp_path / "cases.csv"
    path.write_text(f"lesion_id,{','.join(columns)}\nL1,{','.join(cells)}\n")
    kinds = column_types(CheckConfig(cases=str(path)))
    assert set(kinds) == set(columns)
    assert [name for name in columns if kinds[name] == "ultrasound"] == ["US", "us_22mhz", "b-mode"]


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        check(tmp_path / "none.csv")
    (tmp_path / "cases.csv").write_text("lesion,clinical\nL1,a.png\n")
    with pytest.raises(DataError, match="lesion_id"):
        check(tmp_path / "cases.csv")


@pytest.mark.slow
def test_command(
    spoilt: tuple[Path, Planter], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, plant = spoilt
    out = tmp_path / "deep" / "findings.json"
    assert main(["check", str(path), "--json", str(out), "--workers", "0"]) == 1
    shown, error = capsys.readouterr()
    assert "error: Missing files (file_missing, 1)" in shown
    assert "errors" in error
    answer = json.loads(out.read_text())
    assert len(answer["findings"]) >= len(plant.expected)
    assert sum(answer["counts"].values()) == sum(answer["names"].values())
    assert answer["findings"][0].keys() == {
        *("severity", "name", "row", "lesion", "column", "message")
    }


def test_exit_codes(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(clean), "--images", "false"]) == 0
    rows = Planter(clean, tmp_path).rows
    rows[0]["label"] = "wart"
    table = str(save_table(tmp_path / "cases.csv", rows[:1]))
    assert main(["check", table, "--images", "false"]) == 0
    assert main(["check", table, "--images", "false", "--strict"]) == 1
    assert "label_rare" in capsys.readouterr().out


@pytest.mark.slow
def test_many_findings_stay_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.csv"
    rows = "".join(f"L{i},P{i},gone{i}.png,\n" for i in range(10_000))
    path.write_text(f"lesion_id,patient_id,clinical,ultrasound\n{rows}")
    assert main(["check", str(path), "--workers", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 12
    assert "… and 9997 more" in lines[4]
