"""A trained model: predict, explain, evaluate, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from agfnet import NOTICE
from agfnet.api.explanation import Explanation
from agfnet.api.images import Files, image_files
from agfnet.api.result import Result, Results
from agfnet.api.scores import Scores
from agfnet.api.settings import make_settings
from agfnet.api.tables import case_rows, path_text
from agfnet.config import Backend, EvaluateConfig, ExplainConfig, ExportConfig
from agfnet.data.readers import read_image
from agfnet.errors import ConfigError, DataError
from agfnet.explain.compute.contributions import contributions
from agfnet.inference.about import answer_warnings
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.predictor import Predictor

Array = np.ndarray[Any, Any]
MAX_SIDE = 640
"""Longest side of the images that a result keeps, in pixels."""


def load(path: str | Path, *, backend: Backend = "auto") -> Model:
    """Load a trained model.

    Args:
        path: A run folder, or a bundle.
        backend: `torch`, or a graph made by `Model.export` (`onnx`, `int8`). `auto` uses `onnx` if
            the bundle has it, and torch otherwise.

    Raises:
        BundleError: Not a model, damaged, or without the graph.

    Examples:
        >>> model = agfnet.load(run)
        >>> model.modalities
        ('clinical', 'ultrasound')
    """
    return Model(Path(path), Predictor.load(path, backend=backend))


class Model:
    """A trained model. Research use only, not a medical device.

    `agfnet.load` and `agfnet.train` return one.

    Examples:
        >>> model = agfnet.load(run)
        >>> result = model.predict(clinical=photo, ultrasound=scan)
        >>> result.label in model.classes
        True
    """

    def __init__(self, path: Path, predictor: Predictor) -> None:
        self.path = path
        self.predictor = predictor

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's outputs."""
        return tuple(self.predictor.bundle.config.classes)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the image inputs."""
        return tuple(self.predictor.bundle.config.modalities)

    def predict(self, table: Any = None, /, **images: Any) -> Any:
        """Diagnose one lesion from its images, or every lesion of a table.

        Args:
            table: Path of a cases table, a pandas DataFrame, or a list of mappings, with a column
                for each modality; its other columns are optional. Cells of the last two may hold
                whatever `images` may.
            **images: Per modality a path, a PIL image, a NumPy array, a pydicom data set, or a list
                of several. A modality that is left out, or None, is missing. A PIL image that
                was opened from a file and not changed is read from this file. A path may name the
                part of the image to use: `photo.jpg#xywh=40,60,800,800` (x, y, width, height).

        Returns:
            A `Result`; for a table, `Results`, a list of them.

        Raises:
            ImageError: An image cannot be read.
            DataError: No image, or a modality that the model does not know.

        Examples:
            >>> from PIL import Image
            >>> model = agfnet.load(run)
            >>> model.predict(clinical=Image.open(photo)).prediction_set is not None
            True
            >>> len(model.predict([{"clinical": photo}, {"ultrasound": scan}]))
            2
        """
        if table is None:
            with image_files(images) as files:
                diagnosis = self.predictor.diagnose(files)
                return self._result(
                    diagnosis,
                    images=self._pictures(files),
                    contributions=self._contributions(files, diagnosis),
                )
        if images:
            raise ConfigError("predict: a table, or images by modality, not both")
        results = Results()
        for lesion_id, cells in case_rows(table, self.modalities):
            try:
                with image_files(cells) as files:
                    diagnosis = self.predictor.diagnose(files)
            except DataError as error:
                raise type(error)(f"lesion {lesion_id!r}: {error}") from error
            results.append(self._result(diagnosis, lesion_id=lesion_id))
        return results

    def explain(
        self, table: Any = None, /, *, out: str | Path = "explanation", **options: Any
    ) -> Explanation:
        """Explain the answer for one lesion, or for lesions of a cases table.

        Args:
            table: Path of a cases table.
            out: Folder to write.
            **options: Images by modality, as for `predict`, and settings of `agfnet explain`, as in
                `methods=["layercam"]`.

        Returns:
            The files and the numbers of the explanation.

        Examples:
            >>> model = agfnet.load(run)
            >>> explanation = model.explain(
            ...     clinical=photo, ultrasound=scan, methods=["modalities"], out=folder / "why"
            ... )
            >>> explanation.to_dict()["answer"] in model.classes
            True
        """
        from agfnet.explain.run import explain

        images = {name: options.pop(name) for name in self.modalities if name in options}
        with image_files(images) as files:
            values = {"model": str(self.path), "out": str(out), **options}
            if table is not None:
                values["cases"] = path_text(table, "explain")
            else:
                values["images"] = {
                    name: "|".join(map(str, paths)) for name, paths in files.items()
                }
            result = explain(make_settings(ExplainConfig, values, "explain"))
        return Explanation(result.folder)

    def evaluate(self, cases: str | Path | None = None, **settings: Any) -> Scores:
        """Evaluate the model on a cases table, with intervals, and write a report.

        Args:
            cases: Cases table. The test split of the run's table if None.
            **settings: Settings of `agfnet evaluate`, as in `resamples=200`.

        Raises:
            RunError: The model is a bundle without its run folder.

        Examples:
            >>> scores = agfnet.load(run).evaluate(resamples=10, max_focus_lesions=0)
            >>> 0 <= scores.metrics["accuracy"]["value"] <= 1
            True
        """
        from agfnet.report.run import run_evaluation

        values = {"run": str(self.path), **settings}
        if cases is not None:
            values["cases"] = path_text(cases, "evaluate")
        config = make_settings(EvaluateConfig, values, "evaluate")
        return Scores(run_evaluation(config))

    def export(self, **settings: Any) -> Path:
        """Add an ONNX graph to the bundle of the run, for prediction without torch.

        Args:
            **settings: Settings of `agfnet export`, as in `int8=True`.

        Returns:
            The graph. `agfnet.load` uses it from then on.

        Examples:
            >>> agfnet.load(run).export().name
            'model.onnx'
        """
        from agfnet.export.run import export_run

        values = {"run": str(self.path), **settings}
        folder, _ = export_run(make_settings(ExportConfig, values, "export"))
        return folder / "model.onnx"

    def _result(self, diagnosis: Diagnosis, **more: Any) -> Result:
        """Return an answer with the names of the bundle."""
        config = self.predictor.bundle.config
        return Result(
            classes=self.classes,
            diagnosis=diagnosis,
            names=tuple(config.names),
            groups=config.groups,
            warnings=tuple(answer_warnings(self.predictor.bundle, diagnosis)),
            **more,
        )

    def _pictures(self, files: Files) -> dict[str, Array]:
        """Return the first image of each modality, small."""
        pictures = {}
        for name, paths in files.items():
            if paths:
                small = Image.fromarray(read_image(paths[0], side=MAX_SIDE).pixels)
                small.thumbnail((MAX_SIDE, MAX_SIDE))
                pictures[name] = np.asarray(small)
        return pictures

    def _contributions(self, files: Files, diagnosis: Diagnosis) -> dict[str, float] | None:
        """Return the contribution of each modality to the probability of the answer."""
        present = np.array([bool(files.get(name)) for name in self.modalities])
        if present.sum() < 2:
            return None

        def answer(_: Sequence[Array], masks: Array) -> Array:
            cases = [
                {
                    name: files[name]
                    for name, used in zip(self.modalities, mask, strict=True)
                    if used
                }
                for mask in masks
            ]
            return np.stack([d.probabilities for d in self.predictor.stream(cases)])

        values = contributions(answer, [np.zeros((1, 1))] * len(present), present)
        points = values.shapley[:, int(diagnosis.probabilities.argmax())]
        return {n: float(v) for n, v, p in zip(self.modalities, points, present, strict=True) if p}

    def __repr__(self) -> str:
        return (
            f"<Model {self.path}: {len(self.classes)} classes,"
            f" {' and '.join(self.modalities)}; {NOTICE}>"
        )
