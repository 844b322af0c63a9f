"""How fast a bundle answers: torch, torch.compile, ONNX fp32 and int8, interleaved in one run.

    python bench/inference.py --json bench/results/inference.json

Random weights and random pixels: times do not depend on them. Every round runs each candidate once
on the same prepared pixels; a ratio is taken within each round, and the median over the rounds is
reported. A batch of one is over soon and gets eight times as many rounds. The floor is the ONNX
time of the two bare backbones (their last map, nothing else), in fp32 and in int8.

"from files": the predictor on lesions with a JPEG of 640 x 480 pixels per view, against the network
alone on the same images decoded and prepared before, both in batches of 16; lesions per second.
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
from model import CLASSES, compared, interleaved, settings
from PIL import Image
from torch import Tensor, nn

from agfnet.bundle import Bundle, BundleConfig, read_bundle, write_bundle
from agfnet.config import ModelConfig, default_modalities
from agfnet.export.graph import deployed, export_graph
from agfnet.export.int8 import quantise
from agfnet.files import write_json
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.predictor import Predictor, stacked
from agfnet.models.build import build, image_statistics
from agfnet.terminal import show_table

Work = Callable[[], object]
LESIONS = 64


class Floor(nn.Module):
    """The bare backbones as a network that can be exported."""

    def __init__(self, backbones: nn.Module) -> None:
        super().__init__()
        self.backbones = backbones

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Two images (B, 3, H, W) to the means of their last maps."""
        present = torch.ones(len(left), 2, dtype=torch.bool)
        maps = self.backbones([left, right], present)
        return maps[0][-1].mean(dim=(2, 3)), maps[1][-1].mean(dim=(2, 3))


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--peers", nargs="*", default=["concatenation"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 16])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile too (slow to start)")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows: list[dict[str, object]] = []
    for backbone in chosen.backbones:
        with TemporaryDirectory() as folder:
            rows += measured(chosen, backbone, Path(folder))
    numbers = ("value", "baseline", "ratio")
    show_table(
        ["what", *numbers, "metric"],
        [[row["name"], *(f"{row[key]:.4g}" for key in numbers), row["metric"]] for row in rows],
    )
    if chosen.json:
        write_json(chosen.json, rows)


