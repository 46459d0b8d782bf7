"""
A collection as it changes: listed once, then watched, and nothing is missed or told twice when the connection fails.

A cut or silent connection is opened again from the last version seen; when the server has forgotten that version (410), the
collection is listed anew and compared with what was told before. What came and went between the two was seen by nobody.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.kube.errors import Gone, Unavailable
from tasks.kube.paging import PAGE, Page, query_of
from tasks.kube.patience import Patience
from tasks.kube.session import Session
from tasks.kube.transport import REQUEST_S, NoReply, Reply, Request

WATCH_S = 30.0
"""The server ends a watch after so long, and we open the next one: so a silent peer shows."""
SILENCE_S = WATCH_S + 5.0
"""A watch in which nothing came for so long is dead."""
PATIENCE = Patience(2.0)
"""So long we try before it is asked again whether to stop."""
REST_S = 0.5
"""Between two looks at a server that gives nothing."""
LOOK_S = 0.2
"""How often it is asked whether to stop."""
BUFFERED = 1000
"""Changes that may wait for whoever reads them; then the server has to."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: dict[str, Any]
    """As it is now; of a DELETED one that went unseen, only the kind, and of the metadata what tells it from others."""


@dataclass(slots=True)
class Collection:
    """What was told of a collection: its objects by namespace and name, with little more than their versions."""

    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    version: str = ""
    """Where the next watch begins."""

    def listed(self, item: dict[str, Any]) -> Iterator[WatchEvent]:
        """What an object in a list has to be told as; nothing when it is as it was told before."""
        before = self.known.get(_key(item))
        if before is not None and _uid(before) != _uid(item):
            yield self._gone(_key(item))
            before = None
        if before is None or _version(before) != _version(item):
            self.known[_key(item)] = remembered(item)
            yield WatchEvent("ADDED" if before is None else "MODIFIED", item)

    def complete(self, seen: set[tuple[str, str]]) -> Iterator[WatchEvent]:
        """Tell of those that a whole list did not hold."""
        for key in [key for key in self.known if key not in seen]:
            yield self._gone(key)

    def changed(self, kind: str, item: dict[str, Any]) -> Iterator[WatchEvent]:
        """What a change of the watch has to be told as."""
        self.version = _version(item)
        if kind in ("ADDED", "MODIFIED"):
            yield from self.listed(item)
        elif kind == "DELETED" and self.known.pop(_key(item), None) is not None:
            yield WatchEvent("DELETED", item)

    def _gone(self, key: tuple[str, str]) -> WatchEvent:
        return WatchEvent("DELETED", self.known.pop(key))


def remembered(item: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an object: enough to say later that it is gone, and little."""
    names = ("namespace", "name", "uid", "resourceVersion", "labels")
    metadata = {name: item["metadata"][name] for name in names if name in item["metadata"]}
    return {"apiVersion": item.get("apiVersion"), "kind": item.get("kind"), "metadata": metadata}


def watched(session: Session, path: str, *, labels: str, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
    """The changes at *path*; see :meth:`tasks.kube.client.Kube.watch`."""
    collection = Collection()
    while not stop():
        told = False
        try:
            for event in _round(session, path, labels, collection, stop):
                told = True
                yield event
        except Gone:
            collection.version = ""
        except Unavailable:
            pass
        if not told and not stop():
            session.clock.sleep(REST_S)


def _round(session: Session, path: str, labels: str, collection: Collection, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
    """One list where the version is not known, one watch where it is."""
    if not collection.version:
        yield from _list(session, path, labels, collection, stop)
        return
    for kind, item in _stream(session, path, labels, collection.version, stop):
        yield from collection.changed(kind, item)


def _list(session: Session, path: str, labels: str, collection: Collection, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
    """List it whole, telling differences; where that fails halfway, the next call begins anew and goes on telling."""
    seen: set[tuple[str, str]] = set()
    token = ""
    while not stop():
        request = Request("GET", path, query_of(labels, "", PAGE, token), timeout_s=min(REQUEST_S, SILENCE_S))
        page = Page.of(session.ask(request, PATIENCE).value())
        for item in page.taken():
            seen.add(_key(item))
            yield from collection.listed(item)
        token = page.token
        if not token:
            yield from collection.complete(seen)
            collection.version = page.version
            return


def _stream(session: Session, path: str, labels: str, version: str, stop: Callable[[], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Kind and object of each change after *version*, until the watch ends, for whatever reason.

    Raises:
        Gone: The server does not remember *version*.
        KubeError: It says no.
    """
    query = {"watch": "true", "labelSelector": labels, "resourceVersion": version, "allowWatchBookmarks": "true"}
    request = Request("GET", path, {**query, "timeoutSeconds": f"{WATCH_S:.0f}"}, timeout_s=SILENCE_S)
    for line in _until(stop, session.stream(request, PATIENCE)):
        try:
            change = json.loads(line)
            kind, item = change["type"], change["object"]
            if kind not in ("ERROR", "BOOKMARK"):
                item["metadata"]["name"], item["metadata"]["uid"]
        except (ValueError, KeyError, TypeError, RecursionError):  # no event: somebody else speaks, or the connection broke
            return
        if kind == "ERROR":  # whatever is wrong, it cannot go on from that version
            raise Gone(f"{request}: {json.dumps(item)[:300]}", status=410)
        yield kind, item


def _until(stop: Callable[[], bool], reply: Reply) -> Iterator[bytes]:
    """
    The lines of *reply*, until it ends or *stop* says so.

    A thread reads them: a read that waits for the next change cannot ask whether to stop.
    """
    lines: queue.Queue[bytes | None] = queue.Queue(BUFFERED)
    over = threading.Event()
    reader = threading.Thread(target=_read, args=(reply, lines, over), name="watch", daemon=True)
    reader.start()
    try:
        while not stop():
            try:
                line = lines.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line
    finally:
        over.set()
        reply.stop_reading()
        reader.join()
        reply.close()


def _read(reply: Reply, lines: queue.Queue[bytes | None], over: threading.Event) -> None:
    """Hand over line by line, then None."""
    try:
        for line in reply.lines():
            while not over.is_set():
                try:
                    lines.put(line, timeout=LOOK_S)
                    break
                except queue.Full:
                    continue
            if over.is_set():
                return
    except NoReply:
        pass
    finally:
        if not over.is_set():
            lines.put(None)


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _uid(item: dict[str, Any]) -> str:
    return str(item["metadata"].get("uid", ""))


def _version(item: dict[str, Any]) -> str:
    return str(item["metadata"].get("resourceVersion", ""))
