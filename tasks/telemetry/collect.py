"""
The collector process: ``python -m tasks.telemetry.collect CONFIG.json``.

Scrapes on schedule and commits a chunk every few seconds until SIGTERM, SIGINT or SIGHUP, which flush and end it. Started
again on the same folder it goes on; the time between is a gap. It prints nothing; ``collector.json`` in the folder says how
it is, ``collector-events.jsonl`` what happened to it.

Exit codes: 0 ended by a signal, 2 the configuration is wrong, 6 no space left, 7 another collector writes to the folder.
"""

from __future__ import annotations

import sys

from tasks.base.clock import Clock, SystemClock
from tasks.telemetry.plan import ScrapePlan
from tasks.telemetry.rounds import Collecting, served
from tasks.telemetry.scrape import TargetScraper, Tick
from tasks.telemetry.targets import address_of


class CollectorProcess(Collecting):
    """Scrapes the same targets at every tick."""

    def __init__(self, plan: ScrapePlan, clock: Clock) -> None:
        super().__init__(plan.out, plan.interval_s, plan.flush_s, clock)
        self.plan = plan
        self.scrapers = [
            TargetScraper.at(
                target,
                address_of(target.url, plan.hosts),
                self.writer.table,
                body_limit_bytes=plan.body_limit_bytes,
                clock=clock,
            )
            for target in plan.targets
        ]

    def open(self) -> None:
        """Nothing goes on between two ticks."""

    def begin(self, tick: Tick) -> None:
        """Scrape every target."""
        for scraper in self.scrapers:
            self.start(self._scrape(scraper, tick))

    def close(self) -> None:
        """Drop the kept connections."""
        for scraper in self.scrapers:
            scraper.close()

    async def _scrape(self, scraper: TargetScraper, tick: Tick) -> None:
        self.take(await scraper.scrape(tick, self.plan.timeout_s, stall_s=self.plan.interval_s / 2))


def main(arguments: list[str]) -> int:
    """Run the collector; its exit code."""
    return served(arguments, lambda path: CollectorProcess(ScrapePlan.read(path), SystemClock()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
