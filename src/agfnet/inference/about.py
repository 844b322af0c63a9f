"""A model in plain sentences: its training, its tests, and warnings that hold for every answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agfnet.bundle import Bundle, BundleConfig, Calibration, Evaluated, read_tests
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.percents import percent
from agfnet.inference.wording import (
    missing_sentence,
    rate,
    sentence,
    warning_sentences,
    whole_percent,
)
from agfnet.translation import Language, words


def model_warnings(bundle: Bundle, language: Language = "en") -> list[str]:
    """Return the warnings that hold for every answer of a model."""
    text, calibration = words(language), bundle.calibration
    warnings = []
    if bundle.config.simulated:
        warnings.append(text["model.simulated"])
    if uncalibrated(calibration):
        warnings.append(text["model.uncalibrated"])
    accuracy, majority = calibration.accuracy, calibration.majority
    if accuracy and majority is not None and accuracy.low is not None and accuracy.low <= majority:
        values = {"accuracy": rate(accuracy, language), "majority": percent(majority)}
        warnings.append(text["model.majority"].format(**values))
    return warnings


def answer_warnings(bundle: Bundle, diagnosis: Diagnosis) -> list[str]:
    """Return all warnings of an answer: of its model, its images, and its missing modalities.

    That there is no diagnosis, for a picture of another kind, is the only one then, after those of
    the model: a program that shows the most probable class must not miss it.
    """
    config = bundle.config
    if diagnosis.foreign:
        return [*model_warnings(bundle), sentence(config.names, diagnosis)]
    texts = [*model_warnings(bundle), *warning_sentences(config.names, diagnosis)]
    used = {name for images in diagnosis.images for name in images}
    missing = [name for name in config.modalities if name not in used]
    if missing:
        texts.append(missing_sentence(missing, config.optional))
    return texts


def table_warnings(config: BundleConfig, missing: Mapping[str, int], lesions: int) -> list[str]:
    """Return the warnings about the images that a table of lesions lacks.

    Args:
        config: of the bundle.
        missing: number of lesions without an image of a modality.
        lesions: number of all lesions.
    """
    texts = []
    for name, count in missing.items():
        needed = config.optional is not None and name not in config.optional
        texts.append(
            f"{count} of {lesions} lesions have no image of {name}, although the network was not"
            " trained to do without it."
            if needed
            else f"{count} of {lesions} lesions have no image of {name}."
        )
    return texts


def foreign_warning(count: int, lesions: int, file: str) -> str:
    """Return the warning about lesions of a table with pictures of another kind.

    Args:
        count: number of these lesions.
        lesions: number of all lesions.
        file: the decisions table that names them.
    """
    return (
        f"{count} of {lesions} lesions have a picture of another kind than the training images, or"
        f" one of very poor quality: their predictions have no meaning (column foreign of {file})."
        " Check that each column of the table has the images that its name says."
    )


def uncalibrated(calibration: Calibration) -> bool:
    """Return whether nothing was fitted on a validation split."""
    return calibration == Calibration()


def about(bundle: Bundle, language: Language = "en") -> list[str]:
    """Describe a model: training, validation, tests, and what was not tested."""
    text, config = words(language), bundle.config
    tests = read_tests(bundle)
    lines = [*training_lines(bundle, language)]
    for name, test in tests.items():
        lines += evaluation_lines(bundle, name, test, language)
    if config.optional is not None and len(config.modalities) > 1:
        names = [text.get(f"modality.{name}", name) for name in config.optional]
        key = "about.optional" if names else "about.complete"
        lines.append(text[key].format(modalities=text["separator"].join(names)))
    held_out = sum(test.held_out for test in tests.values())
    if not held_out:
        lines.append(text["about.untested"])
    if held_out < 2:
        lines.append(text["about.elsewhere"])
    return lines


def training_lines(bundle: Bundle, language: Language) -> Iterator[str]:
    """Yield the lines on the training and validation lesions."""
    text, calibration = words(language), bundle.calibration
    names = class_names(bundle, language)
    if bundle.config.cases is not None:
        counts = bundle.config.cases["train"]
        listed = [f"{names[name]} {counts.get(name, 0)}" for name in bundle.config.classes]
        yield text["about.trained"].format(
            count=sum(counts.values()), names=text["separator"].join(listed)
        )
    if calibration.cases is not None:
        yield text["about.calibrated"].format(
            count=calibration.cases, patients=calibration.patients
        )
    if (point := calibration.operating_point) is not None:
        yield text["about.validated"].format(
            threshold=whole_percent(point.threshold),
            sensitivity=rate(point.sensitivity, language),
            positives=point.positives,
            specificity=rate(point.specificity, language),
            negatives=point.negatives,
        )
    if calibration.abstention is None:
        yield text["rule.none"]


def evaluation_lines(
    bundle: Bundle, name: str, test: Evaluated, language: Language
) -> Iterator[str]:
    """Yield the lines on one evaluation."""
    text, names = words(language), class_names(bundle, language)
    balanced = rate(test.balanced_accuracy, language)
    yield text["about.tested"].format(name=name, count=test.n, balanced=balanced)
    if test.seen:
        yield text["about.tested.seen"].format(count=test.seen)
    if test.sensitivity is not None and test.specificity is not None:
        yield text["about.tested.malignant"].format(
            sensitivity=rate(test.sensitivity, language),
            specificity=rate(test.specificity, language),
        )
    listed = [
        f"{names[c]} {rate(test.sensitivities[c], language)}"
        for c in bundle.config.classes
        if c in test.sensitivities
    ]
    if listed:
        yield text["about.tested.classes"].format(names=text["separator"].join(listed))


def class_names(bundle: Bundle, language: Language) -> dict[str, str]:
    """Return the names of the classes in a language."""
    return {
        name: str(getattr(entry, language) or name)
        for name, entry in bundle.config.diagnoses.items()
    }
