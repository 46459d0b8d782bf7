"""One process that is kept running: its life, its limit, its account of restarts."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.base.process import ProcessId, ProcessSpec
from tasks.cluster.deployment import RestartPolicy
from tasks.cluster.logs import Tail
from tasks.cluster.state import ProcessState, Status


@dataclass(slots=True)
class Kept:
    """State of one process; times are monotonic seconds unless they say otherwise."""

    spec: ProcessSpec
    tail: Tail
    policy: RestartPolicy
    status: Status = "waiting"
    main: ProcessId | None = None
    wanted: bool = True
    """Whether it is started again after it ended."""
    starts: int = 0
    failures: int = 0
    """Ends in a row."""
    started_s: float = 0.0
    started_wall_s: float = 0.0
    due_s: float = 0.0
    """When it is started next, while ``clearing`` or ``waiting``."""
    kill_s: float | None = None
    """When patience ends, while ``stopping``."""
    doomed: str | None = None
    """The reason that the supervisor itself has to kill it."""
    oom_events: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """How often it ended, by reason."""
    last_reason: str | None = None

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, self.starts - 1)

    def ended(self, now_s: float, code: int) -> str:
        """Note that the main process ended with exit status *code* (negative: by a signal); returns the reason."""
        reason = self.doomed or ("Stopped" if not self.wanted else "Completed" if code == 0 else "Error")
        self.failures = self.policy.failures_after(self.failures, now_s - self.started_s)
        self.due_s = now_s + self.policy.wait_s(self.failures)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.last_reason, self.doomed, self.main, self.kill_s = reason, None, None, None
        self.status = "clearing"
        return reason

    def state(self, now_s: float, proxy_port: int | None) -> ProcessState:
        """As others see it."""
        due = self.wanted and self.status in ("clearing", "waiting")
        return ProcessState(
            name=self.spec.name,
            role=self.spec.role,
            status=self.status,
            main=self.main,
            port=self.spec.port,
            proxy_port=proxy_port,
            memory_limit_bytes=self.spec.memory_limit_bytes,
            restarts=self.restarts,
            last_reason=self.last_reason,
            next_start_s=round(max(0.0, self.due_s - now_s), 3) if due else None,
        )
