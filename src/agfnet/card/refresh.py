"""Cards that follow their run: written again after each calibration, evaluation and export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agfnet.bundle import EXPORT, Evaluated, OperatingPoint, Rate, read_bundle, replace_cards
from agfnet.card.sections import Evaluations, seen_lesions
from agfnet.card.text import card
from agfnet.config.renamed import run_settings
from agfnet.files import read_record, sha256
from agfnet.translation import LANGUAGES


def refresh_card(run: str | Path, evaluations: Evaluations | None = None) -> None:
    """Rewrite the cards of a run's bundle with its calibration, evaluations and export.

    The figures of an evaluation before the present calibration are left out: they are of other
    probabilities and thresholds.

    Args:
        run: run folder.
        evaluations: content of metrics.json by name, for evaluations whose files are not yet there.

    Raises:
        BundleError: the bundle is not sound.
    """
    bundle = read_bundle(run)
    files = sorted(Path(run).glob("evaluation/*/metrics.json"))
    results = {path.parent.name: read_record(path) for path in files}
    results |= evaluations or {}
    labelled = {name: metrics for name, metrics in sorted(results.items()) if metrics["n"]}
    digest = sha256(bundle.folder / "calibration.json")
    current = {name: m for name, m in labelled.items() if m.get("calibration", digest) == digest}
    exported = json.loads((bundle.folder / EXPORT).read_bytes()) if EXPORT in bundle.files else {}
    settings = run_settings(run)
    texts = {
        language: card(
            bundle.config,
            calibration=bundle.calibration,
            evaluations=current,
            outdated=[name for name in labelled if name not in current],
            exported=exported,
            settings=settings,
            warnings=read_list(Path(run) / "warnings.json"),
            plan=read_list(Path(run) / "plan.json"),
            language=language,
        )
        for language in LANGUAGES
    }
    point = bundle.calibration.operating_point
    tests = {
        name: evaluated(Path(run) / "evaluation" / name, metrics, point)
        for name, metrics in current.items()
    }
    replace_cards(bundle, texts, tests)


def read_list(path: Path) -> list[dict[str, Any]]:
    """Read a JSON file with a list of objects; an empty list if there is no file."""
    content: list[dict[str, Any]] = []
    if path.is_file():
        content = read_record(path, list)
    return content


def evaluated(folder: Path, metrics: Mapping[str, Any], point: OperatingPoint | None) -> Evaluated:
    """Return the results that describe a network.

    Args:
        folder: of the evaluation; its files may not be there yet.
        metrics: content of metrics.json.
        point: operating point of the network, of which the evaluation has the rates.
    """

    def content(name: str) -> Any:
        path = folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def rate(values: Mapping[str, Any]) -> Rate:
        return Rate(*(values.get(key) for key in ("value", "low", "high")))

    points = content("malignant.json").get("operating_points", [])
    here = [p for p in points if point and p["target_sensitivity"] == point.target_sensitivity]
    rates = {name: rate(here[0].get(name, {})) for name in ("sensitivity", "specificity") if here}
    classes = content("classes.json")
    return Evaluated(
        n=metrics["n"],
        balanced_accuracy=rate(metrics.get("balanced_accuracy", {})),
        sensitivities={name: rate(row.get("sensitivity", {})) for name, row in classes.items()},
        **rates,
        seen=seen_lesions(metrics),
    )
