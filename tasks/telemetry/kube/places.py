"""What is scraped where: the scraper of each seat and node, and the series that are told of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from tasks.base.clock import Clock
from tasks.telemetry.exposition import ExpositionParser
from tasks.telemetry.kube.api import ApiPage, ApiServer
from tasks.telemetry.kube.kubelet import NODE, KubeletParser
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.kube.pods import PodView
from tasks.telemetry.kube.state import KUBERNETES, STATE_JOB, Told, pod_state, workload_state
from tasks.telemetry.kube.world import World
from tasks.telemetry.samples import read_samples
from tasks.telemetry.scrape import ABOUT, TargetScraper
from tasks.telemetry.series import PLACES, Role, SeriesTable
from tasks.telemetry.targets import Target

Seat = tuple[str, int]
Holders = Mapping[Seat, PodView]
API = "API server"
STATE = Target(KUBERNETES, "harness", "")
"""The look at how pods and workloads are: it has an ``up`` of its own, so that a time without one is a gap."""
PODS_JOB = "pods"
EXPORTED = frozenset({"job", "replica"})
"""Labels of ours; an app's own of these names are renamed, as Prometheus does it."""
_UID = re.compile(r"pod([0-9a-f]{8}[-_](?:[0-9a-f]{4}[-_]){3}[0-9a-f]{12})")
RESUMED_S = 120.0
"""So much of what was recorded before is looked at for the newest stamps."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A seat in which no pod runs: the *number* of its ``up``, and whether one should."""

    target: Target
    number: int
    missed: bool


