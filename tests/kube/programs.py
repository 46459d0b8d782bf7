"""The server's end of a program run in a container: a websocket whose messages begin with the number of a channel."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE = 2, 8


@dataclass(frozen=True, slots=True)
class Started:
    """A program that was started in a container."""

    namespace: str
    pod: str
    container: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended."""

    code: int | None = 0
    """None: it never does; the connection is left open."""
    out: str = ""
    err: str = ""
    lost: bool = False
    """The connection is dropped before the code is told."""
    failure: str = ""
    """It could not be started: the runtime's words."""


Program = Callable[[Started], Ended]


def accepted(key: str) -> str:
    """What proves that the server speaks websocket."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()


def speak(out: IO[bytes], ended: Ended) -> None:
    """Send what the program said, and how it ended."""
    for channel, text in ((1, ended.out), (2, ended.err)):
        if text:
            out.write(_frame(_BINARY, bytes([channel]) + text.encode()))
    if ended.lost or ended.code is None:
        return
    out.write(_frame(_BINARY, bytes([3]) + json.dumps(_status(ended)).encode()))
    out.write(_frame(_CLOSE, struct.pack("!H", 1000)))


def _status(ended: Ended) -> dict[str, object]:
    if ended.failure:
        return {"kind": "Status", "status": "Failure", "reason": "InternalError", "message": ended.failure, "code": 500}
    if ended.code == 0:
        return {"kind": "Status", "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(ended.code)}]
    message = f"command terminated with non-zero exit code: exit status {ended.code}"
    return {"kind": "Status", "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}


def _frame(opcode: int, data: bytes) -> bytes:
    head = bytes([0x80 | opcode])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return head + b"\x7e" + struct.pack("!H", len(data)) + data
    return head + b"\x7f" + struct.pack("!Q", len(data)) + data
