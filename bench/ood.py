"""Out-of-distribution scores compared: image statistics, feature space, and energy of the logits.

    python bench/ood.py --run RUN --foreign PHOTOS --shifted CASES --json ood.json

The scores are fitted on training cases of the run, their thresholds on its validation split (5 %
of new patients at most, all modalities together), and both are applied to the test split. `image
statistics` is the score of the product. The others use the pooled last map of each modality's
backbone (Gaussian of the principal components and the residual, Mahalanobis distance to the nearest
class, ten nearest neighbours by cosine, norm of the residual alone), or the energy of the logits.

In each condition one modality is replaced: by the image of the other modality (`swapped`), by
pictures of another kind (`drawn`, `noise`, `text`, `natural` for parts of two photographs of
scikit-learn, `--foreign` for a folder of photographs), or by corrupted images (severity 1, 3 and
5); in `other devices` all images are those of another cohort (`--shifted`). Metrics: AUROC against
the unchanged test cases, fraction with a warning (for `clean`: false alarms), and fraction that
counts as a picture of another kind, for which no diagnosis is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, finish, options, row
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy.special import logsumexp
from scipy.stats import rankdata
from sklearn.datasets import load_sample_images

from agfnet.bundle import BundleConfig
from agfnet.calibration.conformal import patient_quantile
from agfnet.calibration.ood import fit_familiarity
from agfnet.config.renamed import run_settings
from agfnet.data.frames import expand
from agfnet.data.preprocess import load
from agfnet.data.splits import require_split
from agfnet.data.table import Case, read_cases
from agfnet.evaluation.members import run_table, to_classes
from agfnet.inference.combinations import stack_images
from agfnet.inference.familiarity import FOREIGN, image_statistics, relative_distance
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend
from agfnet.models.backbone import pool
from agfnet.models.network import record_calls
from agfnet.robustness.corruptions import CORRUPTIONS, corrupt

Array = np.ndarray[Any, Any]
Images = dict[str, Array]
Picture = Callable[[int, Images], Array]  # number and images of a lesion to a picture
STATISTICS, ENERGY = "image statistics", "energy"
SEVERITIES = (1, 3, 5)
RATE = 0.05
BATCH = 64


def images_of(case: Case, config: BundleConfig) -> Images:
    """Return the first prepared frame (S, S, 3) of each modality."""
    return {
        name: load(expand(case.images[name])[0], size=config.size, modality=modality)
        for name, modality in config.modalities.items()
    }


@torch.inference_mode()
def outputs(backend: TorchBackend, images: list[Array], present: Array) -> list[Array]:
    """Return logits (B, C) and the pooled last map (B, D) of each modality."""
    available = torch.from_numpy(present)
    with record_calls([backend.model.backbones]) as calls:
        logits = backend.model(backend.tensors(images), available).logits
    maps = [scales[-1] for scales in calls.output(backend.model.backbones)]
    return [part.float().cpu().numpy() for part in (logits, *pool(maps, available))]


def described(
    backend: TorchBackend, lesions: Sequence[Images], config: BundleConfig
) -> tuple[Array, list[Array], list[Array]]:
    """Return logits (N, C), features (N, D) and image statistics (N, K) of complete lesions."""
    parts = []
    for start in range(0, len(lesions), BATCH):
        images, present = stack_images(lesions[start : start + BATCH], config)
        parts.append(outputs(backend, images, present))
    logits, *features = (np.concatenate(values) for values in zip(*parts, strict=True))
    statistics = [
        np.array([image_statistics(lesion[name]) for lesion in lesions])
        for name in config.modalities
    ]
    return logits, features, statistics


def drawn(size: int, rng: np.random.Generator) -> Array:
    """Return a drawing: a few shapes with outlines on a plain ground."""
    picture = Pillow.new("RGB", (size, size), tuple(rng.integers(180, 256, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(4, 12)):
        corners = np.sort(rng.integers(0, size, (2, 2)), axis=0).ravel().tolist()
        fill = tuple(rng.integers(0, 256, 3).tolist())
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape(corners, fill=fill, outline=(0, 0, 0), width=max(1, size // 60))
    return np.asarray(picture)


def text(size: int, rng: np.random.Generator) -> Array:
    """Return a page of text."""
    picture = Pillow.new("RGB", (4 * size, 4 * size), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    letters = list("abcdefghilmnorstu")
    for line in range(12, 4 * size - 12, 14):
        words = ("".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(size // 2))
        pen.text((12, line), " ".join(words), fill=(20, 20, 20))
    return np.asarray(picture.resize((size, size), Pillow.Resampling.LANCZOS))


def noise(size: int, rng: np.random.Generator) -> Array:
    """Return independent random pixels."""
    return rng.integers(0, 256, (size, size, 3), dtype=np.uint8)


def natural(size: int, rng: np.random.Generator) -> Array:
    """Return a random square of a photograph of a temple or a flower."""
    photo = load_sample_images().images[rng.integers(2)]
    side = int(rng.integers(200, 400))
    row_start, column_start = (int(rng.integers(length - side)) for length in photo.shape[:2])
    square = Pillow.fromarray(
        photo[row_start : row_start + side, column_start : column_start + side]
    )
    return np.asarray(square.resize((size, size), Pillow.Resampling.LANCZOS))


def pictures(config: BundleConfig, name: str, foreign: Sequence[Path]) -> dict[str, Picture]:
    """Return the pictures that replace a modality, by kind."""
    size, modality, rng = config.size, config.modalities[name], np.random.default_rng(0)
    kinds: dict[str, Picture] = {
        make.__name__: lambda i, _, make=make: make(size, rng)
        for make in (drawn, text, noise, natural)
    }
    if others := [other for other in config.modalities if other != name]:
        kinds["swapped"] = lambda i, lesion: lesion[others[0]]
    if foreign:
        kinds["foreign photographs"] = lambda i, _: load(
            foreign[i % len(foreign)], size=size, modality=modality
        )

    def corrupted(corruption: str, severity: int, i: int, lesion: Images) -> Array:
        kind = modality.modality_type
        return corrupt(
            lesion[name], modality_type=kind, name=corruption, severity=severity, key=str(i)
        )

    for corruption in CORRUPTIONS[modality.modality_type]:
        for severity in SEVERITIES:
            kinds[f"{corruption} {severity}"] = partial(corrupted, corruption, severity)
    return kinds


def conditions(
    lesions: Sequence[Images], config: BundleConfig, foreign: Sequence[Path]
) -> Iterator[tuple[str, list[Images]]]:
    """Yield the name and the lesions of every condition."""
    for name in config.modalities:
        for kind, make in pictures(config, name, foreign).items():
            changed = [lesion | {name: make(i, lesion)} for i, lesion in enumerate(lesions)]
            yield f"{kind}, {name}", changed


def fit_feature_scores(features: Array, target: Array) -> dict[str, Callable[[Array], Array]]:
    """Fit the scores in feature space on features (N, D) and classes (N,) of training cases."""
    mean = features.mean(axis=0)
    _, singular, components = np.linalg.svd(features - mean, full_matrices=False)
    variances = singular**2 / (len(features) - 1)
    kept = min(int(np.searchsorted(np.cumsum(variances), 0.95 * variances.sum())) + 1, 64)
    rest = variances[kept:].sum() / (len(mean) - kept)
    classes = np.unique(target)
    centres = np.stack([features[target == c].mean(axis=0) for c in classes])
    covariance = np.cov((features - centres[np.searchsorted(classes, target)]).T)
    scale = np.trace(covariance) / len(covariance)
    precision = np.linalg.inv(0.9 * covariance + 0.1 * scale * np.eye(len(covariance)))
    unit = normed(features)

    def residual(x: Array) -> Array:
        along = (x - mean) @ components[:kept].T
        return np.maximum(((x - mean) ** 2).sum(axis=1) - (along**2).sum(axis=1), 0)

    def gaussian(x: Array) -> Array:
        along = (x - mean) @ components[:kept].T
        return (along**2 / variances[:kept]).sum(axis=1) + residual(x) / rest

    def nearest_class(x: Array) -> Array:
        differences = x[:, None] - centres[None]
        return np.einsum("bcd,de,bce->bc", differences, precision, differences).min(axis=1)

    def neighbours(x: Array) -> Array:
        return -np.sort(normed(x) @ unit.T, axis=1)[:, -10]

    return {
        "features, gaussian": gaussian,
        "features, mahalanobis": nearest_class,
        "features, neighbours": neighbours,
        "features, residual": residual,
    }


def normed(x: Array) -> Array:
    """Return rows of length 1."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def auroc(positive: Array, negative: Array) -> float:
    """Return the probability that a positive score is above a negative one."""
    ranks, count = rankdata(np.concatenate([positive, negative])), len(positive)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(negative)))