class Places:
    """Scrapers by seat and by node; they are made once, and follow the pods that sit there."""

    def __init__(self, plan: KubeletPlan, server: ApiServer, world: World, table: SeriesTable, clock: Clock) -> None:
        self._plan = plan
        self._server = server
        self._world = world
        self._table = table
        self._clock = clock
        self._pages: dict[Seat, TargetScraper] = {}
        self._nodes: dict[tuple[str, str], TargetScraper] = {}
        self._parsers: list[KubeletParser] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._newest_ms: dict[int, int] = {}
        self._seats: dict[str, list[tuple[Seat, str]]] = {}
        place = {"job": STATE_JOB, "replica": "0"}
        self._own = tuple(table.number("harness", KUBERNETES, name, place) for name in (ABOUT[0], ABOUT[2]))

    def resume(self, folder: Path, chunk: int) -> None:
        """Remember the newest stamps of what was recorded into *folder* up to *chunk*, so that nothing is written twice."""
        since = max(0, chunk - 1 - round(RESUMED_S / self._plan.flush_s))
        samples = read_samples(folder, since)
        last = np.flatnonzero(np.diff(samples.series, append=-1))
        self._newest_ms = dict(zip(samples.series[last].tolist(), samples.time_ms[last].tolist(), strict=True))

    @property
    def repeated(self) -> int:
        """Rows of kubelets that had been seen already."""
        return sum(parser.repeated for parser in self._parsers)

    def pods(self, holders: Holders) -> list[TargetScraper]:
        """Scrapers of the pods that run and have a page."""
        found = []
        for seat, pod in holders.items():
            page = self._page(pod)
            if page is not None and pod.running:
                found.append(self._pod(seat, pod, page))
        return found

    def nodes(self, holders: Holders) -> list[TargetScraper]:
        """Scrapers of the nodes on which the pods are."""
        if self._plan.containers == "none" or self._plan.watch_alone:
            return []
        self._seats = {}
        for seat, pod in holders.items():
            self._seats.setdefault(pod.name, []).append((seat, pod.uid))
        names = sorted({pod.node for pod in holders.values() if pod.node})
        jobs = ("cadvisor", "resource") if self._plan.containers == "cadvisor" else ("resource",)
        return [self._node(name, job) for name in names for job in jobs]

    def absent(self, holders: Holders) -> list[Absent]:
        """
        Seats whose page cannot be asked, since no pod runs there.

        Those that nobody wants any more (a workload was scaled in) are among them: not to look would be a gap.
        """
        seats = {seat: True for seat, pod in holders.items() if not pod.running} | self._world.seating.empty(self._world.wanted)
        found = []
        for seat, missed in sorted(seats.items()):
            pod = holders.get(seat)
            if seat in self._pages or (pod is not None and self._page(pod) is not None):
                place = {"job": PODS_JOB, "replica": str(seat[1])}
                found.append(Absent(_target(seat), self._table.number("service", seat[0], ABOUT[0], place), missed))
        return found

    def state(self, holders: Holders) -> tuple[list[int], list[float]]:
        """Numbers and values of what is known of pods and workloads, with those of this look itself."""
        numbers: list[int] = []
        values: list[float] = []
        for (workload, replica), pod in holders.items():
            generation = float(self._world.seating.generations[workload, replica])
            for told in (*pod_state(pod), Told("replica_pods_total", {}, generation)):
                numbers.append(self._state(workload, replica, told))
                values.append(told.value)
        for one in self._world.workloads.values():
            for told in workload_state(one):
                numbers.append(self._state(one.name, None, told))
                values.append(told.value)
        return [*numbers, *self._own], [*values, 1.0, float(len(numbers))]

    def _state(self, workload: str, replica: int | None, told: Told) -> int:
        """The series of what is known of a replica, or of its whole workload."""
        key = (workload, replica, told.name, tuple(told.labels.items()))
        number = self._known.get(key)
        if number is None:
            place = {"job": STATE_JOB} if replica is None else {"job": STATE_JOB, "replica": str(replica)}
            number = self._known[key] = self._table.number("container", workload, told.name, {**told.labels, **place})
        return number

    def _page(self, pod: PodView) -> str | None:
        if self._plan.watch_alone:
            return None
        return self._plan.pages.get(pod.workload) or pod.page

    def _pod(self, seat: Seat, pod: PodView, page: str) -> TargetScraper:
        port, _, path = page.partition("/")
        asked = f"/api/v1/namespaces/{self._plan.namespace}/pods/{pod.name}:{port}/proxy/{path}"
        scraper = self._pages.get(seat)
        if scraper is None:
            own = self._about("service", seat[0], {"job": PODS_JOB, "replica": str(seat[1])})
            parser = ExpositionParser(partial(self._exposed, seat))
            scraper = self._pages[seat] = TargetScraper(_target(seat), ApiPage(self._server, asked), own, parser, self._clock)
        elif isinstance(scraper.page, ApiPage):
            scraper.page.path = asked
        return scraper

    def _exposed(self, seat: Seat, name: str, labels: Mapping[str, str]) -> int:
        """The series that the pods in *seat* expose under a name with labels."""
        kept = {f"exported_{key}" if key in EXPORTED else key: value for key, value in labels.items() if key not in PLACES}
        return self._table.number("service", seat[0], name, {**kept, "job": PODS_JOB, "replica": str(seat[1])})

    def _node(self, name: str, job: str) -> TargetScraper:
        if (name, job) not in self._nodes:
            parser = KubeletParser(
                self._table,
                namespace=self._plan.namespace,
                node=name,
                job=job,
                seat_of=self._seat_of,
                containers=job == self._plan.containers,
            )
            parser.resume(self._newest_ms)
            self._parsers.append(parser)
            page = ApiPage(self._server, f"/api/v1/nodes/{quote(name, safe='')}/proxy/metrics/{job}")
            own = self._about("node", NODE, {"job": job, "node": name})
            self._nodes[name, job] = TargetScraper(Target(f"{name}/{job}", "node", page.path), page, own, parser, self._clock)
        return self._nodes[name, job]

    def _seat_of(self, pod: str, identity: str) -> Seat | None:
        """Who sits where, by a pod's name; of two that had the same name, the uid in the id of their containers tells."""
        told = _UID.search(identity)
        uid = None if told is None else told[1].replace("_", "-")
        return next((seat for seat, known in self._seats.get(pod, ()) if uid is None or uid == known), None)

    def _about(self, role: Role, service: str, place: Mapping[str, str]) -> tuple[int, ...]:
        return tuple(self._table.number(role, service, name, place) for name in ABOUT)


def service_of(target: Target) -> str:
    """Under which name the gaps of *target* are listed."""
    return NODE if target.role == "node" else target.name.rpartition("/")[0]


def _target(seat: Seat) -> Target:
    return Target(f"{seat[0]}/{seat[1]}", "service", "")
