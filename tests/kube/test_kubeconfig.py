"""From a kubeconfig to a login, and the sentences for what is wrong with it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import CredentialsError, PreflightError
from tasks.kube import plugin as plugins
from tasks.kube.access import KubeAccess
from tasks.kube.kubeconfig import IN_CLUSTER, read_login
from tests.kube.certificates import Authority
from tests.kube.plugins import plugin, told

CANARY = "canary-5f2c1e"


def written(path: Path, **changes: Any) -> KubeAccess:
    """An access to a kubeconfig at *path* with two contexts; *changes* replace its parts."""
    value = {
        "current-context": "kind-demo",
        "contexts": [
            {"name": "kind-demo", "context": {"cluster": "demo", "user": "eva"}},
            {"name": "kind-other", "context": {"cluster": "demo", "user": "eva", "namespace": "shop"}},
        ],
        "clusters": [{"name": "demo", "cluster": {"server": "https://127.0.0.1:6443/"}}],
        "users": [{"name": "eva", "user": {"token": CANARY}}],
    }
    path.write_text(json.dumps(value | changes))
    return KubeAccess(str(path))


def user(path: Path, section: dict[str, Any]) -> KubeAccess:
    """The same with another user."""
    return written(path, users=[{"name": "eva", "user": section}])


def cluster(path: Path, **section: Any) -> KubeAccess:
    """The same with another cluster."""
    return written(path, clusters=[{"name": "demo", "cluster": {"server": "https://127.0.0.1:6443", **section}}])


def b64(text: bytes | str) -> str:
    """As a kubeconfig holds it."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the kubeconfig is."""
    return tmp_path / "config"


def test_the_current_context_is_taken_where_none_is_named(path):
    """The server's address loses its last slash."""
    login = read_login(written(path))

    assert (login.context, login.server, login.authorization) == ("kind-demo", "https://127.0.0.1:6443", f"Bearer {CANARY}")


def test_a_named_context_is_taken(path):
    """Whatever the current one is."""
    written(path)

    assert read_login(KubeAccess(str(path), "kind-other")).context == "kind-other"


def test_a_context_that_is_not_there_is_refused_with_the_nearest_one(path):
    """A slip of the finger costs one look."""
    written(path)

    with pytest.raises(PreflightError, match=r"no context kind-dmo .*\n.*did you mean kind-demo") as refused:
        read_login(KubeAccess(str(path), "kind-dmo"))
    assert refused.value.exit_code == 3


def test_a_context_that_is_like_no_other_is_refused_with_all_of_them(path):
    """Their names stand in the next step."""
    written(path)

    with pytest.raises(PreflightError, match="there are: kind-demo, kind-other"):
        read_login(KubeAccess(str(path), "production"))


def test_no_current_context_is_told(path):
    """With those to choose from."""
    with pytest.raises(PreflightError, match=r"has no current context\n.*kind-demo, kind-other"):
        read_login(written(path, **{"current-context": ""}))


def test_a_file_that_is_not_there_is_told(path, monkeypatch):
    """Whether it was named or comes from the environment; a kubeconfig that is named wins over a pod's account."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBECONFIG", str(path / "b"))

    for access in (KubeAccess(str(path / "a")), KubeAccess()):
        with pytest.raises(PreflightError, match="there is no kubeconfig at"):
            read_login(access)


def test_several_files_are_one(path, tmp_path, monkeypatch):
    """As with kubectl: the first to name a thing wins, files that are not there are passed over, paths are each file's own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "token").write_text("from-a-file\n")
    written(folder / "second", users=[{"name": "eva", "user": {"tokenFile": "token"}}])
    written(path, users=[], contexts=[])
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "missing"), str(path), str(folder / "second")]))

    assert read_login(KubeAccess()).authorization == "Bearer from-a-file"


