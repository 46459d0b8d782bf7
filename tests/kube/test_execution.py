"""A program run in a container."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from tasks.kube.execution import Executed
from tasks.kube.permission import Permission
from tasks.kube.rights import roles
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.programs import Ended, Started

RIGHTS = {Permission(verb, "", "pods", "exec", "shop", "p") for verb in ("get", "create")}


@pytest.fixture
def api(api: FakeApi) -> Iterator[FakeApi]:
    """A server with a pod."""
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
    return api


@pytest.mark.parametrize(
    ("ended", "found"),
    [
        (Ended(0, "out"), Executed(0, "out")),
        (Ended(3, "out", "err"), Executed(3, "outerr")),
        (Ended(137), Executed(137, "")),
        (Ended(0, "ü" * 70_000), Executed(0, "ü" * 70_000)),
        (Ended(0, "said", lost=True), Executed(None, "said")),
    ],
)
def test_it_ends_as_it_ended(api: FakeApi, kube: Kube, ended, found):
    """Code and words; a connection that was lost gives no code, and no success either."""
    api.run = lambda _: ended

    assert kube.execute("shop", "p", "c", ["true"], timeout_s=5) == found


def test_arguments_arrive_as_they_are(api: FakeApi, kube: Kube):
    """No shell is between us."""
    argv = ["sh", "-c", 'echo "$1; a&b" > /dev/null', "", "ü", "--", "x=1"]
    kube.execute("shop", "p", "c", argv, timeout_s=5)

    assert api.started == [Started("shop", "p", "c", tuple(argv))]


def test_a_program_that_does_not_end_is_left(api: FakeApi, kube: Kube):
    """When the time is over, with what it said; no code is made up."""
    api.run = lambda _: Ended(None, "begun")
    begun_s = time.monotonic()

    assert kube.execute("shop", "p", "c", ["sleep"], timeout_s=0.3) == Executed(None, "begun")
    assert time.monotonic() - begun_s < 2


def test_a_program_that_is_not_there_is_an_error(api: FakeApi, kube: Kube):
    """In the runtime's words: it is no exit code of anything."""
    api.run = lambda _: Ended(failure='exec: "nope": executable file not found in $PATH')

    with pytest.raises(KubeError, match=r"executable file not found.*\n.*whether the container has"):
        kube.execute("shop", "p", "c", ["nope"], timeout_s=5)


def test_no_such_pod(kube: Kube):
    """Nothing is run."""
    with pytest.raises(NotFound, match='"q" not found'):
        kube.execute("shop", "q", "c", ["true"], timeout_s=5)


def test_both_rights_are_needed_and_kept(api: FakeApi, kube: Kube):
    """Newer servers ask for `create` as well."""
    kube.execute("shop", "p", "c", ["true"], timeout_s=5)
    used = set(kube.used)
    for lacking in RIGHTS:
        api.granted = roles("runner", RIGHTS - {lacking})
        with pytest.raises(Forbidden, match="cannot"):
            kube.execute("shop", "p", "c", ["true"], timeout_s=5)

    assert (used, len(api.started)) == (RIGHTS, 1)


def test_a_busy_kubelet_is_asked_again(api: FakeApi, kube: Kube, clock: QuickClock):
    """The program was not begun: so it is run once."""
    api.fail_next(503, times=2, path="/exec", message="unable to upgrade connection")

    assert kube.execute("shop", "p", "c", ["true"], timeout_s=5).code == 0
    assert (len(api.started), len(clock.slept)) == (1, 2)


def test_a_container_that_is_not_there_is_told_at_once(api: FakeApi, kube: Kube, clock: QuickClock):
    """It may be between two lives: nothing was begun, and whoever wants it there looks first."""
    api.fail_next(500, path="/exec", message='container not found ("c")')

    with pytest.raises(Unavailable, match=r'exec: container not found \("c"\)$'):
        kube.execute("shop", "p", "c", ["true"], timeout_s=5)
    assert (api.started, clock.slept) == ([], [])


def test_a_connection_lost_before_it_stood_is_not_tried_again(api: FakeApi, kube: Kube):
    """The program may run: nobody knows."""
    api.cut_next(path="/exec")

    with pytest.raises(Unavailable, match="whether it was done is not known"):
        kube.execute("shop", "p", "c", ["true"], timeout_s=5)
    assert len(api.started) == 1


def test_a_silent_server_is_not_waited_for(api: FakeApi, kube: Kube):
    """The time holds for connecting as well."""
    api.stall_next(path="/exec")
    begun_s = time.monotonic()

    with pytest.raises(Unavailable):
        kube.execute("shop", "p", "c", ["true"], timeout_s=0.3)
    assert time.monotonic() - begun_s < 2


def test_a_login_that_ended_is_renewed(api: FakeApi, kube: Kube, tmp_path: Path):
    """As with every other request."""
    api.bearer = "second"
    api.kubeconfig(tmp_path / "kubeconfig")

    assert kube.execute("shop", "p", "c", ["true"], timeout_s=5).code == 0
    api.bearer = "third"
    with pytest.raises(CredentialsError):
        kube.execute("shop", "p", "c", ["true"], timeout_s=5)


def test_over_tls_with_a_certificate_and_another_name(tmp_path: Path):
    """The same trust as for every other request."""
    with FakeApi(tls=True) as api:
        api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}})
        api.run = lambda _: Ended(7, "x" * 100_000)
        path = api.kubeconfig(tmp_path / "kubeconfig", user=api.certificate_user(), cluster={"tls-server-name": "localhost"})
        kube = Kube.connect(KubeAccess(str(path)))

        assert kube.execute("shop", "p", "c", ["true"], timeout_s=5) == Executed(7, "x" * 100_000)


def test_a_redirect_is_not_followed(api: FakeApi, kube: Kube):
    """The token would go with it."""
    api.fail_next(302, path="/exec")

    with pytest.raises((PreflightError, KubeError)):
        kube.execute("shop", "p", "c", ["true"], timeout_s=1)
    assert api.started == []
