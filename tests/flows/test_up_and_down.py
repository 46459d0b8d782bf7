"""``up`` and ``down`` in a cluster: with the rights that they take, and with a login that lacks them or has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from flows.cluster_plan import parts_of
from flows.document import load_document
from tasks.app.files import app_of
from tasks.app.kube.manifests import manifests_of
from tasks.app.kube.placement import Placement
from tasks.base.shipped import shipped
from tasks.cluster.config import KubernetesSettings
from tasks.kube.permission import Permission
from tasks.kube.rights import roles
from tasks.recordings.kube.rights import needs_of
from tests.flows.conftest import Outcome
from tests.kube.fake_api import FakeApi

FILE = shipped("kubernetes-ladder.yaml")
HOME = "tidegauge"
Typed = Callable[..., Outcome]


def rolled_out(api: FakeApi, item: dict[str, Any]) -> None:
    """Deployments are ready as soon as they are wanted."""
    if item["kind"] != "Deployment" or "status" in item:
        return
    count = item["spec"].get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
    api.put({**item, "status": {**counts, "observedGeneration": item["metadata"].get("generation", 1) + 1}})


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server with the namespace of the documents, in which apps get ready."""
    with FakeApi(namespaces=(HOME,)) as running:
        running.control(lambda item: rolled_out(running, item))
        yield running