def test_certificates_are_read_from_files_and_from_inside(path, tmp_path):
    """Both ways give the same, and no copy is left behind."""
    authority = Authority()
    cert, key = authority.issue("eva")
    for name, content in {"ca.pem": authority.ca_pem, "cert.pem": cert, "key.pem": key}.items():
        (tmp_path / name).write_bytes(content)
    trust = {"server": "https://127.0.0.1:6443", "certificate-authority": "ca.pem"}
    files = {"client-certificate": "cert.pem", "client-key": "key.pem"}
    inside = {"client-certificate-data": b64(cert), "client-key-data": b64(key)}

    for section in (files, inside):
        clusters = [{"name": "demo", "cluster": trust}]
        login = read_login(written(path, clusters=clusters, users=[{"name": "eva", "user": section}]))
        assert (login.ca_pem, login.cert_pem, login.key_pem, login.authorization) == (authority.ca_pem, cert, key, None)
        assert login.tls() is not None


@pytest.mark.parametrize(
    "section",
    [
        {"client-certificate": "missing.pem", "client-key": "missing.pem"},
        {"client-certificate-data": "abcde", "client-key-data": "abcde"},
        {"tokenFile": "missing"},
    ],
)
def test_a_credential_that_cannot_be_read_is_told(path, section):
    """Exit 4, with what to do."""
    with pytest.raises(CredentialsError, match=r"login of context kind-demo cannot be read.*\n.*auth whoami"):
        read_login(user(path, section))


def test_a_key_that_does_not_fit_is_told(path):
    """When the connection is prepared, before the first request."""
    cert, _ = Authority().issue("eva")
    _, key = Authority().issue("eva")

    with pytest.raises(CredentialsError, match="do not belong together"):
        read_login(user(path, {"client-certificate-data": b64(cert), "client-key-data": b64(key)})).tls()


def test_an_authority_that_is_none_is_told(path):
    """Nothing of the library's own error."""
    with pytest.raises(PreflightError, match="is no PEM text"):
        read_login(cluster(path, **{"certificate-authority-data": b64("nothing")})).tls()


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "{", "a: b: c", f"token: {CANARY}\n  broken", "contexts: 1", "contexts: [1]\nclusters: []\nusers: []"]
)
def test_a_broken_file_is_no_kubeconfig(path, text):
    """Whatever is wrong with it; nothing of its content is quoted."""
    path.write_text(text)

    with pytest.raises(PreflightError, match=r"is not a kubeconfig|has no current context") as refused:
        read_login(KubeAccess(str(path)))
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(("part", "said"), [("clusters", "names the cluster demo"), ("users", "names the user eva")])
def test_a_context_whose_parts_are_not_there_is_told(path, part, said):
    """The file was put together by hand."""
    with pytest.raises(PreflightError, match=said):
        read_login(written(path, **{part: []}))


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("http://10.0.0.1:8080", "plain http"),
        ("ftp://127.0.0.1", "no server of the form"),
        ("", "no server of the form"),
        ("https://eva:secret@127.0.0.1", "no server of the form"),
    ],
)
def test_a_server_that_would_give_the_login_away_is_refused(path, server, said):
    """Before a word is sent."""
    with pytest.raises(PreflightError, match=said):
        read_login(cluster(path, server=server))


def test_a_context_that_checks_no_certificate_is_refused_unless_allowed(path):
    """It would hand the token to whoever answers."""
    cluster(path, **{"insecure-skip-tls-verify": True})

    with pytest.raises(PreflightError, match="does not check the server's certificate"):
        read_login(KubeAccess(str(path)))
    assert not read_login(KubeAccess(str(path), insecure=True)).verify


def test_a_name_in_the_certificate_and_a_proxy_are_kept(path):
    """As the kubeconfig has them."""
    login = read_login(cluster(path, **{"tls-server-name": "kubernetes", "proxy-url": "http://proxy:3128"}))

    assert (login.tls_server_name, login.proxy) == ("kubernetes", "http://proxy:3128")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "127.0.0.1:3128"])
def test_a_proxy_of_another_kind_is_refused(path, proxy):
    """Before anything is sent past it."""
    with pytest.raises(PreflightError, match="proxy of context kind-demo is of kind"):
        read_login(cluster(path, **{"proxy-url": proxy}))


