"""Start, settings and end of a service."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.shop


def _run(root, tmp_path, service, **settings):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "DATA_DIR": str(tmp_path), **settings}
    return subprocess.run([sys.executable, "-m", "tasks.shop", *service], env=env, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("service", "settings", "said"),
    [
        (["sockets"], {"PORT": "8080"}, "the shop has no service 'sockets'"),
        ([], {"PORT": "8080"}, "usage"),
        (["payment"], {}, "PORT is not set"),
        (["payment"], {"PORT": "http"}, "PORT='http' is not a number"),
        (["payment"], {"PORT": "70000"}, "is not a number from 1 to 65535"),
        (["payment"], {"PORT": "8080", "DECLINE_ABOVE": "nan"}, "DECLINE_ABOVE"),
        (["shipping"], {"PORT": "8080"}, "QUEUE_MASTER_URL is not set"),
        (["shipping"], {"PORT": "8080", "QUEUE_MASTER_URL": "file:///etc"}, "is not an address like"),
    ],
)
def test_wrong_settings_end_with_a_sentence(root, tmp_path, service, settings, said):
    """No traceback, and a status that is not 0."""
    ended = _run(root, tmp_path, service, **settings)

    assert ended.returncode not in (0, None)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said(root, tmp_path, shop):
    """The second service on a port ends and names it."""
    ended = _run(root, tmp_path, ["payment"], PORT=str(shop.ports["payment"]))

    assert ended.returncode != 0
    assert "address already in use" in ended.stderr


def test_only_loopback_is_listened_on(shop):
    """Nobody outside the machine can shop here."""
    for child in shop.children.values():
        listening = [one for one in psutil.Process(child.pid).net_connections() if one.status == psutil.CONN_LISTEN]
        assert [one.laddr.ip for one in listening] == ["127.0.0.1"]


def test_sigterm_ends_a_service_quickly(some):
    """Also while a client keeps its connection open."""
    some.start("catalogue")
    with some.client("catalogue") as client:
        client.get("/catalogue")
        started = time.monotonic()
        some.children["catalogue"].send_signal(signal.SIGTERM)
        some.children["catalogue"].wait(10)

    assert time.monotonic() - started < 3


def test_a_broken_peer_is_a_500_with_a_line_in_the_log(some):
    """The front-end without its peers still answers, and says which one is away."""
    some.start("front-end")
    with some.client() as browser:
        api, page = browser.get("/catalogue"), browser.get("/")

    assert (api.status_code, page.status_code) == (500, 500)
    assert api.json()["error"].startswith("catalogue: GET /catalogue")
    assert "<h1>Something went wrong" in page.text
    assert some.log("front-end").count("ERROR shop GET /") == 2
    assert "Traceback" not in some.log("front-end")


def test_data_folders_are_private(shop):
    """Databases and the key of the sessions are the owner's alone."""
    assert {(shop.folder / name).stat().st_mode & 0o077 for name in ("front-end", "orders", "user")} == {0}
    assert (shop.folder / "front-end" / "session.key").stat().st_mode & 0o077 == 0
