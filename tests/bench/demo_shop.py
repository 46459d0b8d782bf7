"""The real demo shop for a measurement: deployed as a recording deploys it, and taken down at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.app.config import DemoShop
from tasks.app.files import app_of
from tasks.cluster.config import LocalCluster
from tasks.recordings.deployment import LocalDeployed, deploy, forget, state_folder


@contextmanager
def demo_shop() -> Iterator[tuple[LocalDeployed, Path]]:
    """The running shop, and an empty folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        state_dir = state_folder(Path(folder), "shop")
        deployed = deploy(app_of(DemoShop()), LocalCluster(), state_dir, owned=True, report=lambda _: None)
        try:
            yield deployed, Path(folder)
        finally:
            left = deployed.handle.down()
            forget(state_dir)
            if left:
                raise OSError(f"still there after the teardown: {left}")
