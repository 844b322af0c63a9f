"""Metrics and a log, without names, images or results."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

LOG = logging.getLogger("agfnet.serve")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Prometheus metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests.", "route", "status")
        self.seconds = self._histogram("request_seconds", "Time of requests.", "route")
        self.refused = self._counter("refused", "Requests refused.", "code")
        self.work = self._histogram("work_seconds", "Time of workers' jobs.", "kind")
        self.answers = self._counter("answers", "Results of lesions.", "outcome")
        self.restarts = self._counter("worker_restarts", "Workers restarted.")
        self.waiting = self._gauge("waiting", "Jobs that wait for a worker.")
        self.working = self._gauge("working", "Jobs in progress.")
        self.workers = self._gauge("workers", "Workers that are ready or working.")
        self.batches = self._gauge("batches", "Batches in memory.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"agfnet_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"agfnet_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"agfnet_{name}", text, labels, buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' format."""
        return generate_latest(self.registry)


def log(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line. Apart from the request id, no field may come from a client."""
    LOG.log(level, event, extra={"fields": fields})


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object.

    The text of other libraries could contain anything. Only the name of the library is written,
    and only the class of an exception; the server's own lines have their fields.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format one line."""
        return json.dumps(self.fields(record))

    @staticmethod
    def fields(record: logging.LogRecord) -> dict[str, Any]:
        """Return what is written of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name == LOG.name:
            line |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        else:
            line |= {"event": "library", "library": record.name}
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
        return line


class TextFormatter(JsonFormatter):
    """Formats a record as one line for a person, with the same fields and nothing else."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one line."""
        line = self.fields(record)
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        start = f"{time} {line.pop('level'):<7} {line.pop('event')}"
        del line["time"]
        return " ".join([start, *(f"{name}={value}" for name, value in line.items())])


def set_up_log() -> None:
    """Send all logs to the standard output: as text on a terminal, else as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(TextFormatter() if sys.stdout.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOG.setLevel(logging.INFO)
