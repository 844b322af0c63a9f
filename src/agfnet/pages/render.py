"""Rendering of the templates, which escape all that is put into them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agfnet import NOTICE


@cache
def environment() -> Environment:
    """Return the templates of this package."""
    templates = Environment(
        loader=PackageLoader("agfnet.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # a number and its per cent sign stay on one line
    templates.filters["nonbreaking"] = lambda text: Markup(str(text).replace(" %", "\u00a0%"))
    templates.globals["notice"] = NOTICE
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return templates


def render(template: str, **values: Any) -> str:
    """Return a template of this package with the values put in."""
    return environment().get_template(template).render(**values)


def source(name: str) -> str:
    """Return a file of the templates as it is."""
    return (files("agfnet.pages") / "templates" / name).read_text(encoding="utf-8")
