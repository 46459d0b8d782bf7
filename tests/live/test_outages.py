"""
What goes wrong around a run on a real cluster: a sentence, an exit code, nothing left behind, and what was recorded is kept.

One recording suffers one thing after the other: a policy that nobody enforces, an API server that falls silent and one that is
killed, a kubelet that is killed, a pod that is evicted. Deployments that cannot be had are refused one by one.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Store
from tasks.base.clock import from_iso
from tasks.base.files import read_json
from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.rights import documents
from tasks.faults.catalogue import kinds_for
from tasks.features.build import build_from
from tasks.features.config import FeaturesConfig
from tasks.kube.rights import role_text
from tasks.load.history import read_history
from tasks.recordings.evidence import Scene, callers_of
from tasks.recordings.judging import grace_of, judged_one
from tasks.telemetry.causes import API_SERVER
from tasks.telemetry.kube.journal import read_journal
from tasks.telemetry.samples import Samples, read_samples, read_series
from tasks.telemetry.series import Series
from tests.kube.certificates import Authority
from tests.ledger import Ledger
from tests.live.conftest import ROOT, Cluster, Machine, eventually
from tests.live.context import NAMES
from tests.live.harness.layout import Layout
from tests.live.harness.parts import killed, stopped
from tests.live.own_images import own_names
from tests.live.test_run import command

pytestmark = [pytest.mark.live, pytest.mark.timeout(480)]
AWAY_S = 10.0
STEP_S = 2.0
"""Between two scrapes."""
VICTIM = "catalogue"
ACTS = {"policy": 20.0, "silent API server": 38.0, "killed API server": 56.0, "killed kubelet": 77.0, "eviction": 98.0}
"""What happens so many seconds after the recording began to count."""
LENGTH_S = 114
DOCUMENT = """
version: 1
name: outages
seed: 7
cluster: {{provider: kubeconfig, kubeconfig: {kubeconfig}, {context}namespace: {namespace}, node_proxy: true, teardown_timeout_s: 60}}
app: {{kind: demo-shop{image}}}
load:
  place: pods
  workers: 2
  users: {{shape: constant, users: 10}}
  journeys_per_user_per_s: 0.5
telemetry:
  sources: [{{kind: kubelet, interval_s: {step_s:g}, timeout_s: 1.5, kubelet_interval_s: {step_s:g}}}]
recordings:
  - {{name: training, role: training, duration_s: {length_s}, warmup_s: 4}}
features: {{profile: short, grid_s: {step_s:g}, rate_window_s: 10}}
detectors: [robust_z]
"""
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all"},
    "spec": {"podSelector": {"matchLabels": {"app": VICTIM}}, "policyTypes": ["Ingress", "Egress"]},
}


def document(path: Path, cluster: Cluster, namespace: str, *, image: str = "", context: str = "", kubeconfig: Path | None = None) -> Path:
    """A short recording of the demo shop."""
    text = DOCUMENT.format(
        kubeconfig=kubeconfig or cluster.kubeconfig,
        namespace=namespace,
        context=f"context: {context}, " if context else "",
        image=f", image: {image}" if image else "",
        step_s=STEP_S,
        length_s=LENGTH_S,
    )
    path.write_text(text)
    return path


# -- one recording ---------------------------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """A recording that suffered, and what became of it."""

    store: Path
    exit_code: int
    told: dict[str, Any]
    """The run's object."""
    said: str
    """What the command printed."""
    spans: dict[str, Interval]
    """When each thing happened, by this machine's clock."""
    left: str
    """What of ours is in its namespace afterwards."""
    folder: Path
    facts: dict[str, Any]
    gaps: list[dict[str, Any]]
    series: tuple[Series, ...]
    samples: Samples
    pods: dict[str, str] = field(default_factory=dict)
    """Names of pods that were taken, by what happened."""

    def times_s(self, wanted: Callable[[Series], bool]) -> list[float]:
        """When the series *wanted* have samples."""
        numbers = [one.id for one in self.series if wanted(one)]
        return [float(time_ms) / 1000 for time_ms in self.samples.time_ms[np.isin(self.samples.series, numbers)]]

    def values_in(self, span: Interval, wanted: Callable[[Series], bool]) -> list[float]:
        """What the series *wanted* say in *span*."""
        numbers = [one.id for one in self.series if wanted(one)]
        inside = (self.samples.time_ms >= 1000 * span.start_s) & (self.samples.time_ms <= 1000 * span.end_s)
        return [float(value) for value in self.samples.value[inside & np.isin(self.samples.series, numbers)]]

    def judged(self, kind: str, span: Interval) -> Trial:
        """What the recording says of somebody's claim that there was a fault of *kind*."""
        features = FeaturesConfig.model_validate_json(json.dumps(self.facts["judged_by"]))
        start_s, end_s = from_iso(self.facts["start"]), from_iso(self.facts["end"])
        matrix = build_from(self.series, self.samples, features, start_s=start_s, end_s=end_s)
        callers = callers_of([(caller, callee) for caller, callee in self.facts["edges"]])
        scene = Scene(matrix, self.series, self.samples, callers, read_history(self.folder / "load"), kinds_for("kubernetes"))
        windows = Windows(span.start_s, span.start_s, None, span.end_s, span.end_s)
        trial = Trial("t001", kind, VICTIM, 1.0, False, span.length_s, windows)
        return judged_one(scene, trial, [], grace_of(features.rate_window_s, features.grid_s), span.end_s + 4 * STEP_S)


