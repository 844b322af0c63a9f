"""The OpenAPI description, completed by hand, and its HTML page without any script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from fastapi import FastAPI

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
    return "\n".join(_lines(description))


def _lines(description: dict[str, Any]) -> Iterator[str]:
    about = description["info"]
    title = f"{escape(about['title'])} {escape(about['version'])}: API"
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width">'
    yield '<link rel="stylesheet" href="static/docs.css">'
    yield f"<main><h1>{title}</h1><p>{escape(about['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                yield f"<h3>Request: {escape(kind)}</h3>{_code(body['schema'])}"
            yield "<table><tr><th>Status</th><th>Reply</th></tr>"
            for status, reply in sorted(operation["responses"].items()):
                yield f"<tr><td>{escape(status)}</td><td>{_kinds(reply)}</td></tr>"
            yield "</table>"
    yield "<h2>Schemas</h2>"
    for name, schema in description["components"]["schemas"].items():
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3>{_code(schema)}'
    yield "</main></html>"


def _kinds(reply: dict[str, Any]) -> str:
    names = []
    for kind, body in reply.get("content", {}).items():
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        link = f' <a href="#{escape(name)}">{escape(name)}</a>' if name else ""
        names.append(f"{escape(kind)}{link}")
    return ", ".join(names) or escape(reply.get("description", ""))


def _code(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"
