"""Calls to the other services."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_S = 5.0
"""Longest wait for a peer, as in the Sock Shop."""
IDLE_S = 5.0
"""An idle connection is closed by the caller after this time, long before the callee would do it."""


class PeerError(Exception):
    """A peer gave no answer, or one that says it failed."""

    def __init__(self, peer: str, asked: str, problem: str) -> None:
        super().__init__(f"{peer}: {asked}: {problem}")
        self.peer = peer


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's answer below 500."""

    status: int
    content_type: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as a JSON value; None when it is empty."""
        return json.loads(self.body) if self.body else None


class Peers:
    """The peers of one service, over kept connections."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=40, keepalive_expiry=IDLE_S)
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S, limits=limits, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), follow_redirects=False
        )

    async def ask(self, peer: str, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """
        Send one request; *body* goes as JSON.

        Raises:
            PeerError: No answer within 5 s, a broken connection, or a status of 500 and above.
        """
        asked = f"{method} {path}"
        try:
            answer = await self._client.request(method, self._addresses[peer] + path, json=body, headers=headers)
        except httpx.TimeoutException:
            raise PeerError(peer, asked, f"no answer within {TIMEOUT_S:g} s") from None
        except httpx.HTTPError as error:
            raise PeerError(peer, asked, f"{type(error).__name__} {error}".strip()) from None
        if answer.status_code >= 500:
            raise PeerError(peer, asked, f"answered {answer.status_code}")
        return Reply(answer.status_code, answer.headers.get("content-type", ""), answer.content)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
