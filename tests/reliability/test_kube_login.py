"""A login that ends in the middle of a run: row 18."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import CredentialsError
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.plugins import plugin, told

FAULT = "the login ends in the middle of a run"
PATH = "/api/v1/namespaces/shop/configmaps"


def settings(number: int) -> dict[str, Any]:
    """One step of a run writes one of these."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}", "namespace": "shop"}}


def run(kube: Kube, api: FakeApi, steps: int, ends: set[int], rotate: Any) -> None:
    """So many steps; before those of *ends*, the login is ended by *rotate*."""
    for step in range(steps):
        if step in ends:
            api.bearer = f"bearer-{step}"
            rotate(api.bearer)
        kube.apply(settings(step))
    assert len(list(kube.items(PATH))) == steps


def test_rotated_credentials_are_read_again(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """Whether the kubeconfig was rewritten or a plugin gives a new token: no step fails, nobody waits."""
    for how in ("file", "plugin") * 5:
        one = ledger.begin(row=18, fault=FAULT, where="fake")
        clock = QuickClock()
        with FakeApi() as api:
            path = tmp_path / "kubeconfig"
            user = {"exec": plugin(tmp_path, {"token": "first"})} if how == "plugin" else None

            def rotate(bearer: str) -> None:
                if how == "plugin":  # noqa: B023 -- called in this turn
                    plugin(tmp_path, {"token": bearer})
                else:
                    api.kubeconfig(path)  # noqa: B023

            kube = Kube.connect(KubeAccess(str(api.kubeconfig(path, user=user))), clock=clock)
            ends = set(rng.sample(range(1, 20), 3))
            run(kube, api, 20, ends, rotate)
        assert clock.slept == []
        one.survived(f"{len(ends)} ends in 20 steps survived, waited {sum(clock.slept):.0f} s")


def test_somebody_logs_in_while_the_run_waits(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """The command is said once; the step that was refused is done when the login is there."""
    for _ in range(5):
        one = ledger.begin(row=18, fault=FAULT, where="fake")
        clock, said, after = QuickClock(), list[str](), rng.randrange(1, 100)
        with FakeApi() as api:
            path = api.kubeconfig(tmp_path / "kubeconfig")
            kube = Kube.connect(KubeAccess(str(path)), clock=clock, say=said.append)

            def log_in(_: float) -> None:
                if len(clock.slept) % after == 0:  # noqa: B023 -- called in this turn
                    api.kubeconfig(path)  # noqa: B023

            clock.on_sleep = log_in
            run(kube, api, 10, {4}, lambda bearer: None)
        assert len(said) == 1
        assert "auth whoami" in said[0]
        one.survived(f"went on {sum(clock.slept):.0f} s after the login ended")


@pytest.mark.parametrize("auth_wait_s", [0.0, 600.0])
def test_nobody_logs_in(ledger: Any, tmp_path: Path, auth_wait_s: float) -> None:
    """Exit 4 with the command, when the time that the document allows is over, and nothing was written meanwhile."""
    one = ledger.begin(row=18, fault=FAULT, where="fake")
    clock = QuickClock()
    with FakeApi() as api:
        kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")), auth_wait_s=auth_wait_s), clock=clock)
        with pytest.raises(CredentialsError, match="auth whoami") as refused:
            run(kube, api, 10, {4}, lambda bearer: None)
        assert (refused.value.exit_code, len(api.all("ConfigMap"))) == (4, 4)
    assert abs(sum(clock.slept) - auth_wait_s) <= 5
    one.survived(f"exit 4 after {sum(clock.slept):.0f} s")


def test_threads_share_one_new_login(ledger: Any, tmp_path: Path) -> None:
    """Eight threads are refused at once: the plugin runs once more, and every step is done once."""
    one = ledger.begin(row=18, fault=FAULT, where="fake")
    with FakeApi() as api:
        user = {"exec": plugin(tmp_path, {"token": "first"})}
        kube = Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig", user=user))), clock=QuickClock())
        kube.apply(settings(99))
        plugin(tmp_path, {"token": "second"})
        api.bearer = "second"
        threads = [threading.Thread(target=kube.apply, args=(settings(number),)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(api.all("ConfigMap")) == 9
    assert len(told(tmp_path)) == 2
    one.survived("8 threads went on with one new login")
