from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.check.findings import Findings
from agfnet.check.identity import check_names
from agfnet.data.table import Case


def found(
    lesion: str = "L1", path: str = "/data/a.jpg", **attributes: str
) -> list[tuple[str, str]]:
    case = Case(lesion, lesion, "", {"clinical": (Path(path),)}, {}, "", attributes, 2)
    findings = Findings()
    check_names([case], Path("/data"), findings)
    return [(each.name, each.column) for each in findings.sorted()]


@pytest.mark.parametrize(
    "path",
    [
        "Doe^Jane/1.dcm",
        "Doe, Jane.jpg",
        "Mr_Smith_2.jpg",
        "jane.doe@example.org.jpg",
        "scan_dob_3.2.80.jpg",
        "19541224.jpg",
        "24.12.1954.jpg",
        "1954-12-24_left.jpg",
    ],
)
def test_names_in_paths(path: str) -> None:
    assert found(path=f"/data/{path}") == [("identity_name", "clinical")]


@pytest.mark.parametrize(
    "path",
    [
        "MILK10k_Training_Input/IL_0000652/ISIC_8149219.jpg",
        "images/0000/L000000_photo.jpg",
        "Left_Arm/Nevus_Blue/2.jpg",
        "2023-04-12/IMG_20230412_101112.jpg",
        "NEL025.JPG",
        "Basal Cell, nodular.jpg",
        "1.2.840.10008.19541224.5.dcm",
        "a@2x.png",
        "19999999.jpg",
        "mrs.jpg",
        "geb_x.jpg",
    ],
)
def test_ordinary_paths(path: str) -> None:
    assert found(path=f"/data/{path}") == []


def test_folders_above_the_table_do_not_count() -> None:
    assert found(path="/home/Doe, Jane/19541224/a.jpg") == []


@pytest.mark.parametrize("name", ["Patient Name", "DOB", "birth_date", "E-Mail", "surname"])
def test_columns(name: str) -> None:
    assert found(**{name: "x"}) == [("identity_column", name)]
    assert found(**{name: ""}) == []


def test_attributes() -> None:
    assert found(note="ask jane.doe@example.org") == [("identity_name", "note")]
    assert found(device_name="X", site="arm", file_name="a") == []
