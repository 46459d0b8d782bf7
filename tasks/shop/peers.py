"""Calls to the other services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tasks.shop.wire import Pool, WireError

TIMEOUT_S = 5.0
"""Longest wait for a peer, as in the Sock Shop."""
IDLE_S = 5.0
"""An idle connection is closed by the caller after this time, long before the callee would do it."""
MOST = 100
"""Connections to one peer; more calls than that wait, which counts in their five seconds."""


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
        self._pools = {peer: _pool(address) for peer, address in addresses.items()}

    async def ask(self, peer: str, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """
        Send one request; *body* goes as JSON.

        Raises:
            PeerError: No answer within 5 s, a broken connection, or a status of 500 and above.
        """
        asked = f"{method} {path}"
        sent = dict(headers or {})
        raw = b""
        if body is not None:
            raw = json.dumps(body, separators=(",", ":")).encode()
            sent["content-type"] = "application/json"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._pools[peer].exchange(method, path, sent, raw)
        except TimeoutError:
            raise PeerError(peer, asked, f"no answer within {TIMEOUT_S:g} s") from None
        except WireError as error:
            raise PeerError(peer, asked, str(error)) from None
        if answer.status >= 500:
            raise PeerError(peer, asked, f"answered {answer.status}")
        return Reply(answer.status, answer.headers.get("content-type", ""), answer.body)

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.close()


def _pool(address: str) -> Pool:
    parts = urlsplit(address)
    return Pool(parts.hostname or "", parts.port or 80, idle_s=IDLE_S, most=MOST)
