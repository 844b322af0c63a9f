"""The exported graph answers as the network does, and a damaged one is never run."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from agfnet.bundle import Calibration, read_bundle, write_bundle, write_calibration
from agfnet.config import ExportConfig
from agfnet.data.table import read_cases
from agfnet.errors import BundleError
from agfnet.export.graph import Deployed, deployed
from agfnet.export.parity import Parity, compare, edge_rows, reference
from agfnet.export.run import TOLERANCE, export_run
from agfnet.files import seal
from agfnet.inference.onnx_backend import INT8, ONNX, OnnxBackend
from agfnet.inference.postprocessing import softmax
from agfnet.inference.predictor import Predictor
from agfnet.metrics.summary import METRICS

from ..interruption import interruptions

pytestmark = pytest.mark.slow  # the fixture exports and quantises a network


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose bundle has both graphs."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("export") / "run"))
    export_run(ExportConfig(run=str(run), int8=True, max_loss=1.0))
    return run


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported / "bundle", tmp_path / "bundle"))


def test_what_was_measured_is_in_the_bundle(
    exported: Path, fits_schema: Callable[[str, Any], None]
) -> None:
    assert logging.getLogger().level < logging.ERROR  # the quantiser's silence ends with it
    report = json.loads((exported / "bundle" / "export.json").read_text())
    fits_schema("bundle/export.json", report)
    assert report["fp32"]["probabilities"] <= TOLERANCE
    assert report["fp32"]["rows"] > 20
    assert 0 <= report["int8"]["agreement"] <= 1
    assert {ONNX, INT8, "export.json"} <= set(read_bundle(exported).files)


def test_int8_is_for_convolutions_but_the_first_and_not_for_attention(exported: Path) -> None:
    makers, floats = {}, {}
    for file in (ONNX, INT8):
        nodes = onnx.load(exported / "bundle" / file).graph.node
        made = {name: node.op_type for node in nodes for name in node.output}
        inputs = [made.get(node.input[0]) for node in nodes if node.op_type == "Conv"]
        floats[file] = sum(name != "DequantizeLinear" for name in inputs)
        makers[file] = {
            kind: {
                made.get(name) for node in nodes if node.op_type == kind for name in node.input[:1]
            }
            for kind in ("Conv", "Relu", "MatMul", "Softmax")
        }
    assert "Conv" in makers[ONNX]["Relu"]
    assert floats[INT8] == 2  # one for each modality
    # ONNX Runtime joins these rectifiers with what they follow
    assert makers[INT8]["Relu"] == {"Add", "Conv"}
    assert "DequantizeLinear" in makers[INT8]["Conv"]
    assert "DequantizeLinear" not in makers[INT8]["MatMul"] | makers[INT8]["Softmax"]


def test_predictions_agree_with_torch_frame_by_frame(exported: Path) -> None:
    bundle = read_bundle(exported)
    cases = read_cases(table_of(exported), modalities=tuple(bundle.config.modalities)).cases[:6]
    graph = Predictor(bundle=bundle, backend=OnnxBackend(bundle=bundle, file=ONNX))
    torch_answers = Predictor.load(exported, backend="torch").predict(cases)
    np.testing.assert_allclose(
        graph.predict(cases).probabilities, torch_answers.probabilities, atol=1e-5
    )


BLOCKED = ("torch", "torchvision", "timm", "lightning", "sklearn", "matplotlib", "huggingface_hub")
WITHOUT = """
import sys

class Blocked:
    def find_spec(name, *_):
        if name in {blocked!r}:
            raise ModuleNotFoundError("blocked", name=name)

sys.meta_path.insert(0, Blocked)
from agfnet.cli import main
for arguments in {commands!r}:
    try:
        print("exit code", main(arguments))
    except SystemExit as stop:
        print("exit code", stop.code)
    print("slow modules:", *{{"scipy", "onnx", "pandas"}} & sys.modules.keys())
