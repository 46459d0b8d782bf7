"""
XOR chunks of Prometheus (``tsdb/chunkenc/xor.go``, after Gorilla, Pelkonen et al., VLDB 2015) into columns, many chunks at once.

A chunk can only be read from its start, bit by bit; but thousands of them can be read in lockstep: step ``k`` reads sample ``k`` of every
chunk that has one, in some fifty numpy operations over all of them. Chunks are sorted by their number of samples, the longest first, so
those that still have one are always the first ones of each array.

Values stay ``uint64`` up to the end: no float operation may touch the payload of a NaN. What follows the last sample of a chunk is
ignored, as Prometheus does: its writer leaves up to one byte of zeros, and a chunk that is still open may have grown since it was counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.telemetry.prometheus.errors import MalformedReply

CHUNKS_AT_ONCE = 8192
"""Most chunks of one lockstep; more of them are slower again, since they leave the processor's cache."""

BYTES_AT_ONCE = 1 << 20
"""Bytes of chunks of one lockstep, about; it needs ten times as many to work."""

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]

_COUNT_BYTES, _VALUE_BYTES, _LONGEST_VARINT = 2, 8, 10
_PADDING = bytes(16)

_PREFIX_BITS = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4] * 2)
_DOD_BITS = np.array([0] * 8 + [14] * 4 + [17] * 2 + [20, 64])
# The time of a sample, by its first four bits. The range of n bits is that of two's complement shifted up by one.
_TIME_BITS = _PREFIX_BITS + _DOD_BITS
_PREFIX_SHIFT = np.where(_DOD_BITS > 0, _PREFIX_BITS, 0).astype(np.uint64)
_DOD_SHIFT = 64 - _DOD_BITS
_ONE = np.minimum(_DOD_BITS, 1)
_ONE_SHIFTED = np.where(_DOD_BITS > 0, np.int64(1) << np.minimum(_DOD_SHIFT, 63), 0)
_LONG_DOD = 15


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples of ``m`` chunks, ``n`` in all, in the order of the chunks and inside them."""

    counts: Ints
    """``(m,)``"""
    time_ms: Ints
    """``(n,)``"""
    value: NDArray[np.float64]
    """``(n,)``, bit-identical to what was written."""


def decode(chunks: Sequence[bytes | memoryview]) -> Decoded:
    """
    All samples of *chunks*.

    Raises:
        MalformedReply: A chunk ends before its samples do, or says what no writer does.
    """
    sizes = np.fromiter(map(len, chunks), np.int64, len(chunks))
    counts = _counts(chunks, sizes)
    ends = np.concatenate([[0], np.cumsum(counts)])
    time_ms, value = np.empty(ends[-1], np.int64), np.empty(ends[-1], np.uint64)
    for part in _portions(sizes):
        rows = slice(ends[part.start], ends[part.stop])
        _Lockstep(chunks[part], sizes[part], counts[part], time_ms[rows], value[rows]).run()
    return Decoded(counts, time_ms, value.view(np.float64))


def _counts(chunks: Sequence[bytes | memoryview], sizes: Ints) -> Ints:
    """The number of samples of each chunk, for which it is long enough: the least a sample takes is 2 bits."""
    if np.any(sizes < _COUNT_BYTES):
        raise MalformedReply("a chunk without its number of samples")
    counts = np.frombuffer(b"".join([chunk[:_COUNT_BYTES] for chunk in chunks]), ">u2").astype(np.int64)
    first = np.where(counts > 0, 8 + 64, 0) + np.where(counts > 1, 8 + 1, 0)
    if np.any(8 * (sizes - _COUNT_BYTES) < first + 2 * np.maximum(counts - 2, 0)):
        raise MalformedReply("a chunk is too short for its samples")
    return counts


def _portions(sizes: Ints) -> Iterator[slice]:
    """Chunks of these *sizes* in as few parts of one length as the limits allow."""
    parts = max(-(-len(sizes) // CHUNKS_AT_ONCE), -(-int(sizes.sum()) // BYTES_AT_ONCE))
    size = -(-len(sizes) // parts) if parts else 1
    for start in range(0, len(sizes), size):
        yield slice(start, min(start + size, len(sizes)))


class _Registers(NamedTuple):
    """State of the chunks that still have a sample, one entry each; the entries are written in place."""

    bit: Ints
    """Where to read on."""
    time_ms: Ints
    delta_ms: Ints
    value: Bits
    right: Ints
    """64 less the width of the window of significant bits; 0 before there is one, as Prometheus reads it."""
    trailing: Ints
    """Zeros behind the window."""
    target: Ints
    """Where the next sample goes."""
    head: Bits
    """The next bits of the chunk, the first one highest; the lowest 7 are not filled. From here on nothing outlives a step."""
    payload: Bits
    byte: Ints
    shift: Ints
    changed: Ints
    """All ones where the value is another one, else 0."""
    moved: Ints
    """All ones where the window is another one, else 0."""
    width: Ints
    zeros: Ints


def _registers(chunks: int) -> _Registers:
    unsigned = {"value", "head", "payload"}
    return _Registers._make(np.zeros(chunks, np.uint64 if name in unsigned else np.int64) for name in _Registers._fields)


def _first(active: int, registers: _Registers) -> _Registers:
    """Those of the first *active* chunks."""
    return _Registers._make(one[:active] for one in registers)


class _Lockstep:
    """
    Reads some chunks together.

    Args:
        chunks: At least one.
        sizes: Their lengths in bytes.
        counts: Their numbers of samples.
        time_ms: Where their times go, chunk after chunk.
        value: The same for the bits of their values.
    """

    def __init__(self, chunks: Sequence[bytes | memoryview], sizes: Ints, counts: Ints, time_ms: Ints, value: Bits) -> None:
        self.data = np.frombuffer(b"".join([*chunks, _PADDING]), np.uint8)
        at_any_byte = np.ndarray((self.data.size - 7,), ">u8", self.data, strides=(1,))
        self.words = at_any_byte.astype(np.uint64)  # eight times the bytes, and each read is one aligned load
        starts = np.cumsum(sizes) - sizes
        order = np.argsort(-counts)
        self.descending = counts[order]
        self.start = starts[order]
        self.end_bit = (starts + sizes)[order] * 8
        self.registers = _registers(len(chunks))
        self.registers.target[:] = (np.cumsum(counts) - counts)[order]
        self.time_ms, self.value = time_ms, value

    def run(self) -> None:
        """
        Read all samples.

        Raises:
            MalformedReply: A chunk ends before its samples do, or says what no writer does.
        """
        registers = self.registers
        for step, active in enumerate(self._active()):
            if active < len(registers.bit):
                registers = _first(active, registers)
            if step == 0:
                self._first(registers)
            else:
                self._next(registers, step)
            self.time_ms[registers.target] = registers.time_ms
            self.value[registers.target] = registers.value
            np.add(registers.target, 1, out=registers.target)
        if np.any(self.registers.bit > self.end_bit):
            raise MalformedReply("a chunk ends before its samples do")

    def _active(self) -> list[int]:
        """How many chunks have a sample 0, 1, 2, ..."""
        steps = np.arange(self.descending[0])
        active: list[int] = (len(self.descending) - np.searchsorted(self.descending[::-1], steps, side="right")).tolist()
        return active

    def _first(self, registers: _Registers) -> None:
        zigzag, at = self._varints(self.start[: len(registers.bit)] + _COUNT_BYTES)
        registers.time_ms[:] = (zigzag >> np.uint64(1) ^ -(zigzag & np.uint64(1))).view(np.int64)
        registers.value[:] = self.words.take(at, mode="clip")
        registers.bit[:] = (at + _VALUE_BYTES) * 8

    def _next(self, registers: _Registers, step: int) -> None:
        if step == 1:
            delta_ms, at = self._varints(registers.bit >> 3)
            registers.delta_ms[:] = delta_ms.view(np.int64)
            registers.bit[:] = at * 8
            self._load(registers, registers.head)
        else:
            self._load(registers, registers.head)
            self._read_interval(registers)
        np.add(registers.time_ms, registers.delta_ms, out=registers.time_ms)
        _read_window(registers)
        self._read_value(registers)

    def _varints(self, at: Ints) -> tuple[Bits, Ints]:
        """The varint that begins at each byte *at*, and where it ends."""
        value = np.zeros(len(at), np.uint64)
        goes_on = np.ones(len(at), np.bool)
        for index in range(_LONGEST_VARINT):
            byte = np.where(goes_on, self.data.take(at, mode="clip"), 0).astype(np.uint64)
            value |= (byte & np.uint64(127)) << np.uint64(7 * index)
            at = at + goes_on
            goes_on = byte > 127
            if not goes_on.any():
                break
        if index == _LONGEST_VARINT - 1 and byte.max() > 1:
            raise MalformedReply("a varint of a chunk is longer than 64 bits")
        return value, at

    def _load(self, registers: _Registers, into: Bits) -> None:
        """The bits from each chunk's next one on; at least the highest 57 of them are filled."""
        np.right_shift(registers.bit, 3, out=registers.byte)
        np.bitwise_and(registers.bit, 7, out=registers.shift)
        self.words.take(registers.byte, out=into, mode="clip")
        np.left_shift(into, registers.shift.view(np.uint64), out=into)

    def _rest(self, byte: Ints, shift: Ints) -> Bits:
        """The lowest 7 bits that :meth:`_load` may leave empty."""
        return self.data.take(byte + 8, mode="clip") >> (8 - shift).view(np.uint64)

    def _read_interval(self, registers: _Registers) -> None:
        """Change each delta by what the head says, and move the head behind it."""
        head, bit = registers.head, registers.bit
        if head.view(np.int64).min() >= 0:  # no interval of any chunk changes, as is usual
            np.left_shift(head, 1, out=head)
            np.add(bit, 1, out=bit)
            return
        prefix = (head >> np.uint64(60)).view(np.int64)
        dod = (head << _PREFIX_SHIFT.take(prefix, mode="clip")).view(np.int64)
        dod -= _ONE_SHIFTED.take(prefix, mode="clip")
        dod >>= _DOD_SHIFT.take(prefix, mode="clip")
        dod += _ONE.take(prefix, mode="clip")
        used = _TIME_BITS.take(prefix, mode="clip")
        np.left_shift(head, used.view(np.uint64), out=head)
        long = np.flatnonzero(prefix == _LONG_DOD) if prefix.max() == _LONG_DOD else ()
        if len(long):
            dod[long] = self._bits_at(bit[long] + 4).view(np.int64)
            head[long] = self._bits_at(bit[long] + 68)
        np.add(bit, used, out=bit)
        np.add(registers.delta_ms, dod, out=registers.delta_ms)

    def _bits_at(self, bit: Ints) -> Bits:
        """All 64 bits from each *bit* on."""
        byte, shift = bit >> 3, bit & 7
        return self.words.take(byte, mode="clip") << shift.view(np.uint64) | self._rest(byte, shift)

    def _read_value(self, registers: _Registers) -> None:
        """Change each value by the bits in its window."""
        payload, right, changed, width = registers.payload, registers.right, registers.changed, registers.width
        self._load(registers, payload)
        np.subtract(64, right, out=width)
        np.bitwise_and(width, changed, out=width)
        if width.max() > 57:
            np.bitwise_or(payload, self._rest(registers.byte, registers.shift), out=payload)
        np.add(registers.bit, width, out=registers.bit)
        np.subtract(64, width, out=width)
        np.right_shift(payload, width.view(np.uint64), out=payload)  # by 64, that is to 0, where nothing changed
        np.left_shift(payload, registers.trailing.view(np.uint64), out=payload)
        np.bitwise_xor(registers.value, payload, out=registers.value)


