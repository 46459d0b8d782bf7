"""The Kubernetes provider at a fake API server: one run at a time, nothing outside of its bounds, nothing left, nothing rehearsed in earnest."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import TidegaugeError
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.holding import Door, Held, take
from tasks.cluster.kube.lease import Holder
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.cluster.kube.rehearsal import rehearse
from tasks.cluster.kube.rights import documents
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.rights import granted
from tests.cluster.kube.contest import contest
from tests.cluster.kube.parts import OTHER, RUN, QuickClock, config_map, deployment, service
from tests.kube.fake_api import FakeApi

TRIALS = 1_000
KINDS = ("ConfigMap", "Service", "Deployment", "ServiceAccount", "Namespace", "Lease")
THINGS = [
    deployment("carts"),
    deployment("orders"),
    service("carts"),
    config_map("c"),
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guard"}},
]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with the namespace ``shop`` and things of others."""
    with FakeApi() as running:
        running.put(config_map("theirs", "shop"))
        running.put(config_map("theirs", "kube-system"))
        yield running


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Kube:
    """An adapter that is logged in to it."""
    return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=QuickClock())


def provider_of(kube: Kube, *namespaces: str) -> KubeProvider:
    """The app of a run."""
    return KubeProvider(kube, Bounds(RUN, namespaces or ("shop",)), patience_s=1.0, clock=QuickClock())


def settle(provider: KubeProvider, wanted: list[dict[str, Any]]) -> None:
    """Apply the whole plan."""
    for step in provider.plan(wanted):
        provider.apply(step)


def there(api: FakeApi) -> set[tuple[str, str, str]]:
    """Everything there is."""
    return {(kind, one["metadata"].get("namespace", ""), one["metadata"]["name"]) for kind in KINDS for one in api.all(kind)}


@pytest.mark.timeout(600)
def test_a_namespace_never_has_two_runs(api, kube, ledger):
    """Three runs at the same moment, a thousand times, where the Lease is absent, free or expired: one gets it, two are told who."""
    twice = 0
    for number in range(TRIALS):
        found = contest(api, kube, number)
        twice += len(found.winners) > 1
        survived = (len(found.winners), len(found.refused), found.broken) == (1, 2, [])

        ledger.count(
            row=21, where="fake", fault="runs that want one namespace at once", survived=survived, figure=f"double-acquire {twice}/{TRIALS}"
        )
        assert survived, found


def test_a_teardown_killed_at_any_write_is_finished_by_the_next(api, kube, ledger):
    """The process is gone before its first, second, ... write of making and of removing; after ``down`` everything is as it was."""
    before = there(api)
    for namespaces in (("shop",), ("new",)):
        whole = KubeProvider(kube, Bounds(RUN, namespaces), patience_s=1.0, clock=QuickClock())
        begun = len(api.writes)
        settle(whole, THINGS)
        making = len(api.writes) - begun
        begun = len(api.writes)
        assert whole.down() == ()
        removing = len(api.writes) - begun
        points = [("make", point) for point in range(making)] + [("remove", point) for point in range(removing)]
        for what, point in points:
            if what == "remove":
                settle(whole, THINGS)
            dying = Dying(api, point)
            with pytest.raises(TidegaugeError):
                settle(whole, THINGS) if what == "make" else whole.down()
            dying.live()
            first, second, left = whole.down(), whole.down(), there(api) - before

            survived = (first, second, left) == ((), (), set())
            ledger.count(
                row=22,
                where="fake",
                fault="making or removing killed before any of its writes",
                survived=survived,
                figure=f"{len(left)} left",
            )
            assert survived, (what, point, left)


