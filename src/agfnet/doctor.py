"""Check of this machine: versions, extras, device, memory, disk, and a self-test in seconds."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agfnet import __version__
from agfnet.errors import AgfnetError

Status = Literal["ok", "advice", "problem"]
CORE = ("numpy", "pillow", "jsonargparse")
TRAINING = ("torch", "torchvision", "timm", "lightning")
EXTRAS = {
    "dicom": ("pydicom", "DICOM files cannot be read"),
    "heic": ("pi_heif", "photographs of iPhones (HEIC) cannot be read"),
    "spreadsheets": ("python_calamine", "`import table` reads CSV only, no XLSX and ODS"),
    "onnx": ("onnxruntime", "exported networks cannot be run"),
    "export": ("onnx", "networks cannot be exported"),
    "serve": ("fastapi", "the web page cannot be served"),
    "explain": ("captum", "some attribution methods are missing"),
    "report": ("matplotlib", "there are no reports and pictures"),
    "parquet": ("pyarrow", "`predict --parquet` is not possible"),
    "pacs": ("pynetdicom", "the server receives no DICOM images"),
    "sklearn": ("sklearn", "`agfnet.AGFNetClassifier` is missing"),
    "tune": ("optuna", "studies cannot search settings"),
    "cluster": ("ray", "studies and predictions cannot use Ray"),
    "hub": ("huggingface_hub", "`bundle push` and `pull` are not possible"),
    "cloud": ("s3fs", "tables and images in object stores cannot be read"),
}
"""Extra to a module of it and what is missing without it."""
VIEWS = ("clinical",)
"""Modalities of the self-test: one, because exporting a backbone takes most of the time."""
MIN_MEMORY_GIB, MIN_DISK_GIB = 4, 5


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    name: str
    status: Status
    text: str
    """The state, and what to do where it is not in order."""


def examine(folder: Path, *, self_test: bool = True) -> Iterator[Check]:
    """Yield the checks of this machine.

    Args:
        folder: where runs will be written.
        self_test: train, export and predict with a tiny network.
    """
    yield _python()
    yield from _packages()
    yield from _extras()
    yield _device()
    yield _memory()
    yield _disk(folder)
    yield _writing(folder)
    if self_test:
        yield from _self_test()


def _python() -> Check:
    text = f"{platform.python_version()} on {platform.platform()}, agfnet {__version__}"
    return Check("Python", "ok", text)


def _packages() -> Iterator[Check]:
    light = importlib.util.find_spec("torch") is None  # not meant for training
    for name in (*CORE, *TRAINING):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name in CORE:
                yield Check(name, "problem", "missing; run `pip install agfnet`")
            else:
                text = "missing; training needs it: run `pip install 'agfnet[train]'`"
                yield Check(name, "advice" if light else "problem", text)
            continue
        if name == "lightning" and version in ("2.6.2", "2.6.3"):
            text = f"{version} was a compromised release; install another version at once"
            yield Check(name, "problem", text)
        else:
            yield Check(name, "ok", version)


def _extras() -> Iterator[Check]:
    for extra, (module, without) in EXTRAS.items():
        if importlib.util.find_spec(module) is not None:
            yield Check(f"extra {extra}", "ok", "installed")
        else:
            text = f"{without}; run `pip install 'agfnet[{extra}]'`"
            yield Check(f"extra {extra}", "advice", text)


def _device() -> Check:
    try:
        import torch
    except ImportError:
        light = importlib.util.find_spec("torch") is None
        text = (
            "torch is not installed" if light else "torch cannot be imported; see the lines above"
        )
        return Check("device", "advice" if light else "problem", text)
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        memory = properties.total_memory / 2**30
        return Check("device", "ok", f"{properties.name}, {memory:.0f} GiB")
    if torch.backends.mps.is_available():
        return Check("device", "ok", "Apple GPU (MPS)")
    text = f"CPU with {os.cpu_count()} cores, no GPU found"
    hint = "; a small backbone and frozen weights train in reasonable time"
    if shutil.which("nvidia-smi") is not None:
        hint = "; nvidia-smi exists, so check the driver and that torch is built for CUDA"
    return Check("device", "advice", text + hint)


def _memory() -> Check:
    try:
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return Check("memory", "advice", "its size cannot be read on this system")
    if gib < MIN_MEMORY_GIB:
        text = f"{gib:.1f} GiB; use a smaller data.size and optim.batch_size"
        return Check("memory", "advice", text)
    return Check("memory", "ok", f"{gib:.0f} GiB")


def _disk(folder: Path) -> Check:
    gib = shutil.disk_usage(_existing(folder)).free / 2**30
    if gib < MIN_DISK_GIB:
        text = f"{gib:.1f} GiB free at {folder}; runs need some, choose another folder (runs)"
        return Check("disk", "advice", text)
    return Check("disk", "ok", f"{gib:.0f} GiB free at {folder}")


def _writing(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"agfnet")
    except OSError as error:
        text = f"{folder}: {error.strerror}; choose another folder, or get the permission"
        return Check("writing", "problem", text)
    return Check("writing", "ok", f"{folder} can be written")


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _self_test() -> Iterator[Check]:
    """Train, export and predict; steps after a failed one are not tried."""
    with tempfile.TemporaryDirectory(prefix="agfnet-doctor-") as name:
        folder = Path(name)
        steps: dict[str, Callable[[Path], str]] = {
            "self-test: train": _train,
            "self-test: export": _export,
            "self-test: predict": _predict,
        }
        for title, step in steps.items():
            start = time.monotonic()
            try:
                text = step(folder)
            except ModuleNotFoundError as error:
                yield Check(title, "advice", f"not tried: the package {error.name} is missing")
                continue
            except (AgfnetError, OSError, RuntimeError, ValueError) as error:
                yield Check(title, "problem", f"failed: {error}")
                return
            yield Check(title, "ok", f"{text} in {time.monotonic() - start:.1f} s")


def _train(folder: Path) -> str:
    from agfnet.config import (
        BackboneConfig,
        DataConfig,
        FusionConfig,
        ModelConfig,
        OptimConfig,
        PhantomConfig,
        TrainConfig,
        default_modality,
    )
    from agfnet.phantom.cohort import make_cohort
    from agfnet.training.fit import fit

    cases = make_cohort(PhantomConfig(out=str(folder / "cohort"), lesions=40, size=32))
    fit(
        TrainConfig(
            data=DataConfig(
                cases=str(cases),
                size=32,
                modalities={name: default_modality(name) for name in VIEWS},
            ),
            model=ModelConfig(
                method="concatenation",
                backbone=BackboneConfig(name="test_resnet"),
                fusion=FusionConfig(scales=2),
            ),
            optim=OptimConfig(epochs=1, batch_size=8),
            name="run",
            runs=str(folder),
        ),
        progress=False,
    )
    return "a tiny network learned for one epoch"


def _export(folder: Path) -> str:
    from agfnet.config import ExportConfig
    from agfnet.export.run import export_run

    _, report = export_run(ExportConfig(run=str(folder / "run")))
    return f"the graph differs by {report['fp32']['probabilities']:.0e} from torch"


def _predict(folder: Path) -> str:
    from agfnet.data.table import read_cases
    from agfnet.inference.predictor import Predictor

    case = next(iter(read_cases(folder / "cohort" / "cases.csv", modalities=VIEWS)))
    diagnosis = Predictor.load(folder / "run").diagnose(case.images)
    return f"one lesion is diagnosed ({len(diagnosis.probabilities)} classes)"


def is_ready(checks: list[Check]) -> bool:
    """Return whether there is no problem."""
    return all(check.status != "problem" for check in checks)
