"""A deployment of a run at the fake API server, without what its app is made of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.app.kube.placement import Placement
from tasks.cluster.config import KubeconfigCluster
from tasks.cluster.kube.holding import Door, Held, take
from tasks.cluster.kube.lease import Holder
from tasks.cluster.kube.manifests import Bounds
from tasks.cluster.kube.provider import KubeProvider
from tasks.kube.access import KubeAccess
from tasks.kube.client import Kube
from tasks.recordings.kube.deployed import KubeDeployed
from tests.cluster.kube.parts import RUN, QuickClock
from tests.kube.fake_api import FakeApi


def deployed_in(api: FakeApi, folder: Path, *namespaces: str, say: Callable[[str], None], wide: bool = False) -> KubeDeployed:
    """Of the run ``RUN``, in the first of *namespaces*, its folder below *folder*; the Lease is taken."""
    clock = QuickClock()
    kube = Kube.connect(KubeAccess(str(api.kubeconfig(folder / "kubeconfig"))), clock=clock)
    state = folder / "state"
    state.mkdir()
    home = namespaces[0]
    door = Door(kube, home, Holder(RUN), 60, clock)
    return KubeDeployed(
        kube=kube,
        app=app_of(DemoShop()),
        manifests=(),
        where=Placement(home, RUN),
        provider=KubeProvider(kube, Bounds(RUN, namespaces), patience_s=1.0, clock=clock, say=say),
        held=Held(door, take(door)),
        settings=KubeconfigCluster(provider="kubeconfig", namespace=home),
        state_dir=state,
        clock=clock,
        release=ExitStack(),
        wide=wide,
    )
