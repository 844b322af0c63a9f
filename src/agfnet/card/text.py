"""The text of a card: YAML on top, as model hubs read it, and Markdown below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from agfnet import NOTICE
from agfnet.bundle import BundleConfig, Calibration
from agfnet.card.sections import (
    HUB_NAMES,
    Evaluations,
    calibration_lines,
    chosen_settings,
    graphs,
    held_out,
    inputs,
    limits,
    results,
    training,
    warning_lines,
)
from agfnet.network_description import display_names
from agfnet.translation import Language, display_name, in_language, listed, t

INTENDED = """\
Research on the diagnosis of skin lesions from paired images: comparison with other methods, \
studies of calibration and abstention, retrospective evaluation on a separate labelled cohort \
before any conclusion is drawn from it."""

NOT_FOR = """Diagnosis, triage or treatment of patients: it is not a medical device and no \
authority has assessed it. Images of other kinds than those below, lesions of other classes than \
those above (it always names one of them), people unlike those of the training data."""

COMMANDS = """```sh
agfnet bundle verify BUNDLE
agfnet predict BUNDLE --cases cases.csv
```"""
PYTHON = 'or `agfnet.inference.predictor.Predictor.load("BUNDLE")` in Python.'


def card(
    config: BundleConfig,
    *,
    calibration: Calibration | None = None,
    evaluations: Evaluations | None = None,
    outdated: Sequence[str] = (),
    exported: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    plan: Sequence[Mapping[str, Any]] = (),
    language: Language = "en",
) -> str:
    """The card.

    Args:
        config: settings of the network.
        calibration: what was fitted after training; nothing yet if None.
        evaluations: labelled ones, by name.
        outdated: names of those that are left out, since they precede the calibration.
        exported: content of export.json.
        settings: content of config.yaml; None if unknown.
        warnings: content of warnings.json, the warnings about the network.
        plan: content of plan.json, the settings that were chosen.
        language: of the text; the data for hubs are English.
    """
    evaluations = evaluations or {}
    with in_language(language, display_names(config, language)):
        text = text_of(
            config, calibration, evaluations, outdated, exported, settings, warnings, plan
        )
    front = yaml.safe_dump(front_matter(config, evaluations), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{text}"


def text_of(
    config: BundleConfig,
    calibration: Calibration | None,
    evaluations: Evaluations,
    outdated: Sequence[str],
    exported: Mapping[str, Any] | None,
    settings: Mapping[str, Any] | None,
    warnings: Sequence[Mapping[str, Any]],
    plan: Sequence[Mapping[str, Any]],
) -> str:
    """Return the text of the card in the current language; arguments as of `card`."""
    sections = {
        **({"Warnings": "\n".join(warning_lines(warnings))} if warnings else {}),
        "Intended use": t(INTENDED),
        "Not for": t(NOT_FOR),
        "How to use": f"{COMMANDS}\n\n{t(PYTHON)}",
        "Input": "\n".join(inputs(config, settings or {})),
        "Training data": "\n".join(training(config)),
        **({"Chosen settings": "\n".join(chosen_settings(plan))} if plan else {}),
        "Evaluation": "\n".join(results(evaluations, outdated)),
        "Calibration": "\n".join(calibration_lines(calibration)),
        "Exported graphs": "\n".join(graphs(exported or {})),
        "Limits": "\n".join(limits(config, evaluations, calibration, settings or {})),
    }
    body = "\n\n".join(f"## {t(title)}\n\n{text}" for title, text in sections.items())
    views = t(" and ").join(map(display_name, config.modalities))
    title = t("{method} on {modalities}", method=config.model.method, modalities=views)
    text = (
        "Diagnoses a skin lesion as one of {count} classes: {names}. Network: {network}, backbone "
        "{backbone}. Written by agfnet {version}."
    )
    about = t(
        text,
        count=len(config.classes),
        names=listed(config.classes),
        network=config.network,
        backbone=config.model.backbone.name,
        version=config.agfnet,
    )
    return f"# {title}\n\n**{t(NOTICE)}**\n\n{about}\n\n{body}\n"


def front_matter(config: BundleConfig, evaluations: Evaluations) -> dict[str, Any]:
    """Return the data that hubs index. Those who trained the weights choose their licence."""
    front: dict[str, Any] = {
        "license": "other",
        "library_name": "agfnet",
        "pipeline_tag": "image-classification",
        "tags": ["dermatology", "skin-lesion", "medical", "multimodal", *config.modalities],
        "metrics": list(dict.fromkeys(HUB_NAMES.values())),
    }
    if tested := held_out(evaluations):
        task = {"type": "image-classification", "name": "Skin lesion diagnosis"}
        results = [
            {
                "task": task.copy(),  # YAML would write the same object as a reference
                "dataset": {"type": "private", "name": name},
                "metrics": [
                    {"type": hub, "name": metric, "value": metrics[metric]["value"]}
                    for metric, hub in HUB_NAMES.items()
                    if metrics.get(metric, {}).get("value") is not None
                ],
            }
            for name, metrics in tested.items()
        ]
        name = f"{config.model.method}-{config.model.backbone.name}"
        front["model-index"] = [{"name": name, "results": results}]
    return front
