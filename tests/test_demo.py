from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agfnet.config import DemoConfig
from agfnet.demo import run_demo
from agfnet.errors import ConfigError


@pytest.mark.slow
def test_demo_leaves_table_report_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fits_schema: Callable[[str, Any], None]
) -> None:
    config = DemoConfig(out=str(tmp_path / "demo"), lesions=70, epochs=1)
    run_demo(config)
    rows = json.loads((tmp_path / "demo" / "summary.json").read_text())
    fits_schema("summary.json", rows)
    assert [row["method"] for row in rows] == [
        "photo only",
        "ultrasound only",
        "concatenation",
        "AGFnet",
    ]
    for row in rows:
        assert set(row) == {"method", "accuracy", "limit", "macro_auc", "ece", "seconds"}
        assert 0 <= row["accuracy"] <= 1
        assert 0 < row["limit"] <= 1
    assert rows[2]["limit"] > max(rows[0]["limit"], rows[1]["limit"])
    assert (tmp_path / "demo" / "diagnosis.png").stat().st_size > 10_000
    assert (tmp_path / "demo" / "agfnet" / "evaluation" / "test" / "report.html").is_file()
    said = capsys.readouterr().out
    assert "Research use only, not a medical device." in said
    assert "No diagnosis" not in said  # the new lesion is drawn like the others
    images = re.findall(r"--images\.\w+ (\S+)", said)  # of the next steps, to be typed as they are
    assert len(images) == 4
    assert all(Path(path).is_file() for path in images)


def test_demo_never_removes_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(ConfigError, match="not empty"):
        run_demo(DemoConfig(out=str(tmp_path)))
    assert (tmp_path / "thesis.docx").exists()