class Scores:
    """Scores fitted on training cases, with thresholds of the validation split."""

    def __init__(self, train: Any, target: Array, validation: Any, patients: Array) -> None:
        _, features, statistics = train
        self.fitted = [fit_feature_scores(values, target) for values in features]
        self.familiar = list(fit_familiarity(dict(enumerate(statistics))).values())
        self.limits = {
            name: np.array(
                [
                    patient_quantile(column, patients, 1 - RATE / values.shape[1]) or column.max()
                    for column in values.T
                ]
            )
            for name, values in self.raw(validation).items()
        }
        self.centres = {name: np.median(v, axis=0) for name, v in self.raw(validation).items()}

    def raw(self, part: Any) -> dict[str, Array]:
        """Return the scores (N, M) of each modality, or (N, 1), by name."""
        logits, features, statistics = part
        result = {
            STATISTICS: np.array(
                [
                    [relative_distance(s, model) for s in values]
                    for values, model in zip(statistics, self.familiar, strict=True)
                ]
            ).T
        }
        for name in self.fitted[0]:
            columns = [fit[name](x) for fit, x in zip(self.fitted, features, strict=True)]
            result[name] = np.stack(columns, axis=1)
        return result | {ENERGY: -logsumexp(logits, axis=1)[:, None]}

    def __call__(self, part: Any) -> dict[str, Array]:
        """Return the scores (N,) of the lesions: 0 for a median image, 1 at the threshold."""
        return {
            name: ((v - self.centres[name]) / (self.limits[name] - self.centres[name])).max(axis=1)
            for name, v in self.raw(part).items()
        }

    def foreign(self, part: Any) -> Array:
        """Return the lesions (N,) with a picture of another kind."""
        return (self.raw(part)[STATISTICS] / self.limits[STATISTICS]).max(axis=1) >= FOREIGN


