"""The paths of the server and their functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from agfnet import NOTICE, __version__
from agfnet.serve.api_docs import ERROR, describe, lesion_body, page, zip_body
from agfnet.serve.guard import FAILED, GONE, Guard, RequestContext
from agfnet.serve.request_error import RequestError
from agfnet.serve.schemas import (
    BatchStatus,
    ExplainOptions,
    Explanation,
    ModelInfo,
    Options,
    Prediction,
    PredictOptions,
    Preview,
    State,
)
from agfnet.serve.security import Authenticator
from agfnet.serve.service import Service
from agfnet.translation import WORDS

STATIC = Path(__file__).with_name("static")
CODES = {404: "not_found", 405: "method_not_allowed"}
TITLE = "agfnet"


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error statuses for the API, with those that any request may get."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": ERROR}
        for status in (400, 401, 403, 422, 500, *statuses)
    }


def create_app(service: Service, token: bytes | None) -> ASGIApp:
    """Create the ASGI application; its workers start and stop with its lifespan.

    Args:
        service: the bundle, the workers and the batches.
        token: the token that requests must have; None allows all requests.
    """
    config = service.config
    app = FastAPI(
        title=TITLE,
        version=__version__,
        description=f"Skin lesion diagnosis from several images of a lesion. {NOTICE}",
        lifespan=lifespan_of(service),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would lose the scheme and the path of a proxy
        servers=[{"url": config.root_path}] if config.root_path else None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.add_exception_handler(RequestError, refuse)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, internal_error)
    add_lesions(app, service)
    add_batches(app, service)
    add_state(app, service)
    add_pages(app)
    app.openapi_schema = describe(app)
    return Guard(
        app=app,
        authenticator=Authenticator(token=token, hosts=config.hosts),
        metrics=service.metrics,
        drain_mb=max(4 * config.request_mb, config.batch_mb),
        drain_s=config.upload_s,
        root_path=config.root_path,
    )


def lifespan_of(service: Service) -> Any:
    """Start the workers before the first request and stop them after the last one."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            await service.stop()

    return lifespan


def context_of(request: Request) -> RequestContext:
    """Return the context that the guard keeps for a request."""
    context: RequestContext = request.state.context
    return context


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """Reply to a refused request."""
    assert isinstance(error, RequestError)
    return context_of(request).refusal(error)


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Reply to an unknown path or method."""
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "bad_request")
    refusal = RequestError(error.status_code, code, str(error.detail))
    response = context_of(request).refusal(refusal)
    response.headers.update(error.headers or {})
    return response


async def internal_error(request: Request, error: Exception) -> Response:
    """Reply to a request on which the server itself fails; the guard logs it."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=GONE)
    return context_of(request).refusal(RequestError(500, "internal", FAILED))


def add_lesions(app: FastAPI, service: Service) -> None:
    """Add the requests about one lesion."""
    failures = errors(408, 412, 413, 415, 429, 503)
    modalities = list(service.bundle.config.modalities)

    @app.post(
        "/v1/preview",
        response_model=Preview,
        responses=failures,
        openapi_extra=lesion_body(modalities, Options),
    )
    async def preview(request: Request) -> Any:
        """Return thumbnails of the frames, and hints on the quality of the images."""
        return await service.answer(request, "preview", Options)

    @app.post(
        "/v1/predict",
        response_model=Prediction,
        responses=failures,
        openapi_extra=lesion_body(modalities, PredictOptions),
    )
    async def predict(request: Request) -> Any:
        """Predict one lesion."""
        return await service.answer(request, "predict", PredictOptions)

    @app.post(
        "/v1/explain",
        response_model=Explanation,
        responses=failures,
        openapi_extra=lesion_body(modalities, ExplainOptions),
    )
    async def explain(request: Request) -> Any:
        """Return attribution maps and the contribution of each modality."""
        return await service.answer(request, "explain", ExplainOptions, rank=1, long=True)


def add_batches(app: FastAPI, service: Service) -> None:
    """Add the requests about batches."""
    batches = service.batches

    @app.post(
        "/v1/batches",
        status_code=202,
        response_model=BatchStatus,
        responses=errors(408, 412, 413, 415, 429, 503),
        openapi_extra=zip_body(),
    )
    async def create(request: Request) -> Any:
        """Create a batch from a zip archive of images and a cases table."""
        service.check_model(request)
        return service.reply(request, (await batches.create(request)).status())

    @app.get("/v1/batches/{batch_id}", response_model=BatchStatus, responses=errors(404))
    async def status(request: Request, batch_id: str) -> Any:
        """Return the progress of a batch."""
        return service.reply(request, batches.get(batch_id).status())

    @app.delete("/v1/batches/{batch_id}", status_code=204, responses=errors(404))
    async def delete(batch_id: str) -> None:
        """Stop a batch and delete its files and tables."""
        await batches.delete(batch_id)

    @app.get(
        "/v1/batches/{batch_id}/{table}",
        response_class=PlainTextResponse,
        responses=errors(404) | {200: {"content": {"text/csv": {}}}},
    )
    async def table(batch_id: str, table: str) -> Any:
        """Return a table of a finished batch."""
        return PlainTextResponse(
            batches.table(batch_id, table),
            media_type="text/csv",
            headers={"content-disposition": f'attachment; filename="{table}"'},
        )


def add_state(app: FastAPI, service: Service) -> None:
    """Add the requests about the model, health and metrics."""

    @app.get("/v1/model", response_model=ModelInfo, responses=errors())
    async def model(request: Request) -> Any:
        """Return the model's inputs and classes, and the limits of the server."""
        return service.reply(request, service.model)

    @app.get("/healthz", response_model=State)
    async def health() -> Any:
        """Return 200 while the server runs."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=State, responses=errors(503))
    async def ready() -> Any:
        """Return 200 while at least one worker is ready."""
        if not service.ready or not service.pool.alive:
            raise RequestError(503, "not_ready", "no worker is ready", retry_after=5)
        return {"status": "ok"}

    @app.get("/metrics", response_class=PlainTextResponse, responses=errors())
    async def metrics() -> Any:
        """Return the metrics for Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def add_pages(app: FastAPI) -> None:
    """Add the page for people and the page of the API."""

    @app.get("/", include_in_schema=False)
    async def index() -> Any:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Any:
        return HTMLResponse(page(app.openapi()))

    app.mount("/static/words", StaticFiles(directory=WORDS), name="words")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
