"""S3 itself: a server on this machine that answers as S3 does, read and written by s3fs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from agfnet.cli import main
from agfnet.config import TrainConfig
from agfnet.training.run_folder import record

s3fs = pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AGFNET_REMOTE_DIR": str(tmp_path / "copies"),
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("clinic")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.slow
def test_a_network_is_trained_and_predicts_on_s3(
    store: Any,
    settings: TrainConfig,
    write_table: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Table, images, run folder and predictions are in a bucket."""
    rows = [
        {
            "lesion_id": f"L{i}",
            "patient_id": f"P{i}",
            "label": "ab"[i % 2],
            "split": ("train", "train", "val")[i % 3],
            "clinical": f"images/{i}.png",
            "ultrasound": f"images/{i}u.png",
        }
        for i in range(18)
    ]
    table = write_table(rows)
    store.put(str(table), "clinic/cohort/cases.csv")
    store.put(f"{table.parent}/images/", "clinic/cohort/images/", recursive=True)
    config = record(
        replace(
            settings,
            data=replace(settings.data, size=32),
            optim=replace(settings.optim, epochs=1, batch_size=4),
        )
    )
    config["data"] |= {"cases": "s3://clinic/cohort/cases.csv"}
    config |= {"runs": "s3://clinic/runs", "name": "first"}
    file = table.with_name("train.yaml")
    file.write_text(yaml.safe_dump(config))
    assert main(["train", "--preset", "none", "--config", str(file)]) == 0
    assert store.exists("clinic/runs/first/bundle/model.safetensors")
    assert store.exists("clinic/runs/first/checkpoints/last.ckpt")
    command = ["predict", "s3://clinic/runs/first", "--cases", "s3://clinic/cohort/cases.csv"]
    assert main([*command, "--out", "s3://clinic/answers/predictions.csv"]) == 0
    answers = csv.DictReader(io.StringIO(store.cat("clinic/answers/predictions.csv").decode()))
    assert [row["lesion_id"] for row in answers] == [row["lesion_id"] for row in rows]
    capsys.readouterr()
    assert main([*command[:3], "s3://clinic/none.csv"]) == 1
    assert "none.csv does not exist" in " ".join(capsys.readouterr().err.split())
