"""Runs that want one namespace at the same moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tasks.base.errors import LockedError
from tasks.cluster.kube.holding import Door, take
from tasks.cluster.kube.lease import Holder
from tasks.kube.client import Kube
from tests.cluster.kube.parts import QuickClock
from tests.kube.fake_api import FakeApi

LEASE_S = 60


@dataclass
class Contest:
    """What came of it."""

    winners: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def lease(holder: str, renewed: str = "2026-11-26T15:00:00.000000Z") -> dict:
    """A Lease of *holder* that has expired long ago, by the clock of a contest."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": LEASE_S, "renewTime": renewed}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tidegauge", "namespace": "shop"}, "spec": spec}


def contest(api: FakeApi, kube: Kube, number: int, contenders: int = 3) -> Contest:
    """All of them at once; the Lease is absent, free or expired in turn."""
    before = (None, lease(""), lease("somebody dead"))[number % 3]
    if api.object("Lease", "tidegauge", "shop") is not None:
        api.remove("Lease", "tidegauge", "shop")
    if before is not None:
        api.put(before)
    found, start = Contest(), threading.Barrier(contenders)

    def run(name: str) -> None:
        door = Door(kube, "shop", Holder(name, "host"), LEASE_S, QuickClock())
        start.wait()
        try:
            found.winners.append(take(door).holder)
        except LockedError as error:
            found.refused.append(error.message)
        except Exception as error:  # whatever it is, it is told
            found.broken.append(repr(error))

    threads = [threading.Thread(target=run, args=(f"run-{number}-{one}",)) for one in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
