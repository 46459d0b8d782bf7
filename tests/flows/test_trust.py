"""Whether a document may start programs of its own."""

from __future__ import annotations

import json

import pytest

from flows import checks
from flows.document import load_document
from flows.trust import SERVED_TRUST, programs, require_served_trust
from tasks.base.errors import DocumentError
from tasks.base.shipped import shipped
from tasks.kube.kubeconfig import plugins_of


def test_a_document_from_a_form_starts_programs_only_where_that_was_allowed(monkeypatch, tmp_path):
    """Refused with every command and what to type; with ``serve --trust`` it passes; the shipped shop needs no trust."""
    path = tmp_path / "experiment.yaml"
    path.write_text(shipped("templates/own-app.yaml").read_text().replace("{here}", str(tmp_path)))
    own = load_document(path)
    monkeypatch.delenv(SERVED_TRUST, raising=False)

    with pytest.raises(DocumentError, match="would start:") as told:
        require_served_trust(own)
    assert "serve --trust" in (told.value.next_step or "")
    require_served_trust(load_document(shipped("quick.yaml")))
    monkeypatch.setenv(SERVED_TRUST, "1")
    require_served_trust(own)


@pytest.fixture
def brought(tmp_path):
    """A document with a cluster that commands of its own make; they leave a file where they are started."""
    touch = f"['{{python}}', -c, 'open(\"{tmp_path}/started\", \"w\")', '{{name}}']"
    verbs = "".join(f"{verb}: {touch}\n" for verb in ("create", "delete", "kubeconfig", "check"))
    (tmp_path / "mine.yaml").write_text(f"version: 1\nname: mine\n{verbs}check_there: never\n")
    path = tmp_path / "experiment.yaml"
    text = shipped("kubernetes-demo.yaml").read_text()
    path.write_text(text.replace("provider: kubeconfig", f"provider: command\n  commands: {tmp_path}/mine.yaml"))
    return path


@pytest.mark.parametrize("here", [False, True], ids=["from elsewhere", "from here"])
def test_doctor_starts_no_program_of_a_document_from_elsewhere(brought, here, monkeypatch, tmp_path):
    """Whether its cluster is there is then not asked, and that is said."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path if here else tmp_path / "elsewhere")
    said = {one.name: one for one in checks.document(brought, tmp_path / "store")}

    assert said["document"].state == "ok"
    assert (tmp_path / "started").exists() is here
    assert (said["cluster"].state, "comes from elsewhere" in said["cluster"].text) == (("ok", False) if here else ("warn", True))


LOGINS = {
    "plugin": {"exec": {"command": "touch", "args": ["here"]}},
    "older provider": {"auth-provider": {"name": "gcp", "config": {"cmd-path": "touch", "cmd-args": "here"}}},
    "older provider, one text": {"auth-provider": {"name": "gcp", "config": {"cmd-path": "touch here"}}},
}


@pytest.mark.parametrize("user", LOGINS.values(), ids=LOGINS)
def test_every_program_that_a_kubeconfig_starts_is_known(user, tmp_path):
    """The reader of the Kubernetes client starts one of its own; beside it stand users that are broken."""
    broken = ["text", {"exec": "text"}, {"exec": {"command": "x", "args": 5}}, {"auth-provider": {"config": "text"}}, {}]
    users = [{"name": f"user{number}", "user": value} for number, value in enumerate([*broken, user])]
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({"contexts": [], "clusters": [], "users": users}))

    assert plugins_of(str(path)) == [["x"], ["touch", "here"]]


@pytest.mark.parametrize("named", [True, False], ids=["named by the document", "the user's own"])
def test_a_login_that_a_document_brings_is_a_program_of_it(named, monkeypatch, tmp_path):
    """A credential plugin is any program; the one of the user's own kubeconfig is his."""
    kubeconfig = tmp_path / "kubeconfig"
    login = {"command": "touch", "args": [str(tmp_path / "started")], "apiVersion": "client.authentication.k8s.io/v1"}
    value = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"exec": login}}, {"name": "y", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(json.dumps(value))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = tmp_path / "experiment.yaml"
    text = shipped("kubernetes-demo.yaml").read_text()
    path.write_text(text.replace("provider: kubeconfig", f"provider: kubeconfig\n  kubeconfig: {kubeconfig}") if named else text)

    assert programs(load_document(path)) == ([["touch", str(tmp_path / "started")]] if named else [])
    (seen,) = [one for one in checks.document(path, tmp_path / "store") if one.name == "cluster"]
    assert ((tmp_path / "started").exists(), seen.state) == ((False, "warn") if named else (True, "fail"))
