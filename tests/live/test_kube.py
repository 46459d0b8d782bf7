"""The adapter on a real API server: every operation, under exactly the rights that it says it used."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube import watching
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from tasks.kube.permission import Permission
from tasks.kube.refs import ObjectRef
from tasks.kube.rights import bindings, missing, roles
from tests.kube.certificates import Authority
from tests.kube.conftest import QuickClock
from tests.kube.tunnel import Tunnel
from tests.kube.watchers import Watcher, settings
from tests.ledger import Ledger
from tests.live.conftest import ROOT, Cluster, eventually
from tests.live.context import NAMES

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]
IMAGE = "tidegauge.test/demo:1"


@pytest.fixture
def admin(cluster: Cluster) -> Kube:
    """Somebody who may do everything."""
    return Kube.connect(KubeAccess(str(cluster.kubeconfig), cluster.context))


@pytest.fixture
def namespace(admin: Kube) -> Iterator[str]:
    """A namespace of this test alone; it ends by itself afterwards."""
    name = NAMES.new("adapter")
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    admin.delete(ObjectRef("v1", "Namespace", None, name))


def pod(namespace: str, name: str = "p") -> dict[str, Any]:
    """A pod of the demo image, that ends at once when it is deleted."""
    container = {"name": "c", "image": IMAGE, "imagePullPolicy": "Never"}
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}}, "spec": spec}


def running(kube: Kube, ref: ObjectRef) -> bool:
    """Whether the pod's container runs."""
    found = kube.find(ref) or {}
    return any("running" in one["state"] for one in found.get("status", {}).get("containerStatuses", ()))


def rewritten(live: Cluster, path: Path, **sections: dict[str, Any]) -> KubeAccess:
    """The cluster's kubeconfig at *path*, with parts of its ``cluster`` or ``user`` replaced."""
    from ruamel.yaml import YAML

    value = YAML(typ="safe").load(live.kubeconfig.read_text())
    for part, change in sections.items():
        held = value[f"{part}s"][0]
        held[part] = change if part == "user" else held[part] | change
    path.write_text(json.dumps(value))
    return KubeAccess(str(path), value["contexts"][0]["name"])


def account(admin: Kube, namespace: str, permissions: set[Permission]) -> str:
    """A token of a ServiceAccount that has those rights and no others."""
    who = {"kind": "ServiceAccount", "name": "runner", "namespace": namespace}
    admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner", "namespace": namespace}})
    for document in (*roles(f"{namespace}-runner", permissions), *bindings(f"{namespace}-runner", permissions, who)):
        admin.apply(document)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/runner/token"
    from tasks.kube.questions import as_json
    from tasks.kube.transport import Request

    answer = admin._session.ask(Request("POST", path, {}, as_json(request)))
    return str(json.loads(answer.body)["status"]["token"])


def everything(kube: Kube, namespace: str) -> None:
    """Each operation of the adapter, with what it must show."""
    item, ref = pod(namespace), ObjectRef.of(pod(namespace))
    kube.apply(item, dry_run=True)
    assert kube.find(ref) is None
    kube.apply(item)
    eventually(lambda: running(kube, ref))
    node = (kube.find(ref) or {})["spec"]["nodeName"]
    assert kube.execute(namespace, "p", "c", ["python3", "-c", "import sys; print('hello'); sys.exit(3)"], timeout_s=20).code == 3
    eventually(lambda: any(b"Application startup complete" in line for line in kube.log(namespace, "p", "c", timestamps=True)))
    assert [one["metadata"]["name"] for one in kube.items(f"/api/v1/namespaces/{namespace}/pods", labels="app=p", page=1)] == ["p"]
    kube.patch(ref, {"metadata": {"labels": {"more": "1"}}})
    over = threading.Event()
    for event in kube.watch(f"/api/v1/namespaces/{namespace}/pods", stop=over.is_set):
        if event.type == "ADDED":
            assert kube.delete(ref, grace_s=0)
        elif event.type == "DELETED":
            over.set()
    kube.create(settings("s", 1) | {"metadata": {"name": "s", "namespace": namespace}})
    with pytest.raises(Conflict, match="already exists"):
        kube.create(settings("s", 1) | {"metadata": {"name": "s", "namespace": namespace}})
    assert "container_cpu_usage_seconds_total" in kube.text(f"/api/v1/nodes/{node}/proxy/metrics/cadvisor")
    assert kube.delete(ObjectRef("v1", "ConfigMap", namespace, "s"))
    assert not kube.delete(ObjectRef("v1", "ConfigMap", namespace, "s"))


