"""The way to the API server breaks: row 20. Nothing of ours lives in a tunnel: each request opens the way anew."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.kube.fake_api import FakeApi
from tests.kube.tunnel import Tunnel
from tests.kube.watchers import Watcher, settings

FAULT = "the tunnel to the API server is cut again and again"
ROUNDS = 25
PATH = "/api/v1/namespaces/shop/configmaps"
LONGEST_S = 0.02


@contextmanager
def cutting(tunnel: Tunnel, rng: random.Random) -> Iterator[list[float]]:
    """Cut it every few milliseconds, whatever is on the way; how long each piece of peace was."""
    over, pauses = threading.Event(), list[float]()

    def cut() -> None:
        while not over.wait(pause_s := rng.uniform(0.0, LONGEST_S)):
            tunnel.cut()
            pauses.append(pause_s)

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        yield pauses
    finally:
        over.set()
        thread.join()


def test_requests_and_watches_outlive_every_cut(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """In the middle of requests and of answers: each is answered in the end, what was written is there, a watch tells every change once."""
    again = 0
    with FakeApi() as api, Tunnel("127.0.0.1", api.port) as tunnel:
        path = api.kubeconfig(tmp_path / "kubeconfig", cluster={"server": f"http://127.0.0.1:{tunnel.port}"})
        kube = Kube.connect(KubeAccess(str(path)))
        with Watcher(kube) as watcher:
            assert watcher.ready(api)
            for number in range(ROUNDS):
                one = ledger.begin(row=20, fault=FAULT, where="fake")
                before = kube.requests
                with cutting(tunnel, rng) as cuts:
                    for step in range(4):
                        kube.apply(settings(f"c{step}", number))
                    there = {item["metadata"]["name"]: item["data"]["value"] for item in kube.items(PATH)}
                again += kube.requests - before - 5
                assert {name: value for name, value in there.items() if name.startswith("c")} == {f"c{n}": str(number) for n in range(4)}
                assert watcher.sees(api, 10)
                assert (watcher.error, watcher.wrong) == (None, [])
                one.survived(f"gaps 0, events lost 0, asked again {again} times; {len(cuts)} cuts in the last round")
    assert again > 0
