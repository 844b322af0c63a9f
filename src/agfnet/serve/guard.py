"""The outermost layer: request ids, access, headers, log and metrics; no error escapes."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agfnet.serve.monitoring import Metrics, log
from agfnet.serve.request_error import RequestError
from agfnet.serve.security import HEADERS, Authenticator

REQUEST_ID = "X-Request-ID"
FAILED = "this request failed; see the log of the server"
GONE = 499
"""Logged status if the client has closed the connection."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that are logged; others could be any text."""


def request_id_of(headers: Headers) -> str:
    """Return the client's id if it is a UUID (another could be a name), otherwise a new one."""
    with suppress(ValueError):
        return uuid.UUID(headers.get(REQUEST_ID, "")).hex
    return uuid.uuid4().hex


class Guard:
    """ASGI application around another.

    Args:
        app: the application.
        authenticator: the access control.
        metrics: the counters.
        drain_mb: megabytes of a body that are read and discarded after a refusal, because a client
            that still sends would not read the reply.
        drain_s: longest time for that, seconds.
        root_path: path below which a proxy offers the server; removed from the path of a request.
    """

    def __init__(
        self,
        *,
        app: ASGIApp,
        authenticator: Authenticator,
        metrics: Metrics,
        drain_mb: int,
        drain_s: float,
        root_path: str = "",
    ) -> None:
        self.app = app
        self._gatekeeper = authenticator
        self._metrics = metrics
        self._drain = drain_mb << 20, drain_s
        self._root = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = self._normalised(scope)
        headers = Headers(scope=scope)
        context = RequestContext(receive, send, headers, drain=self._drain)
        scope.setdefault("state", {})["context"] = context
        started = time.perf_counter()
        try:
            self._gatekeeper.check(scope["path"], headers)
            await self.app(scope, context.receive, context.send)
        except RequestError as refused:
            await self._refuse(scope, context, refused)
        except ClientDisconnect:
            context.status = GONE
        except Exception as error:
            log(
                "fault",
                level=logging.ERROR,
                request_id=context.request_id,
                fault=type(error).__name__,
            )
            if context.status is None:
                await self._refuse(scope, context, RequestError(500, "internal", FAILED))
        finally:
            self._note(scope, context, time.perf_counter() - started)

    def _normalised(self, scope: Scope) -> Scope:
        """Remove the root path, and treat HEAD as GET: the HTTP layer sends no body then."""
        changes = {"method": "GET"} if scope["method"] == "HEAD" else {}
        if self._root and (scope["path"] + "/").startswith(self._root + "/"):
            changes["path"] = scope["path"][len(self._root) :] or "/"
        return {**scope, **changes}

    async def _refuse(self, scope: Scope, context: RequestContext, refused: RequestError) -> None:
        response = context.refusal(refused)
        await response(scope, context.receive, context.send)

    def _note(self, scope: Scope, context: RequestContext, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "-")
        status = 500 if context.status is None else context.status
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if context.code:
            self._metrics.refused.labels(context.code).inc()
        log(
            "request",
            request_id=context.request_id,
            method=scope["method"] if scope["method"] in METHODS else "-",
            route=route,
            status=status,
            seconds=round(seconds, 4),
            bytes=context.received,
            code=context.code,
        )


class RequestContext:
    """One request and its reply: id, status, bytes."""

    def __init__(
        self, receive: Receive, send: Send, headers: Headers, *, drain: tuple[int, float]
    ) -> None:
        self.request_id = request_id_of(headers)
        self.waits = headers.get("expect", "").lower() == "100-continue"
        self.status: int | None = None
        self.code = ""
        self.received = 0
        self.ended = False
        self._receive = receive
        self._send = send
        self._drain = drain

    def refusal(self, refused: RequestError) -> JSONResponse:
        """Make the reply for an error."""
        self.code = refused.code
        response = JSONResponse(
            {"request_id": self.request_id, "error": refused.reply()}, status_code=refused.status
        )
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(refused.retry_after)
        if refused.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def receive(self) -> Message:
        """Receive the next message of the client."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        else:
            self.ended = True
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the reply."""
        if message["type"] == "http.response.start":
            await self._drain_body()
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            headers[REQUEST_ID] = self.request_id
        await self._send(message)

    async def _drain_body(self) -> None:
        """Read the rest of a body, unless the client waits for permission to send it."""
        if self.waits and not self.received:
            return
        size, seconds = self._drain
        limit = self.received + size
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended and self.received < limit:
                    await self.receive()
