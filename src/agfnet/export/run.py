"""A run's bundle with an ONNX graph in it, proven equal, and if wanted an int8 copy, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import EXPORT, Bundle, BundleConfig, drop_exports, read_bundle, seal
from agfnet.card import refresh_card
from agfnet.config import ExportConfig
from agfnet.data.frames import expand
from agfnet.data.preprocess import load
from agfnet.data.splits import require_split
from agfnet.data.table import Case
from agfnet.errors import BundleError
from agfnet.evaluation.inputs import run_folder, run_settings, run_table, to_classes
from agfnet.export.graph import deployed, export_graph
from agfnet.export.parity import Parity, Rows, compare, edge_rows
from agfnet.files import write_json
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor, frame_combinations, stack_images
from agfnet.metrics.summary import METRICS

Progress = Callable[[int, int], None]
TOLERANCE = 1e-4
"""Largest difference of a probability between torch and the fp32 graph."""
PARITY_CASES = 64
CALIBRATION_CASES = 256


@dataclass(frozen=True)
class Int8:
    """What the int8 graph costs, on the validation split."""

    cases: int
    balanced_accuracy: float
    balanced_accuracy_fp32: float
    ece: float
    ece_fp32: float
    agreement: float
    """Share of cases with the same most probable class as fp32."""
    probabilities: float
    """Largest difference of a probability from fp32."""


def export_run(
    config: ExportConfig, *, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Add `model.onnx` to a run's bundle, and `model_int8.onnx` if it is wanted and good enough.

    `export.json` holds what was measured: the differences between torch and ONNX Runtime, and what
    int8 costs.

    Returns:
        The bundle's folder, and the content of `export.json`.

    Raises:
        BundleError: the graph does not answer as the network does, or int8 costs more balanced
            accuracy than `config.max_loss`; then the bundle is left without that graph.
        AgfnetError: whatever is wrong with run, table or images.
    """
    bundle = read_bundle(run_folder(config.run))
    folder = bundle.folder
    table = run_table(run_settings(config.run), config.cases, bundle.config)
    splits = {
        name: to_classes(require_split(table, name), bundle.config, table.path)[0]
        for name in ("train", "val")
    }
    report: dict[str, Any] = {}
    drop_exports(folder)
    export_graph(bundle, folder / ONNX, standard=config.standard)
    seal(folder)
    parity = check_parity(folder, splits["val"])
    report["fp32"] = asdict(parity)
    if parity.probabilities > TOLERANCE:
        (folder / ONNX).unlink()
        seal(folder)
        raise BundleError(
            f"{folder}: the exported graph differs from the network by {parity.probabilities:.1e}"
            f" in a probability, more than {TOLERANCE:.0e}; not kept"
        )
    if config.int8:
        report["int8"] = asdict(make_int8(config, folder, splits, progress))
    write_json(folder / EXPORT, report)
    seal(folder)
    refresh_card(config.run)
    return folder, report


def check_parity(folder: Path, cases: Sequence[Case]) -> Parity:
    """Torch against the fp32 graph, on cases and on the edges of the input."""
    bundle = read_bundle(folder)
    graph = OnnxBackend(bundle=bundle, file=ONNX)
    real = rows_of(spread(cases, PARITY_CASES), bundle.config)
    return compare(deployed(bundle), graph, [real, edge_rows(bundle.config)])


def make_int8(
    config: ExportConfig,
    folder: Path,
    splits: dict[str, tuple[Case, ...]],
    progress: Progress | None,
) -> Int8:
    """Quantise with training cases and measure on the validation split."""
    from agfnet.export.int8 import quantise

    chosen = spread(splits["train"], CALIBRATION_CASES)
    quantise(folder / ONNX, folder / INT8, feeds(chosen, read_bundle(folder).config))
    seal(folder)
    bundle = read_bundle(folder)
    answers = {file: answer(bundle, file, splits["val"], progress) for file in (ONNX, INT8)}
    fp32, int8 = (answers[file].probabilities for file in (ONNX, INT8))
    labelled = {file: answers[file].labelled() for file in answers}
    scores = {
        (file, name): METRICS[name](found.probabilities, found.target)
        for file, found in labelled.items()
        for name in ("balanced_accuracy", "ece")
    }
    measured = Int8(
        cases=len(fp32),
        balanced_accuracy=scores[INT8, "balanced_accuracy"],
        balanced_accuracy_fp32=scores[ONNX, "balanced_accuracy"],
        ece=scores[INT8, "ece"],
        ece_fp32=scores[ONNX, "ece"],
        agreement=float((fp32.argmax(axis=1) == int8.argmax(axis=1)).mean()),
        probabilities=float(np.abs(fp32 - int8).max()),
    )
    loss = measured.balanced_accuracy_fp32 - measured.balanced_accuracy
    if loss > config.max_loss:
        (folder / INT8).unlink()
        seal(folder)
        raise BundleError(
            f"{folder}: int8 loses {100 * loss:.1f} points of balanced accuracy on {measured.cases}"
            f" validation cases, more than {100 * config.max_loss:.1f}; not kept. Raise --max_loss"
            " to keep it, or use fp32"
        )
    return measured


def answer(
    bundle: Bundle, file: str, cases: Sequence[Case], progress: Progress | None
) -> Predictions:
    """What one of the graphs says about cases."""
    predictor = Predictor(bundle=bundle, backend=OnnxBackend(bundle=bundle, file=file))
    return predictor.predict(cases, progress=progress and (lambda done: progress(done, len(cases))))


def spread(cases: Sequence[Case], count: int) -> Sequence[Case]:
    """At most `count` cases, evenly over the table."""
    return cases[:: max(1, -(-len(cases) // count))]


def rows_of(cases: Sequence[Case], config: BundleConfig) -> Rows:
    """The first pass of each case."""
    views = list(config.modalities)
    passes = [
        frame_combinations({name: expand(case.images.get(name, ())) for name in views}, views)[0]
        for case in cases
    ]
    made = [
        {
            name: load(path, size=config.size, modality=config.modalities[name])
            for name, path in one.items()
        }
        for one in passes
    ]
    images, present = stack_images(made, config)
    return Rows(images=tuple(images), present=present, case=np.arange(len(passes)))


def feeds(cases: Sequence[Case], config: BundleConfig) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Inputs of the graph in batches of eight."""
    rest = iter(cases)
    while part := list(islice(rest, 8)):
        rows = rows_of(part, config)
        images = dict(zip(config.modalities, rows.images, strict=True))
        yield images | {"present": rows.present, "case": rows.case}
