"""A watch that is forgotten, cut, or falls silent: row 17."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.kube import watching
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.kube.fake_api import FakeApi
from tests.kube.trouble import Cut, Fail
from tests.kube.watchers import PATH, Watcher, settings

SILENCE_S = 0.6
HANG_S = 3.0
"""Nobody waits longer for the next event: silence, the rest after it, and a machine with other work."""
ROUNDS = 12


def cut(api: FakeApi, rng: random.Random) -> None:
    """The connection is dropped; the next answers break off as well, somewhere."""
    for _ in range(rng.randrange(3)):
        api.trouble(Cut(rng.randrange(500)), watches=True)
    api.cut_watches()


def silent(api: FakeApi, _: random.Random) -> None:
    """The connection stays, and says nothing more."""
    api.silence_watches()


def ended(api: FakeApi, _: random.Random) -> None:
    """In good order."""
    api.end_watches()


def restarted(api: FakeApi, _: random.Random) -> None:
    """Nobody listens for a moment."""
    port = api.port
    api.stop()
    api.start(port)


def refused(api: FakeApi, rng: random.Random) -> None:
    """Errors of all kinds before it goes on."""
    for _ in range(rng.randrange(1, 4)):
        api.trouble(Fail(rng.choice([429, 500, 502, 503, 504]), retry_after=rng.choice([None, "0"])), path=PATH)
    api.cut_watches()


def forgotten_event(api: FakeApi, rng: random.Random) -> None:
    """410 in the stream; the list after it may break off too."""
    api.gone_as = "event"
    api.forget()
    if rng.random() < 0.5:
        api.trouble(Cut(rng.randrange(300)), path=PATH, watches=False)


def forgotten_status(api: FakeApi, rng: random.Random) -> None:
    """410 instead of a stream."""
    forgotten_event(api, rng)
    api.gone_as = "status"
    api.cut_watches()


REMEMBERED = (cut, silent, ended, restarted, refused)
FORGOTTEN = (forgotten_event, forgotten_status)


def change(api: FakeApi, rng: random.Random, value: int) -> None:
    """One object is made, changed, removed, or made anew."""
    name = f"c{rng.randrange(6)}"
    there = api.object("ConfigMap", name, "shop") is not None
    if there and rng.random() < 0.4:
        api.remove("ConfigMap", name, "shop")
    else:
        api.put(settings(name, value))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same course of things in less time."""
    for name, value in {"SILENCE_S": SILENCE_S, "REST_S": 0.05, "LOOK_S": 0.02, "PAGE": 2}.items():
        monkeypatch.setattr(watching, name, value)


def watched(api: FakeApi, tmp_path: Path) -> Watcher:
    """Somebody who watches, with an adapter of his own."""
    return Watcher(Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))))


@pytest.mark.parametrize("trouble", [*REMEMBERED, *FORGOTTEN], ids=lambda trouble: trouble.__name__)
def test_nothing_is_missed_and_nothing_told_twice(
    ledger: Any, rng: random.Random, tmp_path: Path, quick: None, trouble: Callable[[FakeApi, random.Random], None]
) -> None:
    """
    Whatever befalls the watch between changes, what was told is at last what there is, step by step.

    Where the server still remembers, every version of every object is told; where it forgot, what came and went unseen is not.
    """
    longest_s, lost, twice = 0.0, 0, 0
    with FakeApi() as api, watched(api, tmp_path) as watcher:
        assert watcher.ready(api)
        for number in range(ROUNDS):
            one = ledger.begin(row=17, fault="a watch is forgotten, cut, or silent", where="fake")
            told, versions, begun_s = len(watcher.told), set(), time.monotonic()
            for step in range(rng.randrange(1, 6)):
                if step == 0 or rng.random() < 0.3:
                    trouble(api, rng)
                change(api, rng, 10 * number + step)
                versions.add(str(api.objects.version))
            missing = set() if trouble in FORGOTTEN else versions
            while missing and time.monotonic() - begun_s < HANG_S:
                time.sleep(0.005)
                missing = versions - {version for _, _, version in watcher.told[told:]}
            assert watcher.sees(api, HANG_S), (watcher.error, watcher.there, watcher.told[told:])
            longest_s = max(longest_s, time.monotonic() - begun_s)
            twice += len(watcher.wrong)
            lost += len(missing)
            assert (lost, watcher.wrong) == (0, [])
            one.survived(f"events lost {lost}, told twice {twice}; all was told {longest_s:.1f} s after, silence of {SILENCE_S:g} s")


def test_a_silent_server_is_noticed_from_the_start(ledger: Any, tmp_path: Path, quick: None) -> None:
    """A peer that takes the connection and never answers, neither the list nor the watch, holds nobody up for ever."""
    one = ledger.begin(row=17, fault="a watch is forgotten, cut, or silent", where="fake")
    with FakeApi() as api:
        watcher = watched(api, tmp_path)
        api.put(settings("a", 1))
        api.trouble(Cut(0), path=PATH, watches=False)
        api.stall_next(0, path=PATH)
        with watcher:
            begun_s = time.monotonic()
            while not api.asked(PATH):
                time.sleep(0.005)
            stopped_s = watcher.stop() if watcher.sees(api, HANG_S) else HANG_S
        assert watcher.there.keys() == {"a"}
        assert stopped_s < 1
        one.survived(f"events lost 0; a silent list was left after {time.monotonic() - begun_s:.1f} s")
