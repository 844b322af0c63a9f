"""Attribution maps and contributions of modalities, as the API returns them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from agfnet.config import ModalityConfig
from agfnet.data.readers import read_image
from agfnet.explain.compute.colours import colour_map, cover
from agfnet.explain.compute.contributions import contributions
from agfnet.explain.compute.images import PreparedImage, load_images, stack_images
from agfnet.explain.compute.occlusion import enlarged, occlusion
from agfnet.inference.backends import Backend
from agfnet.inference.combinations import frame_combinations
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.postprocessing import calibrated
from agfnet.inference.predictor import Predictor
from agfnet.serve.lesion import Lesion, error_context, load_uploads
from agfnet.serve.limits import Limits
from agfnet.serve.predict import by_class, class_probabilities, files_of, frame
from agfnet.serve.preview import MAX_SIDE, reduced, uri
from agfnet.serve.request_error import RequestError

Array = np.ndarray[Any, Any]
BLACK_LEVEL, WHITE_LEVEL = 12, 247
"""Mean grey levels beyond which an area shows no tissue."""
UNSEEN = (96, 96, 96, 160)
"""Colour and opacity of regions that the network does not see."""


def methods_of(backend: Backend) -> list[str]:
    """Return the methods that a backend supports, the one that all support first."""
    if isinstance(backend, OnnxBackend):
        outputs = {item.name for item in backend.session.get_outputs()}
        guided = {f"guide_{name}" for name in backend.modalities} <= outputs
        return ["occlusion", *(["guide"] if guided else [])]
    return ["occlusion", "guide", "layercam", "gradcam", "gradient"]


def explain(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Explain one frame combination; the server completes the result to an `Explanation`."""
    started = time.perf_counter()
    files = files_of(job)
    config, calibration = predictor.bundle.config, predictor.bundle.calibration
    names = list(config.modalities)
    known = methods_of(predictor.backend)
    if not set(job["methods"]) <= set(known):
        raise RequestError(422, "invalid", f"methods: expected some of {', '.join(known)}")
    with error_context(files):
        lesion = load_uploads(files, job["frames"], job["crops"], limits=limits, modalities=names)
        frames = select_combination(lesion, job["pass"], names)
        views = load_images({name: [path] for name, path in frames.items()}, {}, config)
        shown = {name: picture(frames[name], config.modalities[name]) for name in views}
    images, present = stack_images([views], config)

    def predict(images: Sequence[Array], present: Array) -> Array:
        logits = predictor.backend.logits(images, present).astype(np.float64)
        return calibrated(logits, calibration)

    contribution = contributions(predict, images, present[0])
    whole = contribution.answers[frozenset(np.flatnonzero(present[0]).tolist())]
    number = select_class(job["class"], whole, config.classes)
    pictures = {name: pixels for name, (pixels, _) in shown.items()}
    values = {
        method: attribution(method, predictor.backend, images, present, number)
        for method in dict.fromkeys(job["methods"])
    }
    return {
        "class": config.classes[number],
        "pass": job["pass"],
        "frame": frame(lesion, frames, whole, config),
        "contributions": {
            name: by_class(contribution.shapley[m], config.classes)
            for m, name in enumerate(names)
            if present[0, m]
        },
        "answers": [
            {
                "modalities": [names[m] for m in sorted(subset)],
                **class_probabilities(row, config),
            }
            for subset, row in contribution.answers.items()
        ],
        "images": {name: picture_json(*parts) for name, parts in shown.items()},
        "maps": {
            method: layers(views, pictures, {name: maps[names.index(name)] for name in views})
            for method, maps in values.items()
            if maps is not None
        },
        "seconds": time.perf_counter() - started,
    }


def picture_json(pixels: Array, spacing: float | None) -> dict[str, Any]:
    """Return an image as a page shows it, with its pixel spacing in millimetres."""
    return {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "pixel_spacing": spacing,
        "image": uri(pixels, form="JPEG"),
    }


def select_combination(lesion: Lesion, number: int, modalities: Sequence[str]) -> dict[str, Path]:
    """Return the frame combination of a request."""
    combinations = frame_combinations(lesion.images, modalities)
    if number >= len(combinations):
        text = f"pass: {number} does not exist, the last one is {len(combinations) - 1}"
        raise RequestError(422, "invalid", text)
    return combinations[number]


