"""One finding per cause, corrected tables, and remedies that clear what they are named for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.check.fix import FIXED
from agfnet.check.run import Checked, check_cases
from agfnet.cli import main
from agfnet.config import CheckConfig


def check(path: Path, **settings: Any) -> Checked:
    return check_cases(CheckConfig(cases=str(path), workers=0, **settings))


def names(checked: Checked) -> list[str]:
    return [finding.name for finding in checked.findings]


def image(path: Path, seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    pixels[..., 0] = 255
    Image.fromarray(pixels).save(path)
    return path.name


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = ["lesion_id,patient_id,label,clinical"]
    labels = ["bcc", *["BCC"] * 10, *["SCC"] * 10]
    for number, label in enumerate(labels):
        rows.append(f"L{number},P{number},{label},{image(tmp_path / f'{number}.png', number)}")
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(rows))
    return path


def test_one_odd_spelling_is_one_finding_on_its_row(table: Path) -> None:
    (finding,) = check(table).findings
    assert (finding.name, finding.row) == ("label_spelling", 2)
    assert "'bcc' (1 row) is another spelling of 'BCC' (10 rows, first in row 3)" in finding.message


def test_fix_writes_a_table_without_the_findings(table: Path, tmp_path: Path) -> None:
    text = table.read_text().replace("L3,P3,BCC,3.png", "L3,p-03,n/a,3.png|3.png")
    table.write_text(text.replace("L4,P4", "L4,unknown").replace("L5,P5", "L\u200b5,P3"))
    before = set(names(check(table)))
    assert before == set(FIXED) - {"image_placeholder"}
    out = tmp_path / "other" / "fixed.csv"
    assert main(["check", str(table), "--fix", str(out), "--images", "false"]) == 1
    assert not set(names(check(out))) & set(FIXED)
    assert main(["check", str(table), "--fix", str(out), "--images", "false"]) == 1
    assert table.read_text().count("bcc") == 1


def test_the_page_has_thumbnails(table: Path, tmp_path: Path) -> None:
    main(["check", str(table), "--html", str(tmp_path / "x.html")])
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "label_spelling" in page
    assert "Research use only" in page


def test_deidentify_clears_what_names_it_and_causes_nothing(tmp_path: Path) -> None:
    from .hospital_dicom import scan

    rows = ["lesion_id,patient_id,label,ultrasound"]
    for number in range(6):
        scan(tmp_path / f"{number}.dcm", number)
        rows.append(f"L{number},P{number},{'ab'[number % 2]},{number}.dcm")
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    checked = check(tmp_path / "cases.csv")
    assert set(names(checked)) == {"dicom_identity"}
    assert "agfnet deidentify" in checked.findings[0].message
    out = tmp_path / "shared"
    arguments = ["deidentify", str(tmp_path / "cases.csv"), str(out)]
    assert main([*arguments, "--mapping", str(tmp_path / "key" / "m.csv")]) == 0
    assert names(check(out / "cases.csv")) == []


def test_split_clears_what_names_it(table: Path, tmp_path: Path) -> None:
    text = table.read_text().replace("bcc", "BCC").replace("clinical\n", "clinical,split\n")
    first, *rows = text.split("\n")
    rows = [row + (",test" if "BCC" in row else ",train") for row in rows]
    table.write_text("\n".join([first, *rows]))
    assert {"label_untrained", "label_untested"} <= set(names(check(table)))
    plain = [row.rpartition(",")[0] for row in [first, *rows]]
    table.write_text("\n".join(plain))
    assert main(["split", str(table), str(tmp_path / "data.csv")]) == 0
    assert names(check(tmp_path / "data.csv")) == []
