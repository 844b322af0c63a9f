"""Observations of a trained network, on which its warnings are based."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agfnet.config.renamed import run_settings
from agfnet.data.table import Case
from agfnet.evaluation.members import predict_untrained
from agfnet.evaluation.network_warnings import Observations, read_history
from agfnet.explain.compute.images import load_images, stack_images
from agfnet.explain.compute.maps import Explainer
from agfnet.inference.predictions import Predictions
from agfnet.inference.predictor import Predictor
from agfnet.inference.torch_backend import TorchBackend

MAX_CASES = 300
"""Validation cases that are predicted with some of their modalities."""
MAX_GUIDES = 16
"""Validation cases whose guides are looked at."""


def observe(
    folder: Path,
    predictor: Predictor,
    cases: Sequence[Case],
    predictions: Predictions,
    trained: Sequence[frozenset[str]],
) -> Observations:
    """Predict validation cases with some of their modalities only, and read the training curves.

    Args:
        folder: run folder.
        predictor: of its calibrated bundle, in torch.
        cases: validation cases.
        predictions: of these cases, calibrated.
        trained: ids of the training patients of each member.
    """
    names = tuple(predictor.bundle.config.modalities)
    rows = [
        row
        for row, case in enumerate(cases)
        if case.label and all(case.images.get(name) for name in names)
    ][:MAX_CASES]
    complete = [cases[row] for row in rows]

    def with_only(kept: Sequence[str]) -> Predictions:
        masked = [
            replace(case, images={n: case.images[n] if n in kept else () for n in names})
            for case in complete
        ]
        return predict_untrained(predictor, masked, trained)

    subsets = {
        frozenset(part)
        for name in names
        for part in ((name,), tuple(other for other in names if other != name))
        if len(names) > 1 and rows
    }
    answers = {subset: with_only(sorted(subset)) for subset in sorted(subsets, key=sorted)}
    return Observations(
        config=predictor.bundle.config,
        settings=run_settings(folder),
        predictions=predictions.labelled(),
        complete=predictions.select(rows),
        alone={name: answers[frozenset([name])] for name in names if answers},
        without={name: answers[frozenset(names) - {name}] for name in names if answers},
        history=read_history(folder),
        guide_deviations=guide_deviations(predictor, complete[:MAX_GUIDES]),
    )


def guide_deviations(predictor: Predictor, cases: Sequence[Case]) -> dict[str, float]:
    """Return the largest standard deviation of a guide within an image, over scales, by modality.

    The result is empty for a network without guides.

    Args:
        predictor: in torch.
        cases: cases with all modalities.
    """
    config = predictor.bundle.config
    if not cases or config.model.method != "agfnet":
        return {}
    assert isinstance(predictor.backend, TorchBackend)
    images, present = stack_images([load_images(c.images, {}, config) for c in cases], config)
    guides = Explainer(backend=predictor.backend).record(images, present).guides
    if not guides:
        return {}
    return {
        name: max(float(part.detach().flatten(1).std(dim=1, correction=0).mean()) for part in parts)
        for name, parts in zip(config.modalities, guides, strict=True)
    }