"""


def test_what_an_installation_without_torch_can_do(exported: Path, tmp_path: Path) -> None:
    table = Path(table_of(exported))
    case = read_cases(table, modalities=("clinical", "ultrasound")).cases[0]
    images = [f"--images.{name}={paths[0]}" for name, paths in case.images.items() if paths]
    out = tmp_path / "predictions.csv"
    data = tmp_path / "data"
    commands = [
        ["--help"],
        ["bundle", "show", str(exported)],
        ["bundle", "verify", str(exported)],
        ["predict", str(exported), *images],
        ["predict", str(exported), "--cases", str(table), "--out", str(out)],
        ["phantom", str(data), "--lesions", "12", "--size", "32"],
        ["check", str(data / "cases.csv"), "--workers", "0"],
        ["train", "--data.cases", str(table)],
        ["predict", str(exported), *images, "--backend", "torch"],
    ]
    code = WITHOUT.format(blocked=BLOCKED, commands=commands)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    codes = [line for line in lines if line.startswith("exit code")]
    assert codes == ["exit code 0"] * 7 + ["exit code 1"] * 2
    slow = [line for line in lines if line.startswith("slow modules:")]
    assert slow[4] == "slow modules:"
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("agfnet train: the package ")
    assert "`pip install 'agfnet[train]'`" in errors[0]
    assert errors[1].startswith(
        "agfnet predict: the package torch is missing; run `pip install 'agfnet[train]'`"
    )
    assert len(out.read_text().splitlines()) == len(table.read_text().splitlines())


def test_its_requirements_are_those_that_were_tested() -> None:
    root = Path(__file__).parents[2]
    tested = set((root / "constraints.txt").read_text().splitlines())
    lines = (root / "requirements-onnx.txt").read_text().splitlines()
    pins = {line for line in lines if not line.startswith("#")}
    assert pins <= tested
    assert not {pin.partition("==")[0] for pin in pins} & set(BLOCKED)


def table_of(run: Path) -> str:
    """The table that a run was trained on."""
    return str(yaml.safe_load((run / "config.yaml").read_text())["data"]["cases"])


def test_rows_of_one_case_share_its_probabilities(bundle: Path) -> None:
    read = read_bundle(bundle)
    rows = edge_rows(read.config)
    graph = OnnxBackend(bundle=read, file=ONNX)
    case = np.array([5, 5, 2, *range(10, 10 + len(rows.case) - 3)])
    probabilities, logits = graph.run(["probabilities", "logits"], rows.images, rows.present, case)
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-7)
    assert np.abs(probabilities[1] - probabilities[2]).max() > 1e-6
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert logits.shape == probabilities.shape


def test_guides_lie_between_0_and_1(bundle: Path) -> None:
    read = read_bundle(bundle)
    rows = edge_rows(read.config)
    names = [f"guide_{name}" for name in read.config.modalities]
    for guide in OnnxBackend(bundle=read, file=ONNX).run(
        names, rows.images, rows.present, rows.case
    ):
        assert guide.ndim == 3
        assert ((guide >= 0) & (guide <= 1)).all()


def test_a_missing_view_is_ignored(bundle: Path) -> None:
    read = read_bundle(bundle)
    rows = edge_rows(read.config)
    graph = OnnxBackend(bundle=read, file=ONNX)
    present = np.zeros_like(rows.present)
    present[:, 0] = True
    other = (rows.images[0], 255 - rows.images[1])
    np.testing.assert_allclose(
        graph.logits(rows.images, present), graph.logits(other, present), atol=1e-5
    )


@pytest.mark.usefixtures("same_graph")
def test_int8_that_costs_too_much_is_not_kept(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / "bundle" / "export.json").write_text("{}")  # of an earlier export
    seal(run / "bundle")
    monkeypatch.setattr(
        "agfnet.export.int8.quantise", lambda source, target, _: shutil.copy(source, target)
    )
    found = iter((0.9, 0.8))  # of fp32, of int8
    monkeypatch.setitem(METRICS, "balanced_accuracy", lambda *_: next(found))
    with pytest.raises(BundleError, match=r"int8 loses 10\.0 points"):
        export_run(ExportConfig(run=str(run), int8=True, max_loss=0.09))
    assert not (run / "bundle" / INT8).exists()
    assert list(json.loads((run / "bundle" / "export.json").read_text())) == ["fp32"]
    assert {ONNX, "export.json"} <= set(read_bundle(run).files)


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration(temperature=3.0),
        Calibration(scale=(2.0, 0.5, 1.0, 1.0, 0.3, 1.0, 3.0), bias=(0.0, 1.0, 0, 0, 0, 0, -1.0)),
    ],
    ids=["temperature", "vector"],
)
def test_the_graph_averages_frames_and_calibrates_as_the_predictor_does(
    trained: Path, tmp_path: Path, calibration: Calibration
) -> None:
    """The expectation comes from the predictor, which shares no code with the graph."""
    folder = Path(shutil.copytree(trained / "bundle", tmp_path / "bundle"))
    weights = load_file(folder / "model.safetensors")
    head = {name: 4 * value for name, value in weights.items() if name.startswith("head.")}
    config = read_bundle(folder).config
    bundle = write_bundle(folder, weights | head, config, "")  # so that frames differ more
    bundle = write_calibration(bundle, calibration)
    graph: Any = Eager(deployed(bundle))
    rows = edge_rows(config)
    assert compare(reference(bundle), graph, [rows]).probabilities < 1e-5
    given = rows.images, rows.present, rows.case
    probabilities, logits = graph.run(["probabilities", "logits"], *given)
    frames = softmax(logits[rows.case == 1])
    assert np.abs(frames.mean(axis=0) - probabilities[3]).max() > 1e-3  # so the test can fail


class Eager:
    """The module of the graph, run by torch."""

    def __init__(self, module: Deployed) -> None:
        self.module = module.cpu()

    @torch.inference_mode()
    def run(self, names: list[str], images: Any, present: Any, case: Any) -> list[Any]:
        tensors = [torch.from_numpy(image) for image in images]
        outputs = self.module(tensors, torch.from_numpy(present), torch.from_numpy(case))
        return [outputs[name].numpy() for name in names]


@pytest.fixture
def same_graph(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every export gives the graph of `exported`, which saves half a minute."""
    graph = (exported / "bundle" / ONNX).read_bytes()
    monkeypatch.setattr(
        "agfnet.export.run.export_graph", lambda _, path, standard: path.write_bytes(graph)
    )