def select_class(name: str | None, probabilities: Array, classes: Sequence[str]) -> int:
    """Return the class of a request, by default the most probable one."""
    if name is None:
        return int(probabilities.argmax())
    if name not in classes:
        raise RequestError(422, "invalid", f"class: expected one of {', '.join(classes)}")
    return classes.index(name)


def picture(path: Path, modality: ModalityConfig) -> tuple[Array, float | None]:
    """Read an image for display: upright, reduced if large; DICOM with the model's crop.

    Returns:
        Pixels (H, W, 3), square, so that depth and width have one scale; and the pixel spacing
        in millimetres of an ultrasound image that states it.
    """
    image = read_image(path, side=MAX_SIDE, region=modality.region)
    pixels = image.pixels
    spacing = image.spacing if modality.modality_type == "ultrasound" else None
    if spacing is None and image.aspect == 1:
        return reduced(pixels, MAX_SIDE), None
    down, across = spacing or (image.aspect, 1.0)
    height, width = pixels.shape[0] * down, pixels.shape[1] * across
    square = max(min(down, across), max(height, width) / MAX_SIDE)
    size = max(1, round(width / square)), max(1, round(height / square))
    resized = np.asarray(Pillow.fromarray(pixels).resize(size, reducing_gap=3))
    return resized, None if spacing is None else width / size[0]


def attribution(
    method: str, backend: Backend, images: Sequence[Array], present: Array, number: int
) -> list[Array] | None:
    """Return one map (S, S) per modality; None if the method has none for this network."""
    classes = np.array([number])
    if method == "occlusion":
        maps = occlusion(backend.logits, images, present, classes)
    elif isinstance(backend, OnnxBackend):
        names = [f"guide_{name}" for name in backend.modalities]
        guides = backend.run(names, images, present, np.arange(1))
        maps = [enlarged(guide[0], images[0].shape[1:3])[None] for guide in guides]
    else:
        from agfnet.explain.compute.maps import Explainer  # torch
        from agfnet.inference.torch_backend import TorchBackend

        assert isinstance(backend, TorchBackend)
        results = Explainer(backend=backend).maps([method], images, present, classes)
        if method not in results:
            return None
        maps = results[method]
    return [values[0] for values in maps]


def layers(
    views: Mapping[str, PreparedImage], pictures: Mapping[str, Array], maps: Mapping[str, Array]
) -> dict[str, dict[str, Any]]:
    """Return each map as a layer over its picture, all on one scale.

    The maximum of all maps is the top of the scale, so that the map of an image that matters little
    is pale. `outside` is whether most of a map lies outside the tissue.
    """
    top = max((float(values.max()) for values in maps.values()), default=0.0)
    return {
        name: {
            "outside": outside_tissue(values, views[name].square),
            "layer": uri(layer(views[name], pictures[name], values, top), form="PNG"),
        }
        for name, values in maps.items()
    }


def outside_tissue(attribution: Array, pixels: Array) -> bool:
    """Return whether most of a map (S, S) lies where a prepared image (S, S, 3) shows no tissue.

    These are areas that are nearly black or nearly white on average: the border of a scan, gel and
    air above the skin, padding, paper.
    """
    positive = np.clip(np.nan_to_num(attribution), 0, None)
    grey = pixels.astype(np.float32).mean(axis=-1)
    average = local_mean(grey, max(1, grey.shape[0] // 32))
    outside = (average < BLACK_LEVEL) | (average > WHITE_LEVEL)
    total = float(positive.sum())
    return total > 0 and float(positive[outside].sum()) > 0.5 * total


def local_mean(values: Array, radius: int) -> Array:
    """Return the mean of values (H, W) over squares of 2 radius + 1 pixels, edges repeated."""
    padded = np.pad(values, radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2)
    mean: Array = windows.mean(axis=(-2, -1))
    return mean


def layer(view: PreparedImage, picture: Array, attribution: Array, top: float) -> Array:
    """Draw a map (S, S) as colours and opacity (H, W, 4) for a picture; `top` is the full scale."""
    values = view.geometry.to_image(attribution, (picture.shape[0], picture.shape[1]))
    level = np.clip(np.nan_to_num(values) / top, 0, 1) if top > 0 else np.zeros_like(values)
    rgba = np.concatenate([colour_map(level), cover(level)[..., None]], axis=-1)
    pixels: Array = (255 * rgba).round().astype(np.uint8)
    pixels[np.isnan(values)] = UNSEEN
    return pixels
