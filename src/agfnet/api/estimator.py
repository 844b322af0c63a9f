"""AGFnet as a scikit-learn classifier."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from agfnet.api.commands import train
from agfnet.api.images import image_files
from agfnet.api.model import Model
from agfnet.api.tables import check_columns, is_missing, records
from agfnet.data.case import Case
from agfnet.data.spelling import is_placeholder
from agfnet.data.splits import split_cases
from agfnet.data.table import write_cases
from agfnet.errors import DataError

Array = np.ndarray[Any, Any]


class AGFNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Train and predict in scikit-learn's habits. Needs scikit-learn.

    X is a pandas DataFrame or a list of mappings with a column for each modality, whose cells hold
    a path or an image (`agfnet.Model.predict`). Research use only, not a medical device.

    Args:
        modalities: Names of the image columns.
        epochs: Number of epochs.
        backbone: Name of the timm model.
        size: Side of the input image, in pixels.
        validation_fraction: Fraction of the patients for the choice of the epoch and calibration.
        settings: Further settings of `agfnet.train`, by dotted name.
        runs: Folder of the run. A temporary one, deleted with the estimator, if None.
        random_state: Random seed.
        verbose: Show a progress bar.

    Attributes:
        classes_: Names of the classes.
        model_: The trained `agfnet.Model`.

    Examples:
        >>> X = [{"clinical": photo, "ultrasound": scan}] * 8
        >>> y = ["melanoma", "naevus"] * 4
        >>> classifier = agfnet.AGFNetClassifier(
        ...     epochs=1, backbone="resnet10t", size=32, validation_fraction=0.5
        ... ).fit(X, y)
        >>> classifier.predict_proba(X).shape
        (8, 2)
        >>> set(classifier.predict(X)) <= set(classifier.classes_)
        True
    """

    def __init__(
        self,
        *,
        modalities: tuple[str, ...] = ("clinical", "ultrasound"),
        epochs: int = 50,
        backbone: str = "resnet50",
        size: int = 224,
        validation_fraction: float = 0.15,
        settings: dict[str, Any] | None = None,
        runs: str | None = None,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self.modalities = modalities
        self.epochs = epochs
        self.backbone = backbone
        self.size = size
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.runs = runs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, groups: Any = None) -> AGFNetClassifier:
        """Train the network.

        Args:
            X: Lesions with their images.
            y: Labels.
            groups: Patient of each lesion; no patient is in both training and validation. If None,
                the column `patient_id` of X names them; without it, or with an empty cell, a lesion
                is its own patient.

        Raises:
            DataError: X, y and groups differ in length or in the order of their index, or there
                is only one class.
        """
        _check_order(X, y=y, groups=groups)
        y, groups = _unmasked(y), _unmasked(groups)
        rows, labels = records(X), np.asarray(y)
        patients = _patients(rows) if groups is None else list(groups)
        for name, shape in (
            ("y", labels.shape),
            ("groups", np.asarray(patients, dtype=object).shape),
        ):
            if len(shape) != 1:
                raise DataError(f"{name}: its shape is {shape}; expected one value for each lesion")
        if not len(rows) == len(labels) == len(patients):
            raise DataError(
                f"X has {len(rows)} rows, y {len(labels)} and groups {len(patients)};"
                " expected the same number"
            )
        for name, values in (("y", labels), ("groups", patients)):
            missing = [str(i) for i, value in enumerate(values) if is_missing(value)]
            if missing:
                raise DataError(
                    f"{name}: no value for {len(missing)} of {len(values)} lesions, first at"
                    f" position {missing[0]}, counted from 0; leave these lesions out"
                )
        check_columns(rows, self.modalities)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y: {len(self.classes_)} class; training needs two or more")
        images = [{name: row.get(name) for name in self.modalities} for row in rows]
        numbered = {
            f"{i}:{name}": cell for i, row in enumerate(images) for name, cell in row.items()
        }
        with image_files(numbered) as files:
            cases = [
                Case(
                    f"L{i}",
                    str(patients[i]),
                    _label(code),
                    {name: files[f"{i}:{name}"] for name in self.modalities},
                    {},
                    "",
                    {},
                    0,
                )
                for i, code in enumerate(codes)
            ]
            self.model_ = self._train(cases)
        return self

    def _train(self, cases: list[Case]) -> Model:
        """Split cases into training and validation, and train on them."""
        folder = Path(self.runs or tempfile.mkdtemp(prefix="agfnet-"))
        if self.runs is None:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        fractions = (1 - self.validation_fraction, self.validation_fraction, 0.0)
        table = folder / "cases.csv"
        write_cases(
            split_cases(cases, fractions=fractions, seed=self.random_state),
            table,
            modalities=self.modalities,
            overwrite=True,
        )
        settings: dict[str, Any] = {
            "runs": str(folder),
            "seed": self.random_state,
            "data.modalities": list(self.modalities),
            "data.size": self.size,
            "data.labels": [_label(code) for code in range(len(self.classes_))],
            "data.cache_mb": 0,
            "model.backbone.name": self.backbone,
            "optim.epochs": self.epochs,
        }
        return train(
            table, preset="none", progress=self.verbose, **settings | (self.settings or {})
        )

    def predict_proba(self, X: Any) -> Array:
        """Return calibrated probabilities (N, C), in the order of `classes_`."""
        check_is_fitted(self, "model_")
        results = self.model_.predict(records(X))
        return np.stack([result.diagnosis.probabilities for result in results])

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each lesion (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # images are no matrix of features
        tags.input_tags.dict = True
        tags.no_validation = True
        return tags


def _patients(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the patients that rows name; a lesion without one has a name that no patient has."""
    cells = (row.get("patient_id") for row in rows)
    names = ("" if cell is None else str(cell).strip() for cell in cells)
    return [
        f"lesion at position {i}" if is_placeholder(name) or not name else name
        for i, name in enumerate(names)
    ]


def _check_order(table: Any, **columns: Any) -> None:
    """Check that the index of pandas, where there is one, names the lesions in the same order."""
    for name, values in columns.items():
        if not (hasattr(table, "iloc") and hasattr(values, "iloc")):
            continue
        if not table.index.equals(values.index) and set(table.index) == set(values.index):
            raise DataError(
                f"{name}: its index has the values of that of X in another order, and they would be"
                f" matched by position; give {name}.loc[X.index], or {name}.to_numpy() if the"
                " positions are right"
            )


def _unmasked(values: Any) -> Any:
    """Return values of which the masked ones are None, since NumPy would drop the mask."""
    return values.tolist() if np.ma.is_masked(values) else values


def _label(code: int) -> str:
    """Return the label of a class in the table; labels of any type and spelling are possible."""
    return f"class {code:05d}"
