"""The OpenAPI description, completed by hand, and its HTML page without any script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI

from agfnet.pages.render import render
from agfnet.serve.schemas import ErrorReply, ExplainOptions, Options, PredictOptions

FILE = {"type": "string", "format": "binary"}
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorReply"}}}
"""The content of every error, also for replies of text."""


def lesion_body(modalities: Sequence[str], options: type[Options]) -> dict[str, Any]:
    """Describe the body of a request about one lesion: files by modality, and options."""
    files = {name: {"type": "array", "items": FILE} for name in modalities}
    return _body({**files, "options": {"$ref": f"#/components/schemas/{options.__name__}"}}, [])


def zip_body() -> dict[str, Any]:
    """Describe the body of a batch."""
    return _body({"archive": FILE, "cases": FILE}, ["archive"])


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description with the schemas of requests and the token."""
    description = app.openapi()
    schemas = description["components"]["schemas"]
    for model in (Options, PredictOptions, ExplainOptions, ErrorReply):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    description["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    description["security"] = [{}, {"token": []}]
    return description


def _body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    encoding = {"options": {"contentType": "application/json"}} if "options" in properties else {}
    content = {"multipart/form-data": {"schema": schema, "encoding": encoding}}
    return {"requestBody": {"required": True, "content": content}}


def page(description: dict[str, Any]) -> str:
    """Return the API's page in HTML, from its OpenAPI description."""
    code = partial(json.dumps, indent=2, ensure_ascii=False)
    return render("api.html.jinja", code=code, **description)
