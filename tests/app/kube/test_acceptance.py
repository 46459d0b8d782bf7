"""Manifests that a server would refuse after the first of them had been made, and manifests that are easily brought: told before."""

from __future__ import annotations

import json

import pytest

from tasks.app.config import OwnManifests
from tasks.app.files import app_of, placed
from tasks.app.kube.manifests import doubts_of, manifests_of
from tasks.app.kube.placement import Placement
from tasks.app.kube.rules import Place
from tests.app.kube.conftest import WEB

HERE = Placement("shop", "run-1")
STATEFUL = (
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: NAME}\n"
    "spec: {selector: {matchLabels: {app: NAME}}, template: {metadata: {labels: {app: NAME}}, spec: {}}}\n"
)


def told(app):
    """Every mistake, without the folder before the file."""
    return [text.removeprefix(f"{app.settings.manifests[0]}:") for text in doubts_of(app, Place("shop"))]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("metadata: {name: web}\n", "metadata: {name: Web_1}\n", "3:12: metadata.name: Web_1 is no name for a Service: small letters"),
        ("metadata: {name: web}\n", "metadata: {name: a.b}\n", "3:12: metadata.name: a.b is no name for a Service"),
        (
            "metadata: {name: web}\n",
            f"metadata: {{name: {'s' * 64}}}\n",
            "metadata.name: 64 characters; the name of a Service has at most 63",
        ),
        ("metadata: {name: web, labels", f"metadata: {{name: {'d' * 64}, labels", "64 characters; the name of a Deployment has at most 63"),
        ("---\n", f"---\n{STATEFUL.replace('NAME', 's' * 53)}---\n", "53 characters; the name of a StatefulSet has at most 52"),
        (
            "metadata: {name: web}\n",
            'metadata: {name: web, resourceVersion: "7"}\n',
            "3:23: metadata.resourceVersion: was written by a server",
        ),
        (
            "metadata: {name: web}\n",
            "metadata: {name: web, ownerReferences: [{kind: ReplicaSet, name: x, controller: true}]}\n",
            "metadata.ownerReferences: was written by a server about an object of its own: leave it out",
        ),
        (
            "selector: {matchLabels: {tier: web}}",
            "selector: {matchLabels: {tier: wep}}",
            "10:28: spec.selector.matchLabels.tier: wep does not match its own pods: in spec.template.metadata.labels it is web",
        ),
        (
            "selector: {matchLabels: {tier: web}}",
            "selector: {matchLabels: {team: a}}",
            "spec.selector.matchLabels.team: a does not match its own pods: in spec.template.metadata.labels there is none",
        ),
        (
            "selector: {matchLabels: {tier: web}}",
            "selector: {matchLabels: {app.kubernetes.io/managed-by: Helm}}",
            "every pod of a run has another value of this label",
        ),
        ("  selector: {matchLabels: {tier: web}}\n", "", "spec.selector is missing: say which pods are its own"),
        ("---\n", "---\n{apiVersion: v1, kind: PodTemplate, metadata: {name: x}}\n---\n", "PodTemplate in v1 does not describe an app"),
        (
            "---\n",
            "---\n{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: tidegauge}}\n---\n",
            "Lease in coordination.k8s.io/v1 does not describe an app",
        ),
    ],
)
def test_what_no_server_would_take_is_refused_with_its_place(app, old, new, said):
    """Nothing was made yet."""
    assert old in WEB
    found = told(app(WEB.replace(old, new, 1)))

    assert any(said in text for text in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "---\n",
            "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: kube.a-b.c, creationTimestamp: null, ownerReferences: []}}\n---\n",
        ),
        ("---\n", '---\n{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: "a:b"}}\n---\n'),
        ("---\n", f"---\n{STATEFUL.replace('NAME', 's' * 52)}---\n"),
        ("labels: {tier: web, app: everything}", "labels: {tier: web}"),
    ],
)
def test_what_every_server_takes_passes(app, old, new):
    """What tools write into manifests, and the longest names."""
    assert old in WEB
    assert told(app(WEB.replace(old, new, 1))) == []


def test_pods_that_get_the_label_app_may_be_selected_by_it(app):
    """The name of the workload stands in it where the manifest has none."""
    text = WEB.replace(", app: everything", "").replace("matchLabels: {tier: web}", "matchLabels: {app: web}")

    assert told(app(text)) == []


def test_lists_of_one_kind_and_lists_in_lists_are_read(app):
    """As kubectl does; a kind of somebody's own that is called so, and has a name, is an object."""
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    inner = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [item]}
    own = {"apiVersion": "a.test/v1", "kind": "AllowList", "metadata": {"name": "b"}, "items": []}
    text = f"{json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': [inner]})}\n---\n{json.dumps(own)}\n---\n{WEB}"

    assert {one["kind"] for one in manifests_of(app(text), HERE)} == {"ConfigMap", "AllowList", "Service", "Deployment"}


def test_what_is_wrong_in_a_list_has_its_place(app):
    """The line of the item, not that of the list."""
    text = f"apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Service\n    metadata: {{name: X}}\n---\n{WEB}"

    assert told(app(text)) == ["6:16: metadata.name: X is no name for a Service: small letters, digits, hyphens, no hyphen at an end"]


@pytest.mark.parametrize("head", ["", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"])
def test_a_folder_for_kustomize_is_told_as_such(tmp_path, head):
    """With or without a kind, which kubectl does not ask for."""
    folder = tmp_path / "k8s"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(f"{head}resources: [app.yaml]\n")
    (folder / "app.yaml").write_text(WEB)
    found, _ = placed(OwnManifests(kind="own-app", entry="web", manifests=("k8s",), workloads=({"name": "web"},)), tmp_path)

    (said,) = doubts_of(app_of(found), Place("shop"))
    assert said.startswith(f"{folder / 'kustomization.yaml'}:1:1: kustomize is not read: render it first")


def test_files_that_are_not_there_are_told_once(tmp_path):
    """Where they could not be located nothing more is said of them."""
    config = OwnManifests(kind="own-app", entry="web", manifests=("k8s",), workloads=({"name": "web"},))

    found, wrong = placed(config, tmp_path)
    assert len(wrong) == 1
    assert doubts_of(app_of(found), Place("shop")) == ()
