"""Somebody who watches a collection in a thread and keeps a book of it: what is told must always fit what was told before."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tasks.kube.client import Kube
from tests.kube.fake_api import FakeApi

PATH = "/api/v1/namespaces/shop/configmaps"


def settings(name: str, value: int, **labels: str) -> dict[str, Any]:
    """A ConfigMap that holds a number."""
    metadata = {"name": name, "namespace": "shop", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": str(value)}}


@dataclass
class Watcher:
    """Watches :data:`PATH` from its first to its last line as a context."""

    kube: Kube
    labels: str = ""
    there: dict[str, str] = field(default_factory=dict)
    """Name -> version, by what was told."""
    told: list[tuple[str, str, str]] = field(default_factory=list)
    """Type, name and version of every event."""
    wrong: list[str] = field(default_factory=list)
    """What did not fit: an object added twice, changed or deleted that was not there, told twice, or going back in time."""
    times_s: list[float] = field(default_factory=list)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> float:
        """Say that it is over; how long it took to end, in seconds."""
        begun_s = time.monotonic()
        self._over.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return time.monotonic() - begun_s

    def _watch(self) -> None:
        try:
            for event in self.kube.watch(PATH, labels=self.labels, stop=self._over.is_set):
                self._keep(event.type, event.object["metadata"]["name"], event.object["metadata"]["resourceVersion"])
        except BaseException as error:  # the test shows it
            self.error = error

    def _keep(self, kind: str, name: str, version: str) -> None:
        before = self.there.get(name)
        fits = before is None if kind == "ADDED" else before is not None and (kind == "DELETED" or int(before) < int(version))
        if (kind, name, version) in self.told:
            fits = False
        if not fits:
            self.wrong.append(f"{kind} {name} {version}, known as {self.there.get(name)}")
        if kind == "DELETED":
            self.there.pop(name, None)
        else:
            self.there[name] = version
        self.told.append((kind, name, version))
        self.times_s.append(time.monotonic())

    def ready(self, api: FakeApi) -> bool:
        """Wait until it has listed, and watches."""
        found = self.sees(api)
        while self.error is None and not any(one.watches for one in api.asked(PATH)):
            time.sleep(0.005)
        return found

    def sees(self, api: FakeApi, within_s: float = 20.0) -> bool:
        """Wait until what was told is what there is."""
        until_s = time.monotonic() + within_s
        while self.error is None and time.monotonic() < until_s:
            if self.there == {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in api.all("ConfigMap", "shop")}:
                return True
            time.sleep(0.005)
        return False