@pytest.mark.usefixtures("same_graph")
def test_a_graph_that_is_slightly_wrong_is_refused(exported: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(exported, tmp_path / "run"))
    calibration = json.loads((run / "bundle" / "calibration.json").read_text())
    calibration["temperature"] *= 1.02
    (run / "bundle" / "calibration.json").write_text(json.dumps(calibration))
    seal(run / "bundle")
    before = read_bundle(run)
    with pytest.raises(BundleError, match="differs from the network") as error:
        export_run(ExportConfig(run=str(run)))
    found = float(str(error.value).split("differs from the network by ")[1].split()[0])
    assert TOLERANCE < found < 0.01
    assert read_bundle(run).files == before.files  # the earlier graphs are still there


@pytest.mark.usefixtures("same_graph")
def test_an_interrupted_export_can_be_repeated(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parity = Parity(rows=1, probabilities=0.0, logits=0.0)
    monkeypatch.setattr("agfnet.export.run.check_parity", lambda *_: parity)
    run = tmp_path / "run"
    config = ExportConfig(run=str(run))
    states = set()
    for interruption in interruptions(run):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(exported, run, ignore=shutil.ignore_patterns("checkpoints"))
        with interruption:
            export_run(config)
        states.add(INT8 in read_bundle(run).files)  # every other command accepts the bundle
        export_run(config)
        files = read_bundle(run).files
        assert {ONNX, "export.json"} <= set(files)
        assert INT8 not in files
        assert not (run / "bundle" / INT8).exists()
        assert (
            "differ from torch by at most 0.0e+00 on 1 rows"
            in (run / "bundle" / "card.md").read_text()
        )
    assert states == {False, True}


def test_a_new_calibration_drops_the_graphs_that_hold_the_old_one(bundle: Path) -> None:
    read = read_bundle(bundle)
    write_calibration(read, read.calibration)
    assert not {ONNX, INT8, "export.json"} & set(read_bundle(bundle).files)
    assert not list(bundle.glob("*.onnx"))


def test_one_flipped_bit_is_found(bundle: Path) -> None:
    content = bytearray((bundle / ONNX).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / ONNX).write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: is not the file"):
        read_bundle(bundle)


def test_tensors_outside_the_file_are_refused(bundle: Path, tmp_path: Path) -> None:
    model = onnx.load(bundle / ONNX)
    (tmp_path / "elsewhere").mkdir()
    onnx.save(
        model,
        tmp_path / "elsewhere" / "m.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    (bundle / ONNX).write_bytes((tmp_path / "elsewhere" / "m.onnx").read_bytes())
    seal(bundle)
    with pytest.raises(
        BundleError, match=r"model\.onnx: not a usable ONNX file \(.*; write it again"
    ) as error:
        OnnxBackend(bundle=read_bundle(bundle), file=ONNX)
    assert "\n" not in str(error.value)


def test_a_graph_of_another_bundle_is_refused(bundle: Path) -> None:
    model = onnx.load(bundle / ONNX)
    model.graph.input[0].name = "dermoscopic"
    for node in model.graph.node:
        node.input[:] = ["dermoscopic" if name == "clinical" else name for name in node.input]
    onnx.save(model, bundle / ONNX)
    seal(bundle)
    with pytest.raises(BundleError, match="belongs to another bundle"):
        OnnxBackend(bundle=read_bundle(bundle), file=ONNX)


def test_a_bundle_without_a_graph_says_how_to_make_one(trained: Path) -> None:
    with pytest.raises(BundleError, match="agfnet export"):
        OnnxBackend(bundle=read_bundle(trained), file=ONNX)
