"""The maps: what each is called and whose evidence it shows."""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """One kind of map."""

    title: str
    by_class: bool  # another map for every class
    needs: str = ""  # what a network must have; empty if every network can be explained so
    by_pixel: bool = False  # so fine that it is smoothed before it is drawn


METHODS = {
    "guide": Method("Guide", False, "a guide"),
    "query": Method("Fused query", False, "global queries"),
    "own_query": Method("Own query", False, "global queries"),
    "layercam": Method("LayerCAM", True),
    "gradcam": Method("Grad-CAM", True),
    "gradient": Method("Gradient x input", True, by_pixel=True),
    "integrated": Method("Integrated gradients", True, by_pixel=True),
    "occlusion": Method("Occlusion", True),
}
"""Setting to what it is; docs/explain.md says what each can and cannot tell."""


class Check(NamedTuple):
    """One way to find out that a method cannot be believed on some network."""

    title: str  # what is wrong, in a word or two
    text: str  # what a method does that fails


CHECKS = {
    "weights": Check(
        "same for shuffled weights",
        "the map is much the same for a network with shuffled weights",
    ),
    "tiles": Check(
        "ignores the image",
        "the map stays where it was when the image is cut into tiles and these are shuffled",
    ),
    "noise": Check("unstable", "the map changes when hardly visible noise is added to the image"),
    "order": Check(
        "no better than chance",
        "covering what the map points to tells no more than covering at random",
    ),
}
"""Name in sanity.json to what it means; `agfnet.explain.compute.sanity` makes them."""
