"""A load whose generators are pods: a Job for the master, a Job for the workers, and the workers' logs read while they grow."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import tidegauge
from tasks.base.clock import Clock, SystemClock
from tasks.base.errors import TidegaugeError
from tasks.kube.errors import Unavailable
from tasks.load.config import LoadConfig
from tasks.load.journey import journeys_of, shipped_folders
from tasks.load.kube.api import PodPlace
from tasks.load.kube.logbook import Logbook
from tasks.load.kube.manifests import Crew, manifests, plan_data
from tasks.load.kube.roll import Roll
from tasks.load.kube.sources import sources
from tasks.load.kube.start import Waiting
from tasks.load.kube.watchman import Watchman
from tasks.load.plan import GeneratorPlan, plan_of, write_plan
from tasks.load.shapes import curve_of
from tasks.load.status import LoadStatus, Restart

IMAGE = f"tidegauge.local/locust:{tidegauge.__version__}"
POLL_S = 0.05
GONE_S = 5.0
"""Longest wait for pods to be gone after they were killed."""
END_S = 1.0
"""Before the planned end a worker may have ended already."""


@dataclass(slots=True)
class PodLoad:
    """A running load; see :class:`tasks.load.status.Load`."""

    plan: GeneratorPlan
    out: Path
    place: PodPlace
    crew: Crew
    book: Logbook
    roll: Roll
    watchman: Watchman
    clock: Clock
    left: list[str] = field(default_factory=list)
    """What could not be removed in the end, a sentence each."""
    _stopped: bool = False
    _away: bool = False
    """Whether the API server did not answer while the load was removed: it is not waited for again and again."""

    @classmethod
    def start(
        cls,
        settings: LoadConfig,
        *,
        place: PodPlace,
        host: str,
        seed: int,
        out: Path,
        duration_s: float | None = None,
        folders: Sequence[Path] = (),
    ) -> Self:
        """
        Start the load and return once every worker knows when it begins: within two seconds.

        Args:
            settings: The section ``load``.
            place: Where in which cluster.
            host: Base address of the application's entry as pods see it, ``http://front-end.shop.svc:80``, unless ``settings`` has one.
            seed: Seed of phases and choices.
            out: Folder of the recording's load; made when missing; raw logs go there.
            duration_s: Length in seconds; None: until :meth:`stop`.
            folders: Where CSV files and journey sets are looked for before the shipped ``configs``.

        Raises:
            DocumentError: A CSV file or journey set is wrong or missing, or too long for pods.
            PreflightError: The pods did not start; in the cluster's own words. Nothing is left.
            KubeError: The API server says no, or is away.
        """
        places = (*folders, *shipped_folders())
        curve, journeys = curve_of(settings.users, places), journeys_of(settings, places)
        out.mkdir(parents=True, exist_ok=True)
        plan = plan_of(settings, curve=curve, journeys=journeys, host=settings.address or host, seed=seed, raw=None)
        load = cls._of(settings, plan.model_copy(update={"duration_s": duration_s}), place, out)
        try:
            load._begin()
        except BaseException:
            load.stop(grace_s=0)  # interrupted while waiting: nothing stays behind
            raise
        return load

    @classmethod
    def _of(cls, settings: LoadConfig, plan: GeneratorPlan, place: PodPlace, out: Path) -> Self:
        crew = Crew(
            name=f"load-{secrets.token_hex(3)}",
            namespace=place.namespace,
            run=place.run,
            image=settings.image or IMAGE,
            workers=settings.workers,
            at_most_s=place.at_most_s,
            memory_bytes=settings.generator_memory_limit_bytes,
            port=place.port,
        )
        clock = SystemClock()
        book = Logbook(out, clock, crew.workers)
        roll = Roll(place, crew.selector, book, clock)
        return cls(plan, out, place, crew, book, roll, Watchman(place, roll, book, clock), clock)

    def _begin(self) -> None:
        write_plan(self.out / "generator-000001.json", self.plan)
        for manifest in manifests(self.crew, self.plan, sources()):
            self.place.api.apply(manifest)
        self.roll.start()
        Waiting(self.place, self.crew, self.roll, self.book, self.clock).until_begun()
        self.plan = self.plan.model_copy(update={"origin_wall_s": self.book.origin_wall_s(ours=False)})
        self.place.api.patch(self.place.ref("ConfigMap", self.crew.named("plan")), {"data": plan_data(self.plan)})

    @property
    def origin_wall_s(self) -> float | None:
        """When the load began or will begin, seconds since 1970 (UTC), by our clock."""
        return self.book.origin_wall_s(ours=True)

    @property
    def restarts(self) -> Sequence[Restart]:
        """Every worker that was lost so far."""
        return self.watchman.told

    def keep(self) -> Restart | None:
        """See :meth:`tasks.load.status.Load.keep`; raises CredentialsError, too, when the login has ended for good."""
        if self._over():
            return None
        if self.roll.trouble is not None:
            raise self.roll.trouble
        return self.watchman.look()

    def _over(self) -> bool:
        origin_s, length_s = self.origin_wall_s, self.plan.duration_s
        ended = origin_s is not None and length_s is not None and self.clock.wall_s() > origin_s + length_s - END_S
        return self._stopped or ended

    def status(self) -> LoadStatus:
        """What the load is doing, by what was read so far."""
        lives, now = [self.book.current(number) for number in range(self.crew.workers)], self.clock.monotonic_s()
        alive = not self._stopped and all(life is not None and self.watchman.verdict(life, now) == "well" for life in lives)
        finished = self._over() and all(life is not None and life.ended for life in lives)
        return self.book.status(alive=alive, finished=finished, restarts=len(self.restarts))

    def stop(self, grace_s: float = 10.0) -> LoadStatus:
        """
        End the load: ask, wait at most *grace_s* for journeys under way, then kill, and remove its objects. Safe to call twice.

        What cannot be removed is in :attr:`left`, and ends by itself when the time in ``place`` is over.

        Returns:
            The status after the end; ``finished`` is False when a worker had to be killed.
        """
        if not self._stopped:
            self._stopped = True
            for role in ("workers", "master"):
                self._remove("Job", self.crew.named(role))
            if grace_s > 0 and not self._away:
                self._await_last_lines(grace_s)
            for pod in self.roll.pods():
                self._remove("Pod", pod.name, grace_s=0)
            self._remove("Service", self.crew.named("master"))
            self._remove("ConfigMap", self.crew.named("plan"))
            if not self._away:
                self._await_nobody()
            self.roll.stop(0.0 if self._away else GONE_S)
            self.book.write_clocks()
        return self.status()

    def _await_last_lines(self, grace_s: float) -> None:
        for pod in self.roll.pods():
            self._remove("Pod", pod.name)
        until_s = self.clock.monotonic_s() + grace_s
        while self.clock.monotonic_s() < until_s and any(not self._has_spoken(number) for number in range(self.crew.workers)):
            self.clock.sleep(POLL_S)

    def _await_nobody(self) -> None:
        until_s = self.clock.monotonic_s() + GONE_S
        while (pods := self.roll.pods()) and self.clock.monotonic_s() < until_s:
            self.clock.sleep(POLL_S)
        self.left += [f"pod/{pod.name} in {self.crew.namespace}: it does not end" for pod in pods]

    def _has_spoken(self, number: int) -> bool:
        life = self.book.current(number)
        return life is None or life.ended or self.roll.find(life.pod.uid) is None

    def _remove(self, kind: str, name: str, grace_s: float | None = None) -> None:
        ref = self.place.ref(kind, name)
        try:
            if not self._away:
                self.place.api.delete(ref, grace_s=grace_s)
                return
            why = "the API server is away"
        except TidegaugeError as error:
            self._away, why = isinstance(error, Unavailable), error.message
        self.left.append(f"{ref}: {why}")
