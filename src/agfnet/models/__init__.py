"""The networks. Only `build` turns the name of a method into a class.

`AGFNet` and `create_model` are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agfnet.models.agfnet import AGFNet
    from agfnet.models.create import create_model

__all__ = ["AGFNet", "create_model"]

_MODULES = {"AGFNet": "agfnet.models.agfnet", "create_model": "agfnet.models.create"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used for the first time."""
    if name not in _MODULES:
        raise AttributeError(f"module 'agfnet.models' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
