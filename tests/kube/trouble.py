"""What the fake API server does wrong, on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    headers: dict[str, str]
    """By lower-case name."""
    at_s: float
    """``time.monotonic()``."""

    def asked(self, name: str) -> str:
        """A value of the query; empty when it is not there."""
        return self.query.get(name, [""])[0]

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return self.asked("watch") in ("true", "1")

    @property
    def dry_run(self) -> bool:
        """Whether the server only goes through the motions; where a DELETE has a body, the query is not looked at, as with the real one."""
        if self.method == "DELETE" and self.body:
            return "All" in (json.loads(self.body).get("dryRun") or ())
        return self.asked("dryRun") == "All"

    @property
    def writes(self) -> bool:
        """Whether it would change something: no dry run, no question about one's own rights."""
        harmless = self.dry_run or "selfsubject" in self.path
        return self.method in ("POST", "PUT", "PATCH", "DELETE") and not harmless


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error."""

    status: int
    message: str = "made to fail"
    reason: str = ""
    retry_after: str | None = None
    """The header's value."""
    plain: bool = False
    """A body that is no Status object, as another server behind a proxy path would send it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Do what is asked, send so many bytes of the answer, and drop the connection."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Stall:
    """Do what is asked, send so many bytes of the answer, and then nothing, until the server stops."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with this body, status 200, whatever was asked."""

    body: bytes


Act = Fail | Cut | Stall | Say


@dataclass(slots=True)
class _Planned:
    act: Act
    times: int
    applies: Callable[[Seen], bool]


@dataclass
class Plan:
    """Troubles in the order in which they were planned; each befalls the next requests that it applies to."""

    planned: list[_Planned] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, act: Act, times: int, applies: Callable[[Seen], bool]) -> None:
        """Do *act* to the next *times* requests that *applies* takes."""
        with self.lock:
            self.planned.append(_Planned(act, times, applies))

    def take(self, seen: Seen) -> Act | None:
        """What befalls *seen*; None: nothing."""
        with self.lock:
            for one in self.planned:
                if one.times > 0 and one.applies(seen):
                    one.times -= 1
                    return one.act
        return None

    def clear(self) -> None:
        """All is well again."""
        with self.lock:
            self.planned.clear()
