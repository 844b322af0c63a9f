"""Server under load: throughput against the predictor alone, and overload.

    python bench/serve.py --json bench/results/serve.json

Weights are random; photographs and scans are JPEG and PNG files. The bundle has the statistics of
these images, so that the server and the predictor measure how familiar an image is. First, rounds
of the predictor alone, as `agfnet predict --cases` runs it, and of the server at full load (as many
requests at a time as it accepts). The client shares the cores: in these rounds it only writes and
reads sockets. On a machine with other work, the processor time of both (the server with its
workers) is the measure to compare. `--load-seconds 0` ends here. Then single requests for the
unloaded time. Then requests arrive at four times the sustainable rate, without waiting for
responses; those refused with 429 are not repeated. Memory is that of the server and its workers
together, at the beginning and at the end of the overload.
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
from common import Row, finish, median_ratio, options, row
from model import settings
from PIL import Image

from agfnet.bundle import Bundle, Calibration, write_calibration
from agfnet.calibration.ood import fit_familiarity
from agfnet.data.preprocess import load
from agfnet.export.graph import export_graph
from agfnet.files import seal
from agfnet.inference.familiarity import image_statistics
from agfnet.inference.predictor import Predictor
from inference import random_bundle

CASES = 48  # many, so that waiting for the last worker does not matter
Body = tuple[bytes, dict[str, str]]


def main() -> None:
    """Run a server, and measure it."""
    parser = options(__doc__)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load-seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=4)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        bundle = random_bundle(settings(arguments.backbone), arguments.size, folder / "bundle")
        cases = pairs(folder)
        bundle = calibrated(bundle, cases)
        export_graph(bundle, bundle.folder / "model.onnx")
        seal(bundle.folder)
        predictor = Predictor.load(bundle.folder)
        with running(bundle.folder, arguments.workers) as (url, pid):
            rows = asyncio.run(measure(arguments, url, pid, predictor, cases))
    finish(rows, arguments)


def pairs(folder: Path) -> list[dict[str, list[Path]]]:
    """Write files of lesions, as large as a phone's preview and a scanner's screen."""
    rng = np.random.default_rng(0)
    lesions = []
    for number in range(CASES):
        paths = {"clinical": folder / f"{number}.jpg", "ultrasound": folder / f"{number}.png"}
        for path, side in zip(paths.values(), ((900, 1200), (480, 640)), strict=True):
            small = rng.integers(0, 256, (side[0] // 8, side[1] // 8, 3), dtype=np.uint8)
            Image.fromarray(small).resize(side[::-1]).save(path)
        lesions.append({key: [path] for key, path in paths.items()})
    return lesions


def calibrated(bundle: Bundle, cases: list[dict[str, list[Path]]]) -> Bundle:
    """Add the statistics of the images to a bundle, by which unfamiliar images are found."""
    statistics = {
        name: np.array(
            [
                image_statistics(load(case[name][0], size=bundle.config.size, modality=m))
                for case in cases
            ]
        )
        for name, m in bundle.config.modalities.items()
    }
    return write_calibration(bundle, Calibration(familiarity=fit_familiarity(statistics)))


@contextmanager
def running(bundle: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Run a server; yield its address and process id."""
    code = "import sys; from agfnet.cli import main; sys.exit(main(sys.argv[1:]))"
    options = ["--port", "0", "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(bundle), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    address = re.search(r"http://\S+", process.stderr.readline())
    assert address is not None
    try:
        while True:
            try:
                httpx2.get(f"{address[0]}/readyz").raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.2)
        yield address[0], process.pid
    finally:
        process.terminate()
        process.wait()


