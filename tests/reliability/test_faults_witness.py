"""A fault without effect is never labelled as one: real measurements of real faults, and of an injector that does nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tasks.base.intervals import Interval
from tasks.base.process import ProcessId
from tasks.base.trials import Outcome, Windows
from tasks.faults.catalogue import witness_names
from tasks.faults.injector import FaultReceipt, inject
from tasks.faults.preflight import FaultRequest
from tasks.faults.processes import group_members, used_bytes
from tasks.faults.proxy_series import growth, ratio
from tasks.faults.rule_socket import RuleSocket
from tasks.faults.witness import Evidence, Indicator, judge
from tests.faults.small_shop import SmallShop
from tests.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
STEP_S = 0.1
WINDOW_S = 1.0
KINDS = ("pause", "cpu_squeeze", "cpu_hog", "memory_leak", "latency", "http_errors")
RESOLUTION = {"scrape_duration_s": 0.02, "up": 0.1, "cpu_cores": 0.05, "memory_working_set_bytes": 10e6, "restarts": 0.1}
RESOLUTION |= {"proxy_hold_mean_s": 0.001, "proxy_error_ratio": 0.003}


@dataclass
class Recorder:
    """Samples the service *orders* every 100 ms: itself directly, its group's accounting, and the proxy's counters."""

    shop: SmallShop
    rows: list[dict[str, float]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    used_s: dict[ProcessId, float] = field(default_factory=dict)
    """Processor time of every process ever seen; one that ended keeps its last value, so that the sum never falls."""

    def run(self) -> None:
        """Until *stop*."""
        while not self.stop.is_set():
            start = time.monotonic()
            self.rows.append(self.sample())
            time.sleep(max(0.0, STEP_S - (time.monotonic() - start)))

    def sample(self) -> dict[str, float]:
        """One row; a scrape that takes longer than 300 ms has failed."""
        service = self.shop.services()["orders"]
        assert service.main is not None
        direct = SmallShop(self.shop.state_dir, {"orders": service.__class__("orders", None, 0, service.port)})
        status, scrape_s = direct.get("orders", 0.3)
        members = group_members([service.main])
        counters = RuleSocket(self.shop.proxy_socket).services()["orders"]
        counted = {key: float(counters[key]) for key in ("requests", "held_s", "errors_injected")}
        own = {"up": float(status == 200), "scrape_duration_s": scrape_s, "restarts": 0.0}
        return {"time": time.time(), "cpu_s": self.cpu_s(members), "memory_working_set_bytes": float(used_bytes(members)), **own, **counted}

    def cpu_s(self, members: tuple[ProcessId, ...]) -> float:
        """Processor time of the group so far."""
        for process in members:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                self.used_s[process] = (int(fields[11]) + int(fields[12])) / 100
        return sum(self.used_s.values())

    def load(self) -> None:
        """Ask through the proxy, 30 times a second."""
        while not self.stop.is_set():
            self.shop.get("orders", 1.0)
            time.sleep(0.03)

    def indicator(self, name: str) -> Indicator:
        """The series of one witness so far, on the samples' own times."""
        column = {key: np.array([row[key] for row in self.rows]) for key in self.rows[0]}
        times, metric = column["time"], name.partition("/")[2]
        if metric == "cpu_cores":
            value = growth(times, column["cpu_s"], times, WINDOW_S) / WINDOW_S
        elif metric == "proxy_hold_mean_s":
            value = ratio(growth(times, column["held_s"], times, WINDOW_S), growth(times, column["requests"], times, WINDOW_S))
        elif metric == "proxy_error_ratio":
            value = ratio(growth(times, column["errors_injected"], times, WINDOW_S), growth(times, column["requests"], times, WINDOW_S))
        else:
            value = column[metric]
        return Indicator(name, times, value, np.isfinite(value), RESOLUTION[metric])


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A shop under load, being sampled."""
    shop = SmallShop.open(tmp_path / "state")
    recorder = Recorder(shop)
    threads = [threading.Thread(target=recorder.run), threading.Thread(target=recorder.load)]
    for thread in threads:
        thread.start()
    yield recorder
    recorder.stop.set()
    for thread in threads:
        thread.join()
    shop.close()


def outcome(recorder: Recorder, receipt: FaultReceipt, spans: list[Interval]) -> Outcome | None:
    """What the measurements say about the fault of *receipt*."""
    windows = Windows(receipt.requested, receipt.acknowledged, None, receipt.revert_requested, receipt.reverted)
    witnesses = [recorder.indicator(name) for name in witness_names(receipt.kind, "orders")]
    return judge(Evidence(witnesses, []), windows, excluded=spans, grace_s=WINDOW_S + 2 * STEP_S, placebo=False).outcome


def tried(recorder: Recorder, asked: FaultRequest, spans: list[Interval]) -> Outcome | None:
    """Inject *asked* after a quiet time; its outcome, and its window added to *spans*."""
    time.sleep(2.0)
    receipt = inject(recorder.shop, asked).wait()
    time.sleep(WINDOW_S + 3 * STEP_S)
    recorder.shop.reap()
    found = outcome(recorder, receipt, spans)
    assert receipt.reverted is not None
    spans.append(Interval(receipt.requested, receipt.reverted + WINDOW_S + 2 * STEP_S))
    return found


def test_an_injector_that_does_nothing_is_seen_through(recorder: Recorder, ledger: Ledger):
    """
    Every kind once really and once without effect, judged from what was measured: no window is labelled wrongly.

    A real fault that a busy machine hid is void, and gets the one further slot that a run gives it; nothing done gets none.
    """
    spans: list[Interval] = []
    wrong = []
    for number, kind in enumerate(KINDS):
        for pretend in (True, False):
            intensity = 0.9 if kind == "memory_leak" else 1.0
            for slot in (1,) if pretend else (1, 2):
                asked = FaultRequest(f"row28-{number}-{int(pretend)}-{slot}", kind, "orders", intensity, 1.5, placebo=pretend)
                found = tried(recorder, asked, spans)
                right = (found is Outcome.NOT_INJECTED) == pretend
                if right:
                    break
            wrong += [] if right else [(kind, "nothing done" if pretend else "really done", found)]
            ledger.count(row=28, fault="injector without effect", survived=right, figure=f"wrongly labelled windows {len(wrong)}")
    assert wrong == []
