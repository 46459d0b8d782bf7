"""
A kubelet's pages, cAdvisor's and the resource one: which rows count, whose they are, and which are new.

- A container's rows count for CPU and memory; those of its whole pod hold the same once more and are left out. Network is only
  told of whole pods, so those rows count for it.
- A container that was started again has rows under two ids for a while: those of the younger one count.
- Rows have time stamps of their own, which are kept. A row that was seen already is told again until the kubelet looks anew;
  it is not written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tasks.telemetry.exposition import Exposed, ExpositionParser
from tasks.telemetry.series import Role, SeriesTable

NODE = "node"
"""Service of what is about a whole node."""
SKIPPED = 0
_ROWS = 200_000
"""So many rows are remembered before all are forgotten."""
_START = "container_start_time_seconds"
_WHERE = frozenset({"container", "id", "image", "name", "namespace", "pod", "boot_id", "machine_id", "system_uuid"})
"""Labels that say which container of which pod, or which machine; seat and node stand for them."""
_MACHINE = (
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_oom_events_total",
    "container_fs_",
    "container_network_",
    "container_pressure_",
)
"""What is kept of the row of a whole node; its other rows are in those of its containers, or nobody's."""
_NOISE = frozenset({"container_last_seen", "cadvisor_version_info"})
"""A time that is always now, and texts."""

SeatOf = Callable[[str, str], tuple[str, int] | None]
"""Workload and replica of a pod by its name and the id of one of its containers; None: it is not ours, or has no seat."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is always the same about the rows of a line's text."""

    name: str
    role: Role
    pod: str
    container: str
    id: str
    labels: tuple[tuple[str, str], ...]

    @property
    def about(self) -> tuple[str, str]:
        """Rows about the same are told under one id at a time."""
        return self.pod, self.container


def row_of(name: str, labels: Mapping[str, str], namespace: str) -> Row | None:
    """The row of a line; None where it does not count."""
    container, pod, identity = labels.get("container", ""), labels.get("pod", ""), labels.get("id", "")
    kept = tuple(sorted((key, value) for key, value in labels.items() if key not in _WHERE))
    if name in _NOISE:
        return None
    if pod:
        if labels.get("namespace") != namespace or not name.startswith("container_"):
            return None
        if container not in ("", "POD"):
            return Row(name, "container", pod, container, identity, kept)
        return Row(name, "pod", pod, "", identity, kept) if "interface" in labels or name == _START else None
    if name.startswith(("machine_", "node_")) or (identity == "/" and name.startswith(_MACHINE)):
        return Row(name, "node", "", "", identity, kept)
    return None


class KubeletParser:
    """
    Reads one page of one node again and again.

    Args:
        table: Gives series their numbers.
        namespace: Whose pods count.
        node: Name of the node.
        job: Name of the page: ``cadvisor`` or ``resource``.
        seat_of: Who has which seat now.
        containers: Whether rows of containers count, and not only those of the node.
    """

    def __init__(self, table: SeriesTable, *, namespace: str, node: str, job: str, seat_of: SeatOf, containers: bool = True) -> None:
        self._table = table
        self._namespace = namespace
        self._place = {"job": job, "node": node}
        self._seat_of = seat_of
        self._containers = containers
        self._newest_ms: dict[int, int] = {}
        self._forget()
        self.repeated = 0
        """Rows that had been seen already."""

    def resume(self, newest_ms: Mapping[int, int]) -> None:
        """Go on where the newest samples of the series are these."""
        self._newest_ms.update(newest_ms)

    def parse(self, text: str, *, stamps_in_seconds: bool = False) -> Exposed:
        """
        The samples of *text* that count and are new.

        Raises:
            ExpositionError: It is malformed.
        """
        if len(self._rows) > _ROWS:
            self._forget()
        exposed = self._parser.parse("\n".join(self._wanted(text)), stamps_in_seconds=stamps_in_seconds)
        younger = self._younger(exposed)
        seats: dict[tuple[str, str], tuple[str, int] | None] = {}
        found = Exposed()
        for place, index in enumerate(exposed.numbers):
            row = self._rows[index]
            if row is None or younger.get(row.about, row.id) != row.id or (row.role == "pod" and row.name == _START):
                continue
            where = (row.pod, row.id)
            if row.pod and where not in seats:
                seats[where] = self._seat_of(*where)
            number = self._number(index, row, seats.get(where))
            if number is not None:
                self._keep(found, number, exposed.values[place], exposed.stamps_ms.get(place))
        return found

    def _forget(self) -> None:
        self._rows: list[Row | None] = [None]
        self._known: dict[tuple[object, ...], int] = {}
        self._numbers: dict[tuple[int, tuple[str, int] | None], int] = {}
        self._parser = ExpositionParser(self._index)

    def _wanted(self, text: str) -> Iterator[str]:
        """The lines that may count, by a look at their text: most are about other pods and the node's own services."""
        ours, anybody, node = f'namespace="{self._namespace}"', 'namespace="', 'id="/",'
        for line in text.split("\n"):
            if not line.startswith("#") and (anybody not in line or (self._containers and ours in line) or node in line):
                yield line

    def _index(self, name: str, labels: Mapping[str, str]) -> int:
        """The place of a line's row among those known."""
        row = row_of(name, labels, self._namespace)
        if row is None or (row.role != "node" and not self._containers):
            return SKIPPED
        key = (row.name, row.pod, row.container, row.id, row.labels)
        if key not in self._known:
            self._known[key] = len(self._rows)
            self._rows.append(row)
        return self._known[key]

    def _younger(self, exposed: Exposed) -> dict[tuple[str, str], str]:
        """The id that counts, of all under which the same is told."""
        started: dict[tuple[str, str], dict[str, float]] = {}
        told: dict[tuple[str, str], set[str]] = {}
        for place, index in enumerate(exposed.numbers):
            row = self._rows[index]
            if row is None or not row.pod:
                continue
            if row.name == _START:
                started.setdefault(row.about, {})[row.id] = exposed.values[place]
            else:
                told.setdefault(row.about, set()).add(row.id)
        return {about: max(ids, key=lambda one: (started.get(about, {}).get(one, 0.0), one)) for about, ids in told.items() if len(ids) > 1}

    def _number(self, index: int, row: Row, seat: tuple[str, int] | None) -> int | None:
        """The series of a row in a seat; None: it is about a pod that has none."""
        if row.pod and seat is None:
            return None
        number = self._numbers.get((index, seat))
        if number is None:
            service, replica = (NODE, None) if seat is None else (seat[0], str(seat[1]))
            place = self._place if replica is None else {"job": self._place["job"], "replica": replica}
            own = {"container": row.container} if row.container else {}
            number = self._table.number(row.role, service, row.name, {**dict(row.labels), **own, **place})
            self._numbers[index, seat] = number
        return number

    def _keep(self, found: Exposed, number: int, value: float, stamp_ms: int | None) -> None:
        if stamp_ms is not None:
            if stamp_ms <= self._newest_ms.get(number, stamp_ms - 1):
                self.repeated += 1
                return
            self._newest_ms[number] = stamp_ms
            found.stamps_ms[len(found.numbers)] = stamp_ms
        found.numbers.append(number)
        found.values.append(value)
