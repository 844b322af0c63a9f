"""Worker processes: each at one request; one that dies takes no other request with it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from agfnet.errors import BundleError
from agfnet.serve.request_error import RequestError
from agfnet.serve.security import TOKEN

T = TypeVar("T")
Job = Mapping[str, Any]
Event = Callable[[str, dict[str, Any]], None]
START_S = 120.0
"""Longest time that a worker may take to load the bundle."""
PAUSE_S = (0.0, 1.0, 5.0, 15.0)
"""Before a worker that keeps failing is started again; the last holds from then on."""
REPLY = 256 << 20
"""Most bytes of an answer."""
LENGTH = 8


class WorkerLost(Exception):  # noqa: N818
    """The process ended, or does not speak as agreed."""


class Worker:
    """One process. What it says is JSON: nothing that it could send runs here.

    Args:
        settings: what it is told first.
        threads: of its libraries.
    """

    def __init__(self, *, settings: Mapping[str, Any], threads: int) -> None:
        self._settings = settings
        self._threads = threads
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Any]:
        """Start the process; what it says about the bundle.

        Raises:
            WorkerLost: it ends, or takes too long.
            BundleError: it cannot use the bundle.
        """
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        kept = {name: value for name, value in os.environ.items() if name != TOKEN}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "agfnet.serve.worker"),  # nothing of the folder it is started in
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # decoders name files and what is in them
            env=kept | dict.fromkeys(names, str(self._threads)),
            start_new_session=True,  # a signal from the terminal is for the server
        )
        told = await self.ask({**self._settings, "threads": self._threads}, seconds=START_S)
        if "error" in told:
            raise BundleError(told["error"])
        return told

    async def ask(self, job: Job, *, seconds: float) -> dict[str, Any]:
        """Hand over a job and wait for the answer.

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
                if size > REPLY:
                    raise WorkerLost
                found: dict[str, Any] = json.loads(await process.stdout.readexactly(size))
                return found
        except TimeoutError:  # which is an OSError, too
            raise
        except (OSError, EOFError, ValueError) as error:
            raise WorkerLost from error

    async def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Pool:
    """Some workers, and who waits for them: the most urgent first, and among equals in turn.

    Args:
        settings: what every worker is told first.
        count: how many workers.
        threads: threads of each.
        work_s: longest work on a job; then the worker is ended.
        event: told of restarts, faults, work done and answers given.
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
        self.mean_s = 1.0
        """Of a job, lately."""
        self._settings = settings
        self._threads = threads
        self._work_s = work_s
        self._event = event
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._waiting: list[tuple[int, int, bool, asyncio.Future[Worker]]] = []
        self._serial = itertools.count()
        self._long = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Jobs without a worker."""
        return sum(not future.done() for *_, future in self._waiting)

    async def start(self) -> dict[str, Any]:
        """Start all workers; what they say about the bundle.

        Raises:
            BundleError: they cannot use it.
        """
        workers = [self._worker() for _ in range(self.count)]
        self._all.update(workers)
        try:
            told = await asyncio.gather(*(worker.start() for worker in workers))
        except WorkerLost:
            raise BundleError(
                "a worker ends while it loads the bundle; raise --worker_mb if it needs more memory"
            ) from None
        self.alive = self.count
        self._idle += workers
        return told[0]

    def _worker(self) -> Worker:
        return Worker(settings=self._settings, threads=self._threads)

    async def run(
        self, job: Job, *, rank: int, wait_s: float | None, long: bool = False
    ) -> dict[str, Any]:
        """Have a job done.

        Args:
            job: what a worker understands.
            rank: jobs of a lower rank go first.
            wait_s: longest wait for a worker; any time if None.
            long: of work that takes long, one worker is kept free where there are several.

        Raises:
            RequestError: by the worker; or none is free in time, it dies, or takes too long.
        """
        worker = await self._take(rank, wait_s, long)
        work = self._task(self._ask(worker, job, long))
        # whoever goes away meanwhile leaves the worker to its work
        reply = await asyncio.shield(work)
        if "fault" in reply:
            self._event("fault", {"fault": reply["fault"]})
        if "refused" in reply:
            raise RequestError(**reply["refused"])
        if "outcome" in reply:
            self._event("answer", {"outcome": reply.pop("outcome")})
        return reply

    async def _ask(self, worker: Worker, job: Job, long: bool) -> dict[str, Any]:
        """Have a job done by a worker, and take the worker back."""
        started = time.monotonic()
        sound = False
        try:
            reply = await worker.ask(job, seconds=self._work_s)
            sound = True
            return reply
        except WorkerLost:
            raise RequestError(
                500,
                "worker_lost",
                "the process that worked on this request ended; no other request is affected."
                " If it happens again with the same images, save these anew",
            ) from None
        except TimeoutError:
            raise RequestError(
                503,
                "too_slow",
                f"the work took more than {self._work_s:g} seconds and was ended",
                retry_after=30,
            ) from None
        finally:
            seconds = time.monotonic() - started
            self.mean_s += 0.1 * (seconds - self.mean_s)
            self._event("work", {"kind": job["kind"], "seconds": seconds})
            self._give(worker, sound=sound, long=long)

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that nobody need wait for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _take(self, rank: int, wait_s: float | None, long: bool) -> Worker:
        future: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._serial), long, future))
        self._match()
        try:
            return await asyncio.wait_for(future, wait_s)
        except TimeoutError:
            raise self.busy() from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._give(future.result(), sound=True, long=long)
            raise

    def busy(self) -> RequestError:
        """That there is no room now, and when to come back."""
        seconds = 1 + round(self.mean_s * (self.waiting + 1) / self.count)
        return RequestError(
            429, "busy", "too many requests at once; try again", retry_after=seconds
        )

    def _match(self) -> None:
        """Give free workers to those who wait."""
        passed = []
        while self._idle and self._waiting:
            entry = heapq.heappop(self._waiting)
            *_, long, future = entry
            if future.done():  # it waits no more
                continue
            if long and self._long >= max(1, self.count - 1):
                passed.append(entry)
                continue
            self._long += long
            self.working += 1
            future.set_result(self._idle.pop())
        for entry in passed:
            heapq.heappush(self._waiting, entry)

    def _give(self, worker: Worker, *, sound: bool, long: bool) -> None:
        """Take a worker back; one that died or was left in the middle is replaced."""
        self.working -= 1
        self._long -= long
        if sound:
            self._idle.append(worker)
            self._match()
            return
        self.alive -= 1
        self._all.discard(worker)
        self._task(self._replace(worker))

    async def _replace(self, lost: Worker) -> None:
        await lost.stop()
        for attempt in itertools.count():
            if self._closed:
                return
            self._event("restart", {"attempt": attempt})
            await asyncio.sleep(PAUSE_S[min(attempt, len(PAUSE_S) - 1)])
            worker = self._worker()
            self._all.add(worker)
            try:
                await worker.start()
            except Exception:  # whatever is wrong, the next attempt may go better
                self._all.discard(worker)
                await worker.stop()
                continue
            self.alive += 1
            self._idle.append(worker)
            self._match()
            return

    async def stop(self) -> None:
        """End all workers."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._all), return_exceptions=True)
