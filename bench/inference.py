"""Speed of inference: torch, torch.compile, ONNX fp32 and int8.

    python bench/inference.py --json bench/results/inference.json

Weights and pixels are random: times do not depend on them. Every round runs each candidate once on
the same prepared pixels; a ratio is taken within each round, and the median over the rounds is
reported. A batch of one is fast and gets eight times as many rounds. The lower bound is the ONNX
time of the two bare backbones (their last map only), in fp32 and in int8.

"from files": lesions per second of the predictor on a JPEG of 640 x 480 pixels per modality,
against the network alone on the same images, decoded and prepared before. Batches of 16.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from common import Row, finish, in_rounds, median_ratio, options, row, rows_against, timed
from model import CLASSES, settings
from PIL import Image
from torch import Tensor, nn

from agfnet.bundle import Bundle, BundleConfig, read_bundle, write_bundle
from agfnet.config import ModelConfig, default_modalities
from agfnet.export.graph import deployed, export_graph
from agfnet.export.int8 import quantise
from agfnet.inference.combinations import stack_images
from agfnet.inference.onnx_backend import OnnxBackend, open_session
from agfnet.inference.predictor import Predictor
from agfnet.models.build import build, image_statistics

LESIONS = 64


class BareBackbones(nn.Module):
    """The bare backbones as a network that can be exported."""

    def __init__(self, backbones: nn.Module) -> None:
        super().__init__()
        self.backbones = backbones

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of the last maps of two images (B, 3, H, W)."""
        present = torch.ones(len(first), 2, dtype=torch.bool)
        maps = self.backbones([first, second], present)
        return maps[0][-1].mean(dim=(2, 3)), maps[1][-1].mean(dim=(2, 3))


def main() -> None:
    """Measure every backbone."""
    parser = options(__doc__)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--baselines", nargs="*", default=["concatenation"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (slow to start)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for backbone in arguments.backbones:
        with TemporaryDirectory() as folder:
            rows += measure(arguments, backbone, Path(folder))
    finish(rows, arguments)


def measure(arguments: argparse.Namespace, backbone: str, folder: Path) -> list[Row]:
    """Measure all candidates on one backbone."""
    models = {
        "AGFnet": settings(backbone),
        **{name: replace(settings(backbone), method=name) for name in arguments.baselines},
    }
    eager: dict[str, nn.Module] = {}
    sessions: dict[str, onnxruntime.InferenceSession] = {}
    for name, config in models.items():
        bundle = random_bundle(config, arguments.size, folder / name)
        eager[name] = deployed(bundle)
        export_graph(bundle, folder / name / "fp32.onnx")
        sessions[f"{name}, ONNX fp32"] = open_session(
            folder / name / "fp32.onnx", threads=arguments.threads
        )
        if name == "AGFnet":
            path = folder / name / "standard.onnx"
            export_graph(bundle, path, standard=True)
            sessions["AGFnet, ONNX fp32, standard operators"] = open_session(
                path, threads=arguments.threads
            )
            feeds = (pixels(8, arguments.size, seed) for seed in range(4))
            quantise(folder / name / "fp32.onnx", folder / name / "int8.onnx", feeds)
            sessions[f"{name}, ONNX int8"] = open_session(
                folder / name / "int8.onnx", threads=arguments.threads
            )
    bare = bare_sessions(eager["AGFnet"], folder, arguments)
    rows = []
    for count in arguments.batches:
        inputs = pixels(count, arguments.size, 0)
        floats = images(count, arguments.size, 0)
        works: dict[str, Callable[[], object]] = {
            **{f"{name}, torch": eager_work(net, inputs) for name, net in eager.items()},
            **{name: partial(run.run, ["probabilities"], inputs) for name, run in sessions.items()},
            **{name: partial(run.run, None, floats) for name, run in bare.items()},
        }
        if arguments.compile:
            compiled = torch.compile(eager["AGFnet"])
            works["AGFnet, torch.compile"] = eager_work(compiled, inputs)
        measures = {name: timed(work) for name, work in works.items()}
        times = in_rounds(measures, arguments.rounds * max(1, 8 // count))
        title = f"{backbone}, batch {count}"
        rows += rows_against(times, "AGFnet, torch", title, "seconds, of torch eager")
        graphs = {name: seconds for name, seconds in times.items() if "ONNX fp32" in name}
        rows += rows_against(
            graphs, "bare backbones, ONNX fp32", title, "seconds, of bare backbones"
        )
    return [*rows, from_files(arguments, folder / "AGFnet", backbone)]


def from_files(arguments: argparse.Namespace, folder: Path, backbone: str) -> Row:
    """Measure the predictor on JPEG files, against the network alone."""
    file = "fp32.onnx"
    bundle = read_bundle(folder)
    bundle = replace(bundle, files=(*bundle.files, file))
    backend = OnnxBackend(bundle=bundle, file=file, threads=arguments.threads)
    predictor = Predictor(bundle=bundle, backend=backend, threads=arguments.threads)
    lesions = [jpegs(folder, number) for number in range(LESIONS)]
    prepared = [
        {name: predictor.prepare((name, paths[0])) for name, paths in lesion.items()}
        for lesion in lesions
    ]
    size = predictor.batch_size
    batches = [stack_images(prepared[i : i + size], bundle.config) for i in range(0, LESIONS, size)]
    measures = {
        "from files": timed(lambda: list(predictor.stream(lesions))),
        "network alone": timed(lambda: [backend.logits(*batch) for batch in batches]),
    }
    times = in_rounds(measures, arguments.rounds)
    whole, alone = times.values()
    return row(
        f"{backbone}, batch {size}, AGFnet, ONNX fp32, from files",
        "lesions per second, of the network alone",
        LESIONS / statistics.median(whole),
        LESIONS / statistics.median(alone),
        ratio=median_ratio(alone, whole),
    )


def jpegs(folder: Path, number: int) -> dict[str, list[Path]]:
    """Write a lesion with a photograph-like JPEG per modality."""
    rng = np.random.default_rng(number)
    files = {}
    for name in default_modalities():
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), dtype=np.int16)
        pixels = (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number}_{name}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        files[name] = [path]
    return files


