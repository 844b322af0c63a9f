"""Batches of a server that is stopped or killed, and of the next one in the same folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from agfnet.bundle import read_bundle
from agfnet.config import ServeConfig
from agfnet.errors import ConfigError
from agfnet.inference.predictor import Predictor
from agfnet.serve.batch import OTHER_MODEL, Batches
from agfnet.serve.batch_store import FOLDER, ROWS, STATE, WORK, BatchStore
from agfnet.serve.limits import Limits
from agfnet.serve.predict import answer_case
from agfnet.serve.request_error import RequestError

from .live import LIMITS, Live
from .test_batch import TABLE, images, packed

Files = dict[str, bytes]
LESIONS = 5
MODEL = "model"


class OwnPool:
    """Answers cases in this process; stops for ever before case number `stop`."""

    count = 1

    def __init__(self, bundle: Path, stop: int = LESIONS) -> None:
        self.predictor = Predictor.load(bundle)
        self.stop = stop
        self.asked: list[str] = []
        self.stalled = asyncio.Event()

    async def run(self, job: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        if len(self.asked) == self.stop:
            self.stalled.set()
            await asyncio.Event().wait()
        self.asked.append(job["lesion_id"])
        reply = answer_case(job, self.predictor, Limits.of(ServeConfig(bundle="")))
        del reply["outcome"]
        return reply


def table_of(lesions: int = LESIONS) -> str:
    rows = [f"L{k},P{k},,a/1.jpg,{'a/3.png' if k % 2 else ''}" for k in range(lesions)]
    return "\n".join(["lesion_id,patient_id,label,clinical,ultrasound", *rows, ""])


def put_upload(store: BatchStore, files: Files) -> Path:
    """Write what `Batches.create` has written before its work begins."""
    folder = store.new("batch")
    (folder / WORK / "00001").write_bytes(packed({**images(files), "cases.csv": table_of()}))
    state = {"id": "batch", "state": "reading", "uploads": {"archive": "00001"}, "ended": None}
    store.save(folder, state | {"model": MODEL})
    return folder


async def serve(
    bundle: Path, spool: Path, *, stop: int = LESIONS, model: str = MODEL, keep_s: float = 60
) -> tuple[dict[str, Any] | None, dict[str, str], list[str]]:
    """Work in a folder until the batch ends or the pool stalls; status, tables, lesions asked."""
    pool = OwnPool(bundle, stop)
    config = ServeConfig(bundle=str(bundle), batch_keep_s=keep_s)
    batches = Batches(
        config=config,
        limits=Limits.of(config),
        bundle=read_bundle(bundle),
        pool=pool,  # type: ignore[arg-type]
        store=BatchStore(spool),
    )
    batches.resume(model)
    try:
        if not len(batches):
            return None, {}, []
        task = batches.get("batch").task
        if task is not None:
            await asyncio.wait(
                [task, asyncio.create_task(pool.stalled.wait())],
                return_when=asyncio.FIRST_COMPLETED,
                timeout=30,
            )
        status = batches.get("batch").status()
        return status, {n: batches.table("batch", n) for n in status["tables"]}, pool.asked
    finally:
        await batches.stop()


def test_a_batch_goes_on_where_it_was_stopped(bundle: Path, files: Files, tmp_path: Path) -> None:
    expected: dict[str, str] = {}
    for number, stops in enumerate(((), (0,), (2, 1), (4,))):
        spool = tmp_path / str(number)
        spool.mkdir()
        store = BatchStore(spool)
        folder = put_upload(store, files)
        store.close()
        asked: list[str] = []
        for stop in stops:
            status, tables, some = asyncio.run(serve(bundle, spool, stop=stop))
            assert status is not None
            assert (status["state"], tables) == ("running", {})
            asked += some
            with (folder / ROWS).open("ab") as file:
                file.write(b'{"predictions.csv": [["L')  # the power failed
        status, tables, some = asyncio.run(serve(bundle, spool))
        assert status is not None
        assert (status["state"], status["done"], status["total"]) == ("done", LESIONS, LESIONS)
        assert asked + some == [f"L{k}" for k in range(LESIONS)]  # each once
        assert tables["predictions.csv"].count("\n") == 1 + LESIONS
        expected = expected or tables
        assert tables == expected
        assert sorted(path.name for path in folder.iterdir()) == sorted([STATE, *tables])
        again, kept, _ = asyncio.run(serve(bundle, spool))
        assert (again, kept) == (status, tables)


def test_only_this_user_can_read_the_folder(files: Files, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir(mode=0o755)
    store = BatchStore(tmp_path)
    folder = put_upload(store, files)
    for path in (store.folder, folder):
        assert path.stat().st_mode & 0o777 == 0o700


def test_another_model_does_not_complete_a_batch(
    bundle: Path, files: Files, tmp_path: Path
) -> None:
    store = BatchStore(tmp_path)
    folder = put_upload(store, files)
    store.close()
    asyncio.run(serve(bundle, tmp_path, stop=2))
    status, tables, asked = asyncio.run(serve(bundle, tmp_path, model="other"))
    assert status is not None
    assert (status["state"], status["error"], tables, asked) == ("failed", OTHER_MODEL, {}, [])
    assert [path.name for path in folder.iterdir()] == [STATE]  # no image is left


def test_results_are_deleted_after_the_stated_time(
    bundle: Path, files: Files, tmp_path: Path
) -> None:
    store = BatchStore(tmp_path)
    folder = put_upload(store, files)
    store.close()
    asyncio.run(serve(bundle, tmp_path))
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {"ended": time.time() - 3600}))

    async def restart() -> bool:
        config = ServeConfig(bundle=str(bundle), batch_keep_s=1800)
        batches: Any = Batches(
            config=config,
            limits=Limits.of(config),
            bundle=SimpleNamespace(),  # type: ignore[arg-type]
            pool=SimpleNamespace(),  # type: ignore[arg-type]
            store=BatchStore(tmp_path),
        )
        batches.resume(MODEL)
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError):
            batches.get("batch")
        await batches.stop()
        return folder.exists()

    assert asyncio.run(restart()) is False


@pytest.mark.parametrize("content", ["", "{", '{"id": "batch"}', '{"model": "", "ended": null}'])
def test_an_incomplete_upload_is_deleted(content: str, bundle: Path, tmp_path: Path) -> None:
    store = BatchStore(tmp_path)
    folder = store.new("batch")
    (folder / STATE).write_text(content)
    store.close()
    assert asyncio.run(serve(bundle, tmp_path))[0] is None
    assert not folder.exists()


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    store = BatchStore(tmp_path)
    with pytest.raises(ConfigError, match="another server"):
        BatchStore(tmp_path)
    store.close()
    BatchStore(tmp_path).close()


@pytest.mark.slow
def test_a_killed_server_loses_no_batch(bundle: Path, files: Files, tmp_path: Path) -> None:
    options = (*LIMITS, "--workers", "1", "--spool", str(tmp_path))
    server = Live(bundle, *options)
    rules = server.client.get("/v1/model").json()["batches"]
    assert rules == {"survive_restart": True, "keep_s": 3600}
    with server.stopped() as workers:
        parts = {"archive": ("x", packed(images(files))), "cases": ("x", TABLE)}
        name = server.client.post("/v1/batches", files=parts).json()["id"]
        for pid in (server.process.pid, *workers):
            os.kill(pid, signal.SIGKILL)
    server.close()
    server = Live(bundle, *options)
    try:
        end = time.monotonic() + 60
        while (said := status_of(server, name))["state"] in ("reading", "running"):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert (said["state"], said["done"]) == ("done", 3)
        text = server.client.get(f"/v1/batches/{name}/predictions.csv").text
        assert text.count("\n") == 4
        assert server.client.delete(f"/v1/batches/{name}").status_code == 204
        assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["lock"]
    finally:
        server.close()


def status_of(server: Live, name: str) -> dict[str, Any]:
    reply: httpx2.Response = server.client.get(f"/v1/batches/{name}")
    status: dict[str, Any] = reply.json()
    return status
