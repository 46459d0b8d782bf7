"""Where HTTP/1.1 messages begin and end in a byte stream, without understanding more of them than that."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST_HEAD = 64 * 1024
_HEAD, _BODY, _CHUNK_LINE, _CHUNK, _TRAILER, _CLOSE = range(6)


class Unframed(Exception):
    """The bytes are not HTTP/1.1 messages; pass them on as they are."""


@dataclass(slots=True)
class Piece:
    """Bytes of one message: its head when *head* is set, and its last bytes when *ends*."""

    data: bytes
    head: bytes | None = None
    ends: bool = False


@dataclass(slots=True)
class Framer:
    """
    Cuts one direction of a connection into messages.

    Requests have a body only when they announce one; answers without a length last until the connection closes.
    """

    answers: bool = False
    """True for the direction from server to client."""
    bodyless: bool = False
    """The next answer has no body whatever its head says (it answers a HEAD request)."""
    _state: int = _HEAD
    _left: int = 0
    _kept: bytes = b""
    _pieces: list[Piece] = field(default_factory=list)

    def feed(self, data: bytes) -> list[Piece]:
        """
        The pieces in *data*, in order; an unfinished head is kept for the next call.

        Raises:
            Unframed: A head is longer than 64 KiB, or a length is not a number; :meth:`rest` has what was kept back.
        """
        self._pieces = []
        if self._kept:
            data, self._kept = self._kept + data, b""
        while data:
            data = self._step(data)
        return self._pieces

    def rest(self) -> bytes:
        """Bytes kept back for a head that was not finished."""
        kept, self._kept = self._kept, b""
        return kept

    @property
    def until_close(self) -> bool:
        """Whether the current answer ends only when the connection closes."""
        return self._state == _CLOSE

    def _step(self, data: bytes) -> bytes:
        if self._state == _HEAD:
            return self._head(data)
        if self._state in (_BODY, _CHUNK):
            return self._counted(data)
        if self._state == _CLOSE:
            self._pieces.append(Piece(data))
            return b""
        return self._line(data)

    def _head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._kept = data
            if len(data) > LONGEST_HEAD:
                raise Unframed
            return b""
        head, data = data[: end + 4], data[end + 4 :]
        self._state, self._left = self._body_of(head, data)
        piece = Piece(head, head=head, ends=self._state == _HEAD)
        if self._state == _BODY and len(data) >= self._left:  # the common case: one packet, one message
            piece.data, data = head + data[: self._left], data[self._left :]
            piece.ends, self._state = True, _HEAD
        self._pieces.append(piece)
        return data

    def _body_of(self, head: bytes, after: bytes) -> tuple[int, int]:
        if self.answers and (self.bodyless or head[9:10] == b"1" or head[9:12] in (b"204", b"304")):
            return _HEAD, 0
        lower = head.lower()
        if b"\r\ntransfer-encoding:" in lower:
            if b"chunked" in _value(lower, b"transfer-encoding"):
                return _CHUNK_LINE, 0
            return (_CLOSE if self.answers else _HEAD), 0
        if b"\r\ncontent-length:" in lower:
            length = _value(lower, b"content-length")
            if not length.isdigit():
                self._kept = head + after
                raise Unframed
            return (_BODY, int(length)) if int(length) else (_HEAD, 0)
        return (_CLOSE if self.answers else _HEAD), 0

    def _counted(self, data: bytes) -> bytes:
        taken, data = data[: self._left], data[self._left :]
        self._left -= len(taken)
        if self._left == 0:
            self._state = _HEAD if self._state == _BODY else _CHUNK_LINE
        self._pieces.append(Piece(taken, ends=self._state == _HEAD))
        return data

    def _line(self, data: bytes) -> bytes:
        """One line of the chunked encoding: a chunk's size, or a trailer field."""
        end = data.find(b"\n")
        if end < 0:
            self._kept = data
            if len(data) > LONGEST_HEAD:
                raise Unframed
            return b""
        line, data = data[: end + 1], data[end + 1 :]
        if self._state == _TRAILER:
            done = not line.strip()
            self._state = _HEAD if done else _TRAILER
            self._pieces.append(Piece(line, ends=done))
            return data
        try:
            size = int(line.split(b";")[0].strip(), 16)
        except ValueError:
            self._kept = line + data
            raise Unframed from None
        self._state, self._left = (_CHUNK, size + 2) if size else (_TRAILER, 0)
        self._pieces.append(Piece(line))
        return data


def _value(lower_head: bytes, name: bytes) -> bytes:
    start = lower_head.index(b"\r\n" + name + b":") + len(name) + 3
    return lower_head[start : lower_head.index(b"\r\n", start)].strip()
