"""Every study of the paper is valid and headed by the command that runs it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from agfnet.config import StudyFile
from agfnet.metrics.ranks import MIN_BLOCKS
from agfnet.metrics.seeds import MIN_NETWORKS
from agfnet.phantom.plan import observers
from agfnet.phantom.presets import resolve
from agfnet.study.plan import NETWORKS, read_study
from agfnet.study.predictions import stored_reader
from agfnet.study.settings import slug
from agfnet.study.variants import VARIANTS

PAPER = Path(__file__).parents[2] / "paper"
RESULTS = PAPER / "results"
STUDIES = sorted(PAPER.glob("*.yaml"))
DONE = [path for path in STUDIES if (RESULTS / path.stem / "test.json").is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_study(path: Path) -> None:
    assert f"#   agfnet study paper/{path.name}" in path.read_text().split("\n\n")[0]
    study = read_study(path)
    assert study.reference.startswith("AGFnet")
    assert study.out == Path("runs/paper") / path.stem
    for cohort in study.cohorts:
        observers(resolve(cohort))


@pytest.mark.slow
def test_every_study_has_a_gpu_size_with_the_same_methods_or_more() -> None:
    names = [path.stem for path in STUDIES if not path.stem.endswith("_gpu")]
    assert len(names) >= 4
    for name in names:
        small, large = (read_study(PAPER / f"{name}{end}.yaml") for end in ("", "_gpu"))
        assert set(small.methods) <= set(large.methods)
        assert small.settings == large.settings
        assert name in (PAPER / "README.md").read_text()


@pytest.mark.parametrize("path", DONE, ids=str)
def test_what_came_out_is_of_the_study_as_it_stands(path: Path) -> None:
    study = read_study(path)
    tables = {slug(name) for name in ("test", *study.file.evaluate)}
    settings = {slug(name) for name in study.settings}
    for setting, table in product(settings, tables):
        name = "-".join(filter(None, (setting, table)))
        found = json.loads((RESULTS / path.stem / f"{name}.json").read_text())
        assert {row["method"] for row in found["rows"]} == set(study.methods)
        assert {row["metric"] for row in found["rows"]} == set(study.file.metrics)
        assert {row["seeds"] for row in found["rows"]} == {len(study.file.seeds)}
        for kind in ("md", "tex", "csv"):
            assert (RESULTS / path.stem / f"{name}.{kind}").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/predictions.zip")), ids=str)
def test_the_tables_are_those_of_the_stored_predictions(path: Path) -> None:
    study = read_study(PAPER / f"{path.parent.name}.yaml")
    read = stored_reader(path, study)
    for setting, method in product(study.settings, (study.reference, study.methods[-1])):
        name = "-".join(filter(None, (setting, "test")))
        rows = json.loads(path.with_name(f"{name}.json").read_text())["rows"]
        values = {row["method"]: row["value"] for row in rows if row["metric"] == "accuracy"}
        runs = [run for run in study.runs if (run.setting, run.method) == (setting, method)]
        tables = [read(run, "test") for run in runs]
        right = [np.mean(np.array(t.predicted) == np.array(t.label)) for t in tables if t]
        assert np.mean(right) == pytest.approx(values[method], abs=1e-9)


def test_every_method_was_searched_alike_and_has_the_best_settings() -> None:
    study = read_study(PAPER / "search_milk10k.yaml")
    trials = json.loads((RESULTS / "search_milk10k" / "search.json").read_text())["trials"]
    runs = read_study(PAPER / "frozen_milk10k.yaml").runs
    for method in study.methods:
        own = [trial for trial in trials if trial["method"] == method]
        assert study.file.search
        assert len(own) == study.file.search.trials
        assert len({trial["parameters"]["optim.lr"] for trial in own}) == len(own)
        best = min(own, key=lambda trial: trial["value"])["parameters"]["optim.lr"]
        assert {run.config.optim.lr for run in runs if run.method == method} == {best}


TABLES = [path for path in sorted(RESULTS.glob("*/*.json")) if path.name != "search.json"]


@pytest.mark.parametrize("path", TABLES, ids=str)
def test_tables_hold_no_statistics_of_former_versions(path: Path) -> None:
    content = json.loads(path.read_text())
    assert not content["friedman_p"] or content["ranked_runs"] >= MIN_BLOCKS
    folds = read_study(PAPER / f"{path.parent.name}.yaml").file.folds or [None]
    for row in content["rows"]:
        if row["seeds"] * len(folds) < MIN_NETWORKS:
            assert row["p"] is row["p_holm"] is None, row
        elif row["p"] is not None:
            assert (row["p_networks"] or 0.0) * 0.999999 <= row["p"] <= row["p_holm"], row


def test_the_docs_name_every_key_and_variant() -> None:
    text = (PAPER.parent / "docs" / "study.md").read_text()
    for name in StudyFile.__dataclass_fields__:
        assert f"| `{name}` |" in text, name
    for name in VARIANTS:
        assert name in (*NETWORKS, "AGFnet") or f"`{name}`" in text, name
