"""What is decided without asking anybody: amounts, targets, differences, steps, plans."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import PreflightError, StorageError
from tasks.base.files import canonical_json
from tasks.faults.kube.amounts import amount, millicores
from tasks.faults.kube.difference import differences, steady
from tasks.faults.kube.guard_job import GuardPlan, account, job, permissions
from tasks.faults.kube.inner import Inside, read_inside, read_remains
from tasks.faults.kube.kinds import KINDS
from tasks.faults.kube.kinds.cpu_hog import turn
from tasks.faults.kube.kinds.cpu_starvation import starved
from tasks.faults.kube.kinds.memory_leak import parts
from tasks.faults.kube.naming import fault_name
from tasks.faults.kube.node_pod import service_ports
from tasks.faults.kube.saved import SavedPlan
from tasks.faults.kube.sayings import said, sayings, stuck
from tasks.faults.kube.steps import Delete, Patch, Run, Start, step_from, step_json
from tasks.kube.refs import ObjectRef
from tests.faults.kube.town import Town, deployment

MIB = 1 << 20
INSIDE = Inside(processors=2, used_bytes=40 * MIB, largest_bytes=30 * MIB, node_free_bytes=8192 * MIB, dead=0)


@pytest.mark.parametrize(
    ("text", "number"),
    [("300m", 0.3), ("2", 2.0), ("0.5", 0.5), ("128Mi", 128 * MIB), ("1G", 1e9), ("1e3", 1000.0), ("100E", 1e20), (1, 1.0)],
)
def test_amounts(text: Any, number: float):
    """As Kubernetes writes them."""
    assert amount(text) == number


@pytest.mark.parametrize("text", ["", "m", "12x", "NaN", "Infinity", "1 Mi b"])
def test_what_is_no_amount(text: str):
    """Is refused."""
    with pytest.raises(ValueError, match="no amount"):
        amount(text)


@given(st.integers(1, 10**6))
def test_millicores_are_read_back(number: int):
    """A round trip is exact."""
    assert amount(millicores(number / 1000)) == pytest.approx(number / 1000)


def test_a_difference_is_named_by_its_path():
    """What the cluster writes by itself is none."""
    before = deployment("carts")
    now = copy.deepcopy(before)
    now["spec"]["replicas"] = 0
    now["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    now["status"] = {"replicas": 0}
    now["metadata"] |= {
        "resourceVersion": "9",
        "generation": 4,
        "managedFields": [{}],
        "annotations": {"deployment.kubernetes.io/revision": "3"},
    }

    assert differences(before, now) == (
        "spec.replicas: 1 -> 0",
        'spec.template.spec.containers[0].image: "x.test/demo:1" -> "other"',
    )
    assert differences(now, {**now, "metadata": {**now["metadata"], "labels": {"a": "b"}}}) == ('metadata.labels: absent -> {"a":"b"}',)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_difference_means_equal(one: Any, other: Any):
    """Both ways: equal objects have none, and those that have none are equal."""
    before, now = {"metadata": {"name": "x"}, "spec": one}, {"metadata": {"name": "x"}, "spec": other}

    assert differences(before, copy.deepcopy(before)) == ()
    assert (differences(before, now) == ()) == (canonical_json(steady(before)) == canonical_json(steady(now)))


def test_what_may_be_secret_is_named_and_not_shown():
    """A password in a variable, an argument, or a container that came or went; an amount beside it is shown."""

    def workload(cpu: str = "1", **container: Any) -> dict[str, Any]:
        limits = {"resources": {"limits": {"cpu": cpu}}}
        return {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "web", **limits, **container}]}}}}

    env, argv = [{"name": "PASSWORD", "value": "s3cr3t"}], ["--password=s3cr3t"]
    whole = workload(env=env, args=argv, command=argv)
    more = copy.deepcopy(whole)
    more["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "env": env})
    others = (
        workload(),
        workload(env=[{"name": "PASSWORD", "value": "x"}], args=["x"], command=["x"], cpu="2"),
        more,
        {"metadata": {}, "spec": {}},
        {"metadata": {}},
    )
    told = [text for other in others for text in differences(whole, other)]

    assert "spec.template.spec.containers[0].env[0].value: is not what it was" in told
    assert 'spec.template.spec.containers[0].resources.limits.cpu: "1" -> "2"' in told
    assert [text for text in told if "s3cr3t" in text] == []


@pytest.mark.parametrize("how", [{"exec": {"command": ["s3cr3t"]}}, {"httpGet": {"httpHeaders": [{"name": "X", "value": "s3cr3t"}]}}])
def test_a_secret_in_a_probe_or_a_hook_is_not_shown_either(how: dict[str, Any]):
    """Whichever part of it came or changed; and an annotation holds the whole object as it was applied."""

    def workload(**container: Any) -> dict[str, Any]:
        return {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}

    (action,) = how
    applied = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s3cr3t"}}, "spec": workload()["spec"]}
    pairs = [
        (workload(), workload(livenessProbe=how)),
        (workload(livenessProbe={"periodSeconds": 1}), workload(livenessProbe={"periodSeconds": 1, **how})),
        (workload(livenessProbe=how), workload(livenessProbe={action: {"port": 1}})),
        (workload(lifecycle={}), workload(lifecycle={"preStop": how})),
        (workload(), workload(lifecycle={"preStop": how})),
        (workload(), applied),
    ]
    told = [text for pair in pairs for text in (*differences(*pair), *differences(*reversed(pair)))]

    assert len(told) >= 2 * len(pairs)
    assert [text for text in told if "s3cr3t" in text] == []


def test_a_difference_tells_a_number_from_a_truth():
    """1 and true are not the same, 0 and absent neither."""
    before = {"metadata": {}, "spec": {"a": 1, "b": 0}}

    assert differences(before, {"metadata": {}, "spec": {"a": True}}) == ("spec.a: 1 -> true", "spec.b: 0 -> absent")


@pytest.mark.parametrize("intensity", [0.02, 0.05, 0.1, 0.3, 1.0])
def test_less_intensity_starves_less_and_never_changes_the_class_of_service(intensity: float):
    """A request that was the limit stays it, one below stays below; ten millicores are left."""
    burstable = {"resources": {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}}
    guaranteed = {"resources": {"requests": {"cpu": "300m"}, "limits": {"cpu": "300m"}}}
    one, other = starved(burstable, intensity), starved(guaranteed, intensity)

    assert amount(one["requests"]["cpu"]) < amount(one["limits"]["cpu"])
    assert other["requests"] == other["limits"]
    assert amount(one["limits"]["cpu"]) == pytest.approx(max(0.01, 0.3 * (1 - intensity)), abs=0.0006)


def test_a_hog_is_busy_for_its_share_of_the_time():
    """Also where sleep knows whole seconds alone."""
    for intensity in (0.02, 0.1, 0.5, 0.8):
        busy_s, asleep_s = turn(intensity)
        assert busy_s / (busy_s + asleep_s) == pytest.approx(intensity, abs=0.001)
    assert turn(1.0) == (1.0, 0)


def test_a_leak_is_spread_over_processes_smaller_than_the_service():
    """Whoever is killed for the memory, it is the largest: the service."""
    processes, each = parts(132, INSIDE)

    assert processes * each >= 132
    assert each * MIB <= INSIDE.largest_bytes / 2
    assert parts(0, INSIDE) == (1, 0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_placebo_goes_the_same_way(town: Town, kind: str):
    """Steps of the same sort to the same objects, undone the same way; and one that acts is another than one that pretends."""
    insides = {pod["metadata"]["name"]: INSIDE for pod in town.found().pods}
    real, fake = (KINDS[kind].plan(town.aim(placebo=placebo, insides=insides)) for placebo in (False, True))

    assert [(type(step), step.ref) for step in real.acts] == [(type(step), step.ref) for step in fake.acts]
    assert real.acts != fake.acts
    assert real.reverts == fake.reverts


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.graded])
def test_five_levels_are_five_faults(town: Town, kind: str):
    """Where intensity is said to matter it does."""
    insides = {pod["metadata"]["name"]: INSIDE for pod in town.found().pods}
    plans = [KINDS[kind].plan(town.aim(intensity=level, insides=insides)) for level in (0.05, 0.1, 0.3, 0.6, 1.0)]

    assert len({json.dumps([str(plan.acts), plan.again_s]) for plan in plans}) == 5


def test_every_kind_says_what_it_is():
    """Name, summary, witnesses and what it needs."""
    assert list(KINDS)[:3] == ["cpu_starvation", "cpu_hog", "memory_hog"]
    assert {name for name, kind in KINDS.items() if kind.benign} == {"rollout", "scale_out_in"}
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.witnesses
        assert kind.summary
        assert kind.placebo
        assert 0 < kind.default_intensity <= 1


def test_steps_are_read_back_as_they_were_saved():
    """By another process, from the disk."""
    ref = ObjectRef("v1", "Pod", "shop", "x")
    steps = [Patch(ref, {"a": None}, "strategic", "resize"), Delete(ref, 3), Run(ref, "c", "id", "sleep 1", "m", ("1", "2"), 3)]

    assert [step_from(json.loads(json.dumps(step_json(step)))) for step in steps] == steps


def test_a_plan_is_read_back_as_it_was_saved(town: Town, tmp_path):
    """With everything that undoing it needs; a file that is no plan is an error."""
    moves = KINDS["latency"].plan(town.aim())
    plan = SavedPlan.of("t001", "r1", "http://x", town.found(), moves, {"p": 1})
    plan.write(tmp_path / "journal")

    assert SavedPlan.read(tmp_path / "journal", "t001") == plan
    path = tmp_path / "journal" / "t001.plan.json"
    for damage in ({"fault": "t002"}, {"format": 9}, {"reverts": [{"step": "explode", "ref": {}}]}, {"target": {"x": 1}}):
        path.write_text(json.dumps({**json.loads(json.dumps(plan_json(plan))), **damage}))
        with pytest.raises(StorageError, match="no plan of a fault"):
            SavedPlan.read(tmp_path / "journal", "t001")


def plan_json(plan: SavedPlan) -> dict[str, Any]:
    """Some plan that is whole."""
    names = ("fault", "run", "namespace", "server")
    return {
        "format": 1,
        **{name: getattr(plan, name) for name in names},
        "target": {"name": "x"},
        "reverts": [],
        "runs": [],
        "starts": [],
        "before": [],
        "dead": {},
    }


def test_a_guard_may_do_what_the_undoing_needs_and_nothing_else(town: Town):
    """One object each, one verb, and a look at its own Job."""
    moves = KINDS["service_outage"].plan(town.aim())
    steps = tuple((step, town.kube.path_of(step.ref)) for step in moves.reverts)
    plan = GuardPlan("r1", "t001", "shop", "x.test/demo:1", steps, 64.0, 60.0)
    rules = next(one for one in account(plan, "uid") if one["kind"] == "Role")["rules"]

    assert sorted(map(str, permissions(plan))) == [
        f"get jobs.batch {plan.name} in shop",
        "patch deployments.apps/scale carts in shop",
    ]
    assert all(rule["resourceNames"] and "*" not in str(rule) for rule in rules)
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "patch"}
    made = job(plan)
    assert made["spec"]["suspend"] is True
    pod = made["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"} <= made["spec"].keys()


def test_names_are_short_and_of_one_run_alone():
    """A Job's name is a label, too: 63 letters; a few are added for pods."""
    names = {fault_name(run, "x" * 63) for run in ("r1", "r2")}

    assert len(names) == 2
    assert max(map(len, names)) <= 63 - len("-n0-clean")


