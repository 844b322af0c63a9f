"""Who may ask, what browsers are told, and what is written down."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.testclient import TestClient

import agfnet
from agfnet.cli import main
from agfnet.config import ServeConfig
from agfnet.errors import ConfigError
from agfnet.serve.app import create_app
from agfnet.serve.guard import Guard
from agfnet.serve.request_error import RequestError
from agfnet.serve.security import TOKEN, Authenticator, read_token
from agfnet.serve.service import Service

from .live import NAME, Live

SECRET = "a-long-secret-token"


def gate(path: str = "/v1/model", *, token: bool = False, **headers: str) -> str:
    """What the authenticator says."""
    keeper = Authenticator(token=SECRET.encode() if token else None, hosts=["localhost", "[::1]"])
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        keeper.check(path, Headers({"host": "localhost:8000"} | named))
    except RequestError as refused:
        return refused.code
    return "in"


def test_the_token_is_needed_where_there_is_one() -> None:
    assert gate(token=True) == "unauthorized"
    assert gate(token=True, authorization=f"Bearer {SECRET}x") == "unauthorized"
    assert gate(token=True, authorization=f"Basic {SECRET}") == "unauthorized"
    assert gate(token=True, authorization=f"Bearer {SECRET[:-1]}é") == "unauthorized"
    assert gate(token=True, authorization=f"bearer {SECRET}") == "in"
    for path in ("/metrics", "/openapi.json", "/v1/batches/x", "/static", "/docs/x"):
        assert gate(path, token=True) == "unauthorized"
    for path in ("/", "/healthz", "/readyz", "/docs", "/static/docs.css"):
        assert gate(path, token=True) == "in"


def test_other_names_and_other_sites_are_refused() -> None:
    assert gate(host="evil.example") == "unknown_host"
    assert gate(host="") == "unknown_host"
    assert gate(host="localhost.evil.example:8000") == "unknown_host"
    assert gate(host="LOCALHOST") == gate(host="[::1]:8000") == "in"
    assert gate(sec_fetch_site="cross-site") == "cross_site"
    assert gate(sec_fetch_site="same-site", sec_fetch_mode="navigate") == "cross_site"
    assert gate("/", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == "in"
    assert gate(sec_fetch_site="same-origin") == "in"


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert read_token(None) is None
    monkeypatch.setenv(TOKEN, SECRET)
    assert read_token(None) == SECRET.encode()
    file = tmp_path / "token"
    file.write_text("another-long-token\n")
    assert read_token(str(file)) == b"another-long-token"
    file.write_text("short")
    with pytest.raises(ConfigError, match="16 ASCII characters"):
        read_token(str(file))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(str(tmp_path / "none"))
    monkeypatch.setenv(TOKEN, "")
    with pytest.raises(ConfigError, match=TOKEN):
        read_token(None)


@pytest.mark.slow
def test_every_reply_has_the_headers(live: Live) -> None:
    replies = [
        live.client.get("/"),
        live.client.get("/v1/model"),
        live.client.get("/v1/none"),
        live.client.post("/v1/predict"),
        live.client.get("/v1/model", headers={"Host": "evil.example"}),
    ]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-frame-options"] == "DENY"
        assert "server" not in reply.headers
        assert "X-Request-ID" in reply.headers
    assert live.client.get("/v1/model").headers["cache-control"] == "no-store"


def test_no_other_origin_is_let_in(live: Live) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = live.client.options("/v1/predict", headers=headers)
    assert reply.status_code == 405
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_errors_have_one_form(live: Live) -> None:
    for method, path, status, code in (
        ("GET", "/v1/none", 404, "not_found"),
        ("DELETE", "/v1/predict", 405, "method_not_allowed"),
        ("GET", "/v1/batches/none", 404, "not_found"),
        ("POST", "/v1/predict", 415, "not_multipart"),
    ):
        reply = live.client.request(method, path)
        assert reply.status_code == status
        said = reply.json()
        assert said["error"]["code"] == code
        assert said["request_id"] == reply.headers["X-Request-ID"]


def test_the_log_has_no_names(live: Live, files: dict[str, bytes]) -> None:
    named = {"clinical": (f"{NAME}.jpg", files["JPEG"]), "ultrasound": (NAME, files["DICOM"])}
    assert live.client.post("/v1/predict", files=named).status_code == 200
    live.client.get(f"/v1/{NAME}?name={NAME}")
    live.client.get(f"/v1/batches/{NAME}/{NAME}.csv")
    live.client.post("/v1/predict", files={NAME: (NAME, b"x")})
    live.client.post("/v1/predict", files={"clinical": (NAME, NAME.encode())})
    live.client.request(NAME.upper(), "/v1/model", headers={"X-Request-ID": NAME})
    live.client.get("/v1/model", headers={"Authorization": NAME, "User-Agent": NAME})
    live.client.get("/v1/model")
    text = "\n".join(live.lines[1:])
    assert NAME.lower() not in text.lower()
    assert "/v1/predict" in text
    for line in live.lines[1:]:
        json.loads(line)


@pytest.mark.slow
def test_the_server_and_its_workers_load_no_torch(bundle: Path) -> None:
    code = (
        "import sys\n"
        "from agfnet.serve import app, worker\n"
        "from agfnet.serve.limits import Limits\n"
        "from agfnet.config import ServeConfig\n"
        "import pathlib\n"
        "limits = Limits.of(ServeConfig(bundle='x'))\n"
        f"predictor = worker.load(dict(bundle={str(bundle)!r}, backend='auto', threads=1))\n"
        "from PIL import Image\n"
        "path = pathlib.Path(sys.argv[1]); Image.effect_noise((60, 60), 50).save(path)\n"
        "job = dict(files=dict(clinical=[str(path)]), frames={}, crops={}, leave_out=False)\n"
        "job |= {'methods': ['occlusion', 'guide'], 'class': None, 'pass': 0}\n"
        "for kind in ('predict', 'explain', 'preview'):\n"
        "    job['kind'] = kind\n"
        "    print('refused' in worker.run(job, predictor, limits))\n"
        "heavy = {'torch', 'torchvision', 'timm', 'lightning', 'sklearn', 'matplotlib'}\n"
        "print(*(heavy & set(sys.modules)))\n"
    )
    image = bundle.parent / "noise.png"
    done = subprocess.run(
        [sys.executable, "-c", code, str(image)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"] * 3


def test_the_telemetry_of_the_framework_is_off(bundle: Path) -> None:
    service = Service(config=ServeConfig(bundle=str(bundle)))
    guard = create_app(service, None)
    assert isinstance(guard, Guard)
    assert isinstance(guard.app, FastAPI)
    settings = guard.app._telemetry
    assert not any(settings[name] for name in ("auto_configure", "tracing", "metrics", "logs"))
    service.spool.close()


def test_a_fault_of_the_server_is_an_error_like_others(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(config=ServeConfig(bundle=str(bundle), hosts=["testserver"]))
    service.model = None  # type: ignore[assignment]
    client = TestClient(create_app(service, None), raise_server_exceptions=False)
    with caplog.at_level(logging.INFO, logger="agfnet.serve"):
        reply = client.get("/v1/model")
    service.spool.close()
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal"
    assert reply.json()["error"]["message"] == "this request failed; see the log of the server"
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert {"TypeError"} == {one["fault"] for one in fields if "fault" in one}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--port", "70000"], 2, "port"),
        (["--host", "203.0.113.7"], 2, "cannot listen"),
        (["--spool", "/proc/none"], 2, "spool"),
        (["--backend", "int8"], 1, "agfnet export"),
        (["--token_file", "/none"], 2, "token_file"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    arguments: list[str], code: int, said: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(bundle), "--port", "0", "--workers", "1", *arguments]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_health_probe_has_any_host(path: str, live: Live) -> None:
    probe = {"Host": "10.0.0.5:8000"}
    assert live.client.get(path, headers=probe).status_code == 200
    assert live.client.get("/v1/model", headers=probe).status_code == 400


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/readyz", "/v1/model", "/metrics"])
def test_head_is_get_without_a_body(path: str, live: Live) -> None:
    reply = live.client.head(path)
    assert reply.status_code == 200
    assert reply.content == b""
    assert live.client.get("/healthz").status_code == 200  # the connection still works


@pytest.mark.parametrize("path", ["/v1/model/", "/healthz/", "/docs/", "/static", "/static/"])
def test_there_is_no_redirect(path: str, live: Live) -> None:
    assert live.client.get(path, headers={"X-Forwarded-Proto": "https"}).status_code == 404


def test_below_the_path_of_a_proxy(bundle: Path) -> None:
    """The page has relative addresses; a proxy may remove its path or not."""
    service = Service(
        config=ServeConfig(bundle=str(bundle), hosts=["testserver"], root_path="/skin")
    )
    client = TestClient(create_app(service, b"a-long-secret-token"))
    for prefix in ("", "/skin"):
        page = client.get(f"{prefix}/")
        assert page.status_code == 200
        assert not re.search(r"""(?:href|src)="/""", page.text)
        for name in re.findall(r"""(?:href|src)="(static[^"]+)\"""", page.text):
            assert client.get(f"{prefix}/{name}").status_code == 200
        assert client.get(f"{prefix}/v1/model").status_code == 401
    assert client.get("/skinny/healthz").status_code == 401
    service.spool.close()
    for script in (Path(agfnet.__file__).parent / "serve" / "static").glob("*.js"):
        assert not re.search(r"""["'`]/(v1|static|docs)""", script.read_text(encoding="utf-8"))
