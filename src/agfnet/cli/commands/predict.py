"""Predict one lesion or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agfnet import NOTICE
from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import PredictConfig
from agfnet.errors import DataError
from agfnet.terminal import bar, say, show_table


def predict(config: PredictConfig) -> None:
    check_files(config)
    with bar("loading the model"):
        from agfnet.inference.predictor import Predictor

        predictor = Predictor.load(config.model, backend=config.backend)
    if config.cases is not None:
        predict_table(config, predictor)
    else:
        predict_lesion(config, predictor)


def check_files(config: PredictConfig) -> None:
    """Check the files to write before anything else is done."""
    from agfnet.data.paths import named_frame
    from agfnet.data.table import cell_paths
    from agfnet.files import check_outputs
    from agfnet.inference.figure import check_format

    if config.picture is not None:
        check_format(config.picture)
    images = [path for cell in (config.images or {}).values() for path in cell_paths(cell)]
    inputs = [named_frame(path)[0] for path in images]
    check_outputs({"picture": config.picture, "dicom": config.dicom}, inputs)


def predict_table(config: PredictConfig, predictor: Any) -> None:
    from agfnet.inference import table
    from agfnet.inference.about import foreign_warning, model_warnings, table_warnings
    from agfnet.inference.decisions_table import count_foreign
    from agfnet.inference.frames_table import count_missing
    from agfnet.inference.parquet import check_parquet, write_parquet

    if config.parquet:
        check_parquet()
    with bar("predicting") as progress:
        answered = table.predict_table(config, predictor, progress=progress)
    files, answers = answered.files, answered.lesions - answered.skipped
    if answered.resumed:
        say(f"Went on after {answered.resumed} lesions that were dealt with before.")
    say(f"Wrote {files.predictions}: {answers} lesions, and {files.frames}: their frames. {NOTICE}")
    bundle = predictor.bundle
    missing = count_missing(files.frames, tuple(bundle.config.modalities))
    for text in [*model_warnings(bundle), *table_warnings(bundle.config, missing, answers)]:
        say(text)
    if foreign := count_foreign(files.decisions):
        say(foreign_warning(foreign, answers, str(files.decisions)))
    if config.parquet:
        tables = (files.predictions, files.frames, files.decisions)
        copies = [write_parquet(path) for path in tables if path.is_file()]
        say(f"Wrote {', '.join(path.name for path in copies)} next to them.")
    if answered.skipped:
        raise DataError(
            f"{files.problems}: names {answered.skipped} lesions that were left out, with their"
            " images; correct them, and predict these lesions again"
        )


def predict_lesion(config: PredictConfig, predictor: Any) -> None:
    from agfnet.data.table import cell_paths
    from agfnet.inference.about import model_warnings
    from agfnet.inference.percents import percent_text
    from agfnet.inference.wording import (
        group_sentences,
        missing_sentence,
        sentence,
        warning_sentences,
    )

    images = {name: cell_paths(cell) for name, cell in (config.images or {}).items()}
    diagnosis = predictor.diagnose(images)
    if config.dicom is not None:  # first, so that a missing package is the only message
        save_report(config, predictor.bundle, diagnosis, images)
    classes = predictor.bundle.config.names
    missing = [name for name in predictor.bundle.config.modalities if not images.get(name)]
    for text in model_warnings(predictor.bundle):
        say(text)
    for text in group_sentences(predictor.bundle, diagnosis):
        say(text)
    say(sentence(classes, diagnosis))
    for text in warning_sentences(classes, diagnosis):
        say(text)
    if missing and not diagnosis.foreign:
        say(missing_sentence(missing, predictor.bundle.config.optional))
    if (count := len(diagnosis.frames)) > 1 and not diagnosis.foreign:
        agree = int((diagnosis.frames.argmax(axis=1) == diagnosis.probabilities.argmax()).sum())
        say(f"The average of {count} frames; {agree} of them give this answer by themselves.")
    if not diagnosis.foreign:
        order = sorted(range(len(classes)), key=lambda c: -diagnosis.probabilities[c])
        rows = [[classes[c], percent_text(diagnosis.percents[c])] for c in order]
        show_table(["class", "probability"], rows)
    # also without a diagnosis: an older picture would be taken for the answer
    if config.picture is not None:
        draw(config.picture, classes, diagnosis, images)
    say(NOTICE)


def draw(path: str, classes: Any, diagnosis: Any, images: Any) -> None:
    from agfnet.data.readers import read_image
    from agfnet.inference.figure import save_picture

    pixels = {name: read_image(paths[0]).pixels for name, paths in images.items() if paths}
    letters = save_picture(path, classes=classes, diagnosis=diagnosis, images=pixels)
    if letters:
        say(
            f"No installed font has the letters {letters}: they are boxes in the picture."
            " Install a font that has them, such as Noto Sans CJK."
        )
    say(f"Wrote {path}")


def save_report(config: PredictConfig, bundle: Any, diagnosis: Any, images: Any) -> None:
    from agfnet.files import write_bytes
    from agfnet.inference.dicom_report import make_report

    report = make_report(
        bundle=bundle,
        diagnosis=diagnosis,
        sources=[path for paths in images.values() for path in paths],
        identifiers=config.dicom_identifiers,
    )
    write_bytes(Path(config.dicom or ""), report)
    say(f"Wrote {config.dicom}")


COMMAND = Command(
    PredictConfig,
    predict,
    examples=(
        "agfnet predict runs/first --images.clinical a.jpg --images.ultrasound b.png",
        "agfnet predict runs/first --cases new.csv --out predictions.csv",
    ),
    docs="predict.md",
    columns=CASES_COLUMNS,
)
