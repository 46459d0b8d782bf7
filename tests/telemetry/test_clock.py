"""The wall clock jumps while the collector runs; its schedule, on the monotonic clock, does not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.base.clock import SystemClock
from tasks.telemetry.collect import CollectorProcess
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.samples import read_samples
from tasks.telemetry.targets import Target
from tests.telemetry.exporters import ok, serving


@dataclass(frozen=True)
class JumpingClock:
    """The machine's clock, its wall time set forward by *offset_s*, which may change."""

    offset_s: list[float] = field(default_factory=lambda: [0.0])
    real: SystemClock = field(default_factory=SystemClock)

    def wall_s(self) -> float:
        """Seconds since 1970, as far as this clock knows."""
        return self.real.wall_s() + self.offset_s[0]

    def monotonic_s(self) -> float:
        """Never jumps."""
        return self.real.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        self.real.sleep(seconds)


@pytest.mark.parametrize("jump_s", [90.0, -90.0])
def test_a_jump_of_the_wall_clock_is_noted(tmp_path: Path, jump_s: float) -> None:
    """One event with the length of the jump; no scrape is missed for it, and samples stamped before others are counted."""
    clock = JumpingClock()

    async def run(target: Target) -> None:
        collector = CollectorProcess(ScrapePlan(tmp_path, (target,), 0.1, 0.1, 0.1), clock)
        loop = asyncio.get_running_loop()
        loop.call_later(0.55, clock.offset_s.__setitem__, 0, jump_s)
        loop.call_later(1.05, collector.stop)
        await collector.run()
        collector.writer.close()

    with serving(ok("a 1\n")) as exporter:
        asyncio.run(run(Target("a", "service", exporter.url)))
        asked = len(exporter.heads)

    events = [json.loads(line) for line in (tmp_path / "collector-events.jsonl").read_text().splitlines()]
    (jump,) = [event["by_s"] for event in events if event["kind"] == "clock_jump"]
    samples = read_samples(tmp_path)
    assert jump == pytest.approx(jump_s, abs=0.05)
    assert len(samples.series) == 4 * asked
    assert (samples.out_of_order > 0) == (jump_s < 0)
    assert 8 <= asked + next((event["missed_ticks"] for event in events if event["kind"] == "stood_still"), 0) <= 12
