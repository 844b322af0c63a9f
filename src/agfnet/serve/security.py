"""Who may ask: token, host names, and pages of other sites; and what browsers are told."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers

from agfnet.errors import ConfigError
from agfnet.serve.request_error import RequestError

TOKEN = "AGFNET_TOKEN"
SHORTEST = 16
OPEN = ("/healthz", "/readyz", "/", "/docs")
"""Paths that need no token; those below /static need none either: all of these hold no data."""

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
    """The token that requests must carry, from a file or the environment; None if there is none.

    Never from the command line, which others on the machine can see.

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
    if len(token) < SHORTEST or not token.isascii():
        raise ConfigError(f"{source}: expected {SHORTEST} ASCII characters or more")
    return token.encode()


class Authenticator:
    """Decides who may ask.

    Args:
        token: that requests must carry; None lets all in.
        hosts: names that the server may be asked for; `*` is any.
    """

    def __init__(self, *, token: bytes | None, hosts: Sequence[str]) -> None:
        self._token = token
        self._hosts = {host.lower() for host in hosts}

    def check(self, path: str, headers: Headers) -> None:
        """Let a request pass.

        Raises:
            RequestError: it may not.
        """
        if "*" not in self._hosts and _without_port(headers.get("host", "")) not in self._hosts:
            message = "the server is not known by this name; see --hosts"
            raise RequestError(400, "unknown_host", message)
        foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        followed = headers.get("sec-fetch-mode") == "navigate" and path in OPEN
        if foreign and not followed:
            raise RequestError(403, "cross_site", "another site's page may not call this server")
        if self._token is not None and path not in OPEN and not path.startswith("/static/"):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, given: str) -> None:
        assert self._token is not None
        kind, _, token = given.partition(" ")
        same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token)
        if kind.lower() != "bearer" or not same:
            raise RequestError(401, "unauthorized", "send the token: Authorization: Bearer TOKEN")


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
