"""JSON of a size at which Python's collector of cycles costs as much as the parser."""

from __future__ import annotations

import gc
import json
from typing import Any


def parsed(text: bytes | str) -> Any:
    """
    The value of *text*, parsed while the collector waits.

    A parsed value has no cycles, so there is nothing to collect, but each few hundred new objects make it look, and now and then at
    all of them: how often depends on what else is in memory, so that a long list cost more than its part. Safe among threads:
    whoever finds the collector at rest leaves it so, and who rested it wakes it.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    at_work = gc.isenabled()
    gc.disable()
    try:
        return json.loads(text)
    finally:
        if at_work:
            gc.enable()