@pytest.fixture
def typed(api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A command on a store of its own; documents lead to *api*, and nobody waits for a login."""
    config = api.kubeconfig(tmp_path / "kubeconfig")

    def command(*argv: Any, sets: tuple[str, ...] = ()) -> Outcome:
        capsys.readouterr()
        usual = (f"cluster.kubeconfig={config}", "cluster.auth_wait_s=0", *sets)
        where = [word for one in usual for word in ("--set", one)] if argv[0] == "up" else []
        code = main([*map(str, argv), *where, "--store", str(tmp_path / "store")])
        return Outcome(code, *capsys.readouterr())

    return command


def rights_of_app() -> set[Permission]:
    """All that the app of the document cannot do without."""
    document = load_document(FILE)
    assert isinstance(document.cluster, KubernetesSettings)
    app = manifests_of(app_of(document.app), Placement(HOME, "r1"))
    return {need.permission for need in needs_of(parts_of(document, document.cluster, app).app_alone) if not need.optional}


def ours(api: FakeApi) -> list[str]:
    """What is there of the app."""
    return [one["metadata"]["name"] for kind in ("Deployment", "Service", "ConfigMap", "Lease") for one in api.all(kind, HOME)]


def test_the_rights_of_the_app_are_enough_to_start_and_to_remove_it(api, typed):
    """Those of load, telemetry and faults are not asked for: nothing of that is done."""
    api.granted = roles("run", rights_of_app())

    up = typed("up", FILE, "--json")
    there = ours(api)
    down = typed("down", "--json")

    assert up.code == 0, up.err
    assert "carts" in there
    assert (down.code, down.value) == (0, {"down": [up.value["name"]], "left": []}), down.err
    assert ours(api) == []


def test_each_right_that_lacks_is_told_before_the_first_write(api, typed, tmp_path):
    """With a Role of just that; nothing was written, neither there nor here."""
    needed = rights_of_app()
    for lacking in sorted(needed, key=str):
        api.granted = roles("run", needed - {lacking})

        told = typed("up", FILE)

        assert told.code == 3
        assert f"this login may not {lacking} (" in told.err
        assert "kind: Role\n" in told.err
        assert told.err.count("  verbs:") + told.err.count("- verbs:") == 1
        assert (api.writes, list((tmp_path / "store").glob("live/*"))) == ([], [])


def test_a_namespace_that_has_to_be_made_asks_for_the_rights_to_make_and_remove_it(api, typed):
    """They are optional where it is there. Nothing is made by somebody who could not remove it."""
    api.remove("Namespace", HOME)
    api.granted = roles("run", rights_of_app())

    told = typed("up", FILE)

    assert told.code == 3
    assert "this login may not create namespaces in all namespaces (cluster.create_namespace" in told.err
    assert f"delete namespaces {HOME} in {HOME}" in told.err
    assert api.writes == []
    made = {Permission("create", "", "namespaces"), Permission("delete", "", "namespaces", namespace=HOME, name=HOME)}
    api.granted = roles("run", rights_of_app() | made)
    assert typed("up", FILE).code == 0
    assert typed("down").code == 0
    assert api.object("Namespace", HOME) is None


def test_the_role_that_is_printed_would_do(api, typed):
    """A login that may do nothing: what it is told to have granted lets the same command through."""
    from ruamel.yaml import YAML

    api.granted = []
    told = json.loads(typed("up", FILE, "--json").out)
    printed = told["error"].partition("What lacks:\n")[2]
    api.granted = [one for one in YAML(typ="safe", pure=True).load_all(printed) if "rules" in one]

    assert typed("up", FILE).code == 0


def test_a_document_of_imports_alone_is_tried_too(api, typed):
    """`up` puts its app there whatever is recorded."""
    api.granted = []
    recordings = "recordings=[{name: a, role: training, imported: 'recording/0123456789abcdef0123'}]"

    told = typed("up", FILE, sets=(recordings, "faults=null"))

    assert told.code in (2, 3), told.err
    assert api.writes == []


@pytest.mark.parametrize("what", ["services", "deployments.apps"])
def test_down_removes_nothing_when_it_may_not_remove_all(api, typed, what):
    """It says which right lacks, once, and prints the Role; with that right the same command leaves nothing."""
    name = typed("up", FILE, "--json").value["name"]
    before, writes = ours(api), len(api.writes)
    resource, _, group = what.partition(".")
    api.granted = roles("run", rights_of_app() - {Permission("delete", group, resource, namespace=HOME)})

    told = typed("down", "--json")

    value = json.JSONDecoder().raw_decode(told.out)[0]
    (left,) = value["left"]
    assert (told.code, value["down"]) == (10, [])
    assert left.startswith(f"{name}: this login may not delete {what} in {HOME} (what a run has made is there); nothing was removed\n")
    assert "kind: Role\n" in left
    assert told.err.count(name) == 1
    assert "kind: Role" not in told.err
    assert (ours(api), len(api.writes)) == (before, writes)
    api.granted = roles("run", rights_of_app())
    assert typed("down").out == f"{name} is down\n"


def test_down_needs_no_rights_for_what_is_not_there(api, typed):
    """Whoever may list the kinds of objects and remove those that the app has may take it down."""
    typed("up", FILE)
    kinds = {("apps", "deployments"), ("", "services"), ("", "configmaps")}
    api.granted = roles("run", {one for one in rights_of_app() if one.verb != "delete" or (one.group, one.resource) in kinds})

    assert typed("down").code == 0
    assert ours(api) == []


def test_down_goes_by_names_where_rights_do(api, typed):
    """A Role may let single objects be removed: that is enough where no other is there."""
    typed("up", FILE)
    kept = {one for one in rights_of_app() if (one.verb, one.resource) != ("delete", "deployments")}
    named = {
        Permission("delete", "apps", "deployments", namespace=HOME, name=one["metadata"]["name"]) for one in api.all("Deployment", HOME)
    }
    api.granted = roles("run", kept | named)

    assert typed("down").code == 0
    assert ours(api) == []


def test_down_asks_for_what_it_cannot_see(api, typed):
    """A login that may do nothing: the Role holds what it takes to look, and to remove what may be there."""
    from ruamel.yaml import YAML

    name = typed("up", FILE, "--json").value["name"]
    before, all_rights = ours(api), api.granted
    api.granted = []

    told = typed("down")
    printed = told.out.partition("apiVersion:")
    api.granted = [one for one in YAML(typ="safe", pure=True).load_all("".join(printed[1:])) if "rules" in one]

    assert all_rights is None
    assert (told.code, ours(api)) == (10, before)
    assert typed("down").out == f"{name} is down\n"
    assert ours(api) == []


def test_down_without_a_login_names_the_shop_once(api, typed):
    """It says how to log in, and that nothing went; after that the same command does it."""
    name = typed("up", FILE, "--json").value["name"]
    before, api.bearer = ours(api), "another"

    told = typed("down")

    assert told.code == 10
    assert told.err.startswith(f"tidegauge: 1 thing is still there: {name}: the login of context fake is not valid (any more); renew")
    assert told.err.count(name) == told.out.count(name) == 1
    assert ours(api) == before
    api.bearer = "first"
    assert typed("down").code == 0


def test_that_somebody_has_to_log_in_is_said_while_it_is_waited_for(api, typed):
    """`down` and the emergency stop would otherwise wait in silence."""
    typed("up", FILE, sets=("cluster.auth_wait_s=0.2",))
    api.bearer = "another"

    assert "waiting up to 0 s: renew the login of context fake" in typed("down").err
    assert "waiting up to 0 s: renew the login of context fake" in typed("faults", "revert").err
