"""From a server to a recording's folder: windows of a span, each complete or not at all, with patience for a server in trouble."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.base.errors import PreflightError, TidegaugeError
from tasks.telemetry.prometheus.adapter import Unreachable
from tasks.telemetry.prometheus.batch import Batch
from tasks.telemetry.prometheus.client import Client, ServerFacts
from tasks.telemetry.prometheus.errors import MalformedReply, ServerRefused, UnknownEncoding
from tasks.telemetry.prometheus.pieces import Pieces
from tasks.telemetry.prometheus.selectors import Matcher
from tasks.telemetry.prometheus.writer import WindowWriter

SCRAPES = (Matcher("__name__", "=~", "up|scrape_duration_seconds|scrape_samples_scraped|scrape_samples_post_metric_relabeling"),)
"""Always asked for: gaps are found by them."""
SAMPLES_AT_ONCE = 5_000_000
"""About as many samples are in one window: what has to be asked for again after a kill, or a reply that broke off."""
FIRST_MS, LONGEST_MS, GROWTH = 21_600_000, 86_400_000, 8
"""Each window costs the server some of its work again for each series, so that a history of hours is best one."""
SHORT_MS, MOST_SAMPLES, SOME_BYTES = 300_000, 40_000_000, 1 << 16
"""A window longer than the first is made shorter where more samples come than the second, or its reply breaks off behind the third."""
PASSING = frozenset({"timeout", "canceled", "unavailable", "internal"})
"""Kinds of refusals that another try may not meet."""
WAIT_S = (0.2, 15.0)
LONGEST_RETRY_AFTER_S = 120.0


class TooLong(Exception):
    """More would have to come in one window than is wise."""


@dataclass(slots=True)
class Export:
    """
    Brings windows of a server's samples into *writer*.

    *give_up_s* is how long a window is tried for; *told* is called with a sentence whenever it is tried again.
    """

    client: Client
    facts: ServerFacts
    selectors: Sequence[Sequence[Matcher]]
    writer: WindowWriter
    give_up_s: float = 300.0
    told: Callable[[str], None] = lambda _: None
    retries: int = 0
    last_error: str | None = None
    _groups: tuple[tuple[Matcher, ...], ...] = field(init=False)
    _pieces: Pieces = field(init=False)

    def __post_init__(self) -> None:
        """Put what gaps are found by behind what was asked for."""
        self._groups = (*(tuple(one) for one in self.selectors), SCRAPES)
        self._pieces = Pieces(self.client)

    @property
    def halved(self) -> int:
        """Pieces that a server would not give at once."""
        return self._pieces.halved

    def span(self, start_ms: int, end_ms: int, done: Callable[[int, int], None] = lambda _, __: None, expected: int | None = None) -> None:
        """
        Bring [*start_ms*, *end_ms*], or what of it is not there yet.

        Args:
            start_ms: First moment.
            end_ms: Last moment, inclusive.
            done: Called after each window with its end and its number of samples.
            expected: How many samples there are at most, about; None: nobody knows.

        Raises:
            PreflightError: The server could not be asked for *give_up_s*; what was finished is kept.
            StorageError: No space is left.
        """
        begin, length = start_ms, FIRST_MS
        if expected:
            length = max(1000, min(length, (end_ms - start_ms) * SAMPLES_AT_ONCE // expected))
        if self.writer.until_ms is not None:
            begin = max(begin, self.writer.until_ms + 1)
        while begin <= end_ms:
            end = min(end_ms, begin + length - 1)
            try:
                rows = self.window(begin, end, whole=length <= SHORT_MS)
            except TooLong:
                length = max(SHORT_MS, length // GROWTH)
                continue
            done(end, rows)
            wished = SAMPLES_AT_ONCE / max(1, rows)
            length = min(LONGEST_MS, max(1000, int(length * min(GROWTH, wished))))
            begin = end + 1

    def window(self, start_ms: int, end_ms: int, *, whole: bool = True) -> int:
        """
        Bring one window; the number of its samples.

        Args:
            start_ms: First moment.
            end_ms: Last moment, inclusive.
            whole: Whatever its length; otherwise it is not insisted on.

        Raises:
            PreflightError: See :meth:`span`.
            TooLong: A shorter one should be asked for.
        """
        try:
            try:
                return self._tried(start_ms, end_ms, whole)
            except UnknownEncoding as error:
                self.facts = self.facts.read_by("range-json", str(error))
                self.told(f"read by range-json from here on: {error}")
                return self._tried(start_ms, end_ms, whole)
        except (Unreachable, MalformedReply) as error:
            raise PreflightError(
                f"{self.client.adapter.name} could not be asked for {self.give_up_s:g} s: {error}",
                next_step="see that it answers, then run the same command again: what is finished is kept",
            ) from error
        except ServerRefused as error:
            raise PreflightError(f"{self.client.adapter.name} refuses: {error}", next_step="mend the selector, or ask for less") from error

    def _tried(self, start_ms: int, end_ms: int, whole: bool) -> int:
        try:
            return self._window(start_ms, end_ms, whole)
        except UnknownEncoding:
            raise
        except (Unreachable, MalformedReply, ServerRefused) as error:
            return self._patiently(start_ms, end_ms, whole, error)

    def _window(self, start_ms: int, end_ms: int, whole: bool) -> int:
        groups = (self._samples(group, start_ms, end_ms) for group in self._groups)
        return self.writer.write(groups if whole else map(self._bounded, groups), end_ms)

    def _bounded(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """*batches*, as long as it is worth to go on."""
        before, samples = self.client.received_bytes, 0
        try:
            for batch in batches:
                samples += len(batch.value)
                if samples > MOST_SAMPLES:
                    raise TooLong
                taken = [batch]
                del batch  # it is not held while the next one is made
                yield taken.pop()
        except UnknownEncoding:
            raise
        except (Unreachable, MalformedReply) as error:
            if self.client.received_bytes - before < SOME_BYTES:
                raise
            self._again(error)
            raise TooLong from error

    def _patiently(self, start_ms: int, end_ms: int, whole: bool, failed: Exception) -> int:
        """Bring a window of which the first try *failed*; only then is imported what knows how to wait."""
        import stamina

        stamina.instrumentation.set_on_retry_hooks(())  # retries are counted and told here, not logged
        low_s, high_s = WAIT_S
        attempts = stamina.retry_context(on=self._again, attempts=None, timeout=self.give_up_s, wait_initial=low_s, wait_max=high_s)
        for attempt in attempts:
            with attempt:
                if attempt.num == 1:
                    raise failed
                return self._window(start_ms, end_ms, whole)
        raise AssertionError("a retry loop ends by a return or an error")

    def _again(self, error: Exception) -> bool | float | dt.timedelta:
        """Whether to try again, and after how long if the server said so."""
        if not worth_another_try(error):
            return False
        self.retries += 1
        self.last_error = str(error)
        self.told(f"tried again: {error}")
        told_s = getattr(error, "retry_after_s", None)
        return True if told_s is None else min(float(told_s), LONGEST_RETRY_AFTER_S, self.give_up_s)

    def _samples(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Batch]:
        if self.facts.way == "remote-read":
            return self.client.samples("remote-read", matchers, start_ms, end_ms)
        return self._pieces.samples(matchers, start_ms, end_ms)

    def to_json(self) -> dict[str, Any]:
        """What the manifest says of the way in."""
        return {
            **self.facts.to_json(),
            "server": self.client.adapter.name,
            "requests": self.client.requests,
            "received_bytes": self.client.received_bytes,
            "retries": self.retries,
            "halved": self.halved,
            "warnings": dict(self.client.warnings),
        }


def worth_another_try(error: BaseException) -> bool:
    """Whether the same question may be answered later."""
    if isinstance(error, TidegaugeError | UnknownEncoding):
        return False
    return isinstance(error, Unreachable | MalformedReply) or (isinstance(error, ServerRefused) and error.kind in PASSING)