def test_a_plugin_gives_a_token_and_its_end(path, tmp_path):
    """It is told what it asks for, and nothing when it does not."""
    section = plugin(tmp_path, {"token": CANARY, "expirationTimestamp": "2026-01-01T00:00:10Z"})
    login = read_login(user(path, {"exec": {**section, "provideClusterInfo": True, "env": [{"name": "A", "value": "b"}]}}))

    assert (login.authorization, login.expires_s) == (f"Bearer {CANARY}", 1767225610.0)
    assert told(tmp_path)[0]["spec"]["cluster"]["server"] == "https://127.0.0.1:6443/"


def test_a_plugin_gives_a_certificate(path, tmp_path):
    """In place of a token."""
    cert, key = Authority().issue("eva")
    login = read_login(user(path, {"exec": plugin(tmp_path, {"clientCertificateData": cert.decode(), "clientKeyData": key.decode()})}))

    assert (login.cert_pem, login.key_pem, login.authorization) == (cert, key, None)


def test_a_token_in_the_file_wins_over_a_plugin(path, tmp_path):
    """As with kubectl; the plugin is not run."""
    login = read_login(user(path, {"token": "at-hand", "exec": plugin(tmp_path, {"token": "other"})}))

    assert login.authorization == "Bearer at-hand"
    assert not (tmp_path / "told.jsonl").exists()


@pytest.mark.parametrize(
    ("status", "how", "said"),
    [
        ({"token": "x"}, {"code": 3, "says": "session expired"}, "ended with 3: session expired"),
        (None, {}, "prints no ExecCredential"),
        ({}, {}, "neither a token nor a certificate"),
        ({"clientCertificateData": "x"}, {}, "neither a token nor a certificate"),
        ({"token": CANARY, "expirationTimestamp": "soon"}, {}, "prints no ExecCredential"),
    ],
)
def test_a_plugin_that_gives_nothing_is_told(path, tmp_path, status, how, said):
    """In its own words, exit 4; its answer is never quoted."""
    with pytest.raises(CredentialsError, match=said) as refused:
        read_login(user(path, {"exec": plugin(tmp_path, status, **how)}))
    assert refused.value.next_step
    assert CANARY not in str(refused.value)


def test_a_plugin_that_hangs_is_told(path, tmp_path, monkeypatch):
    """It is ended; the run does not hang with it."""
    monkeypatch.setattr(plugins, "PLUGIN_S", 0.3)

    with pytest.raises(CredentialsError, match="TimeoutExpired"):
        read_login(user(path, {"exec": plugin(tmp_path, {"token": "x"}, sleeps_s=30)}))


def test_a_plugin_that_is_not_installed_is_told(path):
    """With the hint that the kubeconfig gives."""
    section = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "installHint": "get it\nthere"}

    with pytest.raises(PreflightError, match=r"no-such-plugin is not there\n.*get it there"):
        read_login(user(path, {"exec": section}))


def test_the_command_to_log_in_is_named_for_known_plugins(path, tmp_path):
    """For others, the plugin's name."""
    (tmp_path / "aws").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "aws").chmod(0o755)

    with pytest.raises(CredentialsError, match="log in with `aws sso login`"):
        read_login(user(path, {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./aws"}}))


def test_in_a_pod_the_account_of_the_pod_is_used(tmp_path, monkeypatch):
    """When nothing else is named and no kubeconfig is there."""
    from kubernetes.config import incluster_config

    authority = Authority()
    (tmp_path / "token").write_text("of-the-pod\n")
    (tmp_path / "ca.crt").write_bytes(authority.ca_pem)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    for name, value in {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    login = read_login(KubeAccess())

    assert (login.context, login.server, login.ca_pem) == (IN_CLUSTER, "https://10.96.0.1:443", authority.ca_pem)
    assert login.authorization == "bearer of-the-pod"


def test_nothing_secret_shows_in_a_login(path):
    """It may end up in a message."""
    cert, key = Authority().issue("eva")
    login = read_login(user(path, {"token": CANARY, "client-certificate-data": b64(cert), "client-key-data": b64(key)}))

    assert CANARY not in repr(login)
    assert "PRIVATE KEY" not in repr(login)
