"""The command: a pair, a table, awkward input, and what it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.cli import main
from agfnet.data.table import read_cases, write_cases

VIEWS = ("clinical", "ultrasound")
NOTICE = "Research use only, not a medical device."


@pytest.fixture(scope="module")
def pair(cohort: Path) -> dict[str, str]:
    images = read_cases(cohort, modalities=VIEWS).cases[0].images
    return {name: str(images[name][0]) for name in VIEWS}


def explain(model: Path, images: dict[str, str], out: Path, *more: str) -> int:
    named = [f"--images.{name}={path}" for name, path in images.items()]
    return main(["explain", str(model), *named, "--out", str(out), *more])


@pytest.mark.slow
def test_one_pair(
    trained: Path, pair: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    fits_schema: Callable[[str, Any], None],
) -> None:  # fmt: skip
    hide = ["--hide.clinical", "[0.2, 0.2, 0.8, 0.8]"]
    assert explain(trained, pair, tmp_path, *hide) == 0
    said = capsys.readouterr().out
    assert NOTICE in said
    assert "--sanity" in said
    found = json.loads((tmp_path / "explanation.json").read_text())
    assert found["notice"] == NOTICE
    fits_schema("explanation.json", found)
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert {row["method"] for row in found["maps"]} == {
        *("guide", "layercam", "gradcam", "gradient"),
        *("integrated", "occlusion"),
    }
    for row in found["maps"]:
        assert (row["class"] is None) == (row["method"] == "guide")
        assert sum(view["fraction"] for view in row["views"].values()) == pytest.approx(1)
        assert np.shape(row["views"]["clinical"]["cells"]) == (16, 16)
    whole, none = found["answers"]["clinical+ultrasound"], found["answers"][""]
    for name, p in whole.items():
        shares = sum(found["shapley"][view][name] for view in VIEWS)
        assert shares == pytest.approx(p - none[name])
    assert found["without_region"] != found["probabilities"]
    (maps,) = tmp_path.glob("maps-*.png")
    assert maps.stem == f"maps-{found['answer']}"
    for picture in (maps, tmp_path / "attention.png"):
        with Image.open(picture) as image:
            assert image.width > 500


def test_the_page_is_whole_by_itself_and_for_the_keyboard(
    trained: Path, pair: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "maps-of-an-earlier-class.png").touch()
    assert explain(trained, pair, tmp_path, "--methods", "[attention]") == 0
    assert not list(tmp_path.glob("maps-of*"))
    page = (tmp_path / "attention.html").read_text()
    assert page.count(NOTICE) == 2
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http:" not in page
    assert "https:" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    cells = data["grid"] ** 2
    assert page.count("<button") == 2 * cells
    assert set(data["attention"]) == {"0 0", "0 1", "1 0", "1 1"}
    for shares in data["attention"].values():
        np.testing.assert_allclose(
            np.reshape(shares, (cells, cells)).sum(axis=1), 10000, atol=cells / 2
        )
    assert "keydown" in page
    assert 'aria-live="polite"' in page


def test_a_picture_of_another_kind_is_said(
    trained: Path,
    pair: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # a small cohort has no statistics of its images: every distance counts as 0
    monkeypatch.setattr("agfnet.explain.compute.explanation.FOREIGN", 0)
    assert explain(trained, pair, tmp_path, "--methods", "[guide, modalities]") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 lesions have a picture of another kind" in said
    found = json.loads((tmp_path / "explanation.json").read_text())
    assert found["foreign"] == list(VIEWS)


@pytest.mark.slow
def test_a_table_with_missing_views_and_evil_names(
    trained: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *_ = read_cases(cohort, modalities=VIEWS).cases
    evil = "../<script>alert(1)</script>$\\x$"
    cases = [
        replace(first, lesion_id=evil, images={**first.images, "ultrasound": ()}),
        replace(second, lesion_id="b", images={**second.images, "clinical": ()}, label=""),
    ]
    table = tmp_path / "cases.csv"
    write_cases(cases, table, modalities=VIEWS)
    out = tmp_path / "out"
    chosen = ["--methods", "[guide, layercam, attention, modalities]", "--classes", "[all]"]
    assert main(["explain", str(trained), "--cases", str(table), "--out", str(out), *chosen]) == 0
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert folders == ["001-.._script_alert_1_script_x_", "002-b"]
    page = (out / folders[0] / "attention.html").read_text()
    assert "<script>alert" not in page
    found = json.loads((out / folders[0] / "explanation.json").read_text())
    assert set(found["shapley"]) == {"clinical"}
    assert len(list((out / folders[0]).glob("maps-*.png"))) == len(found["probabilities"])
    with Image.open(out / "sheet.png") as image:
        assert image.height > 200
    assert "2 lesions" in capsys.readouterr().out


@pytest.mark.slow
def test_sanity_is_kept_and_marks_what_fails(
    trained: Path, cohort: Path, pair: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str], fits_schema: Callable[[str, Any], None],
) -> None:  # fmt: skip
    chosen = ["--methods", "[guide, layercam]"]
    table = ["--cases", str(cohort), "--most", "4", "--out", str(tmp_path / "table")]
    try:
        assert main(["explain", str(trained), *table, *chosen, "--sanity"]) == 0
        kept = json.loads((trained / "sanity.json").read_text())
        assert kept == json.loads((tmp_path / "table" / "sanity.json").read_text())
        fits_schema("sanity.json", kept)
        assert kept["cases"] == 4
        assert set(kept["methods"]) == {"guide", "layercam"}
        kept["methods"]["guide"]["failed"] = ["weights"]
        (trained / "sanity.json").write_text(json.dumps(kept))
        capsys.readouterr()
        assert explain(trained, pair, tmp_path / "pair", *chosen) == 0
        assert "Guide is not reliable" in capsys.readouterr().out
        found = json.loads((tmp_path / "pair" / "explanation.json").read_text())
        failed = {row["method"]: row["failed"] for row in found["maps"]}
        assert len(failed["guide"]) == 1
        # of other weights: not believed
        (trained / "sanity.json").write_text(json.dumps(kept | {"weights": "0"}))
        assert explain(trained, pair, tmp_path / "pair", *chosen) == 0
        assert "have not been checked" in capsys.readouterr().out
    finally:
        (trained / "sanity.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "set either"),
        (["--images.clinical", "CLINICAL", "--sanity"], "several lesions"),
        (["--images.dermoscopy", "CLINICAL"], "unknown modality 'dermoscopy'"),
        (["--images.clinical", ""], "no image"),
        (["--images.clinical", "CLINICAL", "--classes", "[wart]"], "'wart' is not a class"),
        (["--images.clinical", "CLINICAL", "--hide.clinical", "[0.5, 0, 0.2, 1]"], "expected left"),
        (["--images.clinical", "CLINICAL", "--hide.skin", "[0, 0, 1, 1]"], "no modality 'skin'"),
        (["--images.clinical", "CLINICAL", "--methods", "[]"], "at least one"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    arguments: list[str], said: str, trained: Path, pair: dict[str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [pair["clinical"] if word == "CLINICAL" else word for word in arguments]
    assert main(["explain", str(trained), *given, "--out", str(tmp_path / "out")]) in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
