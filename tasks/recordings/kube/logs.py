"""The output of an app's pods, fetched before they are gone."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from tasks.app.kube.placement import Placement
from tasks.base.errors import TidegaugeError
from tasks.base.files import storage_error
from tasks.kube.client import Kube
from tasks.kube.labels import run_selector

LONGEST_BYTES = 8 << 20
"""Of one container; what is beyond it is left in the cluster."""


def keep_logs(kube: Kube, where: Placement, folder: Path) -> None:
    """
    One compressed file a container, ``POD.CONTAINER.log.gz``, below *folder*.

    Output is no data: a pod that cannot be read is passed over, and its file says why.

    Raises:
        StorageError: A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pod, container in _containers(kube, where):
            with gzip.open(folder / f"{pod}.{container}.log.gz", "wb") as file:
                for line in _said(kube, where, pod, container):
                    file.write(line + b"\n")
    except OSError as error:
        raise storage_error(error, folder) from error


def _said(kube: Kube, where: Placement, pod: str, container: str) -> Iterator[bytes]:
    try:
        yield from bounded(kube.log(where.namespace, pod, container))
    except TidegaugeError as error:
        yield f"[tidegauge: not read: {error.message}]".encode()


def bounded(lines: Iterator[bytes]) -> Iterator[bytes]:
    """*lines* up to the longest length, and a word when there were more."""
    left = LONGEST_BYTES
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            yield b"[tidegauge: more was said than is kept]"
            return
        yield line


def _containers(kube: Kube, where: Placement) -> Iterator[tuple[str, str]]:
    try:
        for pod in kube.items(f"/api/v1/namespaces/{where.namespace}/pods", labels=run_selector(where.run, "app")):
            for container in pod["spec"]["containers"]:
                yield pod["metadata"]["name"], container["name"]
    except TidegaugeError:
        return
