"""Requests until they are answered: a busy server, a cut connection, a login that ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Conflict, Forbidden, Invalid, KubeError, Unavailable
from tasks.kube.refs import ObjectRef
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.plugins import plugin, told
from tests.kube.trouble import Fail, Say

PODS = "/api/v1/namespaces/shop/pods"
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}, "data": {"a": "1"}}


def test_a_busy_server_is_asked_again_when_it_says(api: FakeApi, kube: Kube, clock: QuickClock):
    """Not sooner, and not later."""
    api.fail_next(429, times=2, path="/pods", retry_after="7")

    assert kube.get(PODS)["items"] == []
    assert clock.slept == [7.0, 7.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_does_not_say_is_asked_again_soon(api: FakeApi, kube: Kube, clock: QuickClock, status):
    """A little later each time."""
    api.fail_next(status, times=3, path="/pods")

    assert kube.get(PODS)["items"] == []
    assert len(clock.slept) == 3
    assert sum(clock.slept) < 1


def test_a_server_that_stays_busy_is_given_up(api: FakeApi, kube: Kube, clock: QuickClock):
    """Within half a minute, with the server's own words and the way to look at it."""
    api.fail_next(503, times=1000, path="/pods", message="etcd is away")

    with pytest.raises(Unavailable, match=r"(?s)no usable reply .*etcd is away.*readyz") as refused:
        kube.get(PODS)
    assert 20 < sum(clock.slept) < 30
    assert refused.value.status == 503


def test_a_server_that_has_just_come_back_may_not_know_its_roles_yet(api: FakeApi, kube: Kube):
    """It listens before it has read them: what it refuses is asked again for a while."""
    api.cut_next(path="/pods")
    api.fail_next(403, times=4, path="/pods", message="pods is forbidden: User cannot list resource")

    assert kube.get(PODS)["items"] == []
    assert len(api.asked("/pods")) == 6


def test_a_right_that_is_not_there_is_told_at_once_and_soon_after_an_outage(api: FakeApi, kube: Kube, clock: QuickClock):
    """Without any wait where the server was not away; in less than half a minute where it was."""
    api.fail_next(403, times=1000, path="/pods", message="pods is forbidden: User cannot list resource")
    with pytest.raises(Forbidden, match="cannot list"):
        kube.get(PODS)
    at_once_s = sum(clock.slept)
    api.cut_next(path="/services")
    kube.get("/api/v1/namespaces/shop/services")
    with pytest.raises(Forbidden, match="cannot list"):
        kube.get(PODS)

    assert at_once_s == 0.0
    assert 10 < sum(clock.slept) < 30


def test_a_server_that_asks_for_too_long_is_given_up_at_once(api: FakeApi, kube: Kube, clock: QuickClock):
    """Waiting would end in the same error."""
    api.fail_next(429, path="/pods", retry_after="3600")

    with pytest.raises(Unavailable, match="asks for another 3600 s"):
        kube.get(PODS)
    assert clock.slept == []


def test_a_field_that_does_not_exist_is_told_at_once(api: FakeApi, kube: Kube, clock: QuickClock):
    """A real server answers it with 500, every time."""
    api.fail_next(
        500, times=100, method="PATCH", message="failed to create typed patch object (shop/s): .spec.nothing: field not declared in schema"
    )

    with pytest.raises(Invalid, match="nothing: field not declared"):
        kube.apply(SETTINGS)
    assert clock.slept == []


def test_a_refusal_is_final(api: FakeApi, kube: Kube, clock: QuickClock):
    """What was wrong a moment ago is wrong now."""
    api.fail_next(422, path="/pods", message="no such field")

    with pytest.raises(KubeError, match="no such field"):
        kube.get(PODS)
    assert (len(api.asked("/pods")), clock.slept) == (1, [])


@pytest.mark.parametrize("after_bytes", [0, 20, 180])
def test_a_cut_reply_is_asked_for_again(api: FakeApi, kube: Kube, after_bytes):
    """In its head or in its body."""
    api.cut_next(after_bytes, path="/pods")

    assert kube.get(PODS)["items"] == []
    assert len(api.asked("/pods")) == 2


@pytest.mark.parametrize("after_bytes", [0, 180])
def test_a_silent_server_is_not_waited_for_for_ever(api: FakeApi, kube: Kube, monkeypatch, after_bytes):
    """The time limit of a request holds from its first byte to its last."""
    from tasks.kube import client
    from tasks.kube.transport import Request

    monkeypatch.setattr(client, "Request", lambda *words: Request(*words, timeout_s=0.3))
    api.stall_next(after_bytes, path="/pods")

    assert kube.get(PODS)["items"] == []
    assert len(api.asked("/pods")) == 2


