"""Where the evidence for an answer lies and what each modality contributed, as the API tells it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agfnet.config import ModalityConfig
from agfnet.data.readers import read_image
from agfnet.explain.compute.contributions import contributions
from agfnet.explain.compute.images import PreparedImage, load_images, stack_images
from agfnet.explain.compute.occlusion import enlarged, occlusion
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.postprocessing import calibrated
from agfnet.inference.predictor import Backend, Predictor, frame_passes
from agfnet.serve.lesion import Lesion, Limits, error_context, load_uploads
from agfnet.serve.predict import by_class, files_of, frame
from agfnet.serve.preview import LARGE, reduced, uri
from agfnet.serve.request_error import RequestError

Array = np.ndarray[Any, Any]
LOW = 0.25
"""Share of the strongest evidence below which none is shown: see `agfnet.explain.show.overlay`."""
VIRIDIS = "440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725"
"""Colours of `agfnet.explain.show.overlay` at tenths: a slim server has no matplotlib."""
UNSEEN = (96, 96, 96, 160)
"""Colour and opacity over what the network does not see."""


def methods_of(backend: Backend) -> list[str]:
    """The maps that a backend can draw, the one that every backend can first."""
    if isinstance(backend, OnnxBackend):
        outputs = {item.name for item in backend.session.get_outputs()}
        guided = {f"guide_{name}" for name in backend.modalities} <= outputs
        return ["occlusion", *(["guide"] if guided else [])]
    return ["occlusion", "guide", "layercam", "gradcam", "gradient"]


def explain(job: Mapping[str, Any], predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """One pass of a lesion, explained: `Explanation` without what the server adds."""
    started = time.perf_counter()
    files = files_of(job)
    config = predictor.bundle.config
    names = list(config.modalities)
    known = methods_of(predictor.backend)
    if not set(job["methods"]) <= set(known):
        raise RequestError(422, "invalid", f"methods: expected some of {', '.join(known)}")
    with error_context(files):
        lesion = load_uploads(files, job["frames"], limits=limits, modalities=names)
        one = chosen_pass(lesion, job["pass"], names)
        views = load_images({name: [path] for name, path in one.items()}, {}, config)
        pictures = {name: picture(one[name], config.modalities[name]) for name in views}
    images, present = stack_images([views], config)

    def answer(given: Sequence[Array], there: Array) -> Array:
        logits = predictor.backend.logits(given, there).astype(np.float64)
        return calibrated(logits, predictor.bundle.calibration)

    shares = contributions(answer, images, present[0])
    whole = shares.answers[frozenset(np.flatnonzero(present[0]).tolist())]
    number = chosen_class(job["class"], whole, config.classes)
    maps = {}
    for method in dict.fromkeys(job["methods"]):
        found = evidence(method, predictor.backend, images, present, number)
        if found is not None:
            mine = {name: found[names.index(name)] for name in views}
            maps[method] = layers(views, pictures, mine)
    return {
        "class": config.classes[number],
        "pass": job["pass"],
        "frame": frame(lesion, one, whole, config.classes),
        "contributions": {
            name: by_class(shares.shapley[m], config.classes)
            for m, name in enumerate(names)
            if present[0, m]
        },
        "answers": [
            {
                "modalities": [names[m] for m in sorted(subset)],
                "predicted": config.classes[int(row.argmax())],
                "probabilities": by_class(row, config.classes),
            }
            for subset, row in shares.answers.items()
        ],
        "images": {
            name: {
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "image": uri(pixels, form="JPEG"),
            }
            for name, pixels in pictures.items()
        },
        "maps": maps,
        "seconds": time.perf_counter() - started,
    }


def chosen_pass(lesion: Lesion, number: int, modalities: Sequence[str]) -> dict[str, Path]:
    """The frames of the pass that is asked for."""
    passes = frame_passes(lesion.images, modalities)
    if number >= len(passes):
        raise RequestError(
            422, "invalid", f"pass: there is none {number}, the last is {len(passes) - 1}"
        )
    return passes[number]


def chosen_class(name: str | None, probabilities: Array, classes: Sequence[str]) -> int:
    """The class that is asked for, or the most probable one."""
    if name is None:
        return int(probabilities.argmax())
    if name not in classes:
        raise RequestError(422, "invalid", f"class: expected one of {', '.join(classes)}")
    return classes.index(name)


def picture(path: Path, modality: ModalityConfig) -> Array:
    """An image as a person sees it, upright and reduced if large; DICOM cropped if the model is."""
    image = read_image(path, side=LARGE, region=modality.region)
    return reduced(image.pixels, LARGE)


def evidence(
    method: str, backend: Backend, images: Sequence[Array], present: Array, number: int
) -> list[Array] | None:
    """A map (S, S) per modality."""
    classes = np.array([number])
    if method == "occlusion":
        found = occlusion(backend.logits, images, present, classes)
    elif isinstance(backend, OnnxBackend):
        names = [f"guide_{name}" for name in backend.modalities]
        guides = backend.run(names, images, present, np.arange(1))
        found = [enlarged(guide[0], images[0].shape[1:3])[None] for guide in guides]
    else:
        from agfnet.explain.compute.maps import Explainer  # torch
        from agfnet.inference.torch_backend import TorchBackend

        assert isinstance(backend, TorchBackend)
        maps = Explainer(backend=backend).maps([method], images, present, classes)
        if method not in maps:
            return None
        found = maps[method]
    return [one[0] for one in found]


def layers(
    views: Mapping[str, PreparedImage], pictures: Mapping[str, Array], maps: Mapping[str, Array]
) -> dict[str, dict[str, Any]]:
    """Each map as a layer over its picture, on its own scale: `share` tells how much it counts."""
    total = sum(float(one.sum()) for one in maps.values())
    return {
        name: {
            "share": float(one.sum()) / total if total > 0 else None,
            "layer": uri(layer(views[name], pictures[name], one), form="PNG"),
        }
        for name, one in maps.items()
    }


def layer(view: PreparedImage, picture: Array, evidence: Array) -> Array:
    """A map (S, S) as colours and opacity (H, W, 4) over a picture."""
    values = view.geometry.to_image(evidence, (picture.shape[0], picture.shape[1]))
    top = float(evidence.max())
    share = np.clip(np.nan_to_num(values) / top, 0, 1) if top > 0 else np.zeros_like(values)
    stops = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()])
    colours = [np.interp(share * (len(stops) - 1), range(len(stops)), one) for one in stops.T]
    cover = 255 * np.clip((share - LOW) / (1 - LOW), 0, 1)
    made: Array = np.stack([*colours, cover], axis=-1).round().astype(np.uint8)
    made[np.isnan(values)] = UNSEEN
    return made
