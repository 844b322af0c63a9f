"""Maps of every network, and what they cost."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch

from agfnet.errors import ConfigError
from agfnet.explain.compute.maps import Explainer
from agfnet.explain.compute.methods import METHODS

from .networks import EVERY, SIZE, backend, inputs

CHEAP = [name for name in METHODS if name not in ("integrated", "occlusion")]


class Passes:
    """Counts the cases that a network sees."""

    def __init__(self, made: Any) -> None:
        self.rows = 0
        made.model.register_forward_hook(self.count)

    def count(self, module: object, inputs: tuple[Any, ...], output: object) -> None:
        self.rows += len(inputs[1])


@pytest.mark.slow
@pytest.mark.parametrize(("method", "modalities"), EVERY)
def test_every_network_is_explained_by_the_same_interface(method: str, modalities: int) -> None:
    images, present = inputs(2, modalities)
    if modalities > 1:
        present[1, 0] = False
    maps = Explainer(backend=backend(method, modalities)).maps(
        CHEAP, images, present, np.array([0, 3])
    )
    assert {"layercam", "gradcam", "gradient"} <= set(maps)
    assert ("guide" in maps) == (method in ("agfnet", "amfam"))
    for parts in maps.values():
        assert len(parts) == modalities
        for m, part in enumerate(parts):
            assert part.shape == (2, SIZE, SIZE)
            assert np.isfinite(part).all()
            assert (part >= 0).all()
            assert present[1, m] or not part[1].any()
    assert any(part[0].any() for part in maps["layercam"])


def test_a_case_is_explained_as_it_is_alone() -> None:
    explainer = Explainer(backend=backend())
    images, present = inputs(3, 2)
    classes = np.array([0, 1, 2])
    together = explainer.maps(CHEAP, images, present, classes)
    for row in range(3):
        alone = explainer.maps(
            CHEAP, [image[[row]] for image in images], present[[row]], classes[[row]]
        )
        for method, parts in together.items():
            for part, other in zip(parts, alone[method], strict=True):
                np.testing.assert_allclose(part[row], other[0], atol=1e-5, rtol=1e-3)


def test_classes_differ_where_a_method_tells_them_apart() -> None:
    explainer = Explainer(backend=backend())
    images, present = inputs(1, 2)
    one, other = (explainer.maps(CHEAP, images, present, np.array([c])) for c in (0, 1))
    for method in CHEAP:
        same = np.array_equal(one[method][0], other[method][0])
        assert same == (not METHODS[method].by_class)


def test_a_hundred_pairs_cost_one_pass_each_for_guide_and_cam() -> None:
    made = backend()
    passes = Passes(made)
    images, present = inputs(100, 2)
    maps = Explainer(backend=made).maps(
        ["guide", "layercam", "gradcam"],
        images,
        present,
        np.zeros(100, dtype=np.int64),
    )
    assert set(maps) == {"guide", "layercam", "gradcam"}
    assert passes.rows == 100


def test_layercam_is_positive_gradient_times_feature_on_every_scale() -> None:
    """A network whose logit is known: the mean of one channel of the last map."""
    made = backend("concatenation", 1)
    images, present = inputs(1, 1)
    explainer = Explainer(backend=made)
    head = made.model.head[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.weight[0, 5] = 1.0
        made.model.head[0] = torch.nn.Identity()
    seen = explainer.record(images, present)
    last = seen.maps[0][-1].raw[0, 5].detach().numpy()
    found = explainer.maps(["gradcam"], images, present, np.array([0]), recorded=seen)["gradcam"][0]
    corners = found[0][[0, 0, -1, -1], [0, -1, 0, -1]].reshape(2, 2)
    np.testing.assert_allclose(corners, np.maximum(last, 0), rtol=1e-4)  # 4 cells x gradient of 1/4


def test_integrated_gradients_find_what_differs_from_the_mean_colour() -> None:
    made = backend("concatenation", 2)
    images, present = inputs(2, 2)
    images[0][1] = 90  # of one colour: nothing to integrate over
    present[0, 1] = False
    first, second = Explainer(backend=made).maps(["integrated"], images, present, np.array([1, 2]))[
        "integrated"
    ]
    assert first[0].any()
    assert first[1].max() < 1e-4 * first[0].max()
    assert not second[0].any()
    assert second[1].any()


def test_without_captum_the_mend_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    images, present = inputs(1, 2)
    with pytest.raises(ConfigError, match=r"agfnet\[explain\]"):
        Explainer(backend=backend()).maps(["integrated"], images, present, np.array([0]))
