"""
A remote read's reply, written the slow and plain way: XOR chunks bit by bit, protobuf, and frames, from the description of each format.

The oracle of the tests of what must be fast. Values are bit patterns, so that no NaN is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Sample = tuple[int, int]
"""Time in ms and the bits of the value."""

_UINT64 = (1 << 64) - 1
_STEPS = ((14, 0b10, 2), (17, 0b110, 3), (20, 0b1110, 4))
"""Bits of a delta of deltas, the prefix that says so, and the bits of that."""


class _Writer:
    """A stream of bits, the highest bit of a byte first."""

    def __init__(self) -> None:
        self.bits: list[str] = []

    def write(self, value: int, width: int) -> None:
        self.bits.append(f"{value & ((1 << width) - 1):0{width}b}")

    def varint(self, value: int) -> None:
        while value > 127:
            self.write(value & 127 | 128, 8)
            value >>= 7
        self.write(value, 8)

    def packed(self) -> bytes:
        bits = "".join(self.bits)
        bits += "0" * (-len(bits) % 8)
        return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")


def encode(samples: Sequence[Sample]) -> bytes:
    """The chunk of *samples* (at most 65,535), as short as it can be: without the byte of zeros that Prometheus may leave behind it."""
    out = _Writer()
    out.write(len(samples), 16)
    before_ms = delta = bits = 0
    window: tuple[int, int] | None = None
    for index, (time_ms, value) in enumerate(samples):
        if index == 0:
            out.varint(((time_ms << 1) ^ (time_ms >> 63)) & _UINT64)
            out.write(value, 64)
        else:
            new_delta = (time_ms - before_ms) & _UINT64
            if index == 1:
                out.varint(new_delta)
            else:
                _write_dod(out, _signed(new_delta - delta))
            window = _write_xor(out, value ^ bits, window)
            delta = new_delta
        before_ms, bits = time_ms, value
    return out.packed()


def _write_dod(out: _Writer, dod: int) -> None:
    if dod == 0:
        out.write(0, 1)
        return
    for width, prefix, prefix_bits in _STEPS:
        if -((1 << (width - 1)) - 1) <= dod <= 1 << (width - 1):
            out.write(prefix, prefix_bits)
            out.write(dod, width)
            return
    out.write(0b1111, 4)
    out.write(dod, 64)


def _write_xor(out: _Writer, xor: int, window: tuple[int, int] | None) -> tuple[int, int] | None:
    """Write *xor* in the *window* (leading and trailing zeros) of before where it fits; the window that counts from here on."""
    if xor == 0:
        out.write(0, 1)
        return window
    leading, trailing = min(64 - xor.bit_length(), 31), (xor & -xor).bit_length() - 1
    if window is not None and leading >= window[0] and trailing >= window[1]:
        out.write(0b10, 2)
        out.write(xor >> window[1], 64 - window[0] - window[1])
        return window
    significant = 64 - leading - trailing
    out.write(0b11, 2)
    out.write(leading, 5)
    out.write(significant, 6)
    out.write(xor >> trailing, significant)
    return leading, trailing


def decode(chunk: bytes) -> Iterator[Sample]:
    """
    The samples of *chunk*.

    Raises:
        EOFError: It ends before they do.
    """
    bits = _Reader(chunk)
    count = bits.read(16)
    time_ms = delta = value = leading = trailing = 0
    for index in range(count):
        if index == 0:
            zigzag = bits.varint()
            time_ms, value = (zigzag >> 1) ^ -(zigzag & 1), bits.read(64)
            yield time_ms, value
            continue
        delta = bits.varint() if index == 1 else (delta + _read_dod(bits)) & _UINT64
        time_ms = _signed(time_ms + delta)
        if bits.read(1):
            if bits.read(1):
                leading, significant = bits.read(5), bits.read(6) or 64
                trailing = 64 - leading - significant
            value ^= bits.read(64 - leading - trailing) << trailing
        yield time_ms, value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def read(self, width: int) -> int:
        if self.at + width > len(self.bits):
            raise EOFError
        self.at += width
        return int(self.bits[self.at - width : self.at], 2)

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.read(8)
            value |= (byte & 127) << shift
            if byte < 128:
                break
        return value


def _read_dod(bits: _Reader) -> int:
    prefix = 0
    while prefix < 4 and bits.read(1):
        prefix += 1
    if prefix == 0:
        return 0
    if prefix == 4:
        return _signed(bits.read(64))
    width = _STEPS[prefix - 1][0]
    dod = bits.read(width)
    return dod - (1 << width) if dod > 1 << (width - 1) else dod


def _signed(value: int) -> int:
    """The int64 with the bits of *value*."""
    value &= _UINT64
    return value - (1 << 64) if value >> 63 else value


def varint(value: int) -> bytes:
    """*value* as protobuf writes it; a negative one as its int64."""
    value &= _UINT64
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message: numbers as varints, everything else with its length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def series_message(labels: Mapping[str, str], chunks: Sequence[Sequence[Sample]], encoding: int = 1) -> bytes:
    """A ``ChunkedSeries`` of *chunks*."""
    named = [(1, message((1, name), (2, value))) for name, value in labels.items()]
    return message(*named, *((2, chunk_message(samples, encoding)) for samples in chunks))


def chunk_message(samples: Sequence[Sample], encoding: int = 1) -> bytes:
    """A ``Chunk``, with its first and last time."""
    times = [time_ms for time_ms, _ in samples] or [0]
    return message((1, times[0]), (2, times[-1]), (3, encoding), (4, encode(samples)))


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_TABLE = [_crc_of(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """The reflected CRC with the polynomial 0x82F63B78 (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """*data* as Prometheus frames it."""
    return varint(len(data)) + crc32c(data).to_bytes(4, "big") + data
