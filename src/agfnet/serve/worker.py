"""A worker: reads jobs, opens the images of strangers, runs the network, writes answers.

    python -m agfnet.serve.worker

Started by `agfnet.serve.pool`. Jobs come on the standard input and answers go to the standard
output, each as eight bytes of length and JSON. The first job says which bundle to open.
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
from agfnet.inference.onnx_backend import OnnxBackend
from agfnet.inference.predictor import Predictor, network_file, open_backend
from agfnet.serve.explain import explain, methods_of
from agfnet.serve.lesion import Limits
from agfnet.serve.predict import answer_case, predict
from agfnet.serve.preview import preview
from agfnet.serve.request_error import RequestError

LENGTH = 8
Job = Mapping[str, Any]
KINDS: dict[str, Callable[[Job, Predictor, Limits], dict[str, Any]]] = {
    "predict": predict,
    "explain": explain,
    "preview": preview,
    "case": answer_case,
}


def main() -> None:
    """Work until there are no more jobs."""
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries that print must not break answers
    settings = read(jobs)
    if settings is None:
        return
    hold_back(settings["worker_mb"])
    try:
        predictor = load(settings)
    except AgfnetError as error:
        write(answers, {"error": str(error)})
        return
    limits = Limits(**settings["limits"])
    write(answers, {"methods": methods_of(predictor.backend)})
    while (job := read(jobs)) is not None:
        write(answers, answer(job, predictor, limits))


def hold_back(megabytes: int) -> None:
    """Limit the memory of this process, and leave no image of its memory on disk if it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = megabytes << 20
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def load(settings: Job) -> Predictor:
    """The bundle, on as many threads as this worker has."""
    bundle = read_bundle(settings["bundle"])
    backend, threads = settings["backend"], settings["threads"]
    file = network_file(bundle, backend)
    made = (
        OnnxBackend(bundle=bundle, file=file, threads=threads)
        if file.endswith(".onnx")
        else open_backend(bundle, backend)
    )
    return Predictor(bundle=bundle, backend=made, threads=threads)


def answer(job: Job, predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """The answer to a job, or why there is none."""
    try:
        return KINDS[job["kind"]](job, predictor, limits)
    except RequestError as refused:
        return {"refused": asdict(refused)}
    except MemoryError:
        text = "the images need more memory than a worker may take"
        return {"refused": asdict(RequestError(413, "too_large", text))}
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
        text = "this request failed; the log names its fault"
        return {"refused": asdict(RequestError(500, "internal", text)), "fault": fault}


def read(source: BinaryIO) -> dict[str, Any] | None:
    """The next job; None after the last."""
    size = source.read(LENGTH)
    if len(size) < LENGTH:
        return None
    found: dict[str, Any] = json.loads(source.read(int.from_bytes(size, "big")))
    return found


def write(target: BinaryIO, content: Mapping[str, Any]) -> None:
    """Send an answer."""
    text = json.dumps(content, allow_nan=False).encode()
    target.write(len(text).to_bytes(LENGTH, "big") + text)
    target.flush()


if __name__ == "__main__":
    main()
