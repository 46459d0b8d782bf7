"""
The control socket of a supervisor: one JSON object a line, each answered by one.

A request is ``{"do": NAME, ...}``; the reply ``{"ok": true, ...}`` or ``{"ok": false, "error": TEXT}``. The socket stands in
a folder that only its owner can enter. Its address is taken through a descriptor of that folder, since the path of a Unix
socket may have no more than 107 bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.base.errors import PreflightError, TidegaugeError
from tasks.cluster.server import Answer, Reply

SOCKET_FILE = "control.sock"
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class RefusedError(Exception):
    """A request that is not carried out, with the sentence that says why."""


def listen(state_dir: Path) -> socket.socket:
    """A listening control socket in *state_dir*, mode 0600; one that a dead supervisor left is replaced."""
    (state_dir / SOCKET_FILE).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(state_dir) as address:
        before = os.umask(0o177)
        try:
            listener.bind(address)
        finally:
            os.umask(before)
    listener.listen(16)
    return listener


def answer_with(handlers: Mapping[str, Handler]) -> Answer:
    """Answer each line by the handler that its ``do`` names."""

    def answer(received: bytearray) -> Reply | None:
        end = received.find(b"\n")
        if end < 0:
            return None
        line = bytes(received[:end])
        del received[: end + 1]
        return Reply(json.dumps(_handled(handlers, line)).encode() + b"\n")

    return answer


def _handled(handlers: Mapping[str, Handler], line: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or not isinstance(request.get("do"), str):
            raise RefusedError("a request is an object with a text `do`")
        handler = handlers.get(request["do"])
        if handler is None:
            raise RefusedError(f"unknown request {request['do']!r}; known: {', '.join(sorted(handlers))}")
        return {"ok": True, **handler(request)}
    except (RefusedError, TidegaugeError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        return {"ok": False, "error": str(error)}


def ask(state_dir: Path, do: str, *, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:
    """
    Send one request to the supervisor of *state_dir* and return its reply.

    Raises:
        PreflightError: It refused, or does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream, _short(state_dir) as address:
            stream.settimeout(timeout_s)
            stream.connect(address)
            stream.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            with stream.makefile("rb") as lines:
                reply = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise PreflightError(
            f"the supervisor of {state_dir} does not answer `{do}`: {error}", next_step="tidegauge status, then: tidegauge down"
        ) from error
    if not reply["ok"]:
        raise PreflightError(str(reply["error"]), next_step="tidegauge status")
    return dict(reply)


@contextlib.contextmanager
def _short(state_dir: Path) -> Iterator[str]:
    folder = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_FILE}"
    finally:
        os.close(folder)