class Dying:
    """After so many writes nothing is written any more, as by a process that is gone."""

    def __init__(self, api: FakeApi, writes: int) -> None:
        self.api, self.left = api, writes
        self.real = {name: getattr(api.objects, name) for name in ("put", "delete")}
        for name, real in self.real.items():
            setattr(api.objects, name, self._counted(real))

    def _counted(self, real: Any) -> Any:
        def act(*arguments: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise ConnectionAbortedError
            return real(*arguments, **more)

        return act

    def live(self) -> None:
        """Writes are done again."""
        for name, real in self.real.items():
            setattr(self.api.objects, name, real)


def test_what_is_out_of_bounds_is_refused_before_the_first_write(api, kube, ledger, rng):
    """Other namespaces, the cluster's own, kinds of the whole cluster, Services that open it, among what is fine: nothing is written."""
    for _ in range(100):
        bad = out_of_bounds(rng)
        wanted = [*THINGS, bad]
        rng.shuffle(wanted)
        try:
            settle(provider_of(kube), wanted)
            survived = False
        except TidegaugeError as error:
            survived = error.exit_code == 3 and api.writes == []

        ledger.count(row=26, where="fake", fault="objects out of bounds", survived=survived, figure=f"mutating calls {len(api.writes)}")
        assert survived, bad


def out_of_bounds(rng: random.Random) -> dict[str, Any]:
    """An object that must not be written."""
    kinds = ["ClusterRole", "Node", "PersistentVolume", "CustomResourceDefinition", "Namespace", "PriorityClass"]
    return rng.choice(
        [
            config_map(
                "x", rng.choice(["kube-system", "kube-public", "kube-node-lease", "default", "kube-flannel", "other", "Shop", "shop "])
            ),
            {"apiVersion": "v1", "kind": rng.choice(kinds), "metadata": {"name": "x"}},
            service("x", type="LoadBalancer"),
            service("x", externalIPs=["192.0.2.1"]),
            config_map(rng.choice(["../x", "a/b", "", "A", "x\0", "-", "$(id)", "x" * 300])),
        ]
    )


def test_strangers_are_never_touched(api, kube, ledger, rng):
    """Things of a user or of another run under the names that we want: the plan is refused, and taking down leaves them."""
    for number in range(20):
        theirs = rng.choice(THINGS)
        labels = rng.choice([{}, {"app.kubernetes.io/managed-by": "tidegauge", "tidegauge.dev/run": OTHER}])
        metadata = {"name": theirs["metadata"]["name"], "namespace": "shop", "labels": labels}
        kept = api.put({**theirs, "metadata": metadata})
        provider, begun = provider_of(kube), len(api.writes)
        with pytest.raises(TidegaugeError):
            provider.plan(THINGS)
        left = provider.down()
        survived = left == () and len(api.writes) == begun and api.object(theirs["kind"], metadata["name"], "shop") == kept
        api.remove(theirs["kind"], metadata["name"], "shop")

        ledger.count(row=26, where="fake", fault="names that others have taken", survived=survived, figure="0 touched")
        assert survived, number


@pytest.mark.parametrize("namespaces", [("shop",), ("new",), ("shop", "new")], ids=",".join)
@pytest.mark.parametrize("state", ["nothing", "everything", "something else"])
def test_a_rehearsal_writes_nothing(api, kube, ledger, rng, namespaces, state):
    """Whatever is there and whatever is wanted: every request that could change something is marked as a rehearsal."""
    provider = provider_of(kube, *namespaces)
    if state != "nothing":
        settle(provider, THINGS if state == "everything" else [config_map("c", x="2"), config_map("old")])
    before, begun = there(api), len(api.writes)
    for _ in range(5):
        wanted = rng.sample(THINGS, rng.randrange(len(THINGS) + 1))
        rehearse(provider, wanted)
        survived = len(api.writes) == begun and there(api) == before

        ledger.count(row=27, where="fake", fault="rehearsals", survived=survived, figure=f"mutating calls {len(api.writes) - begun}")
        assert survived


def test_every_right_that_is_used_is_one_of_the_shipped_role(api, kube, ledger):
    """A whole life under that Role; what it does not grant would be answered 403."""
    role = documents(KubeconfigCluster(provider="kubeconfig", namespace="shop"))["run"]
    api.granted = role
    provider = provider_of(kube)
    held = Held(door := Door(kube, "shop", Holder(RUN), 60, QuickClock()), take(door))
    settle(provider, THINGS)
    settle(provider, [config_map("c", x="2")])
    assert provider.down() == ()
    held.give_back()

    used = [one for one in kube.used if one.namespace is not None or one.resource != "persistentvolumes"]
    for one in used:
        survived = granted(one, role)
        ledger.count(
            row=42, where="fake", fault="rights wider than the shipped Role", survived=survived, figure=f"{len(used)} used, all granted"
        )
        assert survived, str(one)
