"""Signals of a scheduler: training writes a checkpoint at the next step, and stops."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from agfnet.errors import StoppedError

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""Signals that SLURM and other schedulers send some time before they kill a job."""


class StopRequest:
    """The signal that has arrived, if any.

    It ends the process at once, unless `deferred` is set, as in training, where somebody looks at
    `signal` after every step.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self.deferred = False
        self._process = os.getpid()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            StoppedError: it is not deferred.
        """
        if os.getpid() != self._process:
            return  # a worker, which ends with the training; a scheduler sends signals to all
        self.signal = signal.Signals(number).name
        if not self.deferred:
            raise self.error()

    def install(self) -> None:
        """Handle the signals from here on; in other threads than the first it is not possible."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self.handle)

    def error(self) -> StoppedError:
        """Return the error to raise."""
        return StoppedError(
            f"stopped by {self.signal or 'a signal'}; to continue, run the same command with"
            " --resume"
        )


@contextmanager
def stopping_on_signals() -> Iterator[StopRequest]:
    """Handle the signals of a scheduler in a block, and as before after it."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    request = StopRequest()
    request.install()
    try:
        yield request
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