@pytest.mark.images(IMAGE)
def test_everything_works_with_the_rights_that_it_says_it_used(admin: Kube, cluster: Cluster, namespace: str, tmp_path: Path):
    """An account with the Roles made of them does all of it; the API server itself is the judge."""
    first = Kube.connect(KubeAccess(str(cluster.kubeconfig)))
    everything(first, namespace)
    access = rewritten(cluster, tmp_path / "kubeconfig", user={"token": account(admin, namespace, first.used)})
    try:
        second = Kube.connect(access)
        everything(second, namespace)
        assert second.used == first.used
        assert missing(second, first.used) == ()
        with pytest.raises(Forbidden, match="cannot list resource"):
            list(second.items(f"/api/v1/namespaces/{namespace}/secrets"))
    finally:
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            admin.delete(ObjectRef("rbac.authorization.k8s.io/v1", kind, None, f"{namespace}-runner"))


@pytest.mark.images(IMAGE)
def test_each_right_less_is_missed(admin: Kube, cluster: Cluster, namespace: str, tmp_path: Path):
    """What the adapter says that it needs for a program in a container, the server asks for, verb by verb."""
    admin.apply(pod(namespace))
    eventually(lambda: running(admin, ObjectRef.of(pod(namespace))))
    needed = {Permission(verb, "", "pods", "exec", namespace) for verb in ("get", "create")}
    refused = {}
    for lacking in needed:
        kube = Kube.connect(rewritten(cluster, tmp_path / "kubeconfig", user={"token": account(admin, namespace, needed - {lacking})}))
        assert missing(kube, needed) == (lacking,)
        try:
            kube.execute(namespace, "p", "c", ["true"], timeout_s=20)
        except Forbidden as error:
            refused[lacking.verb] = error.message

    assert set(refused) <= {"get", "create"}
    assert refused, "the server asked for neither right"


def test_apply_owns_what_it_applies(admin: Kube, namespace: str):
    """What is left out later goes, what others put stays; the field manager is ours."""
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": namespace}}
    admin.apply({**item, "data": {"ours": "1", "gone": "2"}})
    admin.patch(ObjectRef.of(item), {"data": {"theirs": "3"}})
    found = admin.apply({**item, "data": {"ours": "1"}})

    assert found["data"] == {"ours": "1", "theirs": "3"}
    assert {one["manager"] for one in found["metadata"]["managedFields"]} == {"tidegauge"}


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"spec": {"containers": []}}, Invalid, "spec.containers: Required value"),
        ({"spec": {"nothing": 1}}, Invalid, "field not declared in schema"),
        ({"metadata": {"name": "NOT A NAME"}}, Invalid, "Invalid value"),
    ],
)
def test_a_refusal_is_in_the_servers_words(admin: Kube, namespace: str, change: dict[str, Any], kind: type[KubeError], said: str):
    """The field that is wrong is named."""
    item = pod(namespace)
    for part, values in change.items():
        item[part] = {**item[part], **values}

    with pytest.raises(kind, match=said):
        admin.apply(item)


def test_what_is_not_there_is_told(admin: Kube, namespace: str):
    """A namespace, a kind, a pod, a container."""
    with pytest.raises(NotFound, match='namespaces "no-such-place" not found'):
        admin.apply(settings("s", 1) | {"metadata": {"name": "s", "namespace": "no-such-place"}})
    with pytest.raises(NotFound, match="knows no Podd in v1"):
        admin.path_of(ObjectRef("v1", "Podd", namespace, "p"))
    with pytest.raises(NotFound, match='pods "p" not found'):
        list(admin.log(namespace, "p", "c"))
    assert admin.find(ObjectRef("v1", "Pod", namespace, "p")) is None


