"""Two clocks in a cluster: row 8."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tasks.base.clock import SystemClock, iso
from tasks.cluster.kube.checks import offset
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.load.clocks import read_shifts
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.pods import PodState
from tasks.load.raw import RawReader
from tests.kube.fake_api import FakeApi
from tests.load.kube.robot import Robot

SKEWS_S = (90.0, -90.0, 2.6, -2.6, 0.0)


@pytest.mark.parametrize("skew_s", SKEWS_S)
def test_an_api_servers_clock_that_is_off_is_told(ledger: Any, tmp_path: Path, skew_s: float) -> None:
    """By ``doctor``, with the difference in the sentence, right to half a second; nothing is written."""
    one = ledger.begin(row=8, fault="the API server's clock is off", where="fake")
    with FakeApi() as api:
        api.add_kind("authentication.k8s.io/v1", "SelfSubjectReview", plural="selfsubjectreviews", namespaced=False)
        api.objects.put = lambda key, kind, item, **more: {  # type: ignore[method-assign] # answered, never kept
            **item,
            "metadata": {"creationTimestamp": iso(int(time.time() + skew_s))},
        }
        found = offset(Kube.connect(KubeAccess(str(api.kubeconfig(tmp_path / "kubeconfig")))), SystemClock())

    assert found.state == ("warn" if abs(skew_s) > 1 else "ok")
    told_s = float(found.text.split(" is ")[1].split(" s ")[0]) if found.state == "warn" else 0.0
    assert abs(told_s - skew_s) < 1
    assert api.writes == []
    one.survived(f"told to {abs(told_s - skew_s):.1f} s")


@pytest.mark.parametrize("behind_s", [90.3, -90.3, 0.2])
def test_seconds_of_a_node_whose_clock_is_off_are_laid_on_ours(ledger: Any, tmp_path: Path, behind_s: float) -> None:
    """The load of two workers, one of them there, adds up second by second; the offset that was measured is kept."""
    one = ledger.begin(row=8, fault="a node's clock is off", where="fake")
    now, book = int(time.time()), Logbook(tmp_path, SystemClock(), workers=2)
    for worker, late_s in ((0, 0.0), (1, behind_s)):
        robot, name = Robot(worker, 2, late_s), f"load-workers-{worker}-x"
        pod = PodState(name, name, worker, f"node{worker}", begun=True, restarts=0, over=False, exit_code=None, stuck=None, waiting=None)
        for line in (robot.begin(float(now)), *(robot.second(now + second) for second in range(3))):
            book.take(pod, line)
    book.write_clocks()
    seconds = [(one.second, one.users_present) for one in RawReader(tmp_path).seconds()]

    assert seconds == [(now + second, 20) for second in range(3)]
    assert sorted(read_shifts(tmp_path).values()) == sorted([0, round(behind_s)])
    one.survived("label error 0 s")
