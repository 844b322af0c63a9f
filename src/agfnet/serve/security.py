"""Access control (token, host names, other websites) and security headers."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers

from agfnet.errors import ConfigError
from agfnet.serve.request_error import RequestError

TOKEN = "AGFNET_TOKEN"
MIN_TOKEN_LENGTH = 16
PROBES = ("/healthz", "/readyz")
"""Paths for any Host: an orchestrator asks a container by its IP address."""
OPEN = (*PROBES, "/", "/docs")
"""Paths that need no token and contain no data, like those below /static."""

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


def read_token(file: str | None) -> bytes | None:
    """Read the token of the server from a file or the environment; None without a token.

    A token is never read from the command line, which other users of the machine can see.

    Raises:
        ConfigError: it is too short, or the file cannot be read.
    """
    source = f"token_file: {file}" if file else TOKEN
    if file:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: cannot be read: {error}") from error
    elif TOKEN in os.environ:
        token = os.environ[TOKEN].strip()
    else:
        return None
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii():
        raise ConfigError(f"{source}: expected {MIN_TOKEN_LENGTH} ASCII characters or more")
    return token.encode()


class Authenticator:
    """Checks the access rights of requests.

    Args:
        token: the token that requests must have; None allows all requests.
        hosts: allowed values of the Host header; `*` allows any.
    """

    def __init__(self, *, token: bytes | None, hosts: Sequence[str]) -> None:
        self._token = token
        self._hosts = {host.lower() for host in hosts}

    def check(self, path: str, headers: Headers) -> None:
        """Check a request.

        Raises:
            RequestError: the request is refused.
        """
        host = _without_port(headers.get("host", ""))
        if path not in PROBES and not self._hosts & {"*", host}:
            message = "the Host header is not allowed; the server's setting is --hosts"
            raise RequestError(400, "unknown_host", message)
        cross_site = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        is_link = headers.get("sec-fetch-mode") == "navigate" and path in OPEN
        if cross_site and not is_link:
            text = "pages of other websites may not call this server"
            raise RequestError(403, "cross_site", text)
        if self._token is not None and path not in OPEN and not path.startswith("/static/"):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, header: str) -> None:
        assert self._token is not None
        kind, _, token = header.partition(" ")
        same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token)
        if kind.lower() != "bearer" or not same:
            raise RequestError(401, "unauthorized", "send the token: Authorization: Bearer TOKEN")


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
