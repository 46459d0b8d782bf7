"""Taking the Lease of a namespace, keeping it in a thread of its own, giving it back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import LockedError, TidegaugeError
from tasks.cluster.kube.kinds import LEASE, LEASE_NAME
from tasks.cluster.kube.lease import Holder, Record, new_lease, taken
from tasks.kube.client import Kube
from tasks.kube.errors import Conflict, KubeError, NotFound, Unavailable
from tasks.kube.refs import ObjectRef

RENEWALS = 4
"""Renewed so often in the time that it holds: three may fail."""


@dataclass(frozen=True, slots=True)
class Door:
    """The Lease of one namespace, as *holder* sees it."""

    kube: Kube
    namespace: str
    holder: Holder
    duration_s: float
    clock: Clock

    @property
    def ref(self) -> ObjectRef:
        """Its address."""
        return LEASE.ref(self.namespace, LEASE_NAME)

    def look(self) -> Record | None:
        """What it says now; None when there is none."""
        found = self.kube.find(self.ref)
        return None if found is None else Record.of(found)

    def make(self) -> Record:
        """A new one; Conflict when somebody was faster."""
        return Record.of(self.kube.create(new_lease(self.namespace, self.holder, self.duration_s, self.clock.wall_s())))

    def take(self, version: str) -> Record:
        """Take it over, or renew it; Conflict when it is not the one of *version* any more."""
        return Record.of(self.kube.patch(self.ref, taken(self.holder, self.duration_s, self.clock.wall_s(), version)))


def take(door: Door, *, wait_s: float = 0.0, say: Callable[[str], None] = lambda _: None) -> Record:
    """
    Take the Lease; one that has expired only after it was watched for half of its time, in which a living holder renews it.

    Args:
        door: Which, and for whom.
        wait_s: Longest wait, in seconds, for a Lease that is held; 0: refused at once.
        say: Told what is waited for.

    Raises:
        LockedError: Another run holds it; its name is told.
        KubeError: The API server said no.
    """
    until_s = door.clock.monotonic_s() + wait_s
    while True:
        found = door.look()
        if found is None:
            record = _made(door)
        elif (verdict := found.verdict(door.holder, door.clock.wall_s())) == "held":
            record, left_s = None, found.left_s(door.clock.wall_s())
            if door.clock.monotonic_s() + left_s > until_s:
                raise locked(door.namespace, found, left_s)
            say(f"{found.holder} holds {door.namespace} for {left_s:.0f} s more; {watching(found)}")
            door.clock.sleep(left_s)
        else:
            if verdict == "doubtful":
                silent = f"{found.holder} has not renewed its hold on {door.namespace}"
                say(f"{silent}; it is watched for {found.watch_s:.0f} s before it is taken over")
                door.clock.sleep(found.watch_s)
            record = _taken(door, found.version)
        if record is not None:
            return record


def _made(door: Door) -> Record | None:
    try:
        return door.make()
    except Conflict:
        return None  # somebody was faster
    except Unavailable:
        found = door.look()
        if found is None or found.verdict(door.holder, 0.0) != "ours":
            raise
        return found  # it was made, and the answer got lost


def _taken(door: Door, version: str) -> Record | None:
    try:
        return door.take(version)
    except (Conflict, NotFound):
        return None  # somebody was faster, or it was given back


def locked(namespace: str, found: Record, left_s: float) -> LockedError:
    """That another run holds it, and how long that lasts if nobody is there any more."""
    ends = f"its hold ends in {max(0.0, left_s):.0f} s, {watching(found)}"
    return LockedError(
        f"the namespace {namespace} is in use by run {found.holder}",
        next_step=f"wait for it, or use another namespace; if it has died, {ends} (`tidegauge down --all` ends both at once)",
    )


def watching(found: Record) -> str:
    """What comes after the end of a hold, in words."""
    return f"then the next run watches it for {found.watch_s:.0f} s before it takes it over"


class Held:
    """A Lease that is ours, until it is given back or lost; renewed by a thread while it is kept."""

    def __init__(self, door: Door, record: Record) -> None:
        self.door = door
        self._record: Record | None = record
        self._renewed_s = door.clock.monotonic_s()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {door.namespace}", daemon=True)

    @property
    def held(self) -> bool:
        """Whether it is ours for sure, by this machine's steady clock."""
        return self._record is not None and self.door.clock.monotonic_s() - self._renewed_s < self.door.duration_s

    def check(self) -> None:
        """
        Nothing while it is held.

        Raises:
            LockedError: It was lost: another run may be at work in the namespace.
        """
        if not self.held:
            raise LockedError(
                f"the hold on the namespace {self.door.namespace} was lost: another run may be at work there",
                next_step="see who holds it: tidegauge doctor",
            )

    def start(self) -> None:
        """Renew it from now on."""
        self._thread.start()

    def renew(self) -> bool:
        """Renew it once; False: it is not ours any more, or the server does not answer for now."""
        with self._lock:
            if self._record is None:
                return False
            begun_s = self.door.clock.monotonic_s()
            try:
                self._record = self.door.take(self._record.version)
            except (Conflict, NotFound):
                self._record = self._seen_anew()
                return self._record is not None and self._again(begun_s)
            except TidegaugeError:
                return False  # three more tries are left before it expires
            self._renewed_s = begun_s
            return True

    def _seen_anew(self) -> Record | None:
        """Its present version, when somebody has changed anything but the holder."""
        try:
            found = self.door.look()
        except TidegaugeError:
            return self._record
        return found if found is not None and found.verdict(self.door.holder, 0.0) == "ours" else None

    def _again(self, begun_s: float) -> bool:
        assert self._record is not None  # noqa: S101 -- just looked at
        try:
            self._record = self.door.take(self._record.version)
        except TidegaugeError:
            return False
        self._renewed_s = begun_s
        return True

    def give_back(self) -> None:
        """
        Remove it.

        It is renewed first: while we hold it for sure nobody can have taken it over, so that it is ours that is removed.
        """
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.renew():
            try:
                self.door.kube.delete(self.door.ref)
            except KubeError:
                return  # it expires
        self._record = None

    def _keep(self) -> None:
        while not self._end.wait(self.door.duration_s / RENEWALS):
            self.renew()
            if self._record is None:
                return


@contextmanager
def holding(
    kube: Kube, namespace: str, run: str, *, duration_s: float, wait_s: float = 0.0, say: Callable[[str], None] = lambda _: None
) -> Iterator[Held]:
    """
    Hold *namespace* for *run*.

    Raises:
        LockedError: Another run holds it.
        KubeError: The API server said no: the namespace has to be there.
    """
    door = Door(kube, namespace, Holder(run), duration_s, SystemClock())
    held = Held(door, take(door, wait_s=wait_s, say=say))
    held.start()
    try:
        yield held
    finally:
        held.give_back()


def forget(kube: Kube, namespace: str, run: str) -> bool:
    """Remove the Lease of a run that is to be taken down, whether it has expired or not; False: it is not that run's."""
    ref = LEASE.ref(namespace, LEASE_NAME)
    found = kube.find(ref)
    return found is not None and Record.of(found).run == run and kube.delete(ref)
