"""An API server that is busy or broken for a while: row 19."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.kube.errors import Unavailable
from tests.kube.conftest import QuickClock
from tests.kube.fake_api import FakeApi
from tests.kube.trouble import Act, Cut, Fail

FAULT = "a storm of 429 and 5xx"
BOUND_S = 30.0
STORMS = 40
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}


def gust(rng: random.Random) -> Act:
    """One answer of a storm."""
    if rng.random() < 0.2:
        return Cut(rng.randrange(200))
    return Fail(rng.choice([429, 500, 502, 503, 504]), retry_after=rng.choice([None, None, "1", "2", "7"]))


def asked_s(gusts: list[Act]) -> list[float]:
    """The waits that the server asked for."""
    return [float(one.retry_after) for one in gusts if isinstance(one, Fail) and one.retry_after is not None]


def connected(api: FakeApi, clock: QuickClock, tmp_path: Path) -> Kube:
    """An adapter that waits for nothing."""
    return Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig"))), clock=clock)


def test_storms_pass_or_are_given_up_in_time(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """Every wait is at least what was asked for; half a minute is never passed; what is given up is an error of ours."""
    calls, longest_s, given_up = 0, 0.0, 0
    with FakeApi() as api:
        for _ in range(STORMS):
            one = ledger.begin(row=19, fault=FAULT, where="fake")
            clock = QuickClock()
            kube = connected(api, clock, tmp_path)
            gusts = [gust(rng) for _ in range(rng.randrange(1, 12))]
            for act in gusts:
                api.trouble(act, path="/configmaps")
            before = len(api.requests)
            try:
                kube.apply(SETTINGS)
            except Unavailable:
                given_up += 1
                api.plan.clear()
            tried = len(api.asked("/configmaps"))
            calls += len(api.requests) - before
            longest_s = max(longest_s, sum(clock.slept))
            assert sum(clock.slept) <= BOUND_S
            for act, slept_s in zip(gusts, clock.slept, strict=False):
                assert not isinstance(act, Fail) or act.retry_after is None or slept_s == float(act.retry_after)
            assert tried
            one.survived(
                f"{calls / (api_storms := STORMS):.1f} calls a storm, longest {longest_s:.1f} s, given up {given_up} of {api_storms}"
            )


@pytest.mark.parametrize("retry_after", [None, "1", "29", "31", "86400"])
def test_a_storm_without_end_is_given_up(ledger: Any, tmp_path: Path, retry_after: str | None) -> None:
    """Before half a minute is over, whatever the server asks for, and with few calls."""
    one = ledger.begin(row=19, fault=FAULT, where="fake")
    clock = QuickClock()
    with FakeApi() as api:
        kube = connected(api, clock, tmp_path)
        api.fail_next(503, times=10_000, path="/configmaps", retry_after=retry_after)
        with pytest.raises(Unavailable, match="no usable reply"):
            list(kube.items("/api/v1/configmaps"))
        calls = len(api.asked("/configmaps"))
    assert sum(clock.slept) <= BOUND_S
    assert calls <= 31
    one.survived(f"{calls} calls, {sum(clock.slept):.0f} s")


def test_what_must_not_be_done_twice_is_not(ledger: Any, rng: random.Random, tmp_path: Path) -> None:
    """Objects that are made without a storm's leave are made once, or nobody says that they were."""
    with FakeApi() as api:
        for number in range(STORMS):
            one = ledger.begin(row=19, fault=FAULT, where="fake")
            kube = connected(api, QuickClock(), tmp_path)
            manifest = {**SETTINGS, "metadata": {"name": f"c{number}", "namespace": "shop"}}
            for _ in range(rng.randrange(1, 5)):
                api.trouble(gust(rng), path="/configmaps", method="POST")
            before = len(api.objects.history)
            try:
                said = kube.create(manifest)["metadata"]["uid"]
            except Unavailable:
                said = None
            api.plan.clear()
            there = api.object("ConfigMap", f"c{number}", "shop")
            assert len(api.objects.history) - before <= 1
            assert said is None or (there is not None and there["metadata"]["uid"] == said)
            one.survived("created twice 0")
