"""What one service of the shop is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tasks.base.errors import PreflightError

PEERS: Mapping[str, tuple[str, ...]] = {
    "front-end": ("catalogue", "carts", "orders", "user"),
    "catalogue": (),
    "carts": (),
    "orders": ("carts", "payment", "shipping", "user"),
    "payment": (),
    "shipping": ("queue-master",),
    "queue-master": (),
    "user": (),
}
"""Each service of the shop, and the services that it calls."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One service: where it listens, where its database lies, where its peers are."""

    service: str
    port: int
    data_dir: Path
    peers: Mapping[str, str]
    """Base addresses, as ``http://127.0.0.1:8081``, by service."""
    decline_above: float
    """The amount above which payment declines."""
    host: str = "127.0.0.1"
    """The address that it listens on: loopback, unless it has a network of its own, as in a pod."""


def from_environment(service: str, environment: Mapping[str, str]) -> Settings:
    """
    The settings of *service*: ``PORT``, ``DATA_DIR``, ``<PEER>_URL`` for each peer, ``DECLINE_ABOVE`` (100), ``HOST`` (127.0.0.1).

    Raises:
        PreflightError: There is no such service, or a variable is missing or wrong.
    """
    if service not in PEERS:
        raise PreflightError(f"the shop has no service {service!r}", next_step=f"one of {', '.join(PEERS)}")
    return Settings(
        service=service,
        port=int(_number(environment, "PORT", None, 1, 65_535)),
        data_dir=Path(_given(environment, "DATA_DIR")),
        peers={peer: _address(environment, f"{peer.upper().replace('-', '_')}_URL") for peer in PEERS[service]},
        decline_above=_number(environment, "DECLINE_ABOVE", "100", 0, 1e9),
        host=_given(environment, "HOST", "127.0.0.1"),
    )


def _given(environment: Mapping[str, str], name: str, default: str | None = None) -> str:
    value = environment.get(name, default)
    if not value:
        raise PreflightError(f"the environment variable {name} is not set")
    return value


def _number(environment: Mapping[str, str], name: str, default: str | None, low: float, high: float) -> float:
    text = _given(environment, name, default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise PreflightError(f"{name}={text!r} is not a number from {low:g} to {high:g}")
    return value


def _address(environment: Mapping[str, str], name: str) -> str:
    text = _given(environment, name).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.path or parts.username:
        raise PreflightError(f"{name}={text!r} is not an address like http://127.0.0.1:8081")
    return text
