"""Samples by range selectors, one piece of a window after the other: no reply is long, and the server works while one is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.telemetry.prometheus.adapter import Reply
from tasks.telemetry.prometheus.batch import Batch
from tasks.telemetry.prometheus.client import Client
from tasks.telemetry.prometheus.errors import ServerRefused
from tasks.telemetry.prometheus.selectors import Matcher

PIECE_SAMPLES = 400_000
"""About as many are asked for at once: text of 12 MB."""
FIRST_MS, GROWTH = 300_000, 8


@dataclass(slots=True)
class Pieces:
    """Asks *client* for windows in pieces whose length follows from how much came in those before."""

    client: Client
    halved: int = 0
    """Pieces that the server would not give at once."""
    _length_ms: dict[tuple[Matcher, ...], int] = field(default_factory=dict)
    _longest_ms: dict[tuple[Matcher, ...], int] = field(default_factory=dict)

    def samples(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Batch]:
        """
        All samples of the matching series in [*start_ms*, *end_ms*], a batch a piece.

        Raises:
            ServerRefused, MalformedReply, Unreachable: Then what came before is to be thrown away.
        """
        what = tuple(matchers)
        coming: _Coming | None = self._asked(what, start_ms, end_ms)
        while coming is not None:
            piece, coming = coming, None
            try:
                body = self.client.whole(piece.reply())
            except ServerRefused as error:
                if piece.end_ms <= piece.start_ms or not _too_much(error):
                    raise
                self._halve(what, piece)
                coming = self._asked(what, piece.start_ms, end_ms)
                continue
            if piece.end_ms < end_ms:
                coming = self._asked(what, piece.end_ms + 1, end_ms)
            read = [self.client.read_json(body, piece.start_ms, piece.end_ms)]
            self._learn(what, piece, len(read[0].value))
            del body  # nothing of it is held while the next piece is read
            yield read.pop()

    def _asked(self, what: tuple[Matcher, ...], start_ms: int, end_ms: int) -> _Coming:
        """The piece that begins at *start_ms*, and ends at *end_ms* at the latest."""
        length_ms = self._length_ms.get(what, FIRST_MS)
        return _Coming(self.client, what, start_ms, min(end_ms, start_ms + length_ms - 1))

    def _halve(self, what: tuple[Matcher, ...], piece: _Coming) -> None:
        self.halved += 1
        self._length_ms[what] = self._longest_ms[what] = (piece.end_ms - piece.start_ms + 1) // 2

    def _learn(self, what: tuple[Matcher, ...], piece: _Coming, samples: int) -> None:
        """Choose the length of the pieces to come by what was in this one."""
        wished = int((piece.end_ms - piece.start_ms + 1) * min(GROWTH, PIECE_SAMPLES / max(1, samples)))
        self._length_ms[what] = max(1, min(wished, self._longest_ms.get(what, wished)))


class _Coming:
    """A reply that another thread waits for, and of which it reads nothing; nobody has to want it in the end."""

    def __init__(self, client: Client, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self._reply: Reply | None = None
        self._error: BaseException | None = None
        self._there = threading.Event()
        threading.Thread(target=self._wait, args=(client, matchers), daemon=True).start()

    def _wait(self, client: Client, matchers: tuple[Matcher, ...]) -> None:
        try:
            self._reply = client.ask_json(matchers, self.start_ms, self.end_ms)
        except BaseException as error:  # whatever it is, it is raised where the reply is wanted
            self._error = error
        self._there.set()

    def reply(self) -> Reply:
        """The reply; whatever was raised instead of it is raised here."""
        self._there.wait()
        if self._reply is None:
            raise self._error or RuntimeError("neither a reply nor an error")
        return self._reply


def _too_much(error: ServerRefused) -> bool:
    """Whether less might have been given."""
    return error.kind == "too_long" or "too many samples" in error.said
