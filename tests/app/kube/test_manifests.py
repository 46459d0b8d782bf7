"""Manifests of one's own: what is read, what is refused and where, and what becomes of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.app.config import OwnManifests
from tasks.app.files import app_of, placed
from tasks.app.kube.manifests import doubts_of, manifests_of
from tasks.app.kube.pieces import meant, parsed
from tasks.app.kube.placement import SERVICE_LABEL, Placement
from tasks.app.kube.reaching import entrance
from tasks.app.kube.rules import Place, all_wrong
from tasks.app.kube.stamping import stamped
from tasks.base.errors import DocumentError, PreflightError
from tasks.cluster.config import KubernetesSettings
from tests.app.kube.conftest import WEB
from tests.app.kube.pages import pages_of

HERE = Placement("shop", "run-1")


SHOP = Place("shop")


def told(app, place=SHOP):
    """Every mistake, without the folder before the file."""
    return [text.removeprefix(f"{app.settings.manifests[0]}:") for text in doubts_of(app, place)]


def test_objects_become_this_runs(app):
    """Namespace and labels are put on; what they had stays, also the pod label ``app``, which others may select by."""
    service, deployment = manifests_of(app(), HERE)

    assert [service["kind"], deployment["kind"]] == ["Service", "Deployment"]
    for one in (service, deployment):
        assert one["metadata"]["namespace"] == "shop"
        assert HERE.labels().items() <= one["metadata"]["labels"].items()
    assert deployment["metadata"]["labels"]["tier"] == "web"
    assert deployment["spec"]["selector"] == {"matchLabels": {"tier": "web"}}
    pod = deployment["spec"]["template"]["metadata"]["labels"]
    assert pod == {**HERE.labels(), "tier": "web", "app": "everything", SERVICE_LABEL: "web"}


def test_pods_without_a_label_app_get_one(app):
    """The name of their workload."""
    deployment = manifests_of(app(WEB.replace(", app: everything", "")), HERE)[1]

    assert deployment["spec"]["template"]["metadata"]["labels"]["app"] == "web"


def test_what_others_need_comes_first(app):
    """Accounts, secrets and settings before what mounts them, however they stand in the file."""
    text = WEB + "".join(
        f"---\n{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}}}\n"
        for version, kind in (("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("rbac.authorization.k8s.io/v1", "Role"))
    )

    assert [one["kind"] for one in manifests_of(app(text), HERE)] == [
        "ServiceAccount",
        "Role",
        "Secret",
        "ConfigMap",
        "Service",
        "Deployment",
    ]


def test_claims_of_a_stateful_set_are_found_again(app):
    """They outlive it; so they carry the run's labels."""
    text = WEB.replace("kind: Deployment", "kind: StatefulSet").replace(
        "  template:", "  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]\n  template:"
    )

    (claim,) = manifests_of(app(text), HERE)[1]["spec"]["volumeClaimTemplates"]
    assert claim["metadata"] == {"name": "data", "labels": HERE.labels()}


def test_lists_and_json_are_read_like_documents(app):
    """A List is its items; an empty document is nothing."""
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in "ab"]
    text = f"---\n# nothing\n---\n{json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': items})}\n"

    assert [one["metadata"]["name"] for one in manifests_of(app(text + "---\n" + WEB), HERE)] == ["a", "b", "web", "web"]


def test_the_document_says_where_metrics_and_users_are(app):
    """Port and path of metrics as annotations that are not there yet, by which whoever records finds them; the Service's port for users."""
    made = app(workloads=({"name": "web", "metrics_path": "/m", "metrics_port": 9100, "port": 8000},))
    manifests = manifests_of(made, HERE)

    assert pages_of(manifests) == {"web": "9100/m"}
    assert entrance(made, manifests, "shop").address == "http://web.shop:8000"


def test_annotations_that_are_there_win(app):
    """The manifests are the user's."""
    text = WEB.replace("app: everything}}", 'app: everything}, annotations: {prometheus.io/port: "7"}}')

    deployment = manifests_of(app(text, workloads=({"name": "web", "metrics_path": "/m"},)), HERE)[1]
    assert deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == "7"


