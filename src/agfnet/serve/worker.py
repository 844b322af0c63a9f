"""A worker process: reads jobs, opens uploaded images, runs the network, writes replies.

    python -m agfnet.serve.worker

Started by `agfnet.serve.pool`. Jobs arrive on the standard input and replies go to the standard
output, each as eight bytes of length and JSON. The first message has the settings.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from agfnet.bundle import read_bundle
from agfnet.errors import AgfnetError
from agfnet.inference.backends import network_file, open_backend
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.predictor import Predictor
from agfnet.serve.explain import explain, methods_of
from agfnet.serve.limits import Limits
from agfnet.serve.predict import answer_case, predict
from agfnet.serve.preview import preview
from agfnet.serve.request_error import RequestError

LENGTH = 8
Job = Mapping[str, Any]
JOBS: dict[str, Callable[[Job, Predictor, Limits], dict[str, Any]]] = {
    "predict": predict,
    "explain": explain,
    "preview": preview,
    "case": answer_case,
}


def main() -> None:
    """Work until the input ends."""
    jobs = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # output of libraries must not break replies
    settings = read(jobs)
    if settings is None:
        return
    limit_memory(settings["worker_mb"])
    try:
        predictor = load(settings)
    except AgfnetError as error:
        write(replies, {"error": str(error)})
        return
    limits = Limits(**settings["limits"])
    write(replies, {"methods": methods_of(predictor.backend)})
    while (job := read(jobs)) is not None:
        write(replies, run(job, predictor, limits))


def limit_memory(megabytes: int) -> None:
    """Limit the memory of this process, and disable core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = megabytes << 20
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def load(settings: Job) -> Predictor:
    """Load the bundle with the threads of this worker."""
    bundle = read_bundle(settings["bundle"])
    backend, threads = settings["backend"], settings["threads"]
    file = network_file(bundle, backend)
    runtime = (
        OnnxBackend(bundle=bundle, file=file, threads=threads)
        if file.endswith(".onnx")
        else open_backend(bundle, backend)
    )
    return Predictor(bundle=bundle, backend=runtime, threads=threads)


def run(job: Job, predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Run a job; return its result or its error."""
    try:
        return JOBS[job["kind"]](job, predictor, limits)
    except RequestError as error:
        return {"refused": asdict(error)}
    except MemoryError:
        text = "the images need more memory than a worker may use"
        return {"refused": asdict(RequestError(413, "too_large", text))}
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
        text = "this request failed; see the log of the server"
        return {"refused": asdict(RequestError(500, "internal", text)), "fault": fault}


def read(source: BinaryIO) -> dict[str, Any] | None:
    """Read the next job; None at the end of the input."""
    size = source.read(LENGTH)
    if len(size) < LENGTH:
        return None
    job: dict[str, Any] = json.loads(source.read(int.from_bytes(size, "big")))
    return job


def write(target: BinaryIO, content: Mapping[str, Any]) -> None:
    """Send a reply."""
    text = json.dumps(content, allow_nan=False).encode()
    target.write(len(text).to_bytes(LENGTH, "big") + text)
    target.flush()


if __name__ == "__main__":
    main()
