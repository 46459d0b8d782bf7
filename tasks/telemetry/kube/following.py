"""A collection of the API as it changes: listed, then watched; what was missed meanwhile is listed anew."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from tasks.base.clock import Clock
from tasks.telemetry.fetch import FetchError
from tasks.telemetry.kube.api import ApiServer
from tasks.telemetry.kube.refusals import Gone, NotLetIn, Trouble

PAGE = 500
WATCH_S = 20.0
"""The server ends a watch after so long, so that one that has gone silent is noticed."""
SILENT_S = 10.0
"""So much longer than that nothing may come."""
WAIT_S = (0.2, 5.0)
"""Before the next try after trouble: at first, and at most."""

Object = Mapping[str, Any]
T = TypeVar("T")


@dataclass(slots=True)
class Follower(Generic[T]):
    """
    Follows the collection at *path*.

    Each object is reduced by *view* as it comes (to None: it is left out), since a list of thousands is long. *listed* gets all
    views whenever it was listed, *changed* each change of one of them, as the API calls it.
    """

    server: ApiServer
    path: str
    labels: str
    clock: Clock
    view: Callable[[Object], T | None]
    listed: Callable[[Sequence[T]], None]
    changed: Callable[[str, T], None]
    refused: NotLetIn | None = None
    """Why we may not see it, so that it is not asked for again; None: we may, or it is not known yet."""
    seen: bool = False
    """Whether it was listed at least once."""
    known_s: float | None = None
    """Until when what we know of it was surely so, monotonic; None: nothing is known."""
    _listed_s: float = 0.0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def fresh(self, now_s: float) -> bool:
        """Whether what we know of it is what it is, as far as can be told."""
        return self.known_s is not None and now_s - self.known_s <= WATCH_S + SILENT_S

    async def run(self) -> None:
        """
        Follow until cancelled, or until we are told that we may not.

        A watch that breaks off is made up for at once; only when that fails too is nothing known any more.
        """
        wait_s = 0.0
        while self.refused is None:
            try:
                version = await self._list()
                wait_s, self.seen = 0.0, True
                while True:
                    version = await self._watch(version)
            except Gone:
                continue
            except NotLetIn as error:
                if not self.seen:  # a login may end, and come back; a right that never was will not
                    self.refused = error
            except (Trouble, FetchError, TimeoutError, ValueError, LookupError, TypeError):
                pass  # the server's trouble, which its own record tells; or no words of an API
            if wait_s or self.known_s is None or self.clock.monotonic_s() - self._listed_s < WAIT_S[0]:
                self.known_s = None
                wait_s = min(WAIT_S[1], max(WAIT_S[0], 2 * wait_s))
                await self._wait(wait_s)
            else:
                wait_s = WAIT_S[0] / 2

    def hurry(self) -> None:
        """The server is back: try now."""
        self._woken.set()

    async def _wait(self, wait_s: float) -> None:
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), wait_s)

    async def _list(self) -> str:
        """List all of it, page by page; its version."""
        found: list[T] = []
        more = ""
        while True:
            async with asyncio.timeout(SILENT_S):
                value = await self.server.json(self._asked(limit=str(PAGE), **({"continue": more} if more else {})))
            found += [view for one in value.get("items") or () if (view := self.view(one)) is not None]
            metadata = value.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                break
        self.listed(found)
        self.known_s = self._listed_s = self.clock.monotonic_s()
        return str(metadata.get("resourceVersion", ""))

    async def _watch(self, version: str) -> str:
        """Watch from *version* on until the server ends it; the version to go on from."""
        path = self._asked(watch="1", resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=f"{WATCH_S:.0f}")
        async with asyncio.timeout(WATCH_S + SILENT_S):
            async with contextlib.aclosing(self.server.lines(path)) as lines:
                async for line in lines:
                    version = self._told(json.loads(line)) or version
                    self.known_s = self.clock.monotonic_s()
        self.known_s = self.clock.monotonic_s()
        return version

    def _told(self, event: Any) -> str | None:
        """Take one line of a watch; its version."""
        kind, value = event["type"], event["object"]
        if kind == "ERROR":
            raise Gone(str(value.get("message", ""))) if value.get("code") == 410 else Trouble(str(value.get("message", ""))[:300])
        if kind in ("ADDED", "MODIFIED", "DELETED") and (view := self.view(value)) is not None:
            self.changed(kind, view)
        found = (value.get("metadata") or {}).get("resourceVersion")
        return None if found is None else str(found)

    def _asked(self, **query: str) -> str:
        return f"{self.path}?{urlencode({**query, **({'labelSelector': self.labels} if self.labels else {})})}"
