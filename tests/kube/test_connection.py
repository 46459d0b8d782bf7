"""What another process gets."""

from __future__ import annotations

import base64
import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import DocumentError, PreflightError, TidegaugeError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.connection import Connection
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.plugins import plugin, told

CANARY = "canary-1b7f"


def test_secrets_stand_in_private_files(tmp_path: Path):
    """The record holds their paths, and comes back from its JSON."""
    with FakeApi(tls=True) as api:
        user = {**api.certificate_user(), "token": "first"}
        kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user=user))))
        found = kube.connection(tmp_path / "handed" / "over")
    folder = tmp_path / "handed" / "over"
    text = json.dumps(found.to_json())

    assert found == Connection(
        api.url, *(str(folder / name) for name in ("ca.crt", "client.crt", "client.key", "token")), tls_server_name=None
    )
    assert Connection.from_json(json.loads(text)) == found
    assert (folder / "token").read_text() == "first"
    assert (folder / "client.key").read_bytes() == base64.b64decode(user["client-key-data"])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_stood_there_becomes_private(api: FakeApi, kube: Kube, tmp_path: Path):
    """Whoever made it."""
    (tmp_path / "over").mkdir()
    (tmp_path / "over" / "token").write_text("old")
    (tmp_path / "over" / "token").chmod(0o644)
    kube.connection(tmp_path / "over")

    assert stat.S_IMODE((tmp_path / "over" / "token").stat().st_mode) == 0o600


def test_the_token_is_written_anew(api: FakeApi, clock: QuickClock, tmp_path: Path):
    """In the same file; the plugin is run only when that is asked for."""
    section = plugin(tmp_path, {"token": "first"})
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"exec": section}))), clock=clock)
    first = kube.connection(tmp_path / "over")
    plugin(tmp_path, {"token": "second"})
    before = kube.connection(tmp_path / "over"), Path(str(first.token_file)).read_text()
    after = kube.connection(tmp_path / "over", anew=True), Path(str(first.token_file)).read_text()

    assert (before, after) == ((first, "first"), (first, "second"))
    assert len(told(tmp_path)) == 2


def test_without_a_login_there_are_no_files(tmp_path: Path):
    """An authority is no secret, but none is needed on loopback."""
    with FakeApi(bearer=None) as api:
        found = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))).connection(tmp_path / "over")

    assert (found, list((tmp_path / "over").iterdir())) == (Connection(api.url), [])


def test_a_password_is_not_handed_over(tmp_path: Path):
    """Nor that of a proxy."""
    with FakeApi(bearer=None) as api:
        kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user={"username": "eva", "password": CANARY}))))
        with pytest.raises(PreflightError, match="logs in with a password") as refused:
            kube.connection(tmp_path / "over")
    assert CANARY not in str(refused.value)


def test_another_record_is_none(tmp_path: Path):
    """Exit 2, not a stack of calls."""
    with pytest.raises(DocumentError, match="not a connection"):
        Connection.from_json({"url": "https://127.0.0.1"})


def test_no_secret_is_ever_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], clock: QuickClock):
    """Not in logs at their most talkative, not in texts of values, not in errors, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    spoken: list[Any] = []
    with FakeApi(tls=True, bearer=CANARY) as api:
        user = {**api.certificate_user(), "token": CANARY}
        key = base64.b64decode(user["client-key-data"]).decode().splitlines()[1]
        access = KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user=user)), auth_wait_s=10)
        kube = Kube.connect(access, clock=clock, say=spoken.append)
        spoken += [repr(kube.connection(tmp_path / "over")), repr(kube._session.login), repr(kube._session.line)]
        api.fail_next(500, times=1000, path="/pods")
        api.fail_next(401, times=1000, path="/nodes", reason="Unauthorized")
        for path in ("/api/v1/pods", "/api/v1/nodes", "/api/v1/nothing"):
            with pytest.raises(TidegaugeError) as refused:
                kube.get(path)
            spoken += [refused.getrepr(showlocals=False), refused.value]
    shown = "\n".join(map(str, [*spoken, caplog.text, *capfd.readouterr()]))

    assert "Unauthorized" in shown or "not valid" in shown
    assert CANARY not in shown
    assert key not in shown