def measured(chosen: argparse.Namespace, backbone: str, folder: Path) -> list[dict[str, object]]:
    """All candidates on one backbone."""
    models = {
        "AGFnet": settings(backbone),
        **{name: replace(settings(backbone), method=name) for name in chosen.peers},
    }
    eager: dict[str, nn.Module] = {}
    sessions: dict[str, onnxruntime.InferenceSession] = {}
    for name, config in models.items():
        bundle = random_bundle(config, chosen.size, folder / name)
        eager[name] = deployed(bundle)
        export_graph(bundle, folder / name / "fp32.onnx")
        sessions[f"{name}, ONNX fp32"] = session(folder / name / "fp32.onnx", chosen.threads)
        if name == "AGFnet":
            path = folder / name / "standard.onnx"
            export_graph(bundle, path, standard=True)
            sessions["AGFnet, ONNX fp32, standard operators"] = session(path, chosen.threads)
            feeds = (pixels(8, chosen.size, seed) for seed in range(4))
            quantise(folder / name / "fp32.onnx", folder / name / "int8.onnx", feeds)
            sessions[f"{name}, ONNX int8"] = session(folder / name / "int8.onnx", chosen.threads)
    bare = floor_sessions(eager["AGFnet"], folder, chosen)
    rows = []
    for count in chosen.batches:
        given = pixels(count, chosen.size, 0)
        floats = images(count, chosen.size, 0)
        works: dict[str, Work] = {
            **{f"{name}, torch": eager_work(net, given) for name, net in eager.items()},
            **{name: partial(run.run, ["probabilities"], given) for name, run in sessions.items()},
            **{name: partial(run.run, None, floats) for name, run in bare.items()},
        }
        if chosen.compile:
            compiled = torch.compile(eager["AGFnet"])
            works["AGFnet, torch.compile"] = eager_work(compiled, given)
        times = interleaved(works, chosen.rounds * max(1, 8 // count))
        title = f"{backbone}, batch {count}"
        rows += compared(times, "AGFnet, torch", title, "seconds, of torch eager")
        graphs = {name: seconds for name, seconds in times.items() if "ONNX fp32" in name}
        rows += compared(graphs, "bare backbones, ONNX fp32", title, "seconds, of bare backbones")
    return [*rows, from_files(chosen, folder / "AGFnet", backbone)]


def from_files(chosen: argparse.Namespace, folder: Path, backbone: str) -> dict[str, object]:
    """The predictor on JPEG files against the network alone."""
    file = "fp32.onnx"
    bundle = read_bundle(folder)
    bundle = replace(bundle, files=(*bundle.files, file))
    backend = OnnxBackend(bundle=bundle, file=file, threads=chosen.threads)
    predictor = Predictor(bundle=bundle, backend=backend, threads=chosen.threads)
    lesions = [jpegs(folder, number) for number in range(LESIONS)]
    made = [
        {name: predictor.prepare((name, paths[0])) for name, paths in one.items()}
        for one in lesions
    ]
    size = predictor.batch_size
    batches = [stacked(made[i : i + size], bundle.config) for i in range(0, LESIONS, size)]
    works: dict[str, Work] = {
        "from files": lambda: list(predictor.stream(lesions)),
        "network alone": lambda: [backend.logits(*batch) for batch in batches],
    }
    times = interleaved(works, chosen.rounds)
    whole, alone = times.values()
    return {
        "name": f"{backbone}, batch {size}, AGFnet, ONNX fp32, from files",
        "metric": "lesions per second, of the network alone",
        "value": LESIONS / statistics.median(whole),
        "baseline": LESIONS / statistics.median(alone),
        "ratio": statistics.median(b / a for a, b in zip(whole, alone, strict=True)),
    }


def jpegs(folder: Path, number: int) -> dict[str, list[Path]]:
    """A lesion with a photograph-like JPEG per view."""
    rng = np.random.default_rng(number)
    found = {}
    for name in default_modalities():
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), dtype=np.int16)
        pixels = (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number}_{name}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        found[name] = [path]
    return found


def random_bundle(config: ModelConfig, size: int, folder: Path) -> Bundle:
    """A bundle with random weights."""
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
    """Inputs of the graph."""
    rng = np.random.default_rng(seed)
    images = {
        name: rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        for name in default_modalities()
    }
    return images | {"present": np.ones((count, 2), dtype=bool), "case": np.arange(count)}


def eager_work(network: Callable[..., object], given: dict[str, np.ndarray]) -> Work:
    """One pass of a torch network."""
    *images, present, case = (torch.from_numpy(value) for value in given.values())

    def work() -> object:
        with torch.inference_mode():
            return network(images, present, case)

    return work


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A graph on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def images(count: int, size: int, seed: int) -> dict[str, np.ndarray]:
    """Inputs of the bare backbones."""
    rng = np.random.default_rng(seed)
    return {name: rng.random((count, 3, size, size), np.float32) for name in ("left", "right")}


def floor_sessions(
    network: nn.Module, folder: Path, chosen: argparse.Namespace
) -> dict[str, onnxruntime.InferenceSession]:
    """The bare backbones in ONNX Runtime."""
    given = tuple(torch.from_numpy(image) for image in images(2, chosen.size, 0).values())
    free = {0: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        Floor(network.model.backbones).eval(),
        given,
        dynamo=True,
        dynamic_shapes=(free, free),
        input_names=["left", "right"],
        verbose=False,
    )
    assert program is not None
    fp32, int8 = folder / "floor.onnx", folder / "floor_int8.onnx"
    program.save(fp32, external_data=False)
    quantise(fp32, int8, (images(8, chosen.size, seed) for seed in range(4)))
    return {
        f"bare backbones, ONNX {name}": session(path, chosen.threads)
        for name, path in (("fp32", fp32), ("int8", int8))
    }


if __name__ == "__main__":
    main()