def main() -> None:
    """Compare the scores."""
    parser = options(__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--foreign", type=Path, help="folder of photographs of another kind")
    parser.add_argument("--shifted", type=Path, help="cases table of other devices")
    parser.add_argument("--lesions", type=int, default=60, help="per condition")
    parser.add_argument("--name", default="network", help="of the run in the rows")
    arguments = parser.parse_args()
    predictor = Predictor.load(arguments.run, backend="torch")
    backend, config = predictor.backend, predictor.bundle.config
    assert isinstance(backend, TorchBackend)
    table = run_table(run_settings(arguments.run), None, config)
    rng = np.random.default_rng(0)

    def complete(split: str, count: int) -> list[Case]:
        cases, _ = to_classes(require_split(table, split), config, table.path)
        whole = [case for case in cases if all(case.images.get(n) for n in config.modalities)]
        return [whole[i] for i in rng.permutation(len(whole))[:count]]

    def describe(lesions: Sequence[Images]) -> Any:
        return described(backend, lesions, config)

    train, validation, test = complete("train", 600), complete("val", 400), complete("test", 400)
    lesions = [images_of(case, config) for case in test]
    scores = Scores(
        describe([images_of(case, config) for case in train]),
        np.array([config.classes.index(case.label) for case in train]),
        describe([images_of(case, config) for case in validation]),
        np.array([case.patient_id for case in validation]),
    )
    clean = describe(lesions)
    inside = scores(clean)
    few = lesions[: arguments.lesions]
    paths = sorted(arguments.foreign.rglob("*.jpg")) if arguments.foreign else []
    parts = {kind: describe(changed) for kind, changed in conditions(few, config, paths)}
    if arguments.shifted:
        others = read_cases(arguments.shifted, modalities=tuple(config.modalities)).cases
        others = [case for case in others if case.split == "test"][: arguments.lesions]
        parts["other devices"] = describe([images_of(case, config) for case in others])
    rows: list[Row] = []
    for kind, part in ({"clean": clean} | parts).items():
        for name, values in scores(part).items():
            title = f"{arguments.name}, {kind}"
            details = {"score": name, "lesions": len(values)}
            if kind != "clean":
                rows.append(row(title, f"{name}, AUROC", auroc(values, inside[name]), **details))
            rows.append(row(title, f"{name}, warned", float((values > 1).mean()), **details))
        rows.append(row(title, "no diagnosis", float(scores.foreign(part).mean())))
    finish(rows, arguments)


if __name__ == "__main__":
    main()
