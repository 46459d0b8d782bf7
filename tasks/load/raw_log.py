"""The log that a load generator writes, in plain Python: one JSON line for each second, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import time
from typing import Any


class RawLog:
    """
    A file, or standard output.

    Whoever reads standard output from afar may be cut off and read again, so each line there has the name of this process's
    ``life``, its number ``n`` (from 1), and the moment ``at`` which it was written (seconds since 1970, this machine's clock).
    """

    def __init__(self, path: str | None) -> None:
        self._handle = os.dup(1) if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._life = secrets.token_hex(4) if path is None else None
        self._lines = 0
        self.ended = False

    def write(self, row: dict[str, Any]) -> None:
        """Append one line."""
        self._lines += 1
        stamp = {} if self._life is None else {"life": self._life, "n": self._lines, "at": time.time()}
        data = json.dumps({**row, **stamp}, separators=(",", ":")).encode() + b"\n"
        while data:  # a pipe may take less than all
            data = data[os.write(self._handle, data) :]

    def end(self) -> None:
        """Say that the load ended in order, once."""
        if not self.ended:
            self.ended = True
            self.write({"kind": "end", "time_s": time.time()})
            if self._life is None:
                os.fsync(self._handle)
