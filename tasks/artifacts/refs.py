"""Names of what the store holds: short, checked by one pattern each, safe as file names."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from tasks.base.errors import DocumentError

RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_REF = re.compile(r"(?P<kind>[a-z][a-z0-9-]{0,31})/(?P<digest>[0-9a-f]{32})")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An artifact: its kind and the digest of its content. Knowing it is knowing every byte."""

    kind: str
    digest: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what ``str`` wrote.

        Raises:
            DocumentError: *text* is not a reference.
        """
        found = _REF.fullmatch(text)
        if found is None:
            raise DocumentError(f"{text!r} is not an artifact; one looks like recording/0123456789abcdef0123456789abcdef")
        return cls(found["kind"], found["digest"])


def new_run_id(wall_s: float) -> str:
    """An id that sorts by time of start: ``20261124-213959-1f0c`` (UTC)."""
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def checked_run_id(text: str) -> str:
    """
    *text* when it is the id of a run.

    Raises:
        DocumentError: It is anything else, a path for instance; nothing was touched.
    """
    if RUN_ID.fullmatch(text) is None:
        shown = repr(text if len(text) <= 64 else text[:61] + "...")
        raise DocumentError(f"{shown} is not a run id; one looks like 20261124-213959-1f0c", next_step="tidegauge runs list")
    return text
