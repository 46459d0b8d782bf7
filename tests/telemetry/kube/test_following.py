"""A collection as it changes, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tasks.base.clock import SystemClock
from tasks.telemetry.kube import following
from tasks.telemetry.kube.api import ApiServer
from tasks.telemetry.kube.following import Follower
from tasks.telemetry.prometheus.access import Access
from tests.kube.fake_api import FakeApi

PATH = "/api/v1/namespaces/shop/pods"


@pytest.fixture
def api():
    """An API server that lets everybody in."""
    with FakeApi(bearer=None) as running:
        yield running


def pod(name: str, **labels: str) -> dict[str, Any]:
    """A pod."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": {}}


def named(value: Any) -> str:
    """The name of an object."""
    return str(value["metadata"]["name"])


class Seen:
    """The names that there are, by what a follower tells."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.lists = 0
        self.changes: list[str] = []

    def listed(self, values: Any) -> None:
        """These are all."""
        self.lists += 1
        self.names = set(values)

    def changed(self, kind: str, name: str) -> None:
        """One came or went."""
        self.changes.append(kind)
        self.names.discard(name) if kind == "DELETED" else self.names.add(name)


def followed(
    api: FakeApi, steps: list[tuple[Callable[[], Any], Callable[[Seen, Follower], bool]]], labels: str = ""
) -> tuple[Seen, Follower]:
    """Follow the pods; do each step, and wait until what it should lead to is so."""

    async def run() -> tuple[Seen, Follower]:
        seen, server = Seen(), ApiServer(Access(api.url), 1 << 20)
        follower = Follower(server, PATH, labels, SystemClock(), named, seen.listed, seen.changed)
        task = asyncio.create_task(follower.run())
        try:
            for act, expected in steps:
                act()
                async with asyncio.timeout(10):
                    while not expected(seen, follower):
                        await asyncio.sleep(0.005)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            server.close()
            await asyncio.sleep(0)
        return seen, follower

    return asyncio.run(run())


def are(*names: str) -> Callable[[Seen, Follower], bool]:
    """Whether these are known."""
    return lambda seen, _: seen.names == set(names)


def test_it_is_listed_once_and_then_watched(api):
    """What is there, what comes, changes and goes; only what the labels select."""
    api.put(pod("a", app="x"))
    seen, follower = followed(
        api,
        [
            (lambda: None, are("a")),
            (lambda: (api.put(pod("b", app="x")), api.put(pod("other", app="y"))), are("a", "b")),
            (lambda: api.remove("Pod", "a", "shop"), are("b")),
        ],
        labels="app=x",
    )

    assert (seen.lists, seen.changes) == (1, ["ADDED", "DELETED"])
    assert follower.fresh(SystemClock().monotonic_s())
    assert not follower.fresh(SystemClock().monotonic_s() + 60)


def test_a_watch_that_is_cut_misses_nothing(api):
    """What happened meanwhile is known after it."""

    def meanwhile():
        api.fail_next(503, times=2, path=PATH)
        api.cut_watches()
        api.put(pod("b"))
        api.remove("Pod", "a", "shop")

    api.put(pod("a"))
    seen, _ = followed(api, [(lambda: None, are("a")), (meanwhile, are("b"))])

    assert seen.lists >= 2


@pytest.mark.parametrize("gone_as", ["event", "status"])
def test_a_server_that_forgot_is_listed_anew(api, gone_as):
    """By whichever way it says so."""

    def meanwhile():
        api.put(pod("b"))
        api.remove("Pod", "a", "shop")
        api.forget()
        api.cut_watches()

    api.gone_as = gone_as
    api.put(pod("a"))
    followed(api, [(lambda: None, are("a")), (meanwhile, are("b"))])


def test_a_silent_watch_is_noticed(api, monkeypatch):
    """Once the server should have ended it, and then some."""
    monkeypatch.setattr(following, "WATCH_S", 1.0)
    monkeypatch.setattr(following, "SILENT_S", 0.2)

    def meanwhile():
        api.silence_watches()
        api.put(pod("b"))

    api.put(pod("a"))
    followed(api, [(lambda: None, are("a")), (meanwhile, are("a", "b"))])


def test_a_watch_that_the_server_ends_goes_on_from_there(api, monkeypatch):
    """Without listing anew; what is known stays fresh."""
    monkeypatch.setattr(following, "WATCH_S", 1.0)
    api.put(pod("a"))
    seen, follower = followed(
        api,
        [
            (lambda: None, are("a")),
            (lambda: None, lambda *_: len([one for one in api.asked(PATH) if one.watches]) >= 2),
            (lambda: api.put(pod("b")), are("a", "b")),
        ],
    )

    assert seen.lists == 1
    assert follower.known_s is not None


def test_what_is_not_allowed_is_not_asked_again(api):
    """A right that never was is told; the rest goes on without."""
    api.granted = []
    seen, follower = followed(api, [(lambda: None, lambda _, one: one.refused is not None)])

    assert (seen.lists, follower.refused.status) == (0, 403)


def test_a_long_list_comes_in_pages(api, monkeypatch):
    """All of it, before anything is told."""
    monkeypatch.setattr(following, "PAGE", 10)
    names = [f"p{number}" for number in range(25)]
    for name in names:
        api.put(pod(name))
    seen, _ = followed(api, [(lambda: None, are(*names))])

    assert seen.lists == 1
    assert len([one for one in api.asked(PATH) if not one.watches]) == 3


def test_nonsense_is_trouble_and_no_end(api):
    """A watch that does not speak JSON is begun anew."""
    api.put(pod("a"))
    from tests.kube.trouble import Say

    api.trouble(Say(b"<html>\n"), times=2, watches=True)
    followed(
        api,
        [(lambda: None, lambda _, one: len([x for x in api.asked(PATH) if x.watches]) >= 3), (lambda: api.put(pod("b")), are("a", "b"))],
    )
