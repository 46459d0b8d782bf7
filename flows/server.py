"""
Which Prefect server is used, and the settings of every entry point. Decided before Prefect is imported.

A server that the user named (``PREFECT_API_URL``, a profile) is used as it is. Otherwise Prefect's home is put
into the store, so that the ephemeral server of a run and ``tidegauge serve`` open the same database.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server that Prefect will talk to, and why that one."""

    url: str | None
    """Address of the API; None: an ephemeral server inside the process."""
    why: str
    environment: Mapping[str, str]
    """What has to be in the environment before Prefect is imported."""


def choose_server(environ: Mapping[str, str], store: Path) -> ServerChoice:
    """Decide from the environment and the profiles of the user's Prefect home; changes nothing."""
    settings = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_LOCAL_STORAGE_PATH": str(store / "prefect-results"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(store / "prefect-results"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tidegauge",
        "PREFECT_CLI_PROMPT": "false",
    }
    if url := environ.get("PREFECT_API_URL"):
        return ServerChoice(url, "PREFECT_API_URL names it", settings)
    home = Path(environ.get("PREFECT_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".prefect")
    name, url = _profile(environ, home)
    if url:
        return ServerChoice(url, f"the Prefect profile {name!r} in {home} names it", settings)
    settings["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "true"
    if environ.get("PREFECT_HOME") or environ.get("PREFECT_PROFILE"):
        return ServerChoice(None, f"no server is named; the ephemeral one keeps its database in {home}", settings)
    settings["PREFECT_HOME"] = str(store / "prefect")
    return ServerChoice(None, f"no server is named; the ephemeral one keeps its database in {store / 'prefect'}", settings)


def _profile(environ: Mapping[str, str], home: Path) -> tuple[str, str | None]:
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return "", None
    name = environ.get("PREFECT_PROFILE") or str(profiles.get("active", ""))
    settings = profiles.get("profiles", {}).get(name, {})
    return name, settings.get("PREFECT_API_URL")


def enter_server(store: Path, *, console: bool = True) -> ServerChoice:
    """
    Put the choice into this process's environment; Prefect must not have been imported yet.

    Without *console* Prefect's log goes to its server only: on the command line our own progress speaks.
    """
    choice = choose_server(os.environ, store)
    if not console:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name, value in choice.environment.items():
        os.environ.setdefault(name, value)
    return choice


def without_login(url: str | None) -> str | None:
    """*url* as it may be shown and kept: without a user name and password."""
    if url is None or "@" not in url:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


@contextmanager
def server_of(choice: ServerChoice, store: Path) -> Iterator[Callable[[], None]]:
    """
    The chosen server for the time inside; a temporary one is starting when this begins.

    Yields:
        Call it before the first request: it returns when the server answers.
    """
    if choice.url is not None:
        yield lambda: None
        return
    from flows.temporary import temporary_server

    with temporary_server(store) as server:
        yield server.wait