def test_images_are_replaced_by_the_containers_name(app):
    """For forks and mirrors."""
    deployment = manifests_of(app(images={"web": "mirror.test/web:2"}), HERE)[1]

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "mirror.test/web:2"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: Service\n", "kind: Namespace\n", "2:1: kind: Namespace in v1 does not describe an app in one namespace"),
        ("kind: Deployment\n", "kind: Deploymnt\n", "did you mean Deployment?"),
        (
            "apiVersion: apps/v1\n",
            "apiVersion: extensions/v1beta1\n",
            "6:1: apiVersion: extensions/v1beta1 is gone from Kubernetes; write apps/v1",
        ),
        ("apiVersion: apps/v1\n", "apiVersion: v1\n", "7:1: kind: Deployment is in apps/v1, and Deployment in v1"),
        ("apiVersion: v1\nkind: Service\n", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n", "2:1: kind: ClusterRole in"),
        ("apiVersion: v1\nkind: Service\n", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n", "is never made here"),
        ("apiVersion: v1\nkind: Service\n", "apiVersion: kustomize.config.k8s.io/v1\nkind: Kustomization\n", "kubectl kustomize"),
        (
            "metadata: {name: web}\n",
            "metadata: {name: web, namespace: kube-system}\n",
            "3:23: metadata.namespace: kube-system: everything goes into shop",
        ),
        ("metadata: {name: web}\n", "metadata: {}\n", "3:1: metadata: metadata.name is missing"),
        ("metadata: {name: web}\n", "metadata: {name: 7}\n", "3:12: metadata.name: must be text, not 7"),
        ("metadata: {name: web}\n", "metadata: {name: web, labels: [a]}\n", "metadata.labels: must be a mapping, not a list"),
        ("metadata: {name: web}\n", "metadata: {name: web, labels: {a: 1}}\n", "metadata.labels.a: must be text, not 1; put it in quotes"),
        ("spec: {selector", "spec: {ports: {}, selector", "given twice"),
        (
            "      containers:\n",
            "      initContainers: {}\n      containers:\n",
            "spec.template.spec.initContainers: must be a list, not a mapping",
        ),
        ("  template:\n", "  templates:\n", "9:1: spec: spec.template is missing"),
        ("metadata: {name: web}\n", "metadata: {generateName: web-}\n", "metadata.generateName: is not enough"),
        ("metadata: {name: web}\n", 'metadata: {name: web, annotations: {helm.sh/hook: "pre-install"}}\n', "a hook of Helm (pre-install)"),
        ("spec: {selector", "spec: {type: LoadBalancer, selector", "4:8: spec.type: a LoadBalancer opens the app to the network"),
        ("spec: {selector", "spec: {externalIPs: [1.2.3.4], selector", "4:8: spec.externalIPs: opens the app"),
        ("    spec:\n", "    spec:\n      hostNetwork: true\n", "14:7: spec.template.spec.hostNetwork: shares the node's network"),
        (
            "    spec:\n",
            "    spec:\n      volumes: [{name: x, hostPath: {path: /}}]\n",
            "spec.template.spec.volumes[0].hostPath: a folder of the node",
        ),
        (
            "        - name: web\n",
            "        - name: web\n          securityContext: {privileged: true}\n",
            "containers[0].securityContext.privileged: a priv",
        ),
        (
            "        - name: web\n",
            "        - name: web\n          securityContext: {capabilities: {add: [CHOWN, SYS_ADMIN]}}\n",
            "add: SYS_ADMIN reaches",
        ),
        ("containerPort: 9100}", "containerPort: 9100, hostPort: 9100}", "ports[1].hostPort: a port of the node"),
        ("containerPort: 9100}", "containerPort: 9100, protocol: no}", "a bare no, which some take for true or false"),
        ("kind: Service\n", "kind: Service\nkind: Service\n", "3:1: kind: given twice"),
        ("kind: Service\n", "kind: !!python/object:os.system x\n", "the tag !!python/object:os.system is not allowed"),
        ("metadata: {name: web}\n", "metadata: &m {name: web}\nstatus: *m\n", "an alias (*name)"),
        ("kind: Service\n", "kind: [Service\n", "not YAML"),
        ("---\n", "---\n- 1\n---\n", "must be a mapping: an object with apiVersion"),
        ("---\n", "---\n{apiVersion: v1, kind: Service, metadata: {name: web}}\n---\n", "a second Service web; the first is at "),
        (
            "---\n",
            "---\n{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: web}, spec: {template: {spec: {}}}}\n---\n",
            "web is the name of a DaemonSet, too",
        ),
        (
            "metadata: {name: web, labels",
            "metadata: {name: wob, labels",
            "app.workloads: there is no Deployment, StatefulSet or DaemonSet web; did you mean wob?",
        ),
        ("selector: {tier: web},", "selector: {tier: other},", "app.entry: no Service leads to web"),
    ],
)
def test_what_reaches_beyond_the_namespace_is_refused_with_its_place(app, old, new, said):
    """File, line and column, the setting, and what to do."""
    assert old in WEB
    made = app(WEB.replace(old, new, 1))

    assert any(said in text for text in told(made)), told(made)
    with pytest.raises(DocumentError) as caught:
        manifests_of(made, HERE)
    assert said in caught.value.message
    assert caught.value.message.startswith("the manifests of own-app cannot be used:\n")


