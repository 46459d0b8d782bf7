"""A deployment in a cluster, found again by its note: no cluster is made for it, and no fault of it is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.app.config import DemoShop
from tasks.base.errors import FaultActiveError, PreflightError
from tasks.base.files import read_json, write_json
from tasks.cluster.command.inventory import Made, Place
from tasks.cluster.config import CommandCluster, KubeconfigCluster
from tasks.cluster.kube.kinds import LEASE, OURS
from tasks.cluster.kube.provider import KubeProvider
from tasks.faults.journal import Journal
from tasks.kube.labels import run_labels
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import roles
from tasks.recordings.kube.noted import Noted
from tasks.recordings.kube.standing import ClusterStanding
from tasks.recordings.kube.wide import lacking
from tests.cluster.command.test_provider import COMMANDS
from tests.faults.kube.town import NAMESPACE, RUN, Town, deployment, service

VERBS = ("get", "list", "watch", "create", "patch", "delete")
WHAT = (
    *((kind.api_version.rpartition("/")[0], kind.plural) for kind in (*OURS, LEASE)),
    ("apps", "deployments", "scale"),
    ("", "pods", "log"),
)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """An app that a run has put there: its target carries the run's label."""
    with Town.running(tmp_path) as made:
        for manifest in (deployment("carts"), service("carts")):
            made.api.put({**manifest, "metadata": {**manifest["metadata"], "labels": run_labels(RUN, "app")}})
        yield made


@pytest.fixture
def standing(town: Town, tmp_path: Path) -> ClusterStanding:
    """What its note says."""
    cluster = KubeconfigCluster(provider="kubeconfig", namespace=NAMESPACE, kubeconfig=str(tmp_path / "kubeconfig"))
    return ClusterStanding(
        Noted(RUN, cluster, (NAMESPACE,), str(tmp_path), "run-1", DemoShop(), False, None), town.folder, clock=town.clock
    )


@pytest.fixture
def vanished(town: Town, standing: ClusterStanding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterStanding:
    """The same one in a cluster that commands had made, and that is not there any more."""
    clusters = tmp_path / "clusters"
    clusters.mkdir()
    monkeypatch.setenv("MAKER", str(clusters))
    (tmp_path / "maker.yaml").write_text(COMMANDS)
    cluster = CommandCluster(provider="command", namespace=NAMESPACE, commands=str(tmp_path / "maker.yaml"), name="demo", ask_timeout_s=20)
    return replace(standing, noted=replace(standing.noted, cluster=cluster))


def changed_plan(town: Town, **facts: Any) -> None:
    """Something else in what is on disk of the fault."""
    path = town.folder / "journal" / "t001.plan.json"
    write_json(path, {**read_json(path), **facts})


def test_all_is_reverted_and_removed(town: Town, standing: ClusterStanding):
    """A fault that lasts is ended first; nothing is told."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))

    assert standing.take_down() == []
    assert town.api.object("Deployment", "carts", NAMESPACE) is None
    assert town.ours() == []
    assert town.injector().open_faults() == ()


def test_a_fault_that_could_not_be_reverted_is_told_though_nothing_else_is_left(town: Town, standing: ClusterStanding):
    """It is in a cluster that is not asked: that the app is gone from this one shows nothing."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    changed_plan(town, server="https://elsewhere.test")

    (told,) = standing.take_down()

    assert town.api.object("Deployment", "carts", NAMESPACE) is None
    assert "THE FAULT MAY STILL BE ACTIVE: t001 (service_outage on carts)" in told
    assert f"another cluster, at https://elsewhere.test; if that is gone for good, remove {town.folder / 'journal'}" in told
    assert standing.take_down() == [told]


def test_a_fault_whose_objects_are_gone_is_over(town: Town, standing: ClusterStanding):
    """It could not be reverted, and then what it had changed was removed: that was looked at, and nothing is told."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    town.api.fail_next(500, times=100_000, path="/scale")
    town.gone = lambda item: town.api.plan.clear() if item["kind"] == "Deployment" else None  # type: ignore[method-assign]

    assert standing.take_down() == []
    entry = Journal(town.folder).entry("t001")
    assert entry is not None
    assert "unverified" in entry.events
    assert entry.events["verified"]["gone"] == ["deployment/carts in shop", "service/carts in shop"]


def test_no_cluster_is_made_to_revert_its_faults(town: Town, vanished: ClusterStanding, tmp_path: Path):
    """They are gone with it: they are told once, and nothing was made."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))

    assert vanished.revert_faults() == ["t001"]
    assert vanished.revert_faults() == []
    entry = Journal(town.folder).entry("t001")
    assert entry is not None
    assert entry.events["verified"]["gone"] == ["the cluster demo"]
    assert set((tmp_path / "clusters" / "calls").read_text().split()) == {"check"}


def test_no_cluster_is_made_to_break_or_remove_anything_in_it(town: Town, vanished: ClusterStanding, tmp_path: Path):
    """One is refused, the other has nothing to do."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))

    with pytest.raises(PreflightError, match="the cluster demo is not there any more"):
        vanished.injector()
    assert vanished.take_down() == []
    assert town.injector().open_faults() == ()
    assert set((tmp_path / "clusters" / "calls").read_text().split()) == {"check"}


def test_one_that_was_left_half_made_holds_nothing(vanished: ClusterStanding, tmp_path: Path):
    """Its run was killed while it was made; it is neither finished nor removed by this."""
    (tmp_path / "clusters" / "cluster-demo").mkdir()
    (place := Place.of(tmp_path, "demo")).folder.mkdir(parents=True)
    place.write(Made("demo", str(tmp_path / "maker.yaml"), "0" * 64, "run-1", "making", 0.0))

    assert vanished.take_down() == []
    assert (tmp_path / "clusters" / "cluster-demo").is_dir()
    assert not (tmp_path / "clusters" / "calls").exists()


def test_whether_it_is_there_has_to_be_known(town: Town, vanished: ClusterStanding, tmp_path: Path):
    """An engine that does not answer is not an engine without clusters: no fault is called over."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    (tmp_path / "clusters" / "unclear-check").touch()

    with pytest.raises(PreflightError, match="cannot be told"):
        vanished.revert_faults()
    (told,) = vanished.take_down()
    assert "cannot be told" in told
    assert [entry.id for entry in town.injector().open_faults()] == ["t001"]


def test_a_fault_that_is_not_over_stops_the_emergency_stop(town: Town, standing: ClusterStanding):
    """As it always did: the error is that of a fault that may be active."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    town.api.fail_next(500, times=100_000, path="/scale")

    with pytest.raises(FaultActiveError, match="t001"):
        standing.revert_faults()


def test_rights_of_the_whole_cluster_are_asked_for_where_there_are_some(town: Town, standing: ClusterStanding):
    """A run had given a Prometheus rights: whoever may not take them back removes nothing, unless there are none any more."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r1", "labels": run_labels(RUN, "app")},
    }
    town.api.put(role)
    wide = replace(standing, noted=replace(standing.noted, wide=True))
    provider = KubeProvider(town.kube, wide.noted.bounds)
    town.api.granted = []
    needed = {need.permission for need in lacking(provider, wide=True)}
    takes = Permission("delete", "rbac.authorization.k8s.io", "clusterroles")
    town.api.granted = roles("run", needed - {takes})

    (told,) = wide.take_down()

    assert told.startswith("this login may not delete clusterroles.rbac.authorization.k8s.io in all namespaces")
    assert town.api.object("Deployment", "carts", NAMESPACE) is not None
    town.api.granted = roles("run", needed)
    assert wide.take_down() == []
    assert town.api.object("ClusterRole", "r1") is None


