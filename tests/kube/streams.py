"""Answers of the fake API server that go on: watches, logs, programs in containers."""

from __future__ import annotations

import bisect
import json
import time
from typing import Any

from tests.kube.answers import Answers, Dropped
from tests.kube.kinds import Kind
from tests.kube.objects import Change, Key, Refused
from tests.kube.programs import Started, accepted, speak
from tests.kube.selecting import selects
from tests.kube.trouble import Seen


class Streams(Answers):
    """A connection over which something is told as it happens."""

    def watch(self, seen: Seen, collection: str, namespace: str, kind: Kind) -> None:
        """Tell of changes until the time is over, or something is planned to happen."""
        api, objects = self.api, self.api.objects
        version = int(seen.asked("resourceVersion") or objects.version)
        cut, ended, silent = api.watches_cut, api.watches_ended, api.watches_silent
        until_s = time.monotonic() + float(seen.asked("timeoutSeconds") or 1800)
        if self._forgotten(version):
            return
        self.begin()
        lost = False
        while (left_s := until_s - time.monotonic()) > 0 and api.watches_ended == ended:
            with objects.changed:
                steps = _after(objects.history, version)
                troubled = api.watches_cut != cut or api.watches_ended != ended or api.watches_silent != silent or api.stopping.is_set()
                if not steps and not troubled and version >= objects.oldest:
                    objects.changed.wait(min(left_s, 1.0))
                    steps = _after(objects.history, version)
                lost = version < objects.oldest
            if api.stopping.is_set() or api.watches_cut != cut:
                self.drop()
            if api.watches_silent != silent:
                api.stopping.wait(60)
                raise Dropped
            if lost:
                self.chunk(_event("ERROR", json.dumps(_expired(version)).encode()))
                break
            for step in steps:
                version = step.version
                if step.key[0] == collection and namespace in ("", step.key[1]):
                    self._tell(step, seen.asked("labelSelector"), kind)
        if seen.asked("allowWatchBookmarks") == "true" and not lost:
            self.chunk(_event("BOOKMARK", _full(kind, json.dumps({"metadata": {"resourceVersion": str(version)}}).encode())))
        self.end()

    def _forgotten(self, version: int) -> bool:
        """Refuse a version that is not remembered."""
        if version >= self.api.objects.oldest:
            return False
        if self.api.gone_as == "status":
            raise Refused(410, "Expired", f"too old resource version: {version}")
        self.begin()
        self.chunk(_event("ERROR", json.dumps(_expired(version)).encode()))
        self.end()
        return True

    def _tell(self, step: Change, labels: str, kind: Kind) -> None:
        """As seen through a selector: what begins to fit is added, what ceases to is deleted."""
        before = step.before is not None and selects(labels, "", step.before.item)
        after = step.after is not None and selects(labels, "", step.after.item)
        if before or after:
            what = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
            self.chunk(_event(what, _full(kind, step.last.raw)))

    def log(self, seen: Seen, key: Key) -> None:
        """Lines, and more of them while they are followed."""
        self.there(key)
        lines = self.api.logs.setdefault((key[1], key[2], seen.asked("container")), [])
        self.begin("text/plain")
        told = 0
        while True:
            for line in lines[told:]:
                self.chunk(line + b"\n")
                told += 1
            if seen.asked("follow") != "true":
                break
            with self.api.objects.changed:
                self.api.objects.changed.wait(0.02)
            if self.api.stopping.is_set() or self.api.objects.get(key) is None:
                break
        self.end()

    def execute(self, seen: Seen, key: Key) -> None:
        """Run a program, and speak of it over a websocket."""
        self.check(Seen("POST", seen.path, {}, b"", {}, 0.0))
        self.there(key)
        started = Started(key[1], key[2], seen.asked("container"), tuple(seen.query.get("command", ())))
        self.api.started.append(started)
        self.send_response(101)
        proof = accepted(seen.headers["sec-websocket-key"])
        protocol = seen.headers.get("sec-websocket-protocol", "").split(",")[0].strip()
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": proof}.items():
            self.send_header(name, value)
        self.send_header("Sec-WebSocket-Protocol", protocol)
        self.end_headers()
        ended = self.api.run(started)
        speak(self.wfile, ended)
        self.wfile.flush()
        if ended.code is None and not ended.lost:
            self.connection.recv(1)
        raise Dropped


def _after(history: list[Change], version: int) -> list[Change]:
    return history[bisect.bisect_right(history, version, key=lambda step: step.version) :]


def _full(kind: Kind, member: bytes) -> bytes:
    """The JSON of a list's member with its kind and version."""
    return json.dumps({"kind": kind.kind, "apiVersion": kind.api_version}).encode()[:-1] + b"," + member[1:]


def _event(what: str, item: bytes) -> bytes:
    return b'{"type":"' + what.encode() + b'","object":' + item + b"}\n"


def _expired(version: int) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"too old resource version: {version}",
        "reason": "Expired",
        "code": 410,
    }