def test_every_kind_has_the_path_of_the_server(admin: Kube, namespace: str):
    """Discovery of the kinds that we write."""
    kinds = {
        "v1": ("Service", "ServiceAccount", "PersistentVolumeClaim"),
        "apps/v1": ("Deployment", "DaemonSet"),
        "batch/v1": ("Job",),
        "coordination.k8s.io/v1": ("Lease",),
        "networking.k8s.io/v1": ("NetworkPolicy",),
        "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
    }
    for version, names in kinds.items():
        for name in names:
            path = admin.path_of(ObjectRef(version, name, namespace, "x"))
            assert isinstance(admin.get(path.rpartition("/")[0])["items"], list)


@pytest.mark.images(IMAGE)
def test_a_program_goes_on_when_the_time_is_over(admin: Kube, namespace: str):
    """What it said is there, its code is not; an unknown program is an error, a pod that is none as well."""
    admin.apply(pod(namespace))
    eventually(lambda: running(admin, ObjectRef.of(pod(namespace))))
    begun_s = time.monotonic()
    slow = admin.execute(namespace, "p", "c", ["python3", "-c", "import time; print('begun', flush=True); time.sleep(60)"], timeout_s=2)

    assert (slow.code, slow.output) == (None, "begun\n")
    assert time.monotonic() - begun_s < 5
    assert admin.execute(namespace, "p", "c", ["python3", "-c", "print('x' * 300_000)"], timeout_s=20).output == "x" * 300_000 + "\n"
    with pytest.raises(KubeError, match="executable file not found"):
        admin.execute(namespace, "p", "c", ["no-such-program"], timeout_s=20)
    with pytest.raises(KubeError, match="container"):
        admin.execute(namespace, "p", "no-such-container", ["true"], timeout_s=20)
    with pytest.raises(NotFound, match='"q" not found'):
        admin.execute(namespace, "q", "c", ["true"], timeout_s=20)


@pytest.mark.images(IMAGE)
def test_a_followed_log_goes_on_and_ends_with_the_pod(admin: Kube, namespace: str):
    """Line by line."""
    admin.apply(pod(namespace))
    eventually(lambda: running(admin, ObjectRef.of(pod(namespace))))
    lines = admin.log(namespace, "p", "c", follow=True)
    first = next(lines)
    admin.delete(ObjectRef.of(pod(namespace)), grace_s=0)

    assert first
    assert all(isinstance(line, bytes) for line in lines)


def test_what_a_finalizer_keeps_lingers_with_its_namespace(admin: Kube, namespace: str):
    """The namespace takes nothing new meanwhile, and the sentence says where to look."""
    place = f"{namespace}-stuck"
    stuck = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": place, "finalizers": ["tidegauge.dev/test"]}}
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
    admin.create(stuck)
    try:
        assert admin.delete(ObjectRef("v1", "Namespace", None, place))
        eventually(lambda: "deletionTimestamp" in (admin.find(ObjectRef.of(stuck)) or {"metadata": {}})["metadata"])
        with pytest.raises(Forbidden, match=r"being terminated\n.*status.conditions"):
            admin.create(pod(place))
    finally:
        admin.patch(ObjectRef.of(stuck), {"metadata": {"finalizers": None}})
    eventually(lambda: admin.find(ObjectRef("v1", "Namespace", None, place)) is None)


def tunnelled(cluster: Cluster, tunnel: Tunnel, path: Path) -> KubeAccess:
    """An access that leads through *tunnel*."""
    name = json.loads(cluster.kubectl("config", "view", "--raw", "--output=json"))["clusters"][0]["cluster"]
    host = name.get("tls-server-name") or urlsplit(name["server"]).hostname
    return rewritten(cluster, path, cluster={"server": f"https://127.0.0.1:{tunnel.port}", "tls-server-name": host})