def test_a_pod_on_a_node_is_bounded(town: Town):
    """It ends by itself, the kubelet ends it if not, and it has no account in the cluster."""
    start = KINDS["latency"].plan(town.aim(intensity=0.5)).acts[0]
    assert isinstance(start, Start)
    spec = start.manifest["spec"]
    told = json.loads(spec["containers"][0]["args"][0])

    assert (told["mode"], told["delay_ms"], told["ports"], told["seconds"]) == ("hold", 200.0, [8080], 8.0)
    assert told["container"] == "c2"
    assert spec["activeDeadlineSeconds"] == 98
    assert spec["automountServiceAccountToken"] is False
    assert spec["nodeName"] == "n1"


def test_ports_of_services_are_looked_up_by_name(town: Town):
    """A Service may name the container's port, or count on it."""
    service = dict(town.found().services[0])
    found = town.found()
    other = {"spec": {"selector": {"app": "carts"}, "ports": [{"port": 9090}, {"port": 81, "targetPort": "nobody"}]}}

    assert service_ports(found) == (8080,)
    assert service_ports(type(found)(found.target, found.namespace, found.workload, found.pods, (service, other))) == (8080, 9090)


def test_what_containers_say_is_read_or_refused():
    """A cut answer is no answer."""
    assert read_inside(0, "processors 2\nused_kib 1\nlargest_kib 1\nfree_kib 9\ndead 0\n", "x") == Inside(2, 1024, 1024, 9216, 0)
    for code, output in ((127, ""), (0, "processors 2\n"), (0, "hello"), (None, "")):
        with pytest.raises(PreflightError, match="x has no shell that could act"):
            read_inside(code, output, "x")
    with pytest.raises(ValueError, match="cut off"):
        read_remains("process 4\n")


def test_sayings_are_found_among_other_lines():
    """A traceback in a log is none of ours."""
    found = sayings(
        [b"Traceback (most recent call last):", b'{"said": "armed", "wall_s": 3.5}', b"{}", b"[1]", b'{"said": "x", "wall_s": "y"}']
    )

    assert [one.word for one in found] == ["armed"]
    assert said(found, "reverted") is None


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, ""),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "m"}}}]}, "pod x: ErrImagePull: m"),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}, "pod x ended with code 1 (Error)"),
        ({"phase": "Failed", "reason": "Evicted", "message": "m"}, "pod x has failed: Evicted m"),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "m"}]}, "pod x finds no node: m"),
    ],
)
def test_a_pod_that_will_not_start_says_why(status: dict[str, Any], why: str):
    """And one that still may is waited for."""
    assert stuck({"metadata": {"name": "x"}, "status": status}) == why
