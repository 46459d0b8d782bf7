"""``serve``: the flows as deployments, on the server that is named or on one of our own."""

from typing import Annotated

from cyclopts import App, Parameter

from flows.console import Common


def register(app: App) -> None:
    """Add the command to *app*."""
    app.command(serve)


def serve(
    *,
    cron: str = "0 2 * * *",
    timezone: str = "UTC",
    port: int = 4200,
    trust: Annotated[bool, Parameter(name="--trust", negative="")] = False,
    common: Common = Common(),
) -> int:
    """Serve the flows so that they can be started and scheduled from the Prefect UI; Ctrl-C ends it.

    Parameters
    ----------
    cron
        When the long baseline is recorded.
    timezone
        Of the cron line.
    port
        Loopback port of the server, when none is named and one has to be started.
    trust
        Let documents that come through the UI start programs of their own (`app: {kind: own-app}`).
    """
    import os

    from flows.server import enter_server
    from flows.trust import SERVED_TRUST

    store = common.open_store()
    os.environ["TIDEGAUGE_STORE"] = str(store.root)
    if trust:
        os.environ[SERVED_TRUST] = "1"
    choice = enter_server(store.root)
    from flows.serve import serve_flows

    return serve_flows(store.root, choice, cron=cron, timezone=timezone, port=port, say=common.say)
