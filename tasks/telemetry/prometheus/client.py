"""Questions to a Prometheus: what it is, what time it has, and its samples in a window, by whichever of the ways it offers."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

from tasks.base.clock import Clock, SystemClock, iso
from tasks.base.errors import CredentialsError
from tasks.base.intervals import Interval
from tasks.telemetry.prometheus.adapter import Adapter, Reply, Request, Unreachable
from tasks.telemetry.prometheus.batch import Batch
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.selectors import Matcher

Way = Literal["remote-read", "range-json"]
READ_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}
STREAMED = "application/x-streamed-protobuf"
OFFSET_S = 1.0
"""Clocks that differ by more are told of."""
SMALL_BYTES = 64 << 20
"""A reply in JSON is never longer: windows are cut so that it is not."""
LATEST_S = 2.0**33
"""A time beyond it (in the year 2242) is none: an empty database says the end of all times."""
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself."""

    version: str
    retention_s: float | None
    """By time; None where it keeps by size alone, or does not say."""
    way: Way
    why: str
    """Why this way and not the faster one."""
    clock_offset_s: float
    """The server's clock less ours, in the middle of a round trip."""
    clock_error_s: float
    """Half of that round trip: the offset is known no better."""
    oldest_s: float | None
    """When its oldest block begins, seconds since 1970; None where it does not say."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    def read_by(self, way: str, why: str) -> ServerFacts:
        """The same, to be read by *way* because of *why*; as it is where *way* is ``auto``."""
        return self if way == "auto" else replace(self, way=cast("Way", way), why=why)

    def doubts(self, span: Interval, now_s: float | None = None) -> tuple[str, ...]:
        """What speaks against asking for *span*, a sentence each with what to do."""
        now_s = time.time() if now_s is None else now_s
        found = []
        if abs(self.clock_offset_s) > OFFSET_S + self.clock_error_s:
            found.append(
                f"the server's clock is {self.clock_offset_s:+.1f} s off this machine's: times are the server's; set both clocks (chrony, "
                "ntpd), or say whose times the labels have with --labels-clock"
            )
        if self.retention_s is not None and span.start_s + self.clock_offset_s < now_s + self.clock_offset_s - self.retention_s:
            found.append(
                f"the server keeps {self.retention_s / 3600:g} hours: what is older is gone, and will be listed as a gap; "
                "raise --storage.tsdb.retention.time there for the next time"
            )
        if self.oldest_s is not None and span.start_s < self.oldest_s:
            found.append(f"the server has nothing before {iso(self.oldest_s)}: what is missing will be listed as a gap")
        return tuple(found)


@dataclass(slots=True)
class Client:
    """Asks one server; every warning it sends is kept."""

    adapter: Adapter
    clock: Clock = field(default_factory=SystemClock)
    timeout_s: float = 30.0
    deadline_s: float = 300.0
    """For one whole reply."""
    warnings: dict[str, int] = field(default_factory=dict)
    """What the server warned of, and how often."""
    requests: int = 0
    received_bytes: int = 0

    def api(self, path: str, **query: str) -> Any:
        """
        The ``data`` of an endpoint of the JSON API.

        Raises:
            ServerRefused: It says why not.
            MalformedReply: It does not speak the API.
            Unreachable: See there.
        """
        body = self.whole(self._send(Request(path, query, timeout_s=self.timeout_s)))
        try:
            value = json.loads(body)
            status, warnings = value["status"], value.get("warnings")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedReply(f"{self.adapter.name}{path} does not answer as a Prometheus does") from error
        self.warn(warnings if isinstance(warnings, list) else ())
        if status != "success":
            raise ServerRefused(str(value.get("errorType", "error")), str(value.get("error", ""))[:500])
        return value.get("data")

    def warn(self, warnings: Sequence[str]) -> None:
        """Keep what a reply warned of."""
        for text in warnings:
            self.warnings[str(text)[:500]] = self.warnings.get(str(text)[:500], 0) + 1

    def whole(self, reply: Reply) -> bytearray:
        """
        The body of *reply*.

        Raises:
            ServerRefused: It is an error, or too long.
            Unreachable: It is cut off.
        """
        body = bytearray()
        for piece in self._counted(reply):
            body += piece
            if len(body) > SMALL_BYTES:
                reply.close()
                raise ServerRefused("too_long", f"a reply of more than {SMALL_BYTES >> 20} MB")
        if reply.status >= 400:
            raise _refusal(reply.status, body)
        return body

    def _send(self, request: Request) -> Reply:
        self.requests += 1
        return self.adapter.send(replace(request, deadline_s=self.deadline_s))

    def _counted(self, reply: Reply) -> Iterator[bytes]:
        for piece in reply.pieces():
            self.received_bytes += len(piece)
            yield piece

    def facts(self) -> ServerFacts:
        """
        Look the server over.

        Raises:
            ServerRefused, MalformedReply, Unreachable: It is none, or not there.
        """
        said = self.api("/api/v1/status/buildinfo")
        version = str(said.get("version", "?")) if isinstance(said, dict) else "?"
        retention_s = retention(str(self._optional("/api/v1/status/runtimeinfo").get("storageRetention", "")))
        offset_s, error_s = self.clock_offset()
        way, why = self._probed()
        return ServerFacts(version, retention_s, way, why, offset_s, error_s, self._oldest_s())

    def _oldest_s(self) -> float | None:
        """What it says of its oldest block; a server that is one of several in its own data, or has no block yet, does not say."""
        found = self._optional("/api/v1/query", query="prometheus_tsdb_lowest_timestamp_seconds").get("result")
        if not isinstance(found, list) or len(found) != 1:
            return None
        try:
            oldest_s = _number(found, 0, "value", 1)
        except MalformedReply:
            return None
        return oldest_s if 0 <= oldest_s < LATEST_S else None

    def _optional(self, path: str, **query: str) -> dict[str, Any]:
        """The ``data`` of what not every server has; empty where it is not there."""
        try:
            value = self.api(path, **query)
        except (ServerRefused, MalformedReply):
            return {}
        return value if isinstance(value, dict) else {}

    def clock_offset(self) -> tuple[float, float]:
        """The server's clock less ours in seconds, and how far that can be wrong; the best of three looks."""
        looks = []
        for _ in range(3):
            before_s, wall_s = time.monotonic(), self.clock.wall_s()
            data = self.api("/api/v1/query", query="time()")
            trip_s = time.monotonic() - before_s
            looks.append((trip_s / 2, _number(data, "result", 1) - (wall_s + trip_s / 2)))
        error_s, offset_s = min(looks)
        return offset_s, error_s

    def scraped_samples(self, span: Interval) -> int | None:
        """How many samples its targets gave in *span*, as it counted them itself; None where it did not."""
        query = f"sum(sum_over_time(scrape_samples_post_metric_relabeling[{max(1, round(span.length_s))}s]))"
        try:
            found = self._optional("/api/v1/query", query=query, time=f"{span.end_s:.3f}").get("result")
            return round(_number(found, 0, "value", 1)) if found else None
        except (MalformedReply, Unreachable):  # it is a question of minutes over long spans, and only an estimate
            return None

    def _probed(self) -> tuple[Way, str]:
        from tasks.telemetry.prometheus.wire import read_request

        now_ms = int(self.clock.wall_s() * 1000)
        request = read_request(now_ms - 1000, now_ms, (Matcher("__name__", "=", "up"),))
        try:
            reply = self._send(Request("/api/v1/read", body=request, headers=READ_HEADERS, timeout_s=self.timeout_s))
            with closing(reply):
                kind = reply.headers.get("content-type", "")
                for _ in self._counted(reply):
                    pass
        except (Unreachable, CredentialsError) as error:  # the rest of the API lets us in
            return "range-json", f"remote read failed: {getattr(error, 'message', error)}"
        if reply.status == 200 and kind.startswith(STREAMED):
            return "remote-read", "remote read streams raw chunks"
        return "range-json", f"remote read is not there: status {reply.status}, {kind or 'no content type'}"

    def samples(self, way: Way, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Batch]:
        """
        All samples of the matching series in [*start_ms*, *end_ms*], in batches.

        Raises:
            ServerRefused, MalformedReply, Unreachable: Then what came before is to be thrown away.
        """
        return self._remote_read(matchers, start_ms, end_ms) if way == "remote-read" else self._range_json(matchers, start_ms, end_ms)

    def _remote_read(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Batch]:
        from tasks.telemetry.prometheus.frames import frames
        from tasks.telemetry.prometheus.streamed import batches
        from tasks.telemetry.prometheus.wire import read_request

        body = read_request(start_ms, end_ms, matchers)
        reply = self._send(Request("/api/v1/read", body=body, headers=READ_HEADERS, timeout_s=self.timeout_s))
        try:
            if reply.status != 200:
                said = b"".join(self._counted(reply))[:500].decode("utf-8", "replace").strip()
                raise ServerRefused(f"status {reply.status}", said)
            if not reply.headers.get("content-type", "").startswith(STREAMED):
                raise MalformedReply(f"remote read answers {reply.headers.get('content-type')!r}, not streamed chunks")
            yield from batches(frames(self._counted(reply)), start_ms, end_ms)
        finally:
            reply.close()

    def _range_json(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Batch]:
        yield self.read_json(self.whole(self.ask_json(matchers, start_ms, end_ms)), start_ms, end_ms)

    def ask_json(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Reply:
        """
        The reply to a range selector over [*start_ms*, *end_ms*], of which nothing is read yet; may be called in another thread.

        Raises:
            Unreachable: See there.
        """
        from tasks.telemetry.prometheus.selectors import window_query

        query, at = window_query(tuple(matchers), start_ms, end_ms)
        return self._send(Request("/api/v1/query", {"query": query, "time": at}, timeout_s=self.timeout_s))

    def read_json(self, body: bytearray, start_ms: int, end_ms: int) -> Batch:
        """
        The samples in the *body* of a reply to :meth:`ask_json`.

        Raises:
            ServerRefused, MalformedReply: It holds something else.
        """
        from tasks.telemetry.prometheus.range_json import batch_of

        answer = batch_of(body, start_ms, end_ms)
        self.warn(answer.warnings)
        return answer.batch


def _refusal(status: int, body: bytearray) -> ServerRefused:
    """What the API said, or somebody on the way to it, with an error's *status*."""
    try:
        value = json.loads(body)
        return ServerRefused(str(value["errorType"]), str(value.get("error", ""))[:500])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ServerRefused(f"status {status}", body[:500].decode("utf-8", "replace").strip())


def _number(value: Any, *path: str | int) -> float:
    """The number at *path* in an answer to a query."""
    try:
        for step in path:
            value = value[step]
        number = float(value)
    except (LookupError, TypeError, ValueError) as error:
        raise MalformedReply("a query is not answered as a Prometheus does") from error
    if not math.isfinite(number):
        raise MalformedReply(f"a query is answered with {number}")
    return number


def retention(text: str) -> float | None:
    """Seconds in Prometheus' own words, ``15d`` or ``1d12h or 5GiB``; None where no time is in them."""
    found = _DURATION.findall(text.partition(" or ")[0])
    return sum(int(number) * _UNIT_S[unit] for number, unit in found) or None