@pytest.mark.parametrize(
    ("settings", "old", "new"),
    [
        ({"allow_node_access": True}, "    spec:\n", "    spec:\n      hostNetwork: true\n"),
        ({}, "spec: {selector", "spec: {type: NodePort, selector"),
        ({}, "        - name: web\n", "        - name: web\n          securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}\n"),
        ({}, "metadata: {name: web}\n", "metadata: {name: web, namespace: shop}\n"),
        ({}, "---\n", "---\n{apiVersion: example.test/v1, kind: Widget, metadata: {name: w}}\n---\n"),
    ],
)
def test_what_was_allowed_or_harms_nobody_passes(app, settings, old, new):
    """By a flag in the document; kinds of somebody's own are asked of the server later."""
    assert told(app(WEB.replace(old, new, 1), **settings)) == []


def test_the_cluster_section_lets_load_balancers_through(app):
    """For the app as for everything else that is made there."""
    made = app(WEB.replace("spec: {selector", "spec: {type: LoadBalancer, externalIPs: [1.2.3.4], selector"))

    assert ["cluster.allow_load_balancers: true" in str(one) for one in told(made)] == [True, True]
    assert "allow_load_balancers" in KubernetesSettings.model_fields
    assert told(made, Place("shop", load_balancers=True)) == []
    assert manifests_of(made, Placement("shop", "run-1", load_balancers=True))[0]["spec"]["type"] == "LoadBalancer"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(app):
    """Those of YAML and those of the objects together."""
    text = WEB.replace("kind: Service", "kind: Node").replace("spec: {selector", "spec: {type: LoadBalancer, selector")
    text = text.replace("    spec:\n", "    spec:\n      hostPID: true\n      hostIPC: yes\n")

    lines = [line.partition(" ")[0] for line in told(app(text)) if line[0].isdigit()]
    assert lines == ["2:1:", "14:7:", "15:16:"]


def test_metrics_without_a_port_are_refused(app):
    """Nobody could find them."""
    text = WEB.replace("          ports: [{name: http, containerPort: 8080}, {containerPort: 9100}]\n", "")

    (said,) = told(app(text, workloads=({"name": "web", "metrics_path": "/metrics"},)))
    assert said == "the document: app.workloads: web needs its metrics_port: its containers name no port"


def test_a_service_without_pods_is_refused(app):
    """Nobody would answer, and nothing would be measured; what is not listed may rest."""
    resting = WEB.replace("  template:", "  replicas: 0\n  template:")
    other = "---\n" + resting.partition("---\n")[2].replace("name: web", "name: other")

    (said,) = told(app(resting))
    assert said.startswith("the document: app.workloads: web has replicas: 0, so nobody answers")
    assert told(app(WEB + other)) == []


def test_a_port_and_a_container_that_are_not_there_are_refused(app):
    """With what there is."""
    found = told(app(workloads=({"name": "web", "port": 81},), images={"wep": "a.test/x:1"}))

    assert found == [
        "the document: app.images: there is no container wep; did you mean web?",
        "the document: app.workloads: the Service web of web has no port 81; it has 8000",
    ]


def test_modes_are_octal_as_for_kubectl():
    """``0644`` in a manifest is a file's mode; read as a decimal number it would be another one."""
    assert meant("0644") == 0o644
    assert meant("-010") == -8
    assert (meant("644"), meant("0"), meant("08"), meant("0x1f"), meant("0.5"), meant("1e3"), meant("true")) == (
        644,
        0,
        8,
        31,
        0.5,
        1e3,
        True,
    )


