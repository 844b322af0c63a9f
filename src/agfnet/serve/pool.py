"""Worker processes, one job at a time each; a process that dies affects no other request."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agfnet.errors import BundleError
from agfnet.serve.request_error import RequestError
from agfnet.serve.security import TOKEN

Job = Mapping[str, Any]
Event = Callable[[str, dict[str, Any]], None]
START_S = 120.0
"""Longest time in which a worker loads the bundle."""
RESTART_PAUSES_S = (0.0, 1.0, 5.0, 15.0)
"""Pause before each restart of a worker that keeps failing; the last one repeats."""
MAX_REPLY = 256 << 20
"""Bytes of a reply."""
LENGTH = 8


class WorkerLost(Exception):  # noqa: N818
    """The process ended, or sent something that is not a reply."""


class Worker:
    """One process. Its replies are parsed as JSON: nothing that it sends is executed.

    Args:
        settings: the first message to the process.
        threads: threads of its libraries.
    """

    def __init__(self, *, settings: Mapping[str, Any], threads: int) -> None:
        self._settings = settings
        self._threads = threads
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Any]:
        """Start the process; return its first message, about the bundle.

        Raises:
            WorkerLost: the process ends.
            TimeoutError: it takes too long.
            BundleError: it cannot use the bundle.
        """
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {name: value for name, value in os.environ.items() if name != TOKEN}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "agfnet.serve.worker"),  # -P: import nothing from the current folder
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # decoders print names and contents of files
            env=environment | dict.fromkeys(names, str(self._threads)),
            start_new_session=True,  # a signal from the terminal is for the server
        )
        reply = await self.ask({**self._settings, "threads": self._threads}, seconds=START_S)
        if "error" in reply:
            raise BundleError(reply["error"])
        return reply

    async def ask(self, job: Job, *, seconds: float) -> dict[str, Any]:
        """Send a job and wait for the reply.

        Raises:
            WorkerLost: the process ended.
            TimeoutError: it takes too long, and still works.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        text = json.dumps(job).encode()
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(len(text).to_bytes(LENGTH, "big") + text)
                await process.stdin.drain()
                size = int.from_bytes(await process.stdout.readexactly(LENGTH), "big")
                if size > MAX_REPLY:
                    raise WorkerLost
                reply: dict[str, Any] = json.loads(await process.stdout.readexactly(size))
                return reply
        except TimeoutError:  # an OSError, too
            raise
        except (OSError, EOFError, ValueError) as error:
            raise WorkerLost from error

    async def stop(self) -> None:
        """End the process at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@dataclass(order=True)
class _Entry:
    """A job in the queue: lower ranks first, and in order of arrival within a rank."""

    rank: int
    serial: int
    job: Job = field(compare=False)
    long: bool = field(compare=False)
    started: asyncio.Event = field(compare=False, default_factory=asyncio.Event)
    reply: asyncio.Future[dict[str, Any]] = field(
        compare=False, default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pool:
    """Workers and a priority queue; each worker has a task that takes jobs from the queue.

    Args:
        settings: the first message to every worker.
        count: number of workers.
        threads: threads of each worker.
        work_s: longest time of a job; then the worker is replaced.
        event: called with the name and the fields of restarts, faults, jobs and results.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, Any],
        count: int,
        threads: int,
        work_s: float,
        event: Event,
    ) -> None:
        self.count = count
        self.alive = 0
        self.working = 0
        self.waiting = 0
        self.mean_s = 1.0
        """Running mean of the time of a job."""
        self._work_s = work_s
        self._event = event
        self._serial = itertools.count()
        self._queue: asyncio.PriorityQueue[_Entry] = asyncio.PriorityQueue()
        # with several workers, one is kept free of long jobs
        self._long = asyncio.Semaphore(max(1, count - 1))
        self._workers = [Worker(settings=settings, threads=threads) for _ in range(count)]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> dict[str, Any]:
        """Start all workers; return the first message of one of them, about the bundle.

        Raises:
            BundleError: they cannot use the bundle.
        """
        try:
            replies = await asyncio.gather(*(worker.start() for worker in self._workers))
        except (WorkerLost, TimeoutError):
            raise BundleError(
                "a worker ends while it loads the bundle; raise --worker-mb if it needs more memory"
            ) from None
        self.alive = self.count
        self._tasks = [asyncio.create_task(self._consume(worker)) for worker in self._workers]
        return replies[0]

    async def run(
        self, job: Job, *, rank: int, wait_s: float | None, long: bool = False
    ) -> dict[str, Any]:
        """Run a job and return its result.

        A caller that is cancelled meanwhile leaves the worker to its job.

        Args:
            job: the message to a worker.
            rank: jobs of a lower rank go first.
            wait_s: longest wait for a worker, seconds; None for any time.
            long: a job of many forward passes.

        Raises:
            RequestError: from the worker; or no worker is free in time, it dies, or takes too long.
        """
        entry = None
        self.waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                if long:
                    await self._long.acquire()
                entry = _Entry(rank, next(self._serial), job, long)
                self._queue.put_nowait(entry)
                await entry.started.wait()
        except BaseException as error:
            if entry is not None:
                entry.reply.cancel()
            if isinstance(error, TimeoutError):
                raise self.busy() from None
            raise
        finally:
            self.waiting -= 1
        reply = await entry.reply
        if "fault" in reply:
            self._event("fault", {"fault": reply["fault"]})
        if "refused" in reply:
            raise RequestError(**reply["refused"])
        if "outcome" in reply:
            self._event("answer", {"outcome": reply.pop("outcome")})
        return reply

    def busy(self) -> RequestError:
        """Return the error for too many requests, with the time after which to try again."""
        seconds = 1 + round(self.mean_s * (self.waiting + 1) / self.count)
        text = "too many requests at once; try again"
        return RequestError(429, "busy", text, retry_after=seconds)

    async def _consume(self, worker: Worker) -> None:
        """Give jobs of the queue to a worker; replace the worker if it is lost."""
        while True:
            entry = await self._queue.get()
            usable = True
            if not entry.reply.done():  # the caller still waits
                entry.started.set()
                self.working += 1
                usable = await self._work(worker, entry)
                self.working -= 1
            if entry.long:
                self._long.release()
            if not usable:
                await self._restart(worker)

    async def _work(self, worker: Worker, entry: _Entry) -> bool:
        """Run one job; return False if the worker is lost."""
        start = time.monotonic()
        error = None
        reply: dict[str, Any] = {}
        try:
            reply = await worker.ask(entry.job, seconds=self._work_s)
        except WorkerLost:
            error = RequestError(
                500,
                "worker_lost",
                "the process that worked on this request ended; no other request is affected."
                " If it happens again with the same images, export these again",
            )
        except TimeoutError:
            text = f"the work took more than {self._work_s:g} seconds and was stopped"
            error = RequestError(503, "too_slow", text, retry_after=30)
        seconds = time.monotonic() - start
        self.mean_s += 0.1 * (seconds - self.mean_s)
        self._event("work", {"kind": entry.job["kind"], "seconds": seconds})
        if not entry.reply.done():
            if error is None:
                entry.reply.set_result(reply)
            else:
                entry.reply.set_exception(error)
        return error is None

    async def _restart(self, worker: Worker) -> None:
        """Replace the process of a worker, however often that fails."""
        self.alive -= 1
        for attempt in itertools.count():
            await worker.stop()
            self._event("restart", {"attempt": attempt})
            await asyncio.sleep(RESTART_PAUSES_S[min(attempt, len(RESTART_PAUSES_S) - 1)])
            with suppress(Exception):  # whatever the reason, the next attempt may succeed
                await worker.start()
                self.alive += 1
                return

    async def stop(self) -> None:
        """End all workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers), return_exceptions=True)
