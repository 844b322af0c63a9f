"""The parts of a running server, and the way of a request through them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from agfnet import NOTICE, __version__
from agfnet.bundle import Bundle, describe, read_bundle, read_cards
from agfnet.config import ServeConfig
from agfnet.errors import BundleError, ConfigError
from agfnet.inference.about import about, model_warnings, uncalibrated
from agfnet.inference.backends import network_file
from agfnet.inference.table import model_hash
from agfnet.parallel import usable_cores
from agfnet.serve.batch import Batches, cancelled
from agfnet.serve.batch_store import BatchStore
from agfnet.serve.file_types import IMAGES
from agfnet.serve.guard import RequestContext
from agfnet.serve.limits import Limits
from agfnet.serve.monitoring import Metrics, log
from agfnet.serve.pool import Pool
from agfnet.serve.receive import Receiver
from agfnet.serve.request_error import RequestError
from agfnet.serve.schemas import Options
from agfnet.serve.spool import Spool
from agfnet.serve.uploads import Rules, receive
from agfnet.serve.watch import Watcher
from agfnet.translation import LANGUAGES

MAX_WORKERS = 4
O = TypeVar("O", bound=Options)  # noqa: E741


class Service:
    """The bundle, the workers, the folder for uploads and the batches.

    Args:
        config: all settings.

    Raises:
        BundleError: not a usable bundle.
        ConfigError: the folder for uploads cannot be written.
    """

    def __init__(self, *, config: ServeConfig) -> None:
        self.config = config
        self.limits = Limits.of(config)
        self.bundle: Bundle = read_bundle(config.bundle)
        if uncalibrated(self.bundle.calibration) and not config.allow_uncalibrated:
            raise BundleError(
                f"{self.bundle.folder}: is not calibrated, so that its probabilities are only"
                " scores; run `agfnet calibrate RUN`, or serve it with --allow-uncalibrated"
            )
        self.network = network_file(self.bundle, config.backend)
        self.metrics = Metrics()
        self.spool = Spool(folder=config.spool)
        cores = usable_cores()
        count = config.workers or min(MAX_WORKERS, cores)
        self.pool = Pool(
            settings=self._settings(),
            count=count,
            threads=max(1, cores // count),
            work_s=config.work_s,
            event=self._event,
        )
        self.batches = Batches(
            config=config,
            limits=self.limits,
            bundle=self.bundle,
            pool=self.pool,
            store=self._batch_store(),
        )
        modalities = self.bundle.config.modalities
        self._watcher = self._receiver = None
        if config.watch is not None:
            self._watcher = Watcher(config=config, modalities=list(modalities), pool=self.pool)
        if config.receive_port is not None:
            self._receiver = Receiver(config=config, modalities=modalities)
        self._watching: asyncio.Task[None] | None = None
        self.model: dict[str, Any] = {}
        """The fields of `ModelInfo`."""
        self.ready = False
        self.failure: BundleError | None = None
        """The reason why the workers did not start."""
        self._occupied = 0
        self._slots = count + (count if config.queue is None else config.queue)
        self.metrics.waiting.set_function(lambda: self.pool.waiting)
        self.metrics.working.set_function(lambda: self.pool.working)
        self.metrics.workers.set_function(lambda: self.pool.alive)
        self.metrics.batches.set_function(lambda: len(self.batches))

    async def start(self) -> None:
        """Start the workers.

        Raises:
            BundleError: they cannot use the bundle.
        """
        try:
            reply = await self.pool.start()
        except BundleError as error:
            self.failure = error
            raise
        self.model = self._model(reply["methods"])
        self.batches.resume(self.model["sha256"])
        if self._watcher is not None:
            self._watching = asyncio.create_task(self._watcher.run())
        if self._receiver is not None:
            log("receiving", port=self._receiver.port)
        self.ready = True
        log("ready", workers=self.pool.count, in_memory=self.spool.in_memory)

    async def stop(self) -> None:
        """Stop the batches and the workers, and delete all uploads of single lesions."""
        self.ready = False
        if self._receiver is not None:
            await asyncio.to_thread(self._receiver.close)
        if self._watcher is not None:
            await cancelled(self._watching)
            self._watcher.close()
        await self.batches.stop()
        await self.pool.stop()
        self.spool.close()
        log("stopped")

    def _model(self, methods: list[str]) -> dict[str, Any]:
        """Return the fields of `ModelInfo`; called once, because it reads the whole bundle."""
        config, calibration = self.bundle.config, self.bundle.calibration
        return {
            "agfnet": __version__,
            "network": describe(self.bundle)["network"],
            "backend": {"model.onnx": "onnx", "model_int8.onnx": "int8"}.get(self.network, "torch"),
            "sha256": model_hash(self.bundle, self.network),
            "classes": list(config.classes),
            "labels": {name: asdict(entry) for name, entry in config.diagnoses.items()},
            "about": {language: about(self.bundle, language) for language in LANGUAGES},
            "warnings": {language: model_warnings(self.bundle, language) for language in LANGUAGES},
            "operating_point": calibration.operating_point and asdict(calibration.operating_point),
            "abstention": calibration.abstention and asdict(calibration.abstention),
            "modalities": [
                {"name": name, "kind": modality.modality_type}
                for name, modality in config.modalities.items()
            ],
            "size": config.size,
            "types": list(IMAGES),
            "methods": methods,
            "coverage": calibration.sets and calibration.sets.coverage,
            "consider": calibration.sets and calibration.sets.consider,
            "risk": calibration.abstention and calibration.abstention.target_risk,
            "unfamiliar": calibration.ood_limit is not None,
            "card": read_cards(self.bundle),
            "limits": asdict(self.limits),
            "batches": {
                "survive_restart": self.config.spool is not None,
                "keep_s": self.config.batch_keep_s,
            },
        }

    def _batch_store(self) -> BatchStore:
        """Open the folder of the batches: in the given folder, which stays, or in the private one.

        Raises:
            ConfigError: the folder cannot be used.
        """
        try:
            return BatchStore(Path(self.config.spool) if self.config.spool else self.spool.folder)
        except ConfigError:
            self.spool.close()
            raise

    @asynccontextmanager
    async def request_slot(self) -> AsyncIterator[Path]:
        """Reserve a slot and a folder for a request, before its body is read.

        Raises:
            RequestError: all slots are taken, or the server is not ready.
        """
        if not self.ready:
            raise RequestError(
                503, "not_ready", "the server is starting or stopping", retry_after=5
            )
        if self._occupied >= self._slots:
            raise self.pool.busy()
        self._occupied += 1
        try:
            with self.spool.temporary() as folder:
                yield folder
        finally:
            self._occupied -= 1

    async def lesion(
        self, request: Request, folder: Path, options: type[O]
    ) -> tuple[dict[str, list[str]], O]:
        """Receive the files of a request, by modality, and its options.

        Raises:
            RequestError: the request is invalid.
        """
        rules = Rules(
            types=dict.fromkeys(self.bundle.config.modalities, IMAGES),
            files=self.limits.files,
            megabytes=self.limits.request_mb,
            seconds=self.config.upload_s,
        )
        received = await receive(request, folder, rules)
        files = {name: [str(path) for path in paths] for name, paths in received.files.items()}
        return files, parsed(options, received.texts.get("options", "").strip() or "{}")

    async def answer(
        self, request: Request, kind: str, options: type[O], *, rank: int = 0, long: bool = False
    ) -> dict[str, Any]:
        """Run a job on the lesion of a request and return the reply.

        Raises:
            RequestError: the request is refused or fails.
        """
        self.check_model(request)
        async with self.request_slot() as folder:
            files, values = await self.lesion(request, folder, options)
            job = {"kind": kind, "files": files, **values.model_dump(by_alias=True)}
            result = await self.pool.run(job, rank=rank, wait_s=self.config.wait_s, long=long)
        return self.reply(request, result)

    def check_model(self, request: Request) -> None:
        """Check the header `If-Match` (RFC 9110, 13.1.1) against the model.

        Raises:
            RequestError: the request is for another model.
        """
        tags = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
        if not tags & {"*", f'"{self.model.get("sha256")}"'}:
            raise RequestError(412, "other_model", "this server has another model; see /v1/model")

    def reply(self, request: Request, content: Mapping[str, Any]) -> dict[str, Any]:
        """Add the fields of every reply."""
        context: RequestContext = request.state.context
        return {"request_id": context.request_id, "notice": NOTICE, **content}

    def _settings(self) -> dict[str, Any]:
        config = self.config
        return {
            "bundle": str(self.bundle.folder),
            "backend": config.backend,
            "worker_mb": config.worker_mb,
            "limits": asdict(self.limits),
        }

    def _event(self, name: str, fields: dict[str, Any]) -> None:
        """Record an event of the pool."""
        if name == "work":
            self.metrics.work.labels(fields["kind"]).observe(fields["seconds"])
        elif name == "answer":
            self.metrics.answers.labels(fields["outcome"]).inc()
        else:
            log(name, level=logging.WARNING, **fields)
            if name == "restart":
                self.metrics.restarts.inc()


def parsed(options: type[O], text: str) -> O:
    """Parse the text field `options`.

    Raises:
        RequestError: the text is invalid.
    """
    try:
        return options.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(["options", *map(str, first["loc"])])
        raise RequestError(422, "invalid", f"{name[:120]}: {first['msg']}") from None
