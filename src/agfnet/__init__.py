"""Skin lesion diagnosis from a clinical photograph and skin ultrasound. Research use only.

The names below are loaded when they are used: `import agfnet` imports no other package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agfnet.api.commands import compare, make_phantom, split, train
    from agfnet.api.estimator import AGFNetClassifier
    from agfnet.api.model import Model, load
    from agfnet.api.result import Result
    from agfnet.models.create import create_model

__all__ = [
    "NOTICE",
    "AGFNetClassifier",
    "Model",
    "Result",
    "__version__",
    "compare",
    "create_model",
    "load",
    "make_phantom",
    "split",
    "train",
]

__version__ = "0.3.0"

NOTICE = "Research use only, not a medical device."

_MODULES = {
    "AGFNetClassifier": "agfnet.api.estimator",
    "Model": "agfnet.api.model",
    "Result": "agfnet.api.result",
    "compare": "agfnet.api.commands",
    "create_model": "agfnet.models.create",
    "load": "agfnet.api.model",
    "make_phantom": "agfnet.api.commands",
    "split": "agfnet.api.commands",
    "train": "agfnet.api.commands",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used for the first time."""
    if name not in _MODULES:
        raise AttributeError(f"module 'agfnet' has no attribute {name!r}")
    from importlib import import_module

    from agfnet.errors import naming_extras

    with naming_extras():
        value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