def test_an_apply_whose_answer_was_lost_is_done_again(api: FakeApi, kube: Kube):
    """Twice is as good as once."""
    api.cut_next(method="PATCH")

    assert kube.apply(SETTINGS)["data"] == {"a": "1"}
    assert len(api.writes) == 2


def test_a_create_whose_answer_was_lost_is_not_done_again(api: FakeApi, kube: Kube):
    """It may be there: the error says that nobody knows."""
    api.cut_next(method="POST")

    with pytest.raises(Unavailable, match="whether it was done is not known"):
        kube.create(SETTINGS)
    assert len(api.writes) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_create_that_was_not_begun_is_sent_again(api: FakeApi, kube: Kube, status):
    """The server says so with these."""
    api.fail_next(status, method="POST")

    assert kube.create(SETTINGS)["metadata"]["name"] == "settings"


def test_a_delete_whose_answer_was_lost_counts_as_done(api: FakeApi, kube: Kube):
    """The second answer, not found, is the first one's work; without a first one, it was not there."""
    kube.apply(SETTINGS)
    api.cut_next(method="DELETE")

    assert [kube.delete(ObjectRef.of(SETTINGS)), kube.delete(ObjectRef.of(SETTINGS))] == [True, False]


def test_a_delete_that_was_not_begun_is_not_ours(api: FakeApi, kube: Kube):
    """The server was busy, then there was nothing to remove."""
    api.fail_next(429, method="DELETE")

    assert not kube.delete(ObjectRef.of(SETTINGS))


def test_a_server_that_comes_back_is_found_again(api: FakeApi, kube: Kube, clock: QuickClock):
    """Nobody listens, then somebody does: the same request is answered."""
    port = api.port
    api.stop()
    clock.on_sleep = lambda _: api.start(port) if len(clock.slept) == 3 else None

    assert kube.get(PODS)["items"] == []


def test_a_new_token_in_the_kubeconfig_is_taken_at_once(api: FakeApi, kube: Kube, clock: QuickClock, tmp_path: Path):
    """Whoever rotates credentials need not tell us."""
    api.bearer = "second"
    api.kubeconfig(tmp_path / "kubeconfig")

    assert kube.get(PODS)["items"] == []
    assert (len(api.asked("/pods")), clock.slept) == (2, [])


