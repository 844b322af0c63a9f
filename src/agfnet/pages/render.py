"""Rendering of the templates, which escape all that is put into them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agfnet import NOTICE
from agfnet.translation import current_language, t


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
    templates.filters["nonbreaking"] = lambda text: Markup(percent_signs(str(text)))
    templates.globals |= {"notice": NOTICE, "t": t, "language": html_language}
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return templates


def percent_signs(text: str) -> str:
    """Keep a number and its per cent sign on one line; Chinese has no space between them."""
    space = "\u00a0" if current_language() == "en" else ""
    return text.replace("\u00a0%", " %").replace(" %", f"{space}%")


def html_language() -> str:
    """Return the current language as HTML names it."""
    return {"en": "en", "zh": "zh-CN"}[current_language()]


def render(template: str, **values: Any) -> str:
    """Return a template of this package with the values put in."""
    return environment().get_template(template).render(**values)


def source(name: str) -> str:
    """Return a file of the templates as it is."""
    return (files("agfnet.pages") / "templates" / name).read_text(encoding="utf-8")
