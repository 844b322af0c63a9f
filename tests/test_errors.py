"""Errors that name what to install."""

from __future__ import annotations

import errno
import os
import sys

import pytest

import agfnet
from agfnet.errors import missing_package, naming_extras, system_message


@pytest.mark.parametrize(
    ("module", "install"),
    [("torch.nn", "'agfnet[train]'"), ("onnx", "'agfnet[export]'"), ("numpy", "agfnet")],
)
def test_a_missing_package_names_its_extra(module: str, install: str) -> None:
    assert f"`pip install {install}`" in missing_package(ModuleNotFoundError(name=module))


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (errno.ENOSPC, "No space left on device; free space there, or write to another disk"),
        (errno.EACCES, "Permission denied; check who may write there, or name another place"),
        (errno.ENOTDIR, "Not a directory; a folder is needed where a file is; move it"),
        (errno.ENOENT, "No such file or directory"),
    ],
)
def test_an_error_of_the_system_names_its_solution(number: int, end: str) -> None:
    assert system_message(OSError(number, os.strerror(number), "a.csv")) == f"a.csv: {end}"


def test_the_python_api_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("agfnet.api.estimator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(agfnet), "AGFNetClassifier", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ModuleNotFoundError, match=r"agfnet\[sklearn\]"):
        agfnet.AGFNetClassifier()


def test_a_function_names_the_extra() -> None:
    @naming_extras()
    def train() -> None:
        raise ModuleNotFoundError(name="torch")

    with pytest.raises(ModuleNotFoundError, match=r"agfnet\[train\]"):
        train()
    assert hasattr(agfnet.train, "__wrapped__")
    assert hasattr(agfnet.compare, "__wrapped__")