def test_a_plugin_is_run_again(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """It gives the new token, though the old one named no end."""
    section = plugin(tmp_path, {"token": "first"})
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": section}))), clock=clock)
    plugin(tmp_path, {"token": "second"})
    api.bearer = "second"

    assert kube.get(PODS)["items"] == []
    assert (len(told(tmp_path)), clock.slept) == (2, [])


def test_a_plugins_token_is_renewed_before_it_ends(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """A request that is begun with it would be refused; the plugin is not asked at every request."""
    ends = {"token": "first", "expirationTimestamp": "2023-11-14T23:13:20Z"}  # an hour after the clock's beginning
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": plugin(tmp_path, ends)}))), clock=clock)
    kube.get(PODS)
    before = len(told(tmp_path))
    clock.now_s += 3590
    for _ in range(5):
        kube.get(PODS)

    assert (before, len(told(tmp_path))) == (1, 2)


def test_somebody_logs_in_before_there_is_a_login_at_all(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """A run that begins in the night, when the plugin's own session is over: the plugin's words are said, and it goes on."""
    said: list[str] = []
    section = plugin(tmp_path, None, code=1, says="session expired")
    access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": section})))
    clock.on_sleep = lambda _: plugin(tmp_path, {"token": "first"}) and None if len(clock.slept) == 3 else None

    assert Kube.connect(access, clock=clock, say=said.append).version() == "v1.36.3"
    assert len(said) == 1
    assert "session expired" in said[0]


def test_what_a_plugin_says_is_told_when_nobody_logs_in(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """In the middle of a run as well."""
    section = plugin(tmp_path, {"token": "first"})
    access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": section})), auth_wait_s=10)
    kube = Kube.connect(access, clock=clock)
    plugin(tmp_path, None, code=1, says="session expired")
    api.bearer = "second"

    with pytest.raises(CredentialsError, match=r"not valid .*session expired; waited 10 s"):
        kube.get(PODS)


def test_a_wait_for_a_login_is_no_time_of_the_request(api: FakeApi, kube: Kube, clock: QuickClock, tmp_path: Path):
    """A server that is busy just then is still asked again."""
    api.bearer = "second"

    def log_in(_: float) -> None:
        if sum(clock.slept) >= 15:
            api.kubeconfig(tmp_path / "kubeconfig")

    clock.on_sleep = log_in
    api.plan.add(Fail(503, retry_after="20"), 1, lambda seen: seen.headers["authorization"] == "Bearer second" and "/pods" in seen.path)

    assert kube.get(PODS)["items"] == []
    assert sum(clock.slept) >= 35


def test_somebody_logs_in_while_we_wait(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """The sentence with what to do is said once, and the request is answered after all."""
    said: list[str] = []
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock, say=said.append)
    api.bearer = "second"
    clock.on_sleep = lambda _: api.kubeconfig(tmp_path / "kubeconfig") and None if len(clock.slept) == 6 else None

    assert kube.get(PODS)["items"] == []
    assert len(said) == 1
    assert "kubectl --context fake auth whoami" in said[0]
    assert 25 <= sum(clock.slept) <= 35


def test_nobody_logs_in(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """Exit 4 after the time that the document allows, with the command in the sentence."""
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")), auth_wait_s=60), clock=clock)
    api.bearer = "second"

    with pytest.raises(CredentialsError, match=r"context fake is not valid .*waited 60 s\n.*auth whoami") as refused:
        kube.get(PODS)
    assert (refused.value.exit_code, sum(clock.slept)) == (4, 60)


def test_a_login_that_nobody_renewed_is_waited_for_once(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """What is still to be removed then fails at once, one request after the other; whoever logs in later is let in."""
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")), auth_wait_s=60), clock=clock)
    api.bearer = "second"

    for _ in range(3):
        with pytest.raises(CredentialsError, match="waited 60 s"):
            kube.get(PODS)
    assert sum(clock.slept) == 60

    api.kubeconfig(tmp_path / "kubeconfig")
    assert kube.get(PODS)["items"] == []
    api.bearer = "third"
    with pytest.raises(CredentialsError, match="waited 60 s"):
        kube.get(PODS)
    assert sum(clock.slept) == 120


def test_each_end_of_a_login_is_told(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """The second one as well."""
    said: list[str] = []
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock, say=said.append)

    def log_in(_: float) -> None:
        api.kubeconfig(tmp_path / "kubeconfig")

    clock.on_sleep = log_in
    for bearer in ("second", "third"):
        (tmp_path / "kubeconfig").unlink()
        api.bearer = bearer
        kube.get(PODS)

    assert len(said) == 2


def test_many_threads_renew_a_login_together(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """All are answered; the plugin is run once."""
    section = plugin(tmp_path, {"token": "first"})
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": section}))), clock=clock)
    plugin(tmp_path, {"token": "second"})
    api.bearer = "second"
    answers: list[list[object]] = []
    threads = [threading.Thread(target=lambda: answers.append(kube.get(PODS)["items"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [[]] * 8
    assert len(told(tmp_path)) == 2


def test_another_servers_401_behind_a_proxy_path_is_not_ours(api: FakeApi, kube: Kube, clock: QuickClock):
    """A Prometheus with a password of its own ends no login of ours, and its 503 is its own as well."""
    path = "/api/v1/namespaces/shop/services/prometheus:9090/proxy/api/v1/query"
    api.fail_next(401, path="/proxy/", plain=True, message="who are you?")
    api.fail_next(503, path="/proxy/", plain=True, message="starting")

    for status, said in ((401, "who are you"), (503, "starting")):
        with pytest.raises(KubeError, match=said) as refused:
            kube.text(path)
        assert refused.value.status == status
    assert clock.slept == []


def test_a_conflict_says_what_it_is(kube: Kube):
    """Its reason is the API's own word."""
    kube.create(SETTINGS)

    with pytest.raises(Conflict, match='"settings" already exists') as refused:
        kube.create(SETTINGS)
    assert refused.value.reason == "AlreadyExists"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"[" * 100_000])
def test_a_reply_that_is_no_object_is_an_error_of_ours(api: FakeApi, kube: Kube, body):
    """Nothing of the JSON reader leaks."""
    api.trouble(Say(body), path="/pods")

    with pytest.raises(KubeError, match="is no"):
        kube.get(PODS)


def test_nobody_at_the_address(api: FakeApi, tmp_path: Path, clock: QuickClock):
    """Told after a few seconds, not after half a minute, before anything was done: exit 3."""
    access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))
    api.stop()

    with pytest.raises(PreflightError, match=r"API server of context fake does not answer: .*refused"):
        Kube.connect(access, clock=clock)
    assert sum(clock.slept) < 5
