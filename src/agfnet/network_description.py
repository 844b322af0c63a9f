"""Sentences about a trained network that its card, the report and the terminal share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agfnet.bundle import BundleConfig, Calibration
from agfnet.config import ModalityConfig, OptimConfig
from agfnet.translation import Language, t, words


def display_names(config: BundleConfig, language: Language) -> dict[str, str]:
    """Return the display names of classes, also by English name, and modalities.

    There are none in English, as in the tables.
    """
    if language == "en":
        return {}
    names = {n: words(language).get(f"modality.{n}", n) for n in config.modalities}
    for name, entry in config.diagnoses.items():
        names |= {entry.en or name: entry.zh or name, name: entry.zh or name}
    return names


def missing_sentence(dropout: float) -> str:
    """Say what the network learned about missing modalities."""
    if dropout:
        text = (
            "The network learned to classify without a modality: in training, each was dropped "
            "with probability {probability}."
        )
        return t(text, probability=f"{dropout:g}")
    return t(
        "No modality was dropped in training, so the network learned to classify without one only "
        "from training lesions that lack it, if there are any."
    )


def frequencies_sentence(settings: Mapping[str, Any], calibration: Calibration | None) -> str:
    """Say which class frequencies the probabilities reflect.

    Args:
        settings: of the training; empty if unknown.
        calibration: of the bundle.
    """
    balance = balancing(settings)
    if calibration is not None and calibration.logit_adjustment:
        frequencies = "equal class frequencies, not those of the validation split"
    elif calibration is not None and calibration.scale is not None:
        frequencies = "the class frequencies of the validation split, by vector scaling"
    elif balance is None:
        frequencies = "the class frequencies and class weights of the training"
    elif balance:
        frequencies = "equal class frequencies, not those of the training cases"
    else:
        frequencies = "the class frequencies of the training cases"
    return t("The probabilities reflect {frequencies}.", frequencies=t(frequencies))


def balancing(settings: Mapping[str, Any]) -> list[str] | None:
    """Return what made rare classes count more in the training; None if that is unknown."""
    loss = settings.get("loss", {})
    if "class_weights" not in loss:
        return None
    adjustment = loss.get("logit_adjustment", 0)
    return [
        *([t("balanced class weights")] if loss["class_weights"] == "balanced" else []),
        *([t("logit adjustment {strength}", strength=f"{adjustment:g}")] if adjustment else []),
        *(
            [t("class-balanced sampling")]
            if settings.get("optim", {}).get("sampling") == "balanced"
            else []
        ),
    ]


def preparation(modality: ModalityConfig, size: int) -> str:
    """Describe the preparation of the images of a modality."""
    steps = [t("{how} to {size} pixels", how=t(modality.resize), size=size)]
    if modality.pixel_spacing is not None:
        spacing = f"{modality.pixel_spacing:g}"
        steps = [t("brought to {spacing} mm per pixel", spacing=spacing)]
    if modality.crop_field_of_view:
        steps.insert(0, t("cropped to the field of view"))
    if modality.remove_annotations:
        steps.insert(0, t("annotations removed"))
    if modality.skin_surface != "keep":
        steps.append(t("skin surface aligned ({how})", how=t(modality.skin_surface)))
    return t(", ").join(steps)


def setting_text(value: object) -> str:
    """Return a chosen value in words; of a mapping, such as that of the modalities, the names."""
    return ", ".join(value) if isinstance(value, dict) else str(value).lower()


def scaling_words(calibration: Calibration) -> str:
    """Name how the probabilities are scaled."""
    if calibration.logit_adjustment:
        strength = f"{calibration.logit_adjustment:g}"
        return t("logit adjustment {strength} after scaling", strength=strength)
    if calibration.scale:
        return t("vector scaling")
    if calibration.temperature == 1:
        return t("not scaled")
    return t("temperature {value}", value=f"{calibration.temperature:.3g}")


def kept_epoch(optim: OptimConfig) -> str:
    """Name the epoch whose weights a run keeps."""
    return "the epoch with the lowest validation loss" if optim.keeps_best else "the last epoch"
