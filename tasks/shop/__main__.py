"""``python -m tasks.shop SERVICE``: one service of the demo shop, until SIGTERM."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence

import uvicorn

from tasks.base.errors import TidegaugeError
from tasks.shop.application import application
from tasks.shop.metrics import Metrics
from tasks.shop.settings import from_environment

KEEP_ALIVE_S = 75
"""A kept connection is closed after this time; callers close theirs after 5 s, so the two never race."""


def main(arguments: Sequence[str]) -> int:
    """Serve the service named by the one argument; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    try:
        if len(arguments) != 1:
            raise TidegaugeError("usage: python -m tasks.shop SERVICE")
        settings = from_environment(arguments[0], os.environ)
        metrics = Metrics(settings.service)
        program = importlib.import_module(f"tasks.shop.{settings.service.replace('-', '_')}").build(settings, metrics)
    except TidegaugeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    config = uvicorn.Config(
        application(program, metrics),
        host=settings.host,
        port=settings.port,
        lifespan="on",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
