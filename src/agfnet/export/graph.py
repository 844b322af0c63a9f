"""A bundle's network as one ONNX graph: prepared pixels in, calibrated probabilities out.

Inputs (R rows, one per pass over the network, any number):
    <modality>: (R, size, size, 3) uint8, prepared by `agfnet.data.preprocess`, one per modality;
    present: (R, M) bool, False where the row has no image of that modality (pixels are ignored);
    case: (R,) int64, equal for the rows (frames) of one case.

Outputs:
    probabilities: (R, C), calibrated; averaged over the rows of a case, which all carry the result;
    logits: (R, C), of each row by itself, averaged over the flips of the calibration;
    features: (R, d), what the classification head reads, for networks that have one;
    guide_<modality>: (R, h, w), where the network sees evidence, 0 to 1, for AGFnet.

Features and guides are those of the images without flips.

Reading files, cropping and resizing stay outside: resampling with antialiasing has no ONNX
operator that gives the same pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from agfnet.bundle import Bundle, Calibration
from agfnet.export.merged import merge
from agfnet.files import replacing
from agfnet.inference.flips import Axes, passes_of
from agfnet.inference.torch_backend import TorchBackend
from agfnet.models.agfnet import AGFNet
from agfnet.models.ensemble import Ensemble
from agfnet.models.tokenizer import split_scales
from agfnet.types import Shapes

OPSET = 20


class Deployed(nn.Module):
    """A network between what surrounds it in `agfnet.inference.predictor`.

    Args:
        model: the network, in evaluation mode.
        mean: per RGB channel, on a 0 to 1 scale.
        std: likewise.
        calibration: what turns mean log-probabilities into probabilities.
        passes: flipped axes of each modality, for each pass; the first without flips.
    """

    gain: Tensor
    offset: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        model: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        calibration: Calibration,
        passes: Sequence[Sequence[Axes]],
    ) -> None:
        super().__init__()
        self.model = model
        self.passes = passes
        deviation = torch.tensor(std)
        self.register_buffer("gain", 1 / (255 * deviation))
        self.register_buffer("offset", torch.tensor(mean) / deviation)
        scale = calibration.scale or (1 / calibration.temperature,)
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("bias", torch.tensor(calibration.bias or (0.0,)))

    def forward(self, pixels: Sequence[Tensor], present: Tensor, case: Tensor) -> dict[str, Tensor]:
        """See the module's docstring; guides are numbered by modality."""
        count = len(self.passes)
        images = [self.normalised(image) for image in self.flipped(pixels)]
        present = present.repeat(count, 1)  # (K R, M), all rows of a pass together
        logits, outputs = observe(self.model, images, present)
        if count > 1:
            logits = logits.unflatten(0, (count, -1)).mean(dim=0)
            outputs = {name: value.unflatten(0, (count, -1))[0] for name, value in outputs.items()}
        together = (case[:, None] == case).to(logits.dtype)  # (R, R), rows of one case
        together = together / together.sum(dim=1, keepdim=True)
        mean = (together @ logits.log_softmax(dim=1)).log_softmax(dim=1)
        probabilities = (mean * self.scale + self.bias).softmax(dim=1)
        return {"probabilities": probabilities, "logits": logits, **outputs}

    def flipped(self, pixels: Sequence[Tensor]) -> list[Tensor]:
        """Pixels (R, H, W, 3) of each modality to those of all K passes (K R, H, W, 3)."""
        if len(self.passes) == 1:
            return list(pixels)
        return [
            torch.cat([image.flip(axes[m]) for axes in self.passes])
            for m, image in enumerate(pixels)
        ]

    def normalised(self, image: Tensor) -> Tensor:
        """Pixels (R, H, W, 3) to what the backbones read (R, 3, H, W).

        Row by row: ONNX Runtime is slow over an innermost axis of three.
        """
        width = image.shape[2]
        rows = image.flatten(2) * self.gain.repeat(width) - self.offset.repeat(width)
        return rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)


