"""
The reader process: ``python -m tasks.telemetry.prometheus.tail CONFIG.json``.

Asks a Prometheus every few seconds for what is new and appends it as a chunk, until SIGTERM, SIGINT or SIGHUP, which fetch the
rest and end it. Started again on the same folder it goes on from its watermark: nothing is lost as long as the server has it.
A server that does not answer is asked again; the chunk after the trouble covers it. ``collector.json`` says how it is,
``collector-events.jsonl`` what happened.

Exit codes: 0 ended by a signal, 2 the configuration is wrong, 3 refused, 4 not let in, 6 no space left, 7 another one writes there.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import PreflightError, TidegaugeError
from tasks.base.parquet import sparing
from tasks.telemetry.heartbeat import Heartbeat
from tasks.telemetry.kube.beside import Beside
from tasks.telemetry.prometheus.adapter import Adapter, DirectAdapter, Reply, Request, Unreachable
from tasks.telemetry.prometheus.asked import added, remembered
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused
from tasks.telemetry.prometheus.export import Export
from tasks.telemetry.prometheus.plan import TailPlan
from tasks.telemetry.prometheus.writer import WindowWriter
from tasks.telemetry.troubles import word_of

LOOK_S = 60.0
"""How often the clocks are compared anew."""
LAST_S = 7.0
"""How long the rest is tried for at the end: whoever stops the reader kills it after 10 s."""
ASK_S = 5.0
"""How long the server may be silent: a reader that says nothing for 10 s is taken for hung."""
REPLY_S = 8.0
"""How long a whole reply may take, for the same reason."""
BEAT_S = 1.0
"""A reader that said nothing for so long says that it lives before it asks again."""
STEP_MS = 600_000
"""So much is asked for at once when there is much to catch up with."""


@dataclass(frozen=True, slots=True)
class Beating:
    """*inner*, with a *beat* before each question: a window may need several of them, each nearly as long as one may be silent."""

    inner: Adapter
    beat: Callable[[], None]

    @property
    def name(self) -> str:
        """That of *inner*."""
        return self.inner.name

    def send(self, request: Request) -> Reply:
        """See :meth:`Adapter.send`."""
        self.beat()
        return self.inner.send(request)


class Tail:
    """Appends what is new, again and again."""

    def __init__(self, plan: TailPlan, clock: Clock) -> None:
        self.plan, self.clock = plan, clock
        self.client = Client(Beating(DirectAdapter(plan.access), self._beat), clock, timeout_s=ASK_S, deadline_s=REPLY_S)
        beside = None if plan.beside is None else Beside(plan.beside)
        self.writer = WindowWriter(plan.out, plan.service_labels, round(plan.overlap_s * 1000), beside)
        self.heartbeat = Heartbeat(plan.out, clock)
        self.export: Export | None = None
        self._earlier = remembered(plan.out / "collector.json", "server")
        self.stopped = threading.Event()
        self._failed = 0
        self._samples = 0
        self._trouble: str | None = None
        self._looked_s = 0.0
        self._said_s = 0.0
        self._offset_s = 0.0

    def run(self) -> None:
        """
        Work until :meth:`stop`.

        Raises:
            StorageError: The disk is full; all chunks committed before are readable.
            CredentialsError: The server does not let us in.
        """
        self.heartbeat.event("started", chunk=self.writer.chunk)
        self._say(alive=True)
        due_s = self.clock.monotonic_s()
        while not self.stopped.is_set():
            self._append()
            due_s = max(due_s + self.plan.flush_s, self.clock.monotonic_s())
            self.stopped.wait(max(0.0, due_s - self.clock.monotonic_s()))
        self._last()
        self.writer.close()
        self.heartbeat.event("stopped", chunk=self.writer.chunk)
        self._say(alive=False)

    def stop(self, *_: object) -> None:
        """Let :meth:`run` fetch the rest and return."""
        self.stopped.set()

    def _append(self, settle_s: float | None = None) -> bool:
        """Ask once for everything up to now; whether the server answered."""
        try:
            export = self._ready()
            end_ms = round((self.clock.wall_s() + self._offset_s - (self.plan.settle_s if settle_s is None else settle_s)) * 1000)
            self._bring(export, end_ms)
        except (PreflightError, Unreachable, MalformedReply, ServerRefused) as error:
            self._in_trouble(error)
            return False
        if self._trouble is not None:
            self.heartbeat.event("server_up")
            self._trouble = None
        self._say(alive=True)
        return True

    def _bring(self, export: Export, end_ms: int) -> None:
        begin_ms = round((self.plan.begin_s + self._offset_s) * 1000)
        while (until_ms := max(self.writer.until_ms or 0, begin_ms - 1)) < end_ms:
            start_ms = max(begin_ms, until_ms + 1 - round(self.plan.overlap_s * 1000))
            stop_ms = min(end_ms, until_ms + STEP_MS)
            self._samples += export.window(start_ms, stop_ms)
            if stop_ms < end_ms:
                self._say(alive=True)

    def _ready(self) -> Export:
        """The export, once the server was looked over; its clock is looked at again from time to time."""
        now_s = self.clock.monotonic_s()
        if self.export is None:
            facts = self.client.facts().read_by(self.plan.way, "as the document says")
            self._looked(facts.clock_offset_s, facts.clock_error_s)
            self.heartbeat.event("server", **facts.to_json())
            self.export = Export(self.client, facts, self.plan.selectors, self.writer, give_up_s=max(1.0, self.plan.flush_s))
        elif now_s - self._looked_s > LOOK_S:
            self._looked(*self.client.clock_offset())
        return self.export

    def _looked(self, offset_s: float, error_s: float) -> None:
        self._looked_s = self.clock.monotonic_s()
        self._offset_s = offset_s if abs(offset_s) > error_s else 0.0
        self.heartbeat.event("clock_offset", offset_s=round(offset_s, 4), error_s=round(error_s, 4))

    def _in_trouble(self, error: Exception) -> None:
        self._failed += 1
        if self._trouble is None:
            self.heartbeat.event("server_down", error=str(error), word=word_of(error))
        self._trouble = str(error)
        self._say(alive=True)

    def _last(self) -> None:
        """What came up to the moment of the signal; given up after a while."""
        wanted_s = self.clock.wall_s()
        deadline_s = self.clock.monotonic_s() + LAST_S
        while self.clock.monotonic_s() < deadline_s:
            settled = self.clock.wall_s() - wanted_s >= min(self.plan.settle_s, LAST_S / 2)
            if settled and self._append(settle_s=self.clock.wall_s() - wanted_s):
                return
            time.sleep(0.1)
        self.heartbeat.event("gave_up", error=self._trouble)
        if self.writer.until_ms is not None:
            self.writer.write((), self.writer.until_ms)  # what was watched is there, whatever became of the server

    def _beat(self) -> None:
        if self.clock.monotonic_s() - self._said_s > BEAT_S:
            self._say(alive=True)

    def _say(self, *, alive: bool) -> None:
        self._said_s = self.clock.monotonic_s()
        writer = self.writer
        facts: dict[str, Any] = {
            "chunk": writer.chunk,
            "last_scrape_s": None if writer.until_ms is None else writer.until_ms / 1000 - self._offset_s,
            "scrapes": 0 if self.export is None else self.export.client.requests,
            "failed": self._failed,
            "samples": self._samples,
            "series": len(writer.table),
            "down": {} if self._trouble is None else {self.client.adapter.name: self._trouble},
            "server": self._server(),
            "tally": writer.tally.to_json(),
        }
        self.heartbeat.say(facts, alive=alive)

    def _server(self) -> dict[str, Any] | None:
        """What is known of the server and the way in, and what came beside it."""
        told = added(self._earlier, None if self.export is None else self.export.to_json())
        beside = self.writer.beside
        return told if told is None or beside is None else {**told, "watched": beside.facts(self.writer.tally)}


def main(arguments: list[str]) -> int:
    """Run the reader; its exit code."""
    sparing()
    try:
        if len(arguments) != 1:
            raise TidegaugeError("one argument is wanted: the configuration file")
        tail = Tail(TailPlan.read(Path(arguments[0])), SystemClock())
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, tail.stop)
        tail.run()
    except TidegaugeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
