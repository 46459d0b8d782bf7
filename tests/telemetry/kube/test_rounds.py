"""Everybody once over few connections: how many there are, who comes first, what a round that is too long leaves out and says."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

import pytest

from tasks.base.clock import SystemClock
from tasks.telemetry.exposition import Exposed
from tasks.telemetry.kube import rounds
from tasks.telemetry.kube.api import CONNECTIONS
from tasks.telemetry.kube.refusals import Trouble
from tasks.telemetry.kube.rounds import SPARED_FILES, Round, RoundCounts, Rounds, bound, connections, late_text, turned
from tasks.telemetry.scrape import Scrape, Tick
from tasks.telemetry.targets import Target


@dataclass
class Page:
    """Stands for a scraper: only who it scrapes matters to a round."""

    target: Target


@dataclass
class HandClock:
    """Goes on when somebody was asked, and not otherwise."""

    now_s: float = 100.0

    def monotonic_s(self) -> float:
        """For the schedule."""
        return self.now_s

    def wall_s(self) -> float:
        """For samples."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds


def pages(count: int) -> list[Page]:
    return [Page(Target(f"front/{number}", "service", "")) for number in range(count)]


def went(
    clock: HandClock, each_s: float, *counts: int, interval_s: float = 2.0, silent: Collection[int] = (), timeout_s: float = 0.5
) -> list[Round]:
    """Rounds at their due times over one connection, in which each answer takes *each_s*; the *silent* take *timeout_s*."""
    mute = {f"front/{number}" for number in silent}

    async def ask(scraper: Page, tick: Tick) -> Scrape | Trouble | None:
        quiet = scraper.target.name in mute
        clock.sleep(took_s := timeout_s if quiet else each_s)
        return Scrape(scraper.target, tick.wall_ms, took_s, Exposed(), "no complete reply" if quiet else None, doubtful=quiet)

    async def run() -> list[Round]:
        made, one = [], Rounds(clock, interval_s, interval_s)
        for number, count in enumerate(counts):
            tick = Tick(number, clock.now_s, round(clock.now_s * 1000))
            made.append(await one.all(tick, pages(count), ask))
        return made

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("targets", "timeout_s", "interval_s", "count"),
    [(0, 4, 5, 1), (1, 4, 5, 1), (12, 4, 5, 12), (12, 5, 5, 12), (300, 4, 15, 100), (5500, 4, 5, CONNECTIONS), (5500, 4, 100, 220)],
)
def test_connections_follow_from_targets_timeout_and_interval(targets, timeout_s, interval_s, count):
    """So many that silence all around is over when the next round begins; never more than the bound."""
    found = connections(targets, timeout_s, interval_s)
    assert found == count
    assert found == CONNECTIONS or ceil(targets / found) * timeout_s <= interval_s


