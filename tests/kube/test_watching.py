"""A collection as it changes, over connections that fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tasks.base.errors import CredentialsError
from tasks.kube import watching
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden
from tasks.kube.rights import roles
from tasks.kube.watching import Collection, remembered
from tests.kube.fake_api import FakeApi
from tests.kube.trouble import Fail, Say
from tests.kube.watchers import PATH, Watcher, settings


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kube:
    """An adapter with the machine's clock, quick to give up on silence."""
    monkeypatch.setattr(watching, "SILENCE_S", 0.6)
    monkeypatch.setattr(watching, "REST_S", 0.02)
    monkeypatch.setattr(watching, "LOOK_S", 0.02)
    return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")), auth_wait_s=0.1))


def test_first_what_is_there_then_each_change(api: FakeApi, kube: Kube):
    """In the order in which it happened."""
    api.put(settings("a", 1))
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        api.put(settings("b", 1))
        api.put(settings("a", 2))
        api.remove("ConfigMap", "b", "shop")
        assert watcher.sees(api)

    assert [told[:2] for told in watcher.told] == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert watcher.wrong == []


def test_it_ends_when_it_is_told_to(api: FakeApi, kube: Kube):
    """Soon, though nothing happens; a loop that is left is as good."""
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        assert watcher.stop() < 0.5
    api.put(settings("a", 1))
    watch = kube.watch(PATH, stop=lambda: False)
    next(watch)
    begun_s = time.monotonic()
    watch.close()  # type: ignore[attr-defined]

    assert time.monotonic() - begun_s < 0.5


def test_a_selector_is_left_and_entered(api: FakeApi, kube: Kube):
    """Whoever loses the label is deleted, whoever gets it added."""
    api.put(settings("a", 1, app="carts"))
    api.put(settings("b", 1))
    with Watcher(kube, labels="app=carts") as watcher:
        while len(watcher.told) < 1:
            time.sleep(0.005)
        api.put(settings("a", 1))
        api.put(settings("b", 1, app="carts"))
        while len(watcher.told) < 3:
            time.sleep(0.005)

    assert [told[:2] for told in watcher.told] == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b")]


def test_a_server_that_ends_a_watch_is_asked_from_there(api: FakeApi, kube: Kube):
    """Without listing again, and without telling again."""
    api.put(settings("a", 1))
    with Watcher(kube) as watcher:
        for number in range(3):
            while len([one for one in api.asked(PATH) if one.watches]) == number:
                time.sleep(0.005)
            api.end_watches()
        api.put(settings("b", 1))
        assert watcher.sees(api)

    assert [told[:2] for told in watcher.told] == [("ADDED", "a"), ("ADDED", "b")]
    assert len([one for one in api.asked(PATH) if not one.watches]) == 1


def test_a_cut_watch_misses_nothing(api: FakeApi, kube: Kube):
    """What changed while it was down is told, each step of it."""
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        api.cut_watches()
        for value in range(5):
            api.put(settings("a", value))
        assert watcher.sees(api)

    assert len(watcher.told) == 5
    assert watcher.wrong == []


@pytest.mark.parametrize("after_bytes", [0, 180, 300, 420])
def test_half_an_event_is_none(api: FakeApi, kube: Kube, after_bytes):
    """It is told when it comes whole, once."""
    api.put(settings("a", 1))
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        api.trouble(watching_cut(after_bytes), watches=True)
        api.cut_watches()
        api.put(settings("b", 1))
        api.put(settings("b", 2))
        assert watcher.sees(api)

    assert [told[:2] for told in watcher.told] == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "b")]


def watching_cut(after_bytes: int):
    """A cut of a watch's answer."""
    from tests.kube.trouble import Cut

    return Cut(after_bytes)


def test_a_silent_peer_is_left(api: FakeApi, kube: Kube):
    """After the time that no live server is silent for; nothing is missed."""
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        api.silence_watches()
        begun_s = time.monotonic()
        for value in range(3):
            api.put(settings("a", value))
        assert watcher.sees(api)

    assert len(watcher.told) == 3
    assert watcher.times_s[0] - begun_s < 2


@pytest.mark.parametrize("gone_as", ["event", "status"])
def test_a_forgotten_version_is_listed_anew(api: FakeApi, kube: Kube, gone_as):
    """What came, went, changed, or is another one of the same name is told; what stayed is not."""
    api.gone_as = gone_as
    for name in ("stays", "changes", "goes", "is-another"):
        api.put(settings(name, 1))
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        before = len(watcher.told)
        api.stop()
        api.put(settings("changes", 2))
        api.put(settings("comes", 1))
        api.remove("ConfigMap", "goes", "shop")
        api.remove("ConfigMap", "is-another", "shop")
        api.put(settings("is-another", 2))
        api.forget()
        api.start(api.port)
        assert watcher.sees(api)

    assert sorted(told[:2] for told in watcher.told[before:]) == [
        ("ADDED", "comes"),
        ("ADDED", "is-another"),
        ("DELETED", "goes"),
        ("DELETED", "is-another"),
        ("MODIFIED", "changes"),
    ]
    assert watcher.wrong == []


