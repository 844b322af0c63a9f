"""The explanation of the answers for a batch of cases, before it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agfnet.explain.compute.attention_grid import MAX_CELLS, attention_on_grid, update_norms
from agfnet.explain.compute.contributions import Contributions, contributions, without_region
from agfnet.explain.compute.images import PreparedImage, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.methods import METHODS
from agfnet.inference.familiarity import FOREIGN
from agfnet.inference.postprocessing import calibrated
from agfnet.inference.predictor import Predictor
from agfnet.types import Intermediates

Array = np.ndarray[Any, Any]
ALL = -1  # class index of a map that is the same for all classes
SIDE = 1024
Region = tuple[float, float, float, float]  # left, top, right, bottom, fractions of the image


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of one case. Modalities are those that it has."""

    images: Mapping[str, PreparedImage]
    probabilities: Array  # (C,), calibrated
    classes: tuple[int, ...]  # those that are explained
    maps: Mapping[tuple[str, int], Mapping[str, Array]]
    """(method, class) to a map (size, size) per modality; class ALL if it is the same for all."""
    attention: Mapping[tuple[str, str], Array]
    """(query modality, key modality) to (g², g²); empty without attention."""
    update_norms: Mapping[tuple[str, bool], float]
    """Query modality, and whether it attended to itself, to the relative norm of the update."""
    contributions: Contributions | None
    without_region: Array | None  # probabilities (C,) with the given regions covered
    foreign: tuple[str, ...] = ()  # modalities with a picture of another kind; no answer then


def explain_batch(
    predictor: Predictor,
    explainer: Explainer,
    cases: Sequence[Mapping[str, PreparedImage]],
    methods: Sequence[str],
    classes: Sequence[int] | None,
    regions: Mapping[str, Region],
) -> Iterator[Explanation]:
    """Explain a batch of cases; guide, CAM and attention share one pass.

    Args:
        predictor: the network and its calibration.
        explainer: of the same network.
        cases: their images.
        methods: names of METHODS, `attention`, `modalities`.
        classes: to explain; the answer of each case if None.
        regions: what to cover, by modality; may be empty.
    """
    bundle = predictor.bundle
    names = list(bundle.config.modalities)
    images, present = stack_images(cases, bundle.config)

    def probabilities_of(pixels: Sequence[Array], available: Array) -> Array:
        logits = predictor.backend.logits(pixels, available).astype(np.float64)
        return calibrated(logits, bundle.calibration)

    recorded = explainer.record(images, present)
    if bundle.calibration.flips:  # the recorded pass has none
        probabilities = probabilities_of(images, present)
    else:
        logits = recorded.logits.detach().float().cpu().numpy().astype(np.float64)
        probabilities = calibrated(logits, bundle.calibration)
    answers = probabilities.argmax(axis=1)
    explained = [answers] if classes is None else [np.full(len(cases), c) for c in classes]
    maps = _batch_maps(explainer, recorded, images, present, methods, answers, explained)
    attention = {}
    if "attention" in methods:
        grid = min(MAX_CELLS, bundle.config.model.fusion.grid)
        attention = attention_on_grid(recorded.local_attention, grid)
    norms = update_norms(recorded.local_attention)
    for row, case in enumerate(cases):

        def by_modality(parts: Sequence[Array], row: int = row) -> dict[str, Array]:
            return {name: parts[m][row] for m, name in enumerate(names) if present[row, m]}

        row_images = [image[[row]] for image in images]
        covered = {
            names.index(name): case[name].geometry.to_square(rectangle(box)) > 0
            for name, box in regions.items()
            if name in case
        }
        yield Explanation(
            images=case,
            probabilities=probabilities[row],
            classes=tuple(int(c[row]) for c in explained),
            maps={(m, int(index[row])): by_modality(parts) for m, index, parts in maps},
            attention={
                (names[m], names[n]): weights[row]
                for (m, n), weights in attention.items()
                if present[row, m] and present[row, n]
            },
            update_norms={
                (names[m], to_itself): float(values[row])
                for (m, to_itself), values in norms.items()
                if present[row, m]
            },
            contributions=contributions(probabilities_of, row_images, present[row])
            if "modalities" in methods
            else None,
            without_region=without_region(probabilities_of, row_images, present[row], covered)
            if covered
            else None,
            foreign=tuple(
                name
                for name, image in case.items()
                if (predictor.distance(name, image.square) or 0) >= FOREIGN
            ),
        )


def _batch_maps(
    explainer: Explainer,
    recorded: Intermediates,
    images: Sequence[Array],
    present: Array,
    methods: Sequence[str],
    answers: Array,
    explained: Sequence[Array],
) -> list[tuple[str, Array, list[Array]]]:
    """Return method, class of each case (N,), and its maps (N, size, size) for each modality."""
    general = [name for name in METHODS if name in methods and not METHODS[name].by_class]
    by_class = [name for name in METHODS if name in methods and METHODS[name].by_class]
    by_method = explainer.maps(general, images, present, answers, recorded=recorded)
    for_all: Array = np.full(len(answers), ALL)
    maps = [(method, for_all, parts) for method, parts in by_method.items()]
    for index in explained:
        by_method = explainer.maps(by_class, images, present, index, recorded=recorded)
        maps += [(method, index, parts) for method, parts in by_method.items()]
    return maps


def rectangle(box: Region) -> Array:
    """A rectangle of an image as a mask (SIDE, SIDE); a square copy is fine enough."""
    x0, y0, x1, y1 = box
    centres = (np.arange(SIDE) + 0.5) / SIDE
    in_columns = (centres >= x0) & (centres <= x1)
    in_rows = (centres >= y0) & (centres <= y1)
    return in_columns & in_rows[:, None]