def _read_window(registers: _Registers) -> None:
    """Set the window of each value from the head, and move on to its bits."""
    head, moved, changed = registers.head, registers.moved, registers.changed
    right, trailing, width, zeros = registers.right, registers.trailing, registers.width, registers.zeros
    np.right_shift(head.view(np.int64), 63, out=changed)
    np.left_shift(head, 1, out=moved.view(np.uint64))
    np.right_shift(moved, 63, out=moved)
    np.bitwise_and(moved, changed, out=moved)
    np.right_shift(head, 51, out=width.view(np.uint64))
    np.negative(width, out=width)
    np.bitwise_and(width, 63, out=width)  # 64 less its width, of which 0 stands for 64
    np.right_shift(head, 57, out=zeros.view(np.uint64))
    np.bitwise_and(zeros, 31, out=zeros)
    np.subtract(width, zeros, out=zeros)
    _set_where(moved, right, width)
    _set_where(moved, trailing, zeros)
    if trailing.min() < 0:
        raise MalformedReply("a chunk has a value of more than 64 bits")
    np.subtract(registers.bit, changed, out=registers.bit)
    np.bitwise_and(moved, 11, out=moved)
    np.add(registers.bit, moved, out=registers.bit)
    np.add(registers.bit, 1, out=registers.bit)


def _set_where(mask: Ints, kept: Ints, new: Ints) -> None:
    """Put *new* into *kept* where *mask* is all ones; spoils *new*. Half the time of ``np.copyto(where=...)``."""
    np.bitwise_xor(new, kept, out=new)
    np.bitwise_and(new, mask, out=new)
    np.bitwise_xor(kept, new, out=kept)