def test_a_fault_is_ended_though_nothing_may_be_removed(town: Town, standing: ClusterStanding):
    """That is what cannot wait; the app stays, and the right that lacks is told."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    every = {Permission(verb, *what, namespace=NAMESPACE) for verb in VERBS for what in WHAT}
    place = Permission("get", "", "namespaces", namespace=NAMESPACE, name=NAMESPACE)
    town.api.granted = roles("run", {place, *every} - {Permission("delete", "", "services", namespace=NAMESPACE)})

    (told,) = standing.take_down()

    assert told.startswith("this login may not delete services in shop (what a run has made is there); nothing was removed\n")
    assert town.injector().open_faults() == ()
    found = town.api.object("Deployment", "carts", NAMESPACE)
    assert found is not None
    assert found["spec"]["replicas"] == 1


def test_a_fault_that_may_not_be_ended_is_told_as_one(town: Town, standing: ClusterStanding):
    """A right lacks for that as well: the server's words alone do not say that a fault is meant."""
    town.injector().inject(town.request("service_outage", duration_s=600.0))
    town.api.granted = []

    told = standing.take_down()

    assert told[0].startswith(("a fault may still be active: ", "THE FAULT MAY STILL BE ACTIVE: "))
    assert told[1].startswith("this login may not ")
    assert [entry.id for entry in town.injector().open_faults()] == ["t001"]


@pytest.mark.parametrize("looks", [True, False], ids=["seen", "unseen"])
def test_with_a_namespace_that_is_seen_to_be_gone_all_of_it_is(town: Town, standing: ClusterStanding, looks: bool):
    """An administrator removed it, and the login's Role went with it: there is nothing left to ask for. Unseen, it may be there."""
    assert town.kube.delete(ObjectRef("v1", "Namespace", None, NAMESPACE))
    assert town.api.object("Deployment", "carts", NAMESPACE) is None
    look = Permission("get", "", "namespaces", name=NAMESPACE)
    town.api.granted = roles("viewer", {look} if looks else ())

    told = standing.take_down()

    assert told == [] if looks else told[0].startswith("this login may not get namespaces shop in shop")