@pytest.mark.parametrize("how", ["cut", "silence"])
def test_a_watch_over_a_tunnel_that_fails_misses_nothing(
    admin: Kube, cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, ledger: Ledger
):
    """Every version of every object is told once, whatever the tunnel does meanwhile."""
    attempt = ledger.begin(row=20, fault="the tunnel to the API server is cut or silent", where="cluster")
    monkeypatch.setattr(watching, "SILENCE_S", 1.5)
    address = urlsplit(admin.server)
    versions: list[str] = []
    with Tunnel(str(address.hostname), int(address.port or 443)) as tunnel:
        kube = Kube.connect(tunnelled(cluster, tunnel, tmp_path / "kubeconfig"))
        monkeypatch.setattr("tests.kube.watchers.PATH", f"/api/v1/namespaces/{namespace}/configmaps")
        with Watcher(kube) as watcher:
            eventually(lambda: "kube-root-ca.crt" in watcher.there)
            for value in range(12):
                if value % 4 == 1:
                    getattr(tunnel, how)()
                item = settings("s", value) | {"metadata": {"name": f"c{value % 3}", "namespace": namespace}}
                versions.append(admin.apply(item)["metadata"]["resourceVersion"])
            eventually(lambda: watcher.error is not None or (bool(watcher.told) and watcher.told[-1][2] == versions[-1]))

    assert (watcher.error, watcher.wrong) == (None, [])
    assert [version for _, name, version in watcher.told if name.startswith("c")] == versions
    attempt.survived("events lost 0, told twice 0")


def test_another_process_gets_in_by_files_alone(admin: Kube, cluster: Cluster, namespace: str, tmp_path: Path):
    """With the standard library, by certificate and by token."""
    token = account(admin, namespace, {Permission("list", "", "pods", namespace=namespace)})
    accesses = (KubeAccess(str(cluster.kubeconfig)), rewritten(cluster, tmp_path / "kubeconfig", user={"token": token}))
    for number, access in enumerate(accesses):
        found = Kube.connect(access).connection(tmp_path / str(number))
        code = (
            "import json, pathlib, ssl, sys, urllib.request\n"
            "found = json.loads(sys.argv[1])\n"
            "context = ssl.create_default_context(cafile=found['ca_file'])\n"
            "if found['cert_file']: context.load_cert_chain(found['cert_file'], found['key_file'])\n"
            "request = urllib.request.Request(found['server'] + sys.argv[2])\n"
            "if found['token_file']: request.add_header('Authorization', 'Bearer ' + pathlib.Path(found['token_file']).read_text())\n"
            "print(json.load(urllib.request.urlopen(request, context=context, timeout=10))['kind'])\n"
        )
        argv = [sys.executable, "-c", code, json.dumps(found.to_json()), f"/api/v1/namespaces/{namespace}/pods"]
        assert subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout == "PodList\n"


def test_a_login_that_is_none_waits_and_ends_with_4(cluster: Cluster, tmp_path: Path):
    """A token that nobody gave out."""
    clock, said = QuickClock(), list[str]()
    access = rewritten(cluster, tmp_path / "kubeconfig", user={"token": "made-up"})

    with pytest.raises(CredentialsError, match="auth whoami") as refused:
        Kube.connect(KubeAccess(access.kubeconfig, access.context, auth_wait_s=10), clock=clock, say=said.append)
    assert (refused.value.exit_code, len(said), sum(clock.slept)) == (4, 1, 10)


def test_an_authority_that_is_another_is_told(cluster: Cluster, tmp_path: Path):
    """As after a cluster was made anew."""
    access = rewritten(cluster, tmp_path / "kubeconfig", cluster={"certificate-authority-data": Authority().ca_base64})

    with pytest.raises(PreflightError, match=r"is not trusted.*\n.*certificate-authority-data"):
        Kube.connect(access)


def test_the_certificates_are_checked_by_this_machines_library(admin: Kube):
    """The version of OpenSSL says what the sentences above rest on."""
    assert ssl.OPENSSL_VERSION_INFO >= (3,)
    assert admin.version().startswith("v1.")