def random_bundle(config: ModelConfig, size: int, folder: Path) -> Bundle:
    """Write a bundle with random weights."""
    network = build(config, modalities=2, classes=CLASSES)
    mean, std = image_statistics(config)
    return write_bundle(
        folder,
        {name: value.contiguous().numpy() for name, value in network.state_dict().items()},
        BundleConfig(
            classes=tuple(f"class {c}" for c in range(CLASSES)),
            labels=None,
            modalities=default_modalities(),
            size=size,
            mean=mean,
            std=std,
            model=config,
            data_hash="",
        ),
        "",
    )


def pixels(count: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Draw inputs of the graph."""
    rng = np.random.default_rng(seed)
    images = {
        name: rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        for name in default_modalities()
    }
    return images | {"present": np.ones((count, 2), dtype=bool), "case": np.arange(count)}


def eager_work(
    network: Callable[..., object], inputs: dict[str, np.ndarray]
) -> Callable[[], object]:
    """Return a forward pass of a torch network."""
    *images, present, case = (torch.from_numpy(value) for value in inputs.values())

    def work() -> object:
        with torch.inference_mode():
            return network(images, present, case)

    return work


def images(count: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Draw inputs of the bare backbones."""
    rng = np.random.default_rng(seed)
    return {name: rng.random((count, 3, size, size), np.float32) for name in ("first", "second")}


def bare_sessions(
    network: nn.Module, folder: Path, arguments: argparse.Namespace
) -> dict[str, onnxruntime.InferenceSession]:
    """Export the bare backbones to ONNX Runtime."""
    example = tuple(torch.from_numpy(image) for image in images(2, arguments.size, 0).values())
    free = {0: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        BareBackbones(network.model.backbones).eval(),
        example,
        dynamo=True,
        dynamic_shapes=(free, free),
        input_names=["first", "second"],
        verbose=False,
    )
    assert program is not None
    fp32, int8 = folder / "floor.onnx", folder / "floor_int8.onnx"
    program.save(fp32, external_data=False)
    quantise(fp32, int8, (images(8, arguments.size, seed) for seed in range(4)))
    return {
        f"bare backbones, ONNX {name}": open_session(path, threads=arguments.threads)
        for name, path in (("fp32", fp32), ("int8", int8))
    }


if __name__ == "__main__":
    main()
