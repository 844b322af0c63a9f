"""The log of the server, and its warning of an open address."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn

from agfnet.config import ServeConfig
from agfnet.serve import monitoring, run, service
from agfnet.terminal import warn


class Terminal(io.StringIO):
    """A standard output that is a terminal, or a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_log_is_text_on_a_terminal_and_json_elsewhere(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Terminal(is_terminal)
    monkeypatch.setattr(sys, "stdout", out)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(monitoring.LOG, "level", monitoring.LOG.level)
    monitoring.set_up_log()
    monitoring.log("request", route="/v1/predict", status=200)
    logging.getLogger("other").warning("Mueller")
    first, second = out.getvalue().splitlines()
    assert "Mueller" not in second
    if is_terminal:
        assert first.endswith("info    request route=/v1/predict status=200")
        assert second.endswith("warning library library=other")
    else:
        assert json.loads(first)["status"] == 200
        assert json.loads(second)["library"] == "other"


def without_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command `serve` return at once."""
    spool = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(service, "Service", lambda **_: SimpleNamespace(spool=spool, failure=None))
    monkeypatch.setattr("agfnet.serve.app.create_app", lambda *_: None)
    monkeypatch.setattr(monitoring, "set_up_log", lambda: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)


@pytest.mark.parametrize(
    ("host", "token", "warns"),
    [
        ("0.0.0.0", None, True),
        ("0.0.0.0", "a-long-secret-token", False),
        ("127.0.0.1", None, False),
    ],
)
def test_open_address_without_a_token_warns(
    host: str,
    token: str | None,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    warn.cache_clear()
    monkeypatch.delenv("AGFNET_TOKEN", raising=False)
    file = tmp_path / "token"
    file.write_text(token or "")
    file.chmod(0o600)
    without_server(monkeypatch)
    run.serve(
        ServeConfig(bundle="none", host=host, port=0, token_file=str(file) if token else None)
    )
    assert ("no token is needed" in capsys.readouterr().err) == warns


@pytest.mark.parametrize(("host", "warns"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_open_dicom_port_warns(
    host: str,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A token does not protect it."""
    warn.cache_clear()
    monkeypatch.setenv("AGFNET_TOKEN", "a-long-secret-token")
    without_server(monkeypatch)
    config = ServeConfig(bundle="none", host=host, port=0, watch=str(tmp_path), receive_port=0)
    run.serve(config)
    assert ("can send DICOM images" in capsys.readouterr().err) == warns
