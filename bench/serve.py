"""How a server bears load: throughput against the predictor alone, and too many requests.

    python bench/serve.py --json bench/results/serve.json

Random weights; photographs and scans as JPEG and PNG files. First, rounds in turn: the predictor
by itself, as `agfnet predict --cases` runs it, and the server at full load (as many requests at a
time as it has places). Then single requests for the unloaded time. Then requests arrive at four
times the sustainable rate, on a plan that does not wait for answers; those refused with 429 do not
come again. Memory is that of the server and its workers together, early and late in that time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import numpy as np
from model import settings
from PIL import Image

from agfnet.bundle import seal
from agfnet.export.graph import export_graph
from agfnet.files import write_json
from agfnet.inference.predictor import Predictor
from agfnet.terminal import show_table
from inference import random_bundle

CASES = 48  # so many that one worker's waiting for the other's last does not count
Body = tuple[bytes, dict[str, str]]


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = random_bundle(settings(chosen.backbone), chosen.size, folder / "bundle")
        export_graph(bundle, bundle.folder / "model.onnx")
        seal(bundle.folder)
        cases = pairs(folder)
        predictor = Predictor.load(bundle.folder)
        with running(bundle.folder, chosen.workers) as (url, pid):
            rows = asyncio.run(measured(chosen, url, pid, predictor, cases))
    show_table(
        ["what", "value", "against", "ratio"],
        [
            [f"{row['name']}, {row['metric']}", *(f"{row[key]:.3f}" for key in list(row)[2:])]
            for row in rows
        ],
    )
    if chosen.json:
        write_json(chosen.json, rows)


def pairs(folder: Path) -> list[dict[str, list[Path]]]:
    """Files of some lesions, as large as a phone's preview and a scanner's screen."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(CASES):
        paths = {"clinical": folder / f"{number}.jpg", "ultrasound": folder / f"{number}.png"}
        for path, side in zip(paths.values(), ((900, 1200), (480, 640)), strict=True):
            small = rng.integers(0, 256, (side[0] // 8, side[1] // 8, 3), dtype=np.uint8)
            Image.fromarray(small).resize(side[::-1]).save(path)
        made.append({key: [path] for key, path in paths.items()})
    return made


@contextmanager
def running(bundle: Path, workers: int) -> Iterator[tuple[str, int]]:
    """A server: its address and process id."""
    code = "import sys; from agfnet.cli import main; sys.exit(main(sys.argv[1:]))"
    options = ["--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(bundle), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found is not None
    try:
        while True:
            try:
                httpx2.get(f"{found[0]}/readyz").raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.2)
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait()


async def measured(
    chosen: argparse.Namespace,
    url: str,
    pid: int,
    predictor: Predictor,
    cases: list[dict[str, list[Path]]],
) -> list[dict[str, object]]:
    """All figures."""
    bodies = [encoded(case) for case in cases]
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        alone, served = await throughput(chosen, client, predictor, cases, bodies)
        unloaded = [await once(client, body) for body in bodies]
        assert {status for status, _ in unloaded} == {200}
        rate = chosen.times * statistics.median(served)
        statuses, seconds, memory = await flood(chosen, client, bodies, rate, pid)
    quick, busy = percentile([s for _, s in unloaded]), percentile(seconds)
    early, late = (statistics.median(part) for part in (memory[: len(memory) // 4], memory[-5:]))
    other = sum(count for status, count in statuses.items() if status not in (200, 429))
    title, total = f"{chosen.backbone}, {chosen.size} px", statuses.total()

    def row(metric: str, value: float, baseline: float, ratio: float) -> dict[str, object]:
        return {
            "name": title,
            "metric": metric,
            "value": value,
            "baseline": baseline,
            "ratio": ratio,
        }

    ratio = statistics.median(a / b for a, b in zip(served, alone, strict=True))
    loaded = f"at {chosen.times:g} times the load"
    return [
        row(
            "lesions a second, of the predictor alone",
            statistics.median(served),
            statistics.median(alone),
            ratio,
        ),
        row(f"p95 seconds of those accepted {loaded}, of unloaded", busy, quick, busy / quick),
        row(f"accepted {loaded}, of sent", statuses[200], total, statuses[200] / total),
        row(f"other than 200 and 429 {loaded}, of sent", other, total, other / total),
        row(f"megabytes at the end {loaded}, of the beginning", late, early, late / early),
    ]


async def throughput(
    chosen: argparse.Namespace,
    client: httpx2.AsyncClient,
    predictor: Predictor,
    cases: list[dict[str, list[Path]]],
    bodies: list[Body],
) -> tuple[list[float], list[float]]:
    """Lesions a second of the predictor alone and of the server, round by round."""
    alone, served = [], []
    for turn in range(chosen.rounds + 1):
        start = time.perf_counter()
        assert sum(1 for _ in predictor.stream(cases)) == len(cases)
        middle = time.perf_counter()
        rest = iter(bodies)

        async def ask(rest: Iterator[Body] = rest) -> None:
            for body in rest:
                status, _ = await once(client, body)
                assert status == 200

        await asyncio.gather(*(ask() for _ in range(2 * chosen.workers)))
        end = time.perf_counter()
        if turn:  # the first only warms up
            alone.append(len(cases) / (middle - start))
            served.append(len(cases) / (end - middle))
    return alone, served


async def flood(
    chosen: argparse.Namespace,
    client: httpx2.AsyncClient,
    bodies: list[Body],
    rate: float,
    pid: int,
) -> tuple[Counter[int], list[float], list[float]]:
    """Requests at a rate, whatever becomes of them: statuses, seconds of those answered, memory."""
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    memory: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def ask(number: int) -> None:
        try:
            status, time_taken = await once(client, bodies[number % len(bodies)])
        except httpx2.HTTPError:
            status, time_taken = 0, 0.0
        statuses[status] += 1
        if status == 200:
            seconds.append(time_taken)

    start = time.perf_counter()
    for number in range(int(rate * chosen.seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        task = asyncio.create_task(ask(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if number % max(1, int(rate)) == 0:
            memory.append(megabytes(pid))
    await asyncio.gather(*tasks)
    return statuses, seconds, memory


def encoded(case: dict[str, list[Path]]) -> Body:
    """A request's content and headers, made once: the client has the same cores as the server."""
    files = [(name, ("x", path.read_bytes())) for name, (path,) in case.items()]
    request = httpx2.Request("POST", "http://localhost", files=files)
    return request.read(), {"content-type": request.headers["content-type"]}


async def once(client: httpx2.AsyncClient, body: Body) -> tuple[int, float]:
    """Status and seconds of one request."""
    content, headers = body
    start = time.perf_counter()
    reply = await client.post("/v1/predict", content=content, headers=headers)
    return reply.status_code, time.perf_counter() - start


def percentile(values: list[float]) -> float:
    """The 95th."""
    return float(np.percentile(values, 95))


def megabytes(pid: int) -> float:
    """Resident memory of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in [pid, *children])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
