"""Why there are holes: from errors to words, from what a collector told to the causes of gaps, and from those to sentences."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from tasks.telemetry.causes import NO_ANSWER, PHRASES, Cause, cause_text, gap_note
from tasks.telemetry.fetch import FetchError, NotConnected, NotOk, Reply
from tasks.telemetry.gaps import Gap
from tasks.telemetry.outages import explained, outages
from tasks.telemetry.troubles import word_of

T0 = 1_700_000_000.0
DOWN = {"time_s": T0 + 15.9, "since_s": T0 + 10, "kind": "api_down", "word": "refused", "error": "the API server: cannot connect"}
UP = {"time_s": T0 + 30.2, "since_s": T0 + 30, "kind": "api_up"}
STARTED = {"time_s": T0, "kind": "started", "chunk": 0}
REFUSED = Cause("API server", "refused", "the API server: cannot connect")


def raised(error: Exception, cause: BaseException | None) -> Exception:
    """*error* as it is raised from *cause*."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (raised(NotConnected("x"), ConnectionRefusedError(errno.ECONNREFUSED, "no")), "refused"),
        (
            raised(NotConnected("x"), OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed")),
            "refused",
        ),
        (raised(NotConnected("x"), socket.gaierror(-2, "Name or service not known")), "unreachable"),
        (raised(NotConnected("x"), OSError(errno.EHOSTUNREACH, "no route")), "unreachable"),
        (raised(NotConnected("x"), ssl.SSLCertVerificationError(1, "self-signed")), "untrusted"),
        (raised(NotConnected("x"), TimeoutError()), "timeout"),
        (NotConnected("localhost led to another machine"), "unreachable"),
        (raised(FetchError("the reply was cut off"), asyncio.IncompleteReadError(b"", 5)), "cut"),
        (raised(FetchError("no reply"), ConnectionResetError()), "cut"),
        (raised(RuntimeError("x"), raised(FetchError("x"), NotOk(502, Reply("text/html", b"")))), "502"),
        (FetchError("a malformed chunk"), NO_ANSWER),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_has_a_short_word(error, word):
    """By what it was raised from, not by its text."""
    assert word_of(error) == word


def gap(start: float, end: float, target: str | None = None) -> Gap:
    """A hole that begins and ends so many seconds after T0."""
    return Gap(T0 + start, T0 + end, target, None if target is None else "service", 3)


def causes(events, *gaps, scraping: bool = True):
    """What explains each."""
    return [one.cause for one in explained(gaps, outages(events, scraping=scraping))]


def test_an_outage_explains_the_hole_that_it_made():
    """It begins at the first look that failed, an interval after the hole does; elsewhere nothing is known."""
    assert causes([STARTED, DOWN, UP], gap(5, 30), gap(40, 60), gap(5, 30, "front")) == [REFUSED, None, REFUSED]


def test_a_single_look_that_failed_is_enough():
    """Two intervals of hole, one of outage."""
    assert causes([STARTED, DOWN, {**UP, "since_s": T0 + 15}], gap(5, 15)) == [REFUSED]


def test_a_short_outage_is_no_cause_of_a_long_hole():
    """Something else must have been wrong."""
    assert causes([STARTED, DOWN, UP], gap(5, 600, "front")) == [None]


def test_an_outage_that_never_ended_lasts():
    """To the end of the recording."""
    assert causes([STARTED, DOWN], gap(5, 900)) == [REFUSED]


def test_the_longest_outage_counts():
    """Of two in one hole."""
    later = {**DOWN, "since_s": T0 + 35, "word": "500", "error": "etcd"}
    assert causes([STARTED, DOWN, UP, later], gap(5, 400))[0].word == "500"


def test_one_target_explains_no_others():
    """A page that the API server would not ask for."""
    event = {**DOWN, "kind": "target_unheard", "target": "front/0", "service": "front", "word": "403"}
    heard = {**UP, "kind": "target_heard", "target": "front/0"}
    found = causes([STARTED, event, heard], gap(5, 30, "front"), gap(5, 30, "carts"), gap(5, 30))
    assert [one and one.word for one in found] == ["403", None, None]


def test_a_target_that_is_gone_explains_nothing_that_comes_later():
    """It was scaled away while it could not be asked; what is wrong with the others of its service hours later is something else."""
    event = {**DOWN, "kind": "target_unheard", "target": "front/1", "service": "front", "word": "429"}
    gone = {**UP, "kind": "target_gone", "target": "front/1"}
    holes = gap(5, 30, "front"), gap(5000, 5030, "front")
    assert [one and one.word for one in causes([STARTED, event, gone], *holes)] == ["429", None]
    assert [one and one.word for one in causes([STARTED, event], *holes)] == ["429", "429"], "while it is there it may still be so"


def test_whom_a_late_round_left_out() -> None:
    """It is the collector that had no time."""
    late = {"time_s": T0 + 15, "since_s": T0 + 10, "kind": "rounds_late", "word": "late", "error": "a round takes 9 s"}
    (cause,) = causes([STARTED, late, {**UP, "kind": "rounds_kept"}], gap(5, 30, "front"))
    assert cause_text(cause.to_json()) == "the collector could not ask everybody (a round was longer than the interval)"


def test_a_collector_that_was_killed_or_stood_still_says_so_itself():
    """In its first words after that; but the reader of a server's samples makes no holes by being away."""
    again, stood = {**STARTED, "time_s": T0 + 50}, {"time_s": T0 + 90, "kind": "stood_still", "missed_ticks": 4}
    holes = gap(30, 51), gap(70, 90), gap(30, 51, "front")
    assert [one and one.word for one in causes([STARTED, again, stood], *holes)] == ["started anew", "stood still", None]
    assert causes([STARTED, again, stood], *holes, scraping=False) == [None, None, None]


def test_a_restart_ends_what_was_going_on():
    """Whoever comes next finds out anew."""
    events = [STARTED, DOWN, {**STARTED, "time_s": T0 + 20}]
    assert causes(events, gap(21, 60)) == [None]


def test_a_prometheus_that_was_away():
    """By the same fields; older recordings have no word."""
    event = {"time_s": T0 + 10, "kind": "server_down", "error": "http://127.0.0.1:9090: Connection refused"}
    (cause,) = causes([STARTED, event, {"time_s": T0 + 60, "kind": "server_up"}], gap(5, 60), scraping=False)
    assert cause_text(cause.to_json()) == "the Prometheus did not answer (http://127.0.0.1:9090: Connection refused)"


def test_a_cause_is_a_sentence():
    """For people, who get no message twice."""
    assert cause_text(REFUSED.to_json()) == "the API server did not answer (connection refused)"
    assert cause_text({**REFUSED.to_json(), "word": "503"}) == "the API server answered with an error (503)"
    assert cause_text(Cause("API server", NO_ANSWER, "").to_json()) == "the API server did not answer"
    assert [cause_text(Cause("collector", word, "x").to_json()) for word in PHRASES] == [
        f"the collector {text}" for text in PHRASES.values()
    ]


def test_a_hole_says_what_is_missing_and_why():
    """Ledgers of before had no causes."""
    told = gap(5, 30).to_json()
    assert gap_note(told) == "3 scrapes"
    assert gap_note({name: value for name, value in told.items() if name != "cause"}) == "3 scrapes"
    assert gap_note({**told, "cause": REFUSED.to_json()}) == "3 scrapes: the API server did not answer (connection refused)"


def test_what_was_said_is_one_short_line():
    """Whatever a server sends."""
    assert Cause.of("API server", "500", "a\n b" + 500 * "c").said == "a b" + 197 * "c"
