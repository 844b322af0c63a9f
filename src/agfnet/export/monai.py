"""The layout of a MONAI bundle: the files of a bundle under other names, with metadata.json.

Specification: https://docs.monai.io/en/stable/mb_specification.html. MONAI itself is not needed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from agfnet import NOTICE, __version__
from agfnet.bundle import WEIGHTS, Bundle, BundleConfig
from agfnet.errors import BundleError
from agfnet.files import replacing_folder, write_json

MONAI_VERSION = "0.9.0"
"""The first version with this layout; later ones are expected to read it."""


def write_monai(bundle: Bundle, out: str | os.PathLike[str]) -> Path:
    """Write a bundle in the layout of MONAI, whole or not at all; return its folder.

    `configs/metadata.json` describes the inputs and outputs, `models/model.pt` holds the weights as
    a state dictionary, `models/model.onnx` the exported graph where the bundle has it,
    `docs/README.md` the model card, and `configs/agfnet` the files that agfnet itself reads.

    Raises:
        BundleError: the folder exists.
    """
    import torch
    from safetensors.torch import load_file

    folder = Path(out)
    if folder.exists():
        raise BundleError(f"{folder}: exists; choose another folder, or remove it")
    with replacing_folder(folder) as new:
        for part in ("configs/agfnet", "models", "docs"):
            (new / part).mkdir(parents=True)
        write_json(new / "configs" / "metadata.json", metadata(bundle.config))
        for name in ("config.json", "calibration.json"):
            shutil.copyfile(bundle.folder / name, new / "configs" / "agfnet" / name)
        torch.save(load_file(bundle.folder / WEIGHTS), new / "models" / "model.pt")
        if "model.onnx" in bundle.files:
            shutil.copyfile(bundle.folder / "model.onnx", new / "models" / "model.onnx")
        if "card.md" in bundle.files:
            shutil.copyfile(bundle.folder / "card.md", new / "docs" / "README.md")
    return folder


def metadata(config: BundleConfig) -> dict[str, Any]:
    """Return the content of metadata.json: versions, task, and the tensors of the ONNX graph."""
    import torch

    modalities = list(config.modalities)
    inputs = {name: _pixels(name, config) for name in modalities}
    inputs["present"] = _tensor(
        "tuples", "raw", "bool", [0, 1], len(modalities),
        [f"{name} is present" for name in modalities],
    )  # fmt: skip
    inputs["case"] = _tensor("tuples", "indices", "int64", [], 1, ["number of the lesion"])
    probabilities = _tensor(
        "probabilities", "classes", "float32", [0, 1], len(config.classes), list(config.classes)
    )
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": "written by agfnet"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "optional_packages_version": {"agfnet": __version__},
        "task": "Diagnosis of a skin lesion",
        "description": f"Classes of a skin lesion from images of {' and '.join(modalities)}.",
        "authors": "the authors of the training run",
        "copyright": "of the authors of the training run",
        "intended_use": NOTICE,
        "network_data_format": {"inputs": inputs, "outputs": {"probabilities": probabilities}},
    }


def _pixels(name: str, config: BundleConfig) -> dict[str, Any]:
    modality = {"photo": "photograph", "ultrasound": "US"}[config.modalities[name].modality_type]
    return {
        **_tensor("image", "magnitude", "uint8", [0, 255], 3, ["red", "green", "blue"]),
        "modality": modality,
        "spatial_shape": [config.size, config.size],
    }


def _tensor(
    tensor_type: str,
    tensor_format: str,
    dtype: str,
    limits: list[int],
    count: int,
    names: list[str],
) -> dict[str, Any]:
    """Return the description of a tensor with a name for each channel."""
    return {
        "type": tensor_type,
        "format": tensor_format,
        "modality": "n/a",
        "num_channels": count,
        "spatial_shape": [],
        "dtype": dtype,
        "value_range": limits,
        "is_patch_data": False,
        "channel_def": {str(number): name for number, name in enumerate(names)},
    }
