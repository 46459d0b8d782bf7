"""
What each service has used, without cgroups.

CPU and I/O are counted per process (pid and start time) *including* the ended children that it waited for, as the kernel
passes them up; a process that ended keeps its last value. So the counter of a service falls only when it is opened anew,
which happens when its main process is started again. Actuators count in CPU, memory and I/O of the service they work on,
not in its processes, threads and descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from tasks.base.process import ProcessId
from tasks.cluster import procfs
from tasks.cluster.marks import Mark, read


@dataclass(frozen=True, slots=True)
class Counters:
    """CPU in seconds and storage I/O in bytes."""

    cpu_s: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(self.cpu_s + other.cpu_s, self.read_bytes + other.read_bytes, self.written_bytes + other.written_bytes)

    def excess(self, other: Counters) -> Counters:
        """By how much each exceeds *other*; never negative."""
        return Counters(
            max(0.0, self.cpu_s - other.cpu_s),
            max(0, self.read_bytes - other.read_bytes),
            max(0, self.written_bytes - other.written_bytes),
        )

    def most(self, other: Counters) -> Counters:
        """The greater of each."""
        return self + other.excess(self)


@dataclass(slots=True)
class Account:
    """What ended processes of one life of a service left behind."""

    ended: Counters = Counters()


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters since the account was opened, and gauges of now (bytes; counts of living processes)."""

    counters: Counters
    memory: procfs.Memory
    processes: int
    threads: int
    descriptors: int


@dataclass(slots=True)
class Tracked:
    """A process that is counted."""

    id: ProcessId
    mark: Mark
    stat: procfs.Stat
    accounts: tuple[Account, ...]
    counters: Counters = Counters()
    """With the ended children it waited for."""

    @classmethod
    def of(cls, pid: int, mark: Mark, stat: procfs.Stat, accounts: tuple[Account, ...]) -> Self:
        """A process seen for the first time."""
        process = cls(ProcessId(pid, stat.start_ticks), mark, stat, accounts)
        process.update(stat)
        return process

    def update(self, stat: procfs.Stat) -> Counters:
        """Take the present values; returns by how much what its children passed up has grown."""
        cpu_s = procfs.own_cpu_s(self.id.pid, stat) + stat.waited_cpu_s
        counters = self.counters.most(Counters(cpu_s, *procfs.disk_bytes(self.id.pid)))
        grown = counters.excess(self.counters)
        passed_up = Counters(max(0.0, stat.waited_cpu_s - self.stat.waited_cpu_s), grown.read_bytes, grown.written_bytes)
        self.counters, self.stat = counters, stat
        return passed_up


