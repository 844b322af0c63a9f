"""Two processes on this machine train the network that one process trains."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor

from agfnet.config import DataConfig, FitConfig, OptimConfig, TrainConfig
from agfnet.errors import ConfigError
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.training.checkpoints import load_checkpoint
from agfnet.training.fit import fit


def history(folder: Path) -> list[dict[str, float]]:
    """Without the balanced accuracy: rounding decides ties of a network that is hardly trained."""
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in r.items() if "accuracy" not in k} for r in rows]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def in_two_processes(script: str, *arguments: str) -> None:
    """Run a script next to this file in two processes, as torchrun would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    processes = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name(script), *arguments],
            env=os.environ | common | {"RANK": r, "LOCAL_RANK": r, "MASTER_PORT": str(port)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in ("0", "1")
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors


@pytest.mark.slow
def test_two_processes_train_the_network_of_one(settings: TrainConfig, tmp_path: Path) -> None:
    """With FRL, a moving average and early stopping; batches have an odd number of cases.

    There is no dropout, and FRL masks nothing, since each process draws other random numbers.
    """
    config = replace(
        settings,
        model=replace(settings.model, dropout=0.0),
        reconstruction=replace(
            settings.reconstruction,
            mask_ratio=0.0,
            modality_mask_prob=0.0,
            warmup=0.0,
        ),
        optim=replace(settings.optim, epochs=2, batch_size=15, ema=0.5, patience=2, warmup=0.5),
        runs=str(tmp_path),
    )
    one = fit(replace(config, name="one"), progress=False)
    two = fit(replace(config, name="two", fit=FitConfig(devices=2)), progress=False)
    assert files(one) == files(two)
    for a, b in zip(history(one), history(two), strict=True):
        assert a == pytest.approx(b, rel=2e-2, abs=1e-5)
    weights = [load_file(folder / "bundle" / "model.safetensors") for folder in (one, two)]
    vectors = [torch.cat([each[name].flatten() for name in weights[0]]) for each in weights]
    assert torch.dist(*vectors) < 0.01 * vectors[0].norm()  # Adam enlarges differences by rounding

    # the second epoch again, with sharded backbones, from the checkpoint after the first
    again = replace(config, name="two", fit=FitConfig(devices=2, shard_backbones=True), resume=True)
    (two / "checkpoints" / "last.ckpt").unlink()
    shutil.rmtree(two / "bundle")
    before = history(two)
    fit(again, progress=False)
    for a, b in zip(before, history(two), strict=True):
        assert a == pytest.approx(b, rel=2e-2, abs=1e-5)
    sharded = load_file(two / "bundle" / "model.safetensors")
    vector = torch.cat([sharded[name].flatten() for name in weights[0]])
    assert torch.dist(vector, vectors[1]) < 0.01 * vectors[1].norm()
    state = load_checkpoint(two / "checkpoints" / "last.ckpt")
    assert not any(isinstance(value, DTensor) for value in state["state_dict"].values())

    # two processes calibrate their network as one does
    whole = replace(config, name="two", fit=FitConfig(devices=2), resume=True)
    (tmp_path / "config").write_bytes(pickle.dumps(whole))
    in_two_processes("calibrating.py", str(tmp_path / "config"))
    results = [two / "bundle" / "calibration.json", two / "validation.csv"]
    before = [file.read_bytes() for file in results]
    for file in results[1:]:
        file.unlink()
    calibrate_run(two)
    assert [file.read_bytes() for file in results] == before


@pytest.mark.parametrize("optim", [OptimConfig(accumulate=0), OptimConfig(precision="16-mixed")])
def test_settings_that_need_whole_backbones(optim: OptimConfig) -> None:
    sharded = FitConfig(devices=2, shard_backbones=True)
    with pytest.raises(ConfigError, match=r"optim\.\w+, fit\.shard_backbones: "):
        TrainConfig(data=DataConfig(cases=""), fit=sharded, optim=optim)


@pytest.mark.slow
def test_gradients_and_statistics_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Of 7 cases, where one process has no image of a modality; also with sharded backbones."""
    in_two_processes("gradients.py", str(tmp_path))
