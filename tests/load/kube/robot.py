"""What a generator in a pod says, without a generator: lines that a test has it say, stamped like real ones."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field

from tasks.load.tally import Result, Tally


@dataclass
class Robot:
    """One process of a worker."""

    worker: int = 0
    workers: int = 1
    behind_s: float = 0.0
    """How far its clock is behind ours."""
    life: str = field(default_factory=lambda: secrets.token_hex(4))
    lines: list[bytes] = field(default_factory=list)
    over: bool = False

    def say(self, kind: str, **facts: object) -> bytes:
        """The next line."""
        stamp = {"life": self.life, "n": len(self.lines) + 1, "at": time.time() - self.behind_s}
        self.lines.append(json.dumps({"kind": kind, **facts, **stamp}).encode())
        return self.lines[-1]

    def begin(self, origin_s: float) -> bytes:
        """The load begins at *origin_s*, by our clock."""
        return self.say("start", time_s=origin_s, origin_wall_s=origin_s - self.behind_s, offset_s=0.0, worker=self.worker)

    def second(self, second: int, *, users: int = 10, requests: int = 5) -> bytes:
        """A second in which *requests* were answered, by our clock."""
        tally = Tally()
        for _ in range(requests):
            tally.request(0, "GET /", Result.OK, own_s=0.01, lag_s=0.0)
        plans = {"users_planned": float(users * self.workers), "journeys_planned": float(users * self.workers)}
        facts = {"users_present": users, "cpu_ratio": 0.05, "rss_bytes": 60 << 20}
        counted = {**tally.second(0).to_json(), "journeys_started": requests, "journeys_completed": requests}
        return self.say("second", second=second - round(self.behind_s), **plans, **facts, **counted)

    def end(self) -> bytes:
        """It has ended in order."""
        self.over = True
        return self.say("end", time_s=time.time())
