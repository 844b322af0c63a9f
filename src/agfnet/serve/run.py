"""The command `agfnet serve`."""

from __future__ import annotations

import ipaddress
import os
import resource
import signal
import socket
import sys

from agfnet import NOTICE
from agfnet.config import ServeConfig
from agfnet.errors import ConfigError
from agfnet.terminal import say, warn

MAX_CONNECTIONS = 512
"""Connections at the same time; a proxy in front keeps slow ones away."""


def serve(config: ServeConfig) -> None:
    """Serve a bundle until SIGTERM or SIGINT; requests in progress are finished first.

    Raises:
        BundleError: not a usable bundle.
        ConfigError: a setting that does not work on this machine, or a package is missing.
    """
    try:
        import uvicorn

        from agfnet.serve.app import create_app
        from agfnet.serve.monitoring import set_up_log
        from agfnet.serve.security import read_token
        from agfnet.serve.service import Service
    except ModuleNotFoundError as error:
        raise ConfigError(f"serve: {error.name} is missing; pip install 'agfnet[serve]'") from error
    token = read_token(config.token_file)
    with listening_socket(config) as listener:
        host, port = listener.getsockname()[:2]
        service = Service(config=config)
        say(f"Serving {config.bundle} at http://{host}:{port} (Ctrl+C stops). {NOTICE}", error=True)
        open_to_others = not ipaddress.ip_address(host.partition("%")[0]).is_loopback
        if config.receive_port is not None and open_to_others:
            warn(f"other machines can reach {host}, and any of them can send DICOM images")
        if token is None and open_to_others:
            warn(
                f"other machines can reach {host}, and no token is needed: set AGFNET_TOKEN or "
                "--token-file, or keep the default --host 127.0.0.1"
            )
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core dump with uploads
        set_up_log()
        settings = uvicorn.Config(
            create_app(service, token),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=config.shutdown_s,
        )
        # after the last request, uvicorn raises the signal that stopped it again
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            uvicorn.Server(settings).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        except SystemExit:
            if service.failure is not None:
                raise service.failure from None
            raise
        finally:
            service.spool.close()
            signal.signal(signal.SIGTERM, before)


def listening_socket(config: ServeConfig) -> socket.socket:
    """Open the socket of the server.

    Raises:
        ConfigError: the address is in use or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigError(
            f"host, port: cannot listen on {config.host}:{config.port} ({reason}); choose others"
        ) from error