@dataclass
class Trouble:
    """Does to the cluster what is to be survived."""

    cluster: Cluster
    layout: Layout
    namespace: str
    spans: dict[str, Interval] = field(default_factory=dict)
    pods: dict[str, str] = field(default_factory=dict)

    def all(self, run: subprocess.Popen[str], begun_s: float) -> None:
        """One thing after the other, while *run* goes on; *begun_s* is when the recording began to count, as wall time."""
        acts: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "policy": self._denied,
            "silent API server": lambda: stopped(self.layout, "apiserver"),
            "killed API server": lambda: killed(self.layout, "apiserver"),
            "killed kubelet": lambda: killed(self.layout, "kubelet"),
            "eviction": self._evicted,
        }
        for name, after_s in ACTS.items():
            past(begun_s + after_s)
            assert run.poll() is None, run.communicate()
            with acts[name]():
                start_s = time.time()
                past(start_s + AWAY_S)
            self.spans[name] = Interval(start_s, time.time())

    @contextmanager
    def _denied(self) -> Iterator[None]:
        self.cluster.kubectl("--namespace", self.namespace, "apply", "--filename=-", given=json.dumps(DENY))
        try:
            yield
        finally:
            self.cluster.kubectl("--namespace", self.namespace, "delete", "networkpolicy", "deny-all")

    @contextmanager
    def _evicted(self) -> Iterator[None]:
        selector = f"--selector=app={VICTIM}"
        name = self.cluster.kubectl("--namespace", self.namespace, "get", "pods", selector, "--output=jsonpath={.items[0].metadata.name}")
        metadata = {"name": name, "namespace": self.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/eviction"
        self.cluster.kubectl("create", f"--raw={path}", "--filename=-", given=json.dumps(eviction))
        self.pods["eviction"] = name
        yield


def past(wall_s: float) -> None:
    """Wait for a moment."""
    eventually(lambda: time.time() >= wall_s, 600)


def begun(store: Path) -> float | None:
    """When the recording in *store* began to count; None: not yet."""
    for path in store.glob("live/*/progress.json"):
        said = read_json(path)
        if said["measured_s"] is not None:
            return float(said["written_s"]) - float(said["measured_s"])
    return None


def started(run: subprocess.Popen[str], store: Path) -> float:
    """Wait until the recording counts."""
    eventually(lambda: begun(store) is not None or run.poll() is not None, 180)
    found = begun(store)
    assert found is not None, run.communicate()
    return found


@contextmanager
def limited(cluster: Cluster, namespace: str, path: Path) -> Iterator[Path]:
    """A kubeconfig of somebody who may do in *namespace*, which is there then, what a run needs, and ask the nodes."""
    found = documents(KubeconfigCluster(provider="kubeconfig", namespace=namespace))
    wide = json.loads(json.dumps(found["nodes-proxy"]).replace('"tidegauge-nodes-proxy"', f'"{namespace}"'))
    cluster.kubectl("apply", "--filename=-", given=role_text([*found["setup"], *found["run"], *wide]))
    try:
        value = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
        token = cluster.kubectl("--namespace", namespace, "create", "token", "tidegauge").strip()
        path.touch(0o600)
        path.write_text(json.dumps({**value, "users": [{"name": one["name"], "user": {"token": token}} for one in value["users"]]}))
        yield path
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", namespace)
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def suffered(cluster: Cluster, layout: Layout, folder: Path) -> Recorded:
    """Make the recording by the command line, with no more rights than it needs, while all that happens."""
    namespace = NAMES.new("outages")
    with limited(cluster, namespace, folder / "kubeconfig") as kubeconfig:
        return _suffered(cluster, layout, document(folder / "outages.yaml", cluster, namespace, kubeconfig=kubeconfig), namespace)


def _suffered(cluster: Cluster, layout: Layout, path: Path, namespace: str) -> Recorded:
    store = path.parent / "store"
    words = command("record", path, "--store", store)
    trouble = Trouble(cluster, layout, namespace)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as run:
        try:
            trouble.all(run, started(run, store))
            said, errors = run.communicate(timeout=180)
        finally:
            run.terminate()  # reverts and takes down; nothing where it has ended
    assert run.returncode in (0, 8), errors[-3000:]
    shown = subprocess.run(command("runs", "show", "--json", "--store", store), capture_output=True, check=True, cwd=ROOT)
    told = json.loads(shown.stdout)
    place = Store(store).open(Ref.parse(f"recording/{told['recordings'][0]['id']}")).folder
    return Recorded(
        store=store,
        exit_code=run.returncode,
        told=told,
        said=said,
        spans=trouble.spans,
        left=ours(cluster, namespace),
        folder=place,
        facts=read_json(place / "recording.json"),
        gaps=read_json(place / "gaps.json")["gaps"],
        series=read_series(place),
        samples=read_samples(place),
        pods=trouble.pods,
    )


@pytest.fixture(scope="module")
def recorded(machine: Machine, standing: Callable[[], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The recording; only of a cluster of the tests' own are programs taken away."""
    return suffered(standing(), Layout(machine.state), tmp_path_factory.mktemp("outages"))


def test_a_recording_that_suffered_is_kept_and_called_incomplete(recorded: Recorded, ledger: Ledger) -> None:
    """Exit code 8; ``runs show --gaps`` names each hole; it went on to its planned end; nothing of it is in the cluster."""
    attempt = ledger.begin(row=22, fault="a recording during which API server and kubelet were away", where="cluster")
    words = command("runs", "show", recorded.told["run"], "--gaps", "--store", recorded.store)
    shown = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert (recorded.exit_code, recorded.told["status"]) == (8, "incomplete")
    assert f"a recording is incomplete; `tidegauge runs show {recorded.told['run']} --gaps` says why" in recorded.said
    assert recorded.facts["length_s"] == pytest.approx(LENGTH_S, abs=3)
    assert shown.count("  gap of ") == len(recorded.gaps)
    assert recorded.left == ""
    attempt.survived(f"{len(recorded.gaps)} gaps named, 0 objects left")


UNHEARD = {"silent": {"timeout", "silent"}, "killed": {"refused", "cut"}}
"""Words for why nobody was asked, which depend on how far a request had come."""


@pytest.mark.parametrize("how", ["silent", "killed"])
def test_an_api_server_that_is_away_is_one_gap_and_nothing_is_invented(recorded: Recorded, ledger: Ledger, how: str) -> None:
    """Nobody could look: not one sample of a pod or of the cluster's state is from that time, and both edges are right to two scrapes."""
    attempt = ledger.begin(row=17, fault=f"an API server that is {how} for {AWAY_S:g} s in a recording", where="cluster")
    span = recorded.spans[f"{how} API server"]
    holes = [(Interval(from_iso(one["start"]), from_iso(one["end"])), one["cause"]) for one in recorded.gaps if one["target"] is None]
    ((hole, cause),) = [(one, why) for one, why in holes if one.overlaps(span)]
    looks = recorded.times_s(lambda one: one.role != "container")  # a kubelet's own rows keep the time at which it looked

    assert -2 * STEP_S <= hole.start_s - span.start_s <= STEP_S
    assert AWAY_S - STEP_S <= hole.end_s - span.start_s <= span.length_s + 2 * STEP_S  # it answers a while before it calls itself ready
    assert [at for at in looks if span.start_s < at < span.start_s + AWAY_S - STEP_S] == []
    assert [kind for kind, _ in itertools.groupby(events(recorded, span))] == ["api_down", "api_up"]
    assert cause is not None
    assert (cause["who"], cause["word"] in UNHEARD[how]) == (API_SERVER, True), cause
    attempt.survived(f"gap {hole.length_s:.1f} s for {span.length_s:.1f} s, 0 samples invented")


def events(recorded: Recorded, span: Interval) -> list[str]:
    """What the collector told of the API server around *span*."""
    lines = [json.loads(line) for line in (recorded.folder / "collector-events.jsonl").read_text().splitlines()]
    around = [line for line in lines if span.start_s - STEP_S <= line["time_s"] <= span.end_s + 3 * STEP_S]
    return [line["kind"] for line in around if line["kind"] in ("api_down", "api_up")]


def test_there_are_no_other_holes_in_it(recorded: Recorded) -> None:
    """Every gap that is named lies at one of the things that happened."""
    near = [Interval(one.start_s - 2 * STEP_S, one.end_s + 4 * STEP_S) for name, one in recorded.spans.items() if name != "policy"]
    strange = [one for one in recorded.gaps if not any(s.overlaps(Interval(from_iso(one["start"]), from_iso(one["end"]))) for s in near)]

    assert strange == []


def test_a_kubelet_that_is_away_takes_its_own_rows_and_no_others(recorded: Recorded, ledger: Ledger) -> None:
    """Pods are seen as before, the kubelet is ``up 0``, its rows have no sample from that time, and the load is not called lost."""
    attempt = ledger.begin(row=9, fault=f"a kubelet that is killed for {AWAY_S:g} s in a recording", where="cluster")
    span = recorded.spans["killed kubelet"]
    inner = Interval(span.start_s + STEP_S, span.start_s + AWAY_S - STEP_S)
    pods = recorded.values_in(inner, lambda one: (one.role, one.name) == ("service", "up"))
    kubelet = recorded.values_in(inner, lambda one: (one.role, one.name) == ("node", "up"))
    rows = recorded.times_s(lambda one: one.role == "container" and one.name == "container_cpu_usage_seconds_total")

    assert set(pods) == {1.0}
    assert set(kubelet) == {0.0}
    assert [at for at in rows if inner.start_s < at < inner.end_s] == []
    assert max(rows) > span.end_s + STEP_S
    assert recorded.facts["notes"] == []
    attempt.survived(f"{len(pods)} looks at pods went on, {len(kubelet)} at the kubelet failed")


def test_an_evicted_pod_is_one_series_and_seen_as_what_it_is(recorded: Recorded, ledger: Ledger) -> None:
    """The next pod takes its place; the place was empty for a while; and the witness of a killed pod saw it."""
    attempt = ledger.begin(row=7, fault="a pod is evicted in a recording", where="cluster")
    span = recorded.spans["eviction"]
    lines = [line for line in read_journal(recorded.folder) if line["kind"] == "replica" and line["service"] == VICTIM]
    ups = [one for one in recorded.series if (one.role, one.name, one.service) == ("service", "up", VICTIM)]
    verdict = recorded.judged("pod_kill", span)

    assert lines[0]["pod"] == recorded.pods["eviction"]
    assert {line["replica"] for line in lines} == {lines[0]["replica"]}
    assert len({line["pod"] for line in lines}) == 2
    assert len(ups) == 1
    assert verdict.outcome not in (None, Outcome.NOT_INJECTED), verdict.note
    attempt.survived(f"1 series for {len(lines)} pods, witnessed by {verdict.witness}")


def test_a_partition_by_a_policy_that_nobody_enforces_is_seen_through(recorded: Recorded, ledger: Ledger) -> None:
    """The cluster took the policy and did nothing: who would call that a partition is told that its witness never moved."""
    attempt = ledger.begin(row=28, fault="a partition by NetworkPolicy where none is enforced", where="cluster")
    verdict = recorded.judged("partition", recorded.spans["policy"])

    assert (verdict.outcome, verdict.note) == (Outcome.NOT_INJECTED, "its witness did not leave the reference")
    assert verdict.windows.first_effect is None
    attempt.survived("windows wrongly labelled 0")


# -- deployments that cannot be had ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """How a command ended that could not do what was asked."""

    exit_code: int
    said: str

    @property
    def sentence(self) -> str:
        """What went wrong, without what to do next."""
        return self.said.rpartition("tidegauge: ")[2].partition("\n  next: ")[0]


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """Name of one that is not there; gone in the end."""
    name = NAMES.new("outages")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def refused(path: Path) -> Refusal:
    """What ``tidegauge up`` says of a document; afterwards ``down`` finds nothing to do."""
    store = path.parent / "store"
    ran = subprocess.run(command("up", path, "--store", store), capture_output=True, text=True, check=False, cwd=ROOT, timeout=150)
    down = subprocess.run(command("down", "--all", "--store", store), capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert "Traceback" not in ran.stderr
    assert "\n  next: " in ran.stderr
    assert (down.returncode, list(store.glob("live/*"))) == (0, []), down.stdout + down.stderr
    return Refusal(ran.returncode, ran.stderr)


def gone(cluster: Cluster, name: str) -> bool:
    """Whether a namespace is not there."""
    return cluster.kubectl("get", "namespace", name, "--ignore-not-found", "--output=name") == ""


def ours(cluster: Cluster, name: str) -> str:
    """What of ours is in a namespace."""
    kinds = "all,configmaps,leases,serviceaccounts,roles,rolebindings,persistentvolumeclaims"
    return cluster.kubectl("--namespace", name, "get", kinds, "--selector=app.kubernetes.io/managed-by=tidegauge", "--output=name")


def test_an_image_that_cannot_be_pulled_is_told_and_the_namespace_is_gone(
    cluster: Cluster, namespace: str, tmp_path: Path, ledger: Ledger
) -> None:
    """In the node's words, with the image's name."""
    attempt = ledger.begin(row=22, fault="an image that cannot be pulled", where="cluster")
    told = refused(document(tmp_path / "outages.yaml", cluster, namespace, image="tidegauge.test/none:1"))

    assert (told.exit_code, "tidegauge.test/none:1" in told.sentence) == (3, True), told.said
    assert "ErrImagePull" in told.sentence or "ImagePullBackOff" in told.sentence
    eventually(lambda: gone(cluster, namespace), 30)
    attempt.survived("0 objects left")


@pytest.mark.images(own_names()["shop"])
def test_a_quota_that_is_exceeded_is_named_and_nothing_of_ours_stays(
    cluster: Cluster, namespace: str, tmp_path: Path, ledger: Ledger
) -> None:
    """There is room for two pods, and eight are wanted; the namespace is the user's and stays."""
    attempt = ledger.begin(row=22, fault="a ResourceQuota that is exceeded", where="cluster")
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("--namespace", namespace, "create", "quota", "few", "--hard=pods=2")
    hard = "--output=jsonpath={.status.hard}"
    eventually(lambda: "pods" in cluster.kubectl("--namespace", namespace, "get", "quota", "few", hard))
    told = refused(document(tmp_path / "outages.yaml", cluster, namespace))

    assert (told.exit_code, "exceeded quota: few" in told.sentence) == (3, True), told.said
    assert "ResourceQuota" in told.said
    assert ours(cluster, namespace) == ""
    attempt.survived("0 objects left")


def test_a_namespace_that_cannot_go_is_told_with_what_keeps_it(cluster: Cluster, namespace: str, tmp_path: Path, ledger: Ledger) -> None:
    """Its finalizer is named, nothing is made in it; once that is taken away the namespace goes."""
    attempt = ledger.begin(row=22, fault="a namespace that is stuck in Terminating", where="cluster")
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("--namespace", namespace, "create", "configmap", "stuck")
    inside = ("--namespace", namespace, "patch", "configmap", "stuck", "--type=merge", "--patch")
    cluster.kubectl(*inside, '{"metadata":{"finalizers":["example.org/keep"]}}')
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    condition = "--output=jsonpath={.status.conditions[?(@.type=='NamespaceFinalizersRemaining')].status}"
    try:
        eventually(lambda: cluster.kubectl("get", "namespace", namespace, condition) == "True")
        told = refused(document(tmp_path / "outages.yaml", cluster, namespace))
        left = ours(cluster, namespace)
    finally:
        cluster.kubectl(*inside, '{"metadata":{"finalizers":null}}')

    assert (told.exit_code, left) == (3, ""), told.said
    assert f"the namespace {namespace} is being removed" in told.sentence
    assert "example.org/keep" in told.sentence
    eventually(lambda: gone(cluster, namespace), 30)
    attempt.survived("0 objects made")


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(cluster: Cluster, namespace: str, tmp_path: Path, ledger: Ledger) -> None:
    """The authority in the kubeconfig is another one: refused before anything is sent but the greeting."""
    attempt = ledger.begin(row=43, fault="a server's certificate that is not trusted", where="cluster")
    value = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))
    for one in value["clusters"]:
        one["cluster"]["certificate-authority-data"] = Authority().ca_base64
    path = tmp_path / "kubeconfig"
    path.touch(0o600)
    path.write_text(json.dumps(value))
    told = refused(document(tmp_path / "outages.yaml", cluster, namespace, kubeconfig=path))

    assert (told.exit_code, "is not trusted" in told.sentence) == (3, True), told.said
    assert "certificate-authority-data" in told.said
    assert gone(cluster, namespace)
    attempt.survived("0 requests without trust")


def test_a_context_that_does_not_exist_is_told_with_those_that_do(cluster: Cluster, namespace: str, tmp_path: Path, ledger: Ledger) -> None:
    """By name."""
    attempt = ledger.begin(row=26, fault="a context that does not exist", where="cluster")
    told = refused(document(tmp_path / "outages.yaml", cluster, namespace, context="none-of-these"))

    assert (told.exit_code, "there is no context none-of-these" in told.sentence) == (3, True), told.said
    assert cluster.context in told.said.partition("next: ")[2]
    assert gone(cluster, namespace)
    attempt.survived("mutating calls 0")
