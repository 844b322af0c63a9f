"""Export of a run's bundle as an ONNX graph, compared with the predictor, and as int8."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.bundle import EXPORT, EXPORTS, Bundle, BundleConfig, read_bundle
from agfnet.card import refresh_card
from agfnet.config import ExportConfig
from agfnet.config.renamed import run_settings
from agfnet.data.frames import expand
from agfnet.data.preprocess import load
from agfnet.data.splits import require_split
from agfnet.data.table import Case
from agfnet.errors import BundleError
from agfnet.evaluation.inputs import run_folder
from agfnet.evaluation.members import run_table, to_classes
from agfnet.export.graph import export_graph
from agfnet.export.parity import Parity, Rows, compare, edge_rows, reference
from agfnet.files import staged_files, write_json
from agfnet.inference.combinations import frame_combinations, stack_images
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.metrics.summary import METRICS

Progress = Callable[[int, int], None]
TOLERANCE = 1e-4
"""Maximum difference of a probability between torch and the fp32 graph."""
PARITY_CASES = 64
CALIBRATION_CASES = 256


@dataclass(frozen=True)
class Int8:
    """Measurements of the int8 graph on the validation split."""

    cases: int
    balanced_accuracy: float
    balanced_accuracy_fp32: float
    ece: float
    ece_fp32: float
    agreement: float
    """Fraction of cases with the same predicted class as fp32."""
    probabilities: float
    """Maximum difference of a probability from fp32."""

    @property
    def loss(self) -> float:
        """Decrease of the balanced accuracy."""
        return self.balanced_accuracy_fp32 - self.balanced_accuracy


def export_run(
    config: ExportConfig, *, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Add `model.onnx` to the bundle of a run, and on request `model_int8.onnx`.

    `export.json` holds the measurements: the differences between torch and ONNX Runtime, and the
    accuracy of int8. The files of an earlier export are replaced when all of this is done.

    Returns:
        The folder of the bundle, and the content of `export.json`.

    Raises:
        BundleError: The graph differs from the predictor; the bundle is not changed. Or int8 loses
            more balanced accuracy than `config.max_loss`; only the fp32 graph is added.
        AgfnetError: A problem in the run, the table or the images.
    """
    bundle = read_bundle(run_folder(config.run))
    table = run_table(run_settings(config.run), config.cases, bundle.config)
    splits = {
        name: to_classes(require_split(table, name), bundle.config, table.path)[0]
        for name in ("train", "val")
    }
    report: dict[str, Any] = {}
    int8 = None
    with staged_files(bundle.folder, drop=EXPORTS) as folder:
        export_graph(bundle, folder / ONNX, standard=config.standard)
        exported = replace(bundle, folder=folder, files=(ONNX, INT8))
        parity = check_parity(bundle, exported, splits["val"])
        report["fp32"] = asdict(parity)
        if config.int8:
            int8 = make_int8(exported, splits, progress)
            if int8.loss <= config.max_loss:
                report["int8"] = asdict(int8)
            else:
                (folder / INT8).unlink()
        write_json(folder / EXPORT, report)
    refresh_card(config.run)
    if int8 is not None and int8.loss > config.max_loss:
        raise BundleError(
            f"{bundle.folder}: int8 loses {100 * int8.loss:.1f} points of balanced accuracy on"
            f" {int8.cases} validation cases, more than {100 * config.max_loss:.1f}, and was"
            " discarded. Raise --max-loss to keep it, or use fp32"
        )
    return bundle.folder, report


def check_parity(bundle: Bundle, exported: Bundle, cases: Sequence[Case]) -> Parity:
    """Compare the fp32 graph with the predictor, on cases and on edge cases of the input.

    Raises:
        BundleError: They differ by more than `TOLERANCE` in a probability.
    """
    graph = OnnxBackend(bundle=exported, file=ONNX)
    rows = rows_of(evenly_spaced(cases, PARITY_CASES), bundle.config)
    parity = compare(reference(bundle), graph, [rows, edge_rows(bundle.config)])
    if parity.probabilities > TOLERANCE:
        raise BundleError(
            f"{bundle.folder}: the exported graph differs from the network by"
            f" {parity.probabilities:.1e} in a probability, more than {TOLERANCE:.0e}; it was"
            " discarded"
        )
    return parity


def make_int8(
    exported: Bundle, splits: dict[str, tuple[Case, ...]], progress: Progress | None
) -> Int8:
    """Quantise the graph with training cases, and measure it on the validation split."""
    from agfnet.export.int8 import quantise

    folder = exported.folder
    cases = evenly_spaced(splits["train"], CALIBRATION_CASES)
    quantise(folder / ONNX, folder / INT8, feeds(cases, exported.config))
    tables = {file: predict(exported, file, splits["val"], progress) for file in (ONNX, INT8)}
    fp32, int8 = (tables[file].probabilities for file in (ONNX, INT8))
    labelled = {file: tables[file].labelled() for file in tables}
    scores = {
        (file, name): METRICS[name](table.probabilities, table.target)
        for file, table in labelled.items()
        for name in ("balanced_accuracy", "ece")
    }
    return Int8(
        cases=len(fp32),
        balanced_accuracy=scores[INT8, "balanced_accuracy"],
        balanced_accuracy_fp32=scores[ONNX, "balanced_accuracy"],
        ece=scores[INT8, "ece"],
        ece_fp32=scores[ONNX, "ece"],
        agreement=float((fp32.argmax(axis=1) == int8.argmax(axis=1)).mean()),
        probabilities=float(np.abs(fp32 - int8).max()),
    )


def predict(
    bundle: Bundle, file: str, cases: Sequence[Case], progress: Progress | None
) -> Predictions:
    """Predict cases with one of the graphs."""
    predictor = Predictor(bundle=bundle, backend=OnnxBackend(bundle=bundle, file=file))
    return predictor.predict(cases, progress=progress and (lambda done: progress(done, len(cases))))


def evenly_spaced(cases: Sequence[Case], max_count: int) -> Sequence[Case]:
    """Return at most `max_count` cases, evenly spaced over the table."""
    return cases[:: max(1, -(-len(cases) // max_count))]


def rows_of(cases: Sequence[Case], config: BundleConfig) -> Rows:
    """Load the first frame of each modality of each case."""
    modalities = config.modalities
    frames = [
        frame_combinations(
            {name: expand(case.images.get(name, ())) for name in modalities}, modalities
        )
        for case in cases
    ]
    pixels = [
        {
            name: load(path, size=config.size, modality=modalities[name])
            for name, path in first.items()
        }
        for first, *_ in frames
    ]
    images, present = stack_images(pixels, config)
    return Rows(images=tuple(images), present=present, case=np.arange(len(pixels)))


def feeds(cases: Sequence[Case], config: BundleConfig) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Yield the inputs of the graph in batches of eight."""
    rest = iter(cases)
    while part := list(islice(rest, 8)):
        rows = rows_of(part, config)
        images = dict(zip(config.modalities, rows.images, strict=True))
        yield images | {"present": rows.present, "case": rows.case}