@pytest.fixture
def few_files(monkeypatch) -> int:
    """Few files may be open, as where ``ulimit -n`` is low; how many. Only told so: this process has many open, of whatever ran before."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    return 256


def test_no_more_connections_than_files_may_be_open(few_files, monkeypatch):
    """What is not a connection keeps its room; a round that gets longer by that says so."""
    assert bound(CONNECTIONS) == few_files - SPARED_FILES
    assert bound(10) == 10
    monkeypatch.setattr(resource, "getrlimit", lambda _: (SPARED_FILES, 4096))
    assert bound(CONNECTIONS) == 1


def test_a_round_keeps_to_the_files_that_may_be_open(few_files):
    """Of 1,000 targets as many are asked at once, and all of them in turn."""
    now, most = 0, 0

    async def ask(scraper: Page, tick: Tick) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    made = asyncio.run(Rounds(HandClock(), 4.0, 5.0).all(Tick(0, 100.0, 100_000), pages(1000), ask))
    assert (made.connections, most, made.left_out) == (few_files - SPARED_FILES, few_files - SPARED_FILES, 0)


@pytest.fixture
def alone(monkeypatch):
    """One connection."""
    monkeypatch.setattr(rounds, "CONNECTIONS", 1)
    return HandClock()


def test_a_round_that_is_in_time_asks_all(alone):
    """In their order."""
    (made,) = went(alone, 0.1, 5)
    assert list(made.asked) == [f"front/{number}" for number in range(5)]
    assert (made.left_out, made.took_s) == (0, pytest.approx(0.5))


def test_who_was_left_out_comes_first_the_next_time(alone):
    """A round ends when the next one is due, so that in two rounds all eight were asked."""
    first, second = went(alone, 0.5, 8, 8)
    assert (first.left_out, first.needed_s, second.left_out) == (4, pytest.approx(4.0), 4)
    assert set(first.asked) | set(second.asked) == {f"front/{number}" for number in range(8)}


def test_what_the_silent_took_is_not_expected_of_those_who_were_left_out(alone):
    """One of 41 is silent for 0.5 s: all would have taken that and 40 answers of 0.05 s, and not a multiple of it."""
    (made,) = went(alone, 0.05, 41, silent=[0])
    assert made.left_out > 0
    assert made.needed_s == pytest.approx(0.5 + 40 * 0.05)
    assert late_text(made, 2.0) == "a round of 41 targets takes 2.5 s, longer than the interval of 2 s"


@pytest.mark.parametrize("silent", [range(40), range(3)], ids=["nobody answers", "few answer"])
def test_where_the_silent_took_the_time_nobody_knows_how_long_all_would_take(alone, silent):
    """It is said instead of a number; in the counts, too, as long as no round has one."""
    (made,) = went(alone, 0.05, 40, silent=silent)
    counts = RoundCounts(2.0)
    counts.add(made)

    assert made.left_out > 0
    assert made.needed_s is None
    assert late_text(made, 2.0) == "a round of 40 targets is longer than the interval of 2 s: silent targets took the time"
    assert (counts.to_json()["late"], counts.to_json()["needed_s"]) == (1, None)
    counts.add(went(alone, 0.1, 40)[0])
    assert counts.to_json()["needed_s"] == pytest.approx(4.0)


def test_a_shorter_round_between_forgets_nobody(alone):
    """Nodes are asked at some ticks only: their turn comes though the rounds between are in time."""
    first, between, third = went(alone, 0.5, 6, 3, 6)
    assert "front/5" not in first.asked
    assert between.left_out == 0
    assert next(iter(third.asked)) == "front/4"


def test_no_more_than_the_bound_are_asked_at_once(monkeypatch):
    """Also while a round before still waits for those who are silent."""
    monkeypatch.setattr(rounds, "CONNECTIONS", 3)
    now: list[int] = [0, 0]

    async def ask(scraper: Page, tick: Tick) -> None:
        now[0] += 1
        now[1] = max(now)
        await asyncio.sleep(0)
        now[0] -= 1

    async def run() -> None:
        one = Rounds(HandClock(), 4.0, 5.0)
        await asyncio.gather(*(one.all(Tick(number, 100.0, 100_000), pages(20), ask) for number in range(3)))

    asyncio.run(run())
    assert now == [0, 3]


def test_a_round_does_not_wait_for_connections_beyond_its_end(monkeypatch):
    """The one before may hold them for longer: what came until then is not kept back for those who get none."""
    monkeypatch.setattr(rounds, "CONNECTIONS", 1)

    async def run() -> tuple[Round, bool]:
        silent, one, now_s = asyncio.Event(), Rounds(SystemClock(), 0.05, 0.05), SystemClock().monotonic_s()

        async def ask(scraper: Page, tick: Tick) -> None:
            await silent.wait()

        before = asyncio.create_task(one.all(Tick(0, now_s, 0), pages(1), ask))
        await asyncio.sleep(0)
        made = await asyncio.wait_for(one.all(Tick(1, now_s, 0), pages(3), ask), 20)
        held = not before.done()
        silent.set()
        await before
        return made, held

    made, held = asyncio.run(run())
    assert (made.asked, made.left_out, held) == ({}, 3, True)


def test_turning_keeps_the_order():
    """One who is gone is no place to begin."""
    assert [one.target.name for one in turned(pages(3), "front/1")] == ["front/1", "front/2", "front/0"]
    assert [one.target.name for one in turned(pages(2), "carts/0")] == ["front/0", "front/1"]
    assert list(turned([], "front/0")) == []


def test_counts_survive_a_restart(alone, tmp_path):
    """Those of a process before are added; what cannot be read is nothing."""
    first = RoundCounts.resumed(tmp_path, 2.0)
    for one in went(alone, 0.5, 8, 3):
        first.add(one)
    told = first.to_json()
    (tmp_path / "collector.json").write_text(json.dumps({"kubelet": {"rounds": dict(told)}}))
    second = RoundCounts.resumed(tmp_path, 2.0)
    assert second.to_json() == told == {
        "interval_s": 2.0, "rounds": 2, "late": 1, "left_out": 4, "targets": 8, "connections": 1,
        "longest_s": 2.0, "usual_s": 1.75, "needed_s": 4.0,
    }  # fmt: skip
    second.add(went(alone, 0.1, 3)[0])
    assert (second.to_json()["rounds"], second.to_json()["needed_s"]) == (3, 4.0)
    (tmp_path / "collector.json").write_text("{")
    assert RoundCounts.resumed(tmp_path, 2.0).rounds == 0
