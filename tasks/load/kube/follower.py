"""Reads the log of one pod as it grows, to its end, however often the way there is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.kube.errors import Invalid, NotFound, Unavailable
from tasks.load.kube.api import PodPlace
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.manifests import CONTAINER
from tasks.load.kube.pods import PodState

AGAIN_S = 0.3
OVERLAP_S = 3.0
"""So much of what was read already is asked for again: the log is asked for by whole seconds, of another clock."""


@dataclass(slots=True)
class Follower:
    """One pod's reader: a thread of its own, which ends with the pod."""

    place: PodPlace
    pod: PodState
    book: Logbook
    clock: Clock
    newest: Callable[[], PodState | None]
    """The pod as it is now; None: it is gone."""
    trouble: TidegaugeError | None = None
    """What ended it before the pod's end."""
    _stop: Event = field(default_factory=Event)
    _read: int = 0
    """So many processes of the pod have ended, and their last lines were read."""

    def start(self) -> Thread:
        """Begin."""
        thread = Thread(target=self.run, name=f"log of {self.pod.name}", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """End at the next line, or the next cut."""
        self._stop.set()

    def run(self) -> None:
        """Read until the pod is over, and everything in its log is written down."""
        while not self._stop.is_set():
            pod = self.newest()
            try:
                self._look_back(0 if pod is None else pod.restarts)
                self._take(self._lines(follow=True))
            except NotFound:
                if self.newest() is None:
                    return
                # the pod is there: it is the kubelet that was started anew, and has not found it yet
            except (Unavailable, Invalid):  # away, or the container has not begun yet: ask again
                pass
            except TidegaugeError as error:
                self.trouble = error
                return
            except Exception as error:  # whoever keeps the load has to hear of it: nobody waits for this thread
                self.trouble = TidegaugeError(f"the log of {self.pod.name} is no longer read: {error!r}")
                raise
            if pod is None or pod.over:
                return
            self._stop.wait(AGAIN_S)

    def catch_up(self) -> None:
        """
        Read what was said lately, besides the stream.

        Raises:
            KubeError: The API server is away, or says no.
        """
        self._take(self._lines(follow=False))

    def _lines(self, *, follow: bool) -> Iterator[bytes]:
        age_s = self.book.age_s(self.pod.uid)
        since_s = None if age_s is None else age_s + OVERLAP_S
        return self.place.api.log(self.place.namespace, self.pod.name, CONTAINER, since_s=since_s, follow=follow)

    def _take(self, lines: Iterator[bytes]) -> None:
        for raw in lines:
            life = self.book.take(self.newest() or self.pod, raw)
            if life is None:
                continue
            self._look_back(life.place)
            if life.sequence.has_hole:
                for line in self.place.api.log(self.place.namespace, self.pod.name, CONTAINER):
                    self.book.take(self.pod, line)
                self.book.give_up(life)
            if self._stop.is_set():
                return

    def _look_back(self, restarts: int) -> None:
        """The process before the one at work may have said something after we were cut off."""
        if restarts <= self._read:
            return
        self._read = restarts
        query = {"container": CONTAINER, "previous": "true"}
        for raw in self.place.api.text(f"{self.place.pods}/{self.pod.name}/log", query).encode().splitlines():
            self.book.take(self.pod, raw)