def test_what_went_unseen_says_what_it_was(api: FakeApi, kube: Kube):
    """Kind, name, labels: enough to know which one it was."""
    kept = remembered({**settings("a", 1, app="carts"), "spec": {"long": "x" * 1000}})

    assert kept == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "carts"}}}


def test_a_list_that_fails_in_the_middle_goes_on(api: FakeApi, kube: Kube, monkeypatch: pytest.MonkeyPatch):
    """From its beginning, and what was told is not told again."""
    monkeypatch.setattr(watching, "PAGE", 2)
    for number in range(5):
        api.put(settings(f"c{number}", 1))
    api.plan.add(Fail(410, reason="Expired"), 1, lambda seen: bool(seen.asked("continue")))
    with Watcher(kube) as watcher:
        assert watcher.ready(api)

    assert [told[1] for told in watcher.told] == ["c0", "c1", "c2", "c3", "c4"]
    assert watcher.wrong == []


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b'{"type": "ADDED", "object": {}}\n', b'{"type": "ADDED"}\n[]\n'])
def test_nonsense_is_not_told(api: FakeApi, kube: Kube, body: bytes):
    """A portal on the way answers in the place of the server, to the list and to the watch, and goes away again."""
    api.trouble(Say(body), times=2, path=PATH, watches=False)
    api.trouble(Say(body), times=2, path=PATH, watches=True)
    api.put(settings("a", 1))
    with Watcher(kube) as watcher:
        assert watcher.sees(api)
        api.put(settings("a", 2))
        assert watcher.sees(api)

    assert ([told[:2] for told in watcher.told], watcher.wrong) == ([("ADDED", "a"), ("MODIFIED", "a")], [])


def test_a_server_that_is_away_is_waited_for(api: FakeApi, kube: Kube):
    """From the beginning on, and in the middle."""
    port = api.port
    api.stop()
    with Watcher(kube) as watcher:
        api.put(settings("a", 1))
        api.start(port)
        assert watcher.sees(api)
        api.stop()
        api.put(settings("a", 2))
        api.start(port)
        assert watcher.sees(api)

    assert [told[:2] for told in watcher.told] == [("ADDED", "a"), ("MODIFIED", "a")]


def test_a_server_that_ends_every_watch_at_once_is_not_run_down(api: FakeApi, kube: Kube, monkeypatch: pytest.MonkeyPatch):
    """There is a rest between two looks that show nothing."""
    monkeypatch.setattr(watching, "REST_S", 0.1)
    api.trouble(Say(b""), times=10_000, path=PATH, watches=True)
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        begun_s, before = time.monotonic(), len(api.requests)
        while time.monotonic() - begun_s < 0.5:
            time.sleep(0.05)
        assert len(api.requests) - before <= 8


def test_a_missing_right_ends_it(api: FakeApi, kube: Kube):
    """To list, or to watch."""
    list_only = roles("runner", {one for one in kube.used if one.verb == "list"})
    for rights in ([], list_only):
        api.granted = rights
        with Watcher(kube) as watcher:
            while watcher.error is None:
                time.sleep(0.005)
        assert isinstance(watcher.error, Forbidden)


def test_a_login_that_ended_ends_it(api: FakeApi, kube: Kube):
    """When nobody logs in; the error is the one of every request."""
    with Watcher(kube) as watcher:
        assert watcher.ready(api)
        api.bearer = "second"
        api.cut_watches()
        while watcher.error is None:
            time.sleep(0.005)

    assert isinstance(watcher.error, CredentialsError)


def test_a_slow_reader_holds_the_server_back(api: FakeApi, kube: Kube, monkeypatch: pytest.MonkeyPatch):
    """Only so many changes are kept for it; it gets all of them."""
    monkeypatch.setattr(watching, "BUFFERED", 3)
    over: list[bool] = []
    watch = kube.watch(PATH, stop=lambda: bool(over))
    api.put(settings("a", 0))
    next(watch)
    for value in range(1, 50):
        api.put(settings("a", value))

    assert [next(watch).object["data"]["value"] for _ in range(49)] == [str(value) for value in range(1, 50)]
    over.append(True)
    assert list(watch) == []


def test_both_rights_are_kept(api: FakeApi, kube: Kube):
    """To list and to watch."""
    list(kube.watch(PATH, stop=lambda: True))

    assert {str(one) for one in kube.used} == {"list configmaps in shop", "watch configmaps in shop"}


def test_a_change_of_what_was_not_told_is_its_beginning():
    """However the server calls it."""
    collection = Collection()
    item = {**settings("a", 1), "metadata": {"name": "a", "namespace": "shop", "uid": "1", "resourceVersion": "7"}}

    assert [event.type for event in collection.changed("MODIFIED", item)] == ["ADDED"]
    assert [event.type for event in collection.changed("ADDED", item)] == []
    assert [event.type for event in collection.changed("DELETED", item)] == ["DELETED"]
    assert [event.type for event in collection.changed("DELETED", item)] == []
    assert (collection.version, collection.known) == ("7", {})
