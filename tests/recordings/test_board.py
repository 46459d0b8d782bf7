"""What a recording under way says of itself, and what ``status`` makes of it."""

from __future__ import annotations

from flows.looking import text_of
from tasks.base.clock import SystemClock
from tasks.base.files import write_json
from tasks.base.progress import Progress
from tasks.faults.schedule import PlannedTrial
from tasks.load.runner import LoadStatus
from tasks.recordings.board import Board, read_board

BEAT = {"samples": 1200, "series": 60, "scrapes": 20, "failed": 2, "missed_ticks": 0, "last_scrape_s": 1.0, "cpu_s": 0.1}
LOAD = LoadStatus(alive=True, finished=False, restarts=0, second=5, users_planned=20.0, users_present=19, requests_per_s=88.4)


def board(tmp_path) -> Board:
    """The board of a recording of faults that has begun to count, its first fault begun."""
    write_json(tmp_path / "collector.json", BEAT)
    facts = {"name": "faults", "role": "faults", "planned_s": 120.0, "folder": str(tmp_path)}
    plan = [PlannedTrial(f"t{n:03d}", "pause", "orders", 1.0, False, 8.0, 15.0, 1000.0 * n) for n in (1, 2)]
    clock = SystemClock()
    return Board(tmp_path, lambda _: None, clock, facts, plan, lambda: LOAD, clock.wall_s() - 20, ["t001"])


def test_status_shows_load_samples_and_the_next_fault(tmp_path):
    """The fault that comes next is the one that has not begun; figures come from collector and generator."""
    board(tmp_path)(Progress("faults", "quiet after t001"))

    said = read_board(tmp_path)
    text = text_of({"shops": [{"name": "faults-1", "address": None, "active_faults": [], "left": [], "recording": said}], "runs": []})

    assert said is not None
    assert said["next_fault"]["id"] == "t002"
    assert said["telemetry"]["samples"] == 1200
    assert "faults (faults): quiet after t001; about 100 s left" in text
    assert "load: 19 of 20 users, 88 requests a second" in text
    assert "samples: 1200 of 60 series, 2 failed scrapes, 0 missed seconds" in text
    assert "next fault: t002, pause on orders, in " in text


def test_reports_pass_through_and_are_written_once_a_second(tmp_path):
    """A burst of reports is one write; nothing is written where there is no deployment."""
    heard: list[str] = []
    one = board(tmp_path)
    one.report = lambda step: heard.append(step.text)
    for text in ("a", "b", "c"):
        one(Progress("faults", text))

    assert heard == ["a", "b", "c"]
    assert (read_board(tmp_path) or {})["text"] == "a"
    assert read_board(tmp_path / "nowhere") is None
