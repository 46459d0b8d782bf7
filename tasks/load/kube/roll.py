"""The pods of a load as they come and go, each with a reader of its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from threading import Event, RLock, Thread
from typing import Any

from tasks.base.clock import Clock
from tasks.base.errors import TidegaugeError
from tasks.kube.errors import Unavailable
from tasks.load.kube.api import PodPlace
from tasks.load.kube.follower import Follower
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.pods import PodState, state_of

AGAIN_S = 1.0


@dataclass(slots=True)
class Roll:
    """Watches in a thread of its own; may be asked from any."""

    place: PodPlace
    selector: str
    book: Logbook
    clock: Clock
    _pods: dict[str, PodState] = field(default_factory=dict)
    """Those that are there, by uid, oldest first."""
    _readers: dict[str, Follower] = field(default_factory=dict)
    _threads: list[Thread] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)
    _lock: RLock = field(default_factory=RLock)
    _trouble: TidegaugeError | None = None

    def start(self) -> None:
        """Begin to watch."""
        Thread(target=self._run, name=f"pods of {self.selector}", daemon=True).start()

    def stop(self, patience_s: float) -> None:
        """End: readers of pods that are gone have at most *patience_s* for what they hold; the watch ends by itself."""
        self._stop.set()
        for reader in list(self._readers.values()):
            reader.stop()
        until_s = self.clock.monotonic_s() + patience_s
        for thread in list(self._threads):
            thread.join(max(0.0, until_s - self.clock.monotonic_s()))

    def pods(self) -> list[PodState]:
        """Those that are there, oldest first."""
        with self._lock:
            return list(self._pods.values())

    def find(self, uid: str) -> PodState | None:
        """The pod *uid*; None: it is gone."""
        with self._lock:
            return self._pods.get(uid)

    @property
    def trouble(self) -> TidegaugeError | None:
        """What keeps us from watching for good, such as a login that ended."""
        return self._trouble or next((reader.trouble for reader in list(self._readers.values()) if reader.trouble), None)

    def catch_up(self, uid: str) -> None:
        """Read what a pod said lately besides its stream; raises like :meth:`Follower.catch_up`."""
        reader = self._readers.get(uid)
        if reader is not None:
            reader.catch_up()

    def read_anew(self, uid: str) -> None:
        """Leave the stream of a pod's log to itself, and open another."""
        with self._lock:
            if (pod := self._pods.get(uid)) is not None:
                self._readers[uid].stop()
                self._follow(pod)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._pods:  # a watch that begins anew does not tell who went meanwhile
                    self._forget_those_gone()
                for event in self.place.api.watch(self.place.pods, labels=self.selector, stop=self._stop.is_set):
                    self._note(event.object, gone=event.type == "DELETED")
            except Unavailable:  # away for longer than the adapter's patience: look again
                pass
            except TidegaugeError as error:
                self._trouble = error
                return
            except Exception as error:  # whoever keeps the load has to hear of it: nobody waits for this thread
                self._trouble = TidegaugeError(f"the pods of the load are no longer watched: {error!r}")
                raise
            self._stop.wait(AGAIN_S)

    def _forget_those_gone(self) -> None:
        there = {pod["metadata"]["uid"] for pod in self.place.api.items(self.place.pods, labels=self.selector)}
        with self._lock:
            self._pods = {uid: pod for uid, pod in self._pods.items() if uid in there}

    def _note(self, found: dict[str, Any], *, gone: bool) -> None:
        with self._lock:
            if gone:
                self._pods.pop(found["metadata"]["uid"], None)
                return
            pod = state_of(found)
            self._pods[pod.uid] = pod
            if pod.begun and pod.worker is not None and pod.uid not in self._readers:
                self._follow(pod)

    def _follow(self, pod: PodState) -> None:
        reader = self._readers[pod.uid] = Follower(self.place, pod, self.book, self.clock, partial(self.find, pod.uid))
        self._threads.append(reader.start())