def observe(
    model: nn.Module, images: Sequence[Tensor], present: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits (R, C) of a network or an ensemble, and what else it has to show.

    The guides of an ensemble are the mean of those of its members, its features are theirs, one
    after the other.
    """
    if isinstance(model, Ensemble):
        parts = [observe(each, images, present) for each in model.networks()]
        values = {name: [shown[name] for _, shown in parts] for name in parts[0][1]}
        return model.mean([part for part, _ in parts]), {
            name: torch.cat(each, dim=1) if name == "features" else torch.stack(each).mean(dim=0)
            for name, each in values.items()
        }
    outputs: dict[str, Tensor] = {}
    head = getattr(model, "head", None)
    watch = head and head.register_forward_pre_hook(
        lambda _, arguments: outputs.update(features=arguments[0])
    )
    if isinstance(model, AGFNet):
        features = model.forward_features(images, present)
        logits = model.forward_head(features).logits
        for m, (guide, shapes) in enumerate(zip(features.guides, features.shapes, strict=True)):
            outputs[f"guide_{m}"] = mean_guide(guide, shapes)
    else:
        logits = model(images, present).logits
    if watch:
        watch.remove()
    return logits, outputs


def mean_guide(guide: Tensor, shapes: Shapes) -> Tensor:
    """Return the mean over the scales of a guide (R, N), at the finest one (R, H_0, W_0)."""
    maps = split_scales(guide.unsqueeze(-1), shapes)  # S x (R, 1, H_s, W_s)
    finest = [
        part if shape == shapes[0] else F.interpolate(part, size=shapes[0], mode="bilinear")
        for part, shape in zip(maps, shapes, strict=True)
    ]
    return torch.cat(finest, dim=1).mean(dim=1)


def deployed(bundle: Bundle) -> Deployed:
    """A bundle's network in torch, as its graph will be.

    Raises:
        BundleError: the weights do not fit the settings.
    """
    config = bundle.config
    return Deployed(
        model=TorchBackend(bundle=bundle).model.cpu(),
        mean=config.mean,
        std=config.std,
        calibration=bundle.calibration,
        passes=passes_of(bundle),
    ).eval()


def members(model: nn.Module) -> list[nn.Module]:
    """Return the networks of an ensemble; a network by itself."""
    return [*model.members] if isinstance(model, Ensemble) else [model]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advice that exporter and quantiser log to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def export_graph(bundle: Bundle, path: Path, *, standard: bool = False) -> None:
    """Write a bundle's network, weights inside, as one ONNX file (opset 20).

    Args:
        bundle: what to export.
        path: where the file goes.
        standard: only operators of the ONNX standard; otherwise AGFnet's attention is an operator
            of ONNX Runtime.

    Raises:
        BundleError: the weights do not fit the settings.
    """
    config = bundle.config
    modalities = list(config.modalities)
    network = deployed(bundle)
    for part in members(network.model):
        if isinstance(part, AGFNet):
            merge(part, standard=standard)
    rows = 2  # 1 would be taken for a constant
    pixels = torch.zeros(rows, config.size, config.size, 3, dtype=torch.uint8)
    arguments = (
        [pixels.clone() for _ in modalities],
        torch.ones(rows, len(modalities), dtype=torch.bool),
        torch.arange(rows),
    )
    with torch.no_grad():
        outputs = list(network(*arguments))
    names = [
        f"guide_{modalities[int(name.removeprefix('guide_'))]}"
        if name.startswith("guide_")
        else name
        for name in outputs
    ]
    free = {0: torch.export.Dim.DYNAMIC}
    # the fused attention kernels leave their tensors in another order than their decomposition
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), quiet():
        program = torch.onnx.export(
            network,
            arguments,
            dynamo=True,
            dynamic_shapes=([free] * len(modalities), free, free),
            input_names=[*modalities, "present", "case"],
            output_names=names,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # it is when the exporter writes the file itself
    with replacing(path) as temporary:
        program.save(temporary, external_data=False)