async def measure(
    arguments: argparse.Namespace,
    url: str,
    pid: int,
    predictor: Predictor,
    cases: list[dict[str, list[Path]]],
) -> list[Row]:
    """Measure throughput, then overload."""
    bodies = [encoded(case) for case in cases]
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        alone, served, costs = await throughput(
            arguments, client.base_url, pid, predictor, cases, bodies
        )
        title = f"{arguments.backbone}, {arguments.size} px"
        rows = [
            row(
                title,
                "lesions a second, of the predictor alone",
                statistics.median(served),
                statistics.median(alone),
                ratio=median_ratio(served, alone),
            ),
            row(
                title,
                "lesions a second of processor time, of the predictor alone",
                statistics.median(1 / cost for _, cost in costs),
                statistics.median(1 / cost for cost, _ in costs),
                ratio=statistics.median(cost / other for cost, other in costs),
            ),
        ]
        if not arguments.load_seconds:
            return rows
        unloaded = [await once(client, body) for body in bodies]
        assert {status for status, _ in unloaded} == {200}
        rate = arguments.times * statistics.median(served)
        statuses, seconds, memory = await flood(arguments, client, bodies, rate, pid)
    quick, busy = percentile([s for _, s in unloaded]), percentile(seconds)
    early, late = (statistics.median(part) for part in (memory[: len(memory) // 4], memory[-5:]))
    other = sum(count for status, count in statuses.items() if status not in (200, 429))
    total, loaded = statuses.total(), f"at {arguments.times:g} times the load"
    return [
        *rows,
        row(title, f"p95 seconds of those accepted {loaded}, of unloaded", busy, quick),
        row(title, f"accepted {loaded}, of sent", statuses[200], total),
        row(title, f"other than 200 and 429 {loaded}, of sent", other, total),
        row(title, f"megabytes at the end {loaded}, of the beginning", late, early),
    ]


async def throughput(
    arguments: argparse.Namespace,
    url: httpx2.URL,
    pid: int,
    predictor: Predictor,
    cases: list[dict[str, list[Path]]],
    bodies: list[Body],
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Return lesions per second, and processor seconds of a lesion, round by round.

    Returns:
        Of the predictor alone, of the server, and the processor seconds of both.
    """
    alone, served, costs = [], [], []
    requests = [raw(body, url) for body in bodies]
    for number in range(arguments.rounds + 1):
        start, before = time.perf_counter(), time.process_time()
        assert sum(1 for _ in predictor.stream(cases)) == len(cases)
        middle, seconds = time.perf_counter(), time.process_time() - before
        server_before = processor_seconds(pid)
        rest = iter(requests)
        await asyncio.gather(*(ask_all(url, rest) for _ in range(2 * arguments.workers)))
        end = time.perf_counter()
        if number:  # the first round is a warm-up
            alone.append(len(cases) / (middle - start))
            served.append(len(cases) / (end - middle))
            server_seconds = processor_seconds(pid) - server_before
            costs.append((seconds / len(cases), server_seconds / len(cases)))
    return alone, served, costs


def raw(body: Body, url: httpx2.URL) -> bytes:
    """Return a request as it is sent."""
    content, headers = body
    lines = [
        "POST /v1/predict HTTP/1.1",
        f"host: {url.host}:{url.port}",
        f"content-type: {headers['content-type']}",
        f"content-length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def ask_all(url: httpx2.URL, requests: Iterator[bytes]) -> None:
    """Send requests over one connection, one after the other; all must be answered."""
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1 << 20)
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        size = re.search(r"content-length: (\d+)", head)
        assert size is not None
        await reader.readexactly(int(size[1]))
    writer.close()
    await writer.wait_closed()


async def flood(
    arguments: argparse.Namespace,
    client: httpx2.AsyncClient,
    bodies: list[Body],
    rate: float,
    pid: int,
) -> tuple[Counter[int], list[float], list[float]]:
    """Send requests at a fixed rate; return statuses, seconds of those answered, and memory."""
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
    for number in range(int(rate * arguments.load_seconds)):
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
    """Encode a request once: the client runs on the same cores as the server."""
    files = [(name, ("x", path.read_bytes())) for name, (path,) in case.items()]
    request = httpx2.Request("POST", "http://localhost", files=files)
    return request.read(), {"content-type": request.headers["content-type"]}


async def once(client: httpx2.AsyncClient, body: Body) -> tuple[int, float]:
    """Send one request; return its status and seconds."""
    content, headers = body
    start = time.perf_counter()
    reply = await client.post("/v1/predict", content=content, headers=headers)
    return reply.status_code, time.perf_counter() - start


def percentile(values: list[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(values, 95))


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its children so far."""
    total = 0
    for process in [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in [pid, *children])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