@dataclass(slots=True)
class Accounts:
    """The books of one supervisor (*token* of its deployment, *keeper* its pid)."""

    token: str
    keeper: int
    tracked: dict[int, Tracked] = field(default_factory=dict)
    open_accounts: dict[str, Account] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def open(self, name: str) -> None:
        """Begin the account of *name* anew; what its former processes still use is no longer its own."""
        self.open_accounts[name] = Account()

    def adopt(self, pid: int, mark: Mark) -> ProcessId:
        """Count *pid*, a child of the keeper that was just started."""
        stat = procfs.stat(pid)
        if stat is None:  # impossible for a child that was not waited for
            raise ProcessLookupError(pid)
        self.tracked[pid] = Tracked.of(pid, mark, stat, self._accounts_of(mark))
        self.seen.add(pid)
        return self.tracked[pid].id

    def refresh(self) -> None:
        """Read every counted process again, settle those that are gone, find new ones."""
        gone: list[Tracked] = []
        passed_up: dict[int, Counters] = {}
        for pid, process in self.tracked.items():
            stat = procfs.stat(pid)
            if stat is None or stat.start_ticks != process.id.start_ticks:
                gone.append(process)
            else:
                passed_up[pid] = process.update(stat)
        self._settle(gone, passed_up)
        self._discover()

    def reap(self, pid: int, rusage: Counters) -> Tracked | None:
        """Close the books of *pid*, which the keeper has waited for; *rusage* is what the kernel said of it at the end."""
        self.seen.discard(pid)
        process = self.tracked.pop(pid, None)
        if process is not None:
            final = process.counters.most(rusage)
            for account in process.accounts:
                account.ended += final
        return process

    def living(self, *names: str) -> tuple[Tracked, ...]:
        """Counted processes (of *names*, if given) that have not ended, as of the last refresh."""
        return tuple(one for one in self.tracked.values() if not one.stat.ended and (not names or one.mark.process in names))

    def in_present_life(self, name: str) -> tuple[Tracked, ...]:
        """Living processes and actuators of *name* since its account was opened."""
        account = self.open_accounts.get(name)
        return tuple(one for one in self.living(name) if any(account is mine for mine in one.accounts))

    def resident_bytes(self, name: str) -> int:
        """Resident memory of *name* now, cheaply: shared pages count once a process, so it is never less than PSS."""
        stats = (procfs.stat(one.id.pid) for one in self.in_present_life(name))
        return sum(one.rss_bytes for one in stats if one is not None)

    def usage(self, name: str) -> Usage:
        """What *name* has used, and uses now, as of the last refresh; memory is read now."""
        account = self.open_accounts[name]
        mine = [one for one in self.tracked.values() if any(account is other for other in one.accounts)]
        living = [one for one in mine if not one.stat.ended]
        members = [one for one in living if one.mark.kind != "actuator" or one.mark.process != name]
        memories = [procfs.memory(one.id.pid) for one in living]
        return Usage(
            counters=sum((one.counters for one in mine), start=account.ended),
            memory=procfs.Memory(sum(one.rss_bytes for one in memories), sum(one.pss_bytes for one in memories)),
            processes=len(members),
            threads=sum(one.stat.threads for one in members),
            descriptors=sum(procfs.descriptors(one.id.pid) for one in members),
        )

    def _accounts_of(self, mark: Mark) -> tuple[Account, ...]:
        names: tuple[str, ...] = (mark.process,)
        if mark.kind == "actuator":
            names = (mark.process, f"actuator/{mark.process}")
        elif mark.kind == "guard":
            names = (f"guard/{mark.process}",)
        return tuple(self.open_accounts.setdefault(name, Account()) for name in names)

    def _settle(self, gone: Iterable[Tracked], passed_up: dict[int, Counters]) -> None:
        """
        Keep what *gone* processes used, unless their parents' counters have taken it over.

        A parent that does not wait for its children never shows them: then the last value seen is kept.
        """
        parents = {process.id.pid: process.stat.parent for process in gone}
        for pid in parents:
            del self.tracked[pid]
            self.seen.discard(pid)
        owed: dict[tuple[int, tuple[int, ...]], list[Tracked]] = {}
        for process in gone:
            heir = _nearest(process.stat.parent, parents)
            owed.setdefault((heir, tuple(id(account) for account in process.accounts)), []).append(process)
        for (heir, _), processes in owed.items():
            total = sum((one.counters for one in processes), start=Counters())
            lost = total.excess(passed_up.get(heir, Counters()))
            for account in processes[0].accounts:
                account.ended += lost

    def _discover(self) -> None:
        present = set(procfs.pids())
        for pid in sorted(present - self.seen):
            stat = procfs.stat(pid)
            mark = None if stat is None else self._mark_of(pid, stat)
            if stat is not None and mark is not None:
                self.tracked[pid] = Tracked.of(pid, mark, stat, self._accounts_of(mark))
        self.seen = present

    def _mark_of(self, pid: int, stat: procfs.Stat) -> Mark | None:
        if pid == self.keeper:
            return None
        parent = self.tracked.get(stat.parent)
        if parent is not None:
            return parent.mark
        if self.keeper not in (stat.parent, stat.session):
            return None
        mark = read(self.token, procfs.environment(pid))
        if mark is not None:
            return mark
        leader = self.tracked.get(stat.group)
        return None if leader is None else leader.mark


def _nearest(pid: int, parents: dict[int, int]) -> int:
    """The first ancestor, from *pid* on, that is not itself a key of *parents* (pids of ended processes)."""
    for _ in range(len(parents)):
        if pid not in parents:
            break
        pid = parents[pid]
    return pid


def rusage_counters(cpu_s: float, blocks_in: int, blocks_out: int) -> Counters:
    """Counters from what ``wait4`` says of an ended process (blocks of 512 bytes)."""
    return Counters(cpu_s, blocks_in * 512, blocks_out * 512)


def own_usage() -> tuple[float, procfs.Memory]:
    """CPU seconds and memory of this very process."""
    times = os.times()
    return times.user + times.system, procfs.memory(os.getpid())