@pytest.mark.parametrize("text", ["yes", "No", "ON", "off", "y", "1_000", "0b101", "0x_f"])
def test_what_readers_take_differently_is_refused(text):
    """Better a question now than another app than was meant."""
    with pytest.raises(ValueError, match="quotes"):
        meant(text)
    pieces, wrong = parsed(f"a: '{text}'\n---\nb: {text}\n".encode(), "x.yaml")
    assert [piece.value for piece in pieces] == [{"a": text}, {"b": None}]
    assert len(wrong) == 1
    assert str(wrong[0]).startswith("x.yaml:3:")


def test_folders_are_read_like_kubectl_does(tmp_path):
    """YAML and JSON files by name, not those in folders below."""
    for name in ("b.yaml", "a.json", "c.txt", ".hidden.yaml", "sub/d.yaml"):
        path = tmp_path / "k8s" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": path.stem.lstrip(".")}}))
    (tmp_path / "web.yaml").write_text(WEB)
    config = OwnManifests(kind="own-app", entry="web", manifests=("k8s", "web.yaml"), workloads=({"name": "web"},))

    found, wrong = placed(config, tmp_path)
    assert wrong == []
    assert [one["metadata"]["name"] for one in manifests_of(app_of(found), HERE)] == ["a", "b", "web", "web"]


def test_paths_belong_to_the_documents_folder(tmp_path):
    """What is not there is told at its setting; a document without a folder needs whole paths."""
    config = OwnManifests(kind="own-app", entry="web", manifests=("x.yaml", "y.yaml"), workloads=({"name": "web"},))

    assert [(loc, text.rpartition("/")[2]) for loc, text in placed(config, tmp_path)[1]] == [
        (("app", "manifests", 0), "x.yaml is not there"),
        (("app", "manifests", 1), "y.yaml is not there"),
    ]
    assert placed(config, None)[1][0] == (("app", "manifests", 0), "x.yaml is relative, and this document lies in no folder")


def test_what_changed_since_it_was_read_is_not_deployed(app, tmp_path):
    """What is recorded is what was read with the document; touching a file changes nothing."""
    made = app()
    (tmp_path / "app.yaml").write_text(WEB)
    manifests_of(made, HERE)

    (tmp_path / "app.yaml").write_text(WEB.replace("web:1", "web:2"))
    with pytest.raises(PreflightError, match="changed since the experiment was read"):
        manifests_of(made, HERE)


def test_nothing_is_no_app(app):
    """A file of comments."""
    with pytest.raises(DocumentError, match="there is no Deployment"):
        manifests_of(app("# nothing\n"), HERE)


def test_without_call_edges_everything_may_be_reached(app):
    """And it is said that they are not known; one that is written down makes them known."""
    two = {"workloads": ({"name": "web"}, {"name": "api"})}

    assert not app(**two).edges_known
    assert "without the evidence of call edges" in app(**two).edge_note
    assert app(**two).reached(["GET /"]) == {"web", "api"}
    assert app(workloads=({"name": "web", "calls": ("api",)}, {"name": "api"})).edges_known
    assert app().edge_note is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["web", "", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "web", "spec", "labels"]), inner, max_size=2),
    max_leaves=5,
)


def places(value, loc=()):
    """The path of everything inside."""
    yield loc
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in parts:
        yield from places(inner, (*loc, key))


def changed(value, loc, new):
    """*value* with something else at *loc*."""
    if not loc:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[loc[0]] = changed(value[loc[0]], loc[1:], new)
    return copy


WHOLE = [one.value for one in parsed(WEB.replace("kind: Deployment", "kind: StatefulSet").encode(), "x")[0]]


@given(st.data(), ANYTHING)
def test_whatever_stands_anywhere_is_refused_or_deployed(data, new):
    """With a sentence, never with a traceback: each value of a good manifest replaced by anything."""
    index = data.draw(st.sampled_from(range(len(WHOLE))))
    loc = data.draw(st.sampled_from([loc for loc in places(WHOLE[index]) if loc]))
    objects = [changed(one, loc, new) if position == index else one for position, one in enumerate(WHOLE)]
    settings = OwnManifests(
        kind="own-app", entry="web", manifests=("x",), workloads=({"name": "web", "metrics_path": "/m"},), images={"web": "i:1"}
    )
    pieces, wrong = parsed(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).encode(), "x.json")

    wrong += all_wrong(settings, pieces, SHOP, whole=not wrong)
    assert all(str(one) for one in wrong)
    if not wrong:
        assert len(stamped(settings, [piece.value for piece in pieces], HERE)) == len(objects)
