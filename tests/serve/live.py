"""A server that runs, a network by hand, and images."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from agfnet.bundle import (
    Abstention,
    BundleConfig,
    Calibration,
    OperatingPoint,
    PredictionSets,
    Rate,
    write_bundle,
    write_calibration,
)
from agfnet.config import ModalityConfig, ModelConfig, default_modalities
from agfnet.files import seal

SIZE = 32
CLASSES = ("mole", "melanoma", "wart")
MODALITIES = ("clinical", "ultrasound")
NAME = "Mueller"
"""Of a patient: it is in file names and in metadata, and must come out nowhere."""


def make_bundle(folder: Path, modalities: Mapping[str, ModalityConfig] | None = None) -> Path:
    """A calibrated bundle with an ONNX graph, made without torch."""
    read = dict(modalities or default_modalities())
    config = BundleConfig(
        classes=CLASSES,
        labels=None,
        modalities=read,
        size=SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        model=ModelConfig(),
        data_hash="none",
    )
    made = write_bundle(folder, {"w": np.zeros(1, np.float32)}, config, "# By colour\n")
    write_calibration(
        made,
        Calibration(
            temperature=0.7,
            sets=PredictionSets("lac", 0.9, False, (0.75,) * 3),
            operating_point=OperatingPoint(
                group="malignant",
                members=(False, True, False),
                target_sensitivity=0.95,
                threshold=0.395,
                sensitivity=Rate(0.95, 0.83, 0.99),
                specificity=Rate(0.7, 0.6, 0.79),
                positives=40,
                negatives=90,
            ),
            abstention=Abstention(0.45, 0.1, 0.95, 0.1, 0.8),
            ood_threshold=-0.5,
        ),
    )
    onnx.save(by_hand(list(read)), folder / "model.onnx")
    seal(folder)
    return folder


def by_hand(modalities: Sequence[str]) -> onnx.ModelProto:
    """A network of three classes for images of one colour."""
    first, further = [[3, 0, -1], [0, 3, 0], [-2, 0, 3]], [[1, 0, 0], [0, 1, 0], [0, 0, 2]]
    weights = np.array([*first, *further * (len(modalities) - 1)])
    return graph(modalities, weights, np.array([0.1, 0, -0.1]))


def graph(modalities: Sequence[str], weights: Any, bias: Any) -> onnx.ModelProto:
    """A network as `agfnet export` makes them: classes go by the mean colours of the images.

    `weights` (3 M, C) and `bias` (C,) are those of a linear layer on the colours of M images.
    """
    constants = {"w": weights, "scale": np.array(1 / 255), "b": bias}
    nodes, means = [], []
    for m, name in enumerate(modalities):
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_f", "scale"], [f"{name}_s"]),
            helper.make_node("ReduceMean", [f"{name}_s", "hw"], [f"{name}_m"], keepdims=0),
            helper.make_node("ReduceMean", [f"{name}_s", "c"], [f"guide_{name}"], keepdims=0),
            helper.make_node("Gather", ["there", f"m{m}"], [f"there_{name}"], axis=1),
            helper.make_node("Mul", [f"{name}_m", f"there_{name}"], [f"{name}_p"]),
        ]
        means.append(f"{name}_p")
    nodes = [
        helper.make_node("Cast", ["present"], ["there"], to=TensorProto.FLOAT),
        *nodes,
        helper.make_node("Concat", means, ["features"], axis=1),
        helper.make_node("MatMul", ["features", "w"], ["raw"]),
        helper.make_node("Add", ["raw", "b"], ["logits"]),
        helper.make_node("Identity", ["case"], ["case_out"]),
    ]
    lists = {"hw": [1, 2], "c": [3], **{f"m{m}": [m] for m in range(len(modalities))}}
    start = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    start += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in lists.items()]
    image = ("R", SIZE, SIZE, 3)
    inputs = [helper.make_tensor_value_info(n, TensorProto.UINT8, image) for n in modalities]
    inputs += [
        helper.make_tensor_value_info("present", TensorProto.BOOL, ("R", len(modalities))),
        helper.make_tensor_value_info("case", TensorProto.INT64, ("R",)),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("R", len(bias)))]
    outputs += [
        helper.make_tensor_value_info(f"guide_{n}", TensorProto.FLOAT, ("R", SIZE, SIZE))
        for n in modalities
    ]
    width = 3 * len(modalities)
    outputs.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ("R", width)))
    outputs.append(helper.make_tensor_value_info("case_out", TensorProto.INT64, ("R",)))
    made = helper.make_graph(nodes, "by colour", inputs, outputs, start)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def encoded(pixels: np.ndarray[Any, Any], form: str, **options: Any) -> bytes:
    return encoded_image(Image.fromarray(pixels), form, **options)


def encoded_image(image: Image.Image, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format=form, **options)
    return target.getvalue()


def noise(height: int, width: int, colour: Sequence[int], seed: int = 0) -> np.ndarray[Any, Any]:
    """A texture around a colour."""
    rough = np.random.default_rng(seed).integers(-40, 40, (height, width, 1))
    return np.clip(np.array(colour) + rough, 0, 255).astype(np.uint8)


def arm(height: int = 300, width: int = 400, centre: tuple[int, int] = (70, 60)) -> Any:
    """Skin with a dark lesion of radius 20 off the middle."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), (205, 160, 135), dtype=np.float64)
    pixels += np.random.default_rng(0).normal(0, 3, (height, width, 1))
    pixels += (columns[..., None] / width - 0.5) * 30  # uneven light
    inside = (rows - centre[1]) ** 2 + (columns - centre[0]) ** 2 < 20**2
    pixels[inside] = pixels[inside] * 0.5
    return np.clip(pixels, 0, 255).astype(np.uint8)


class Live:
    """A server as a user starts it."""

    def __init__(self, bundle: Path, *options: str, env: dict[str, str] | None = None) -> None:
        arguments = ["serve", str(bundle), "--port", "0", *options]
        code = "import sys; from agfnet.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | (env or {}),
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(120), self.lines
        self.url = self.lines[0].split(" at ")[1].split(" ")[0]
        self.client = httpx2.Client(base_url=self.url, timeout=60)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if '"event": "ready"' in line:
                self._ready.set()
        self._ready.set()

    @property
    def workers(self) -> list[int]:
        """Process ids."""
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @contextmanager
    def stopped(self) -> Iterator[list[int]]:
        """All workers stand still: what they are at takes as long as the test wants."""
        workers = self.workers
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield workers
        finally:
            for pid in workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def predict(self, photo: bytes, **more: Any) -> httpx2.Response:
        """Ask about one photograph."""
        return self.client.post("/v1/predict", files={"clinical": ("x", photo)}, **more)

    def metric(self, name: str) -> float:
        """A number without labels."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        raise KeyError(name)

    def close(self) -> int:
        """Ask it to stop; its exit code."""
        self.client.close()
        self.process.terminate()
        code = self.process.wait(30)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


LIMITS = (
    *("--workers", "2", "--queue", "4", "--request_mb", "1", "--files", "4", "--megapixels", "0.2"),
    *("--frames", "6", "--batch_mb", "1", "--batch_unpacked_mb", "2"),
    *("--batch_files", "20", "--batches", "2"),
)
