"""Names of the attribution methods and of the sanity checks."""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """One kind of map."""

    title: str
    by_class: bool  # a different map for every class
    needs: str = ""  # what a network must have; empty if every network can be explained so
    by_pixel: bool = False  # so fine that it is smoothed before it is drawn


METHODS = {
    "guide": Method("Guide", False, "a guide"),
    "layercam": Method("LayerCAM", True),
    "gradcam": Method("Grad-CAM", True),
    "gradient": Method("Gradient x input", True, by_pixel=True),
    "integrated": Method("Integrated gradients", True, by_pixel=True),
    "occlusion": Method("Occlusion", True),
}
"""Setting to method; docs/explain.md says what each can and cannot show."""


class Check(NamedTuple):
    """One test that a method must pass on a network before its maps can be relied on."""

    title: str  # what is wrong, in a few words
    text: str  # what a method does that fails


CHECKS = {
    "parameter_randomisation": Check(
        "same for shuffled weights",
        "the map is much the same for a network with shuffled weights",
    ),
    "tiles": Check(
        "ignores the image",
        "the map does not change when the image is cut into tiles and these are shuffled",
    ),
    "noise": Check("unstable", "the map changes when hardly visible noise is added to the image"),
    "order": Check(
        "no better than chance",
        "covering what the map points to changes the answer no more than covering at random",
    ),
}
"""Name in sanity.json to check; `agfnet.explain.compute.sanity` performs them."""
