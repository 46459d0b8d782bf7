"""Objects of Chaos Mesh are what it knows, are chosen where it is installed, and go when the fault is over."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tasks.faults.kube.chaos_mesh import API_VERSION, SPECS, chosen, mesh_moves, rendered
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.naming import fault_labels
from tasks.faults.kube.rights import mesh_only, rights_of
from tasks.kube.rights import roles
from tests.faults.kube.town import NAMESPACE, RUN, Town

SCHEMA = json.loads(Path(__file__).with_name("chaos-mesh.schema.json").read_text())
LABELS = fault_labels(RUN, "t001")


@pytest.mark.parametrize("placebo", [False, True])
@pytest.mark.parametrize("kind", list(SPECS))
def test_an_object_keeps_to_the_schema(town: Town, kind: str, placebo: bool):
    """At every intensity; it hits the target's pods alone, and ends by itself."""
    for intensity in (0.02, 0.3, 1.0):
        manifest = rendered(kind, town.aim(intensity=intensity, placebo=placebo), LABELS)
        jsonschema.validate(manifest, SCHEMA)

        assert manifest["spec"]["selector"] == {"namespaces": [NAMESPACE], "labelSelectors": {"app": "carts"}}
        assert kind == "pod_kill" or manifest["spec"]["duration"] == "8s"
        assert manifest["metadata"]["labels"] == dict(LABELS)


@pytest.mark.parametrize("kind", [kind for kind in SPECS if kind != "pod_kill"])
def test_a_placebo_is_the_same_object_without_effect(town: Town, kind: str):
    """And more intensity is more."""
    real, weak, fake = (
        rendered(kind, town.aim(intensity=intensity, placebo=placebo), LABELS)["spec"]
        for intensity, placebo in ((1.0, False), (0.3, False), (1.0, True))
    )

    assert real.keys() == fake.keys()
    assert len({json.dumps(one) for one in (real, weak, fake)}) == 3


def test_the_schema_refuses_what_chaos_mesh_would():
    """It is not empty words."""
    whole: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "NetworkChaos",
        "metadata": {"name": "x", "namespace": "shop", "labels": {}},
        "spec": {
            "action": "delay",
            "mode": "all",
            "duration": "5s",
            "delay": {"latency": "10ms"},
            "selector": {"namespaces": ["shop"], "labelSelectors": {"app": "x"}},
        },
    }
    jsonschema.validate(whole, SCHEMA)
    for change in ({"action": "explode"}, {"duration": "5"}, {"delay": {"latency": 10}}, {"selector": {"namespaces": []}}, {"extra": 1}):
        wrong = copy.deepcopy(whole)
        wrong["spec"] |= change
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


def test_it_is_chosen_where_its_object_is_served():
    """And for nothing that it does not cover."""
    assert chosen("latency", frozenset({"NetworkChaos"}))
    assert not chosen("latency", frozenset({"PodChaos"}))
    assert not chosen("cpu_starvation", frozenset({"PodChaos", "NetworkChaos", "StressChaos"}))
    assert set(SPECS) <= set(KINDS)


def test_it_is_in_effect_when_it_says_so(town: Town):
    """Made, awaited, removed; the guard could remove it, too."""
    town.api.add_kind(API_VERSION, "NetworkChaos", plural="networkchaos")

    def operator(item: dict[str, Any]) -> None:
        if item["kind"] == "NetworkChaos" and "status" not in item:
            town.api.put({**item, "status": {"conditions": [{"type": "AllInjected", "status": "True"}]}})

    town.api.control(operator)
    town.kube.used.clear()
    fault = town.injector().inject(town.request("loss"))
    assert [one["spec"]["loss"]["loss"] for one in town.api.all("NetworkChaos", NAMESPACE)] == ["50"]
    receipt = fault.wait()

    assert receipt.verified
    assert town.api.all("NetworkChaos", NAMESPACE) == []
    assert town.ours() == []
    mesh = {one for one in town.kube.used if one.group == "chaos-mesh.org"}
    assert {(one.verb, one.resource) for one in mesh} <= {
        (one.verb, one.resource) for one in mesh_only("loss", NAMESPACE) if one.group == "chaos-mesh.org"
    }


def test_it_is_left_alone_where_that_is_asked_for(town: Town):
    """Our own way is taken then."""
    town.api.add_kind(API_VERSION, "NetworkChaos", plural="networkchaos")

    assert any("on node n1" in call for call in town.injector(chaos_mesh=False).dry_run(town.request("loss")))
    assert any("create networkchaos/" in call for call in town.injector().dry_run(town.request("loss")))


def test_whoever_may_not_use_it_goes_another_way(town: Town):
    """Its definitions are there, and the login's Role does not hold them."""
    town.api.add_kind(API_VERSION, "NetworkChaos", plural="networkchaos")
    town.api.granted = roles("run", rights_of(["loss"], NAMESPACE))

    assert any("on node n1" in call for call in town.injector().dry_run(town.request("loss")))


def test_a_mesh_placebo_of_a_kill_is_a_dry_run(town: Town):
    """Nobody dies."""
    moves = mesh_moves("pod_kill", town.aim(placebo=True), LABELS)

    assert [str(step) for step in moves.acts] == [f"create podchaos/{moves.acts[0].ref.name} in shop (server-side dry run)"]
    assert moves.reverts == ()
