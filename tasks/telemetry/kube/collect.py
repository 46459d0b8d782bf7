"""
The collector in a cluster: ``python -m tasks.telemetry.kube.collect CONFIG.json``.

Through the API server alone: pods' own metrics pages by its pod proxy, the kubelets' pages by its node proxy, and how pods and
workloads are by watches, which also keep the targets current. Otherwise it is as ``tasks.telemetry.collect``;
``kubernetes.jsonl`` in the folder says beside the samples which pod was which replica, and what happened.

A pod that does not answer is ``up 0``. When it is the API server that does not answer, nobody could look: nothing is written, and
that is a gap. Exit codes: those of ``tasks.telemetry.collect``, and 3 not allowed, 4 not let in.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Set
from functools import partial
from typing import Any

from tasks.base.clock import Clock, SystemClock
from tasks.telemetry.exposition import Exposed
from tasks.telemetry.kube.api import ApiServer
from tasks.telemetry.kube.following import Follower
from tasks.telemetry.kube.journal import Journal
from tasks.telemetry.kube.places import API, STATE, Places, service_of
from tasks.telemetry.kube.plan import KubeletPlan
from tasks.telemetry.kube.pods import PodView
from tasks.telemetry.kube.refusals import NotLetIn, Trouble
from tasks.telemetry.kube.rounds import Round, RoundCounts, Rounds, late_text
from tasks.telemetry.kube.workloads import KINDS
from tasks.telemetry.kube.world import World, observed_event, observed_pod, observed_workload, resumed
from tasks.telemetry.rounds import Collecting, served
from tasks.telemetry.scrape import Scrape, TargetScraper, Tick
from tasks.telemetry.series import Role

SETTLE_S = 0.05
"""Changes come in bursts; who sits where is decided after one."""
ANSWER_S = 1.0
"""How long the API server has to show that it is not to blame."""
MANY = 3
"""So many who are silent at once are not silent by themselves."""
NODES_PROXY = "to get nodes/proxy, by which the kubelets are asked (telemetry.sources[0].containers: none does without),"


class KubeletProcess(Collecting):
    """Scrapes whoever is there at each tick."""

    def __init__(self, plan: KubeletPlan, clock: Clock) -> None:
        super().__init__(plan.out, plan.interval_s, plan.flush_s, clock)
        self.plan = plan
        self.server = ApiServer(plan.access, plan.body_limit_bytes)
        self.world = World(Journal(plan.out), clock, plan.begin_s, self._settle_soon)
        self.world.resume(resumed(plan.out))
        self.places = Places(plan, self.server, self.world, self.writer.table, clock)
        self.places.resume(plan.out, self.writer.chunk)
        self.followers = self._followers()
        self.rounds = RoundCounts.resumed(plan.out, plan.interval_s)
        self._rounds = Rounds(clock, plan.timeout_s, plan.interval_s)
        self._kept: int | None = None
        """Rounds in succession that were over in time since one was not; None: all were."""
        self._unheard: dict[str, Role] = {}
        """By name of the target."""
        self._settling: asyncio.TimerHandle | None = None
        self._unknown = 0
        self._scraped_nodes = False

    def open(self) -> None:
        """Begin to follow the cluster."""
        for follower in self.followers.values():
            self.start(follower.run())

    def begin(self, tick: Tick) -> None:
        """Scrape every seat's pod, and now and then every node."""
        self.start(self._tick(tick))

    def close(self) -> None:
        """Drop the kept connections."""
        self.server.close()

    def facts(self) -> dict[str, Any]:
        """What came through the API server."""
        return {
            "kubelet": {
                "containers": self.plan.containers,
                "interval_s": self.plan.interval_s,
                "kubelet_interval_s": self.plan.kubelet_interval_s,
                "requests": self.server.requests,
                "received_bytes": self.server.received_bytes,
                "repeated": self.places.repeated,
                "unknown_ticks": self._unknown,
                "rounds": None if self.plan.watch_alone else self.rounds.to_json(),
                "not_allowed": [name for name, one in self.followers.items() if one.refused is not None],
            }
        }

    def _followers(self) -> dict[str, Follower[Any]]:
        core, world = f"/api/v1/namespaces/{self.plan.namespace}", self.world
        made: Callable[..., Follower[Any]] = partial(Follower, self.server, clock=self.clock)
        found = {
            "pods": made(f"{core}/pods", self.plan.selector, view=observed_pod, listed=world.pods_listed, changed=world.pod_changed),
            "events": made(f"{core}/events", "", view=observed_event, listed=world.events_listed, changed=world.event_changed),
        }
        for kind, resource in KINDS.items():
            path, view = f"/apis/apps/v1/namespaces/{self.plan.namespace}/{resource}", partial(observed_workload, kind)
            found[resource] = made(path, "", view=view, listed=partial(world.workloads_listed, kind), changed=world.workload_changed)
        return found

    def _settle_soon(self) -> None:
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if all(one.seen or one.refused is not None for name, one in self.followers.items() if name != "events"):
            self.world.settle()  # not before it is known how many replicas are wanted
        else:
            self._settle_soon()

    async def _tick(self, tick: Tick) -> None:
        if (refused := self.followers["pods"].refused) is not None:
            raise refused.refusal(f"to list pods in {self.plan.namespace}")
        holders = self.world.seating.holders()
        scrapers = self.places.pods(holders)
        if tick.number % self.plan.kubelet_ticks == 0:
            scrapers += self.places.nodes(holders)
        made = await self._rounds.all(tick, scrapers, self._scrape)
        found = made.scrapes
        sure = [one for one in found if not one.doubtful]
        answered = await self._answered(len(made.asked), len(sure))
        self._say_trouble(tick, answered)
        for scrape in found if answered else sure:
            self.take(scrape)
        if answered:
            self._tell_round(tick, made)
            self._tell_gone(tick, {one.target.name for one in scrapers})
            self._tell_state(tick, holders)
        else:
            self._unknown += 1

    async def _answered(self, asked: int, sure: int) -> bool:
        """
        Whether the API server is not to blame for those who did not answer.

        Where nobody did, of many, it is: that all pods hang at the same moment is the less likely of the two.
        """
        if sure == asked > 0:
            return True
        if sure == 0 and asked >= MANY:
            self.server.trouble = self.server.trouble or Trouble(f"nobody of {asked} answered by way of it", "silent")
            return False
        return await self.server.answers(min(ANSWER_S, self.plan.timeout_s))

    async def _scrape(self, scraper: TargetScraper, tick: Tick) -> Scrape | Trouble | None:
        """What came, or why nobody could ask; but a node's page that was never allowed would be missing from the whole recording."""
        node = scraper.target.role == "node"
        try:
            scrape = await scraper.scrape(tick, self.plan.timeout_s, stall_s=self.plan.interval_s / 2)
        except Trouble as error:
            if node and isinstance(error, NotLetIn) and not self._scraped_nodes:
                raise error.refusal(NODES_PROXY) from error
            return error
        self._scraped_nodes |= node
        if scrape is None:
            self.counts.discarded += 1
        return scrape

    def _tell_round(self, tick: Tick, made: Round) -> None:
        """Count it, and note when rounds become longer than the interval, and when single targets cannot be asked."""
        at_s = tick.wall_ms / 1000
        if made.targets:
            self.rounds.add(made)
        if made.left_out and self._kept is None:
            self.event("rounds_late", since_s=at_s, word="late", error=late_text(made, self.plan.interval_s))
        if made.left_out:
            self._kept = 0
        elif self._kept is not None:
            self._kept += 1
            if self._kept > self.plan.kubelet_ticks:  # those without the nodes are shorter
                self._kept = None
                self.event("rounds_kept", since_s=at_s)
        for name, (scraper, one) in made.asked.items():
            if isinstance(one, Trouble) and name not in self._unheard:
                self._unheard[name] = scraper.target.role
                self.event("target_unheard", since_s=at_s, target=name, service=service_of(scraper.target), word=one.word, error=str(one))
            elif isinstance(one, Scrape) and name in self._unheard:
                del self._unheard[name]
                self.event("target_heard", since_s=at_s, target=name)

    def _tell_gone(self, tick: Tick, there: Set[str]) -> None:
        """Whoever is not to be asked any more explains no later gap; nodes are not *there* at most ticks, and not gone."""
        nodes = tick.number % self.plan.kubelet_ticks == 0
        for name in [name for name, role in self._unheard.items() if name not in there and (nodes or role != "node")]:
            del self._unheard[name]
            self.event("target_gone", since_s=tick.wall_ms / 1000, target=name)

    def _tell_state(self, tick: Tick, holders: dict[tuple[str, int], PodView]) -> None:
        """How pods and workloads are, if that is known; and ``up 0`` of those who are not there to be asked."""
        if not self.followers["pods"].fresh(self.clock.monotonic_s()):
            return
        for one in self.places.absent(holders):
            why = "no pod runs in this place" if one.missed else None
            self.take(Scrape(one.target, tick.wall_ms, 0.0, Exposed([one.number], [0.0]), why))
        numbers, values = self.places.state(holders)
        self.take(Scrape(STATE, tick.wall_ms, 0.0, Exposed(numbers, values), None))

    def _say_trouble(self, tick: Tick, answered: bool) -> None:
        at_s = tick.wall_ms / 1000
        if answered:
            if self.counts.errors.pop(API, None) is not None:
                self.event("api_up", since_s=at_s)
                for follower in self.followers.values():
                    follower.hurry()
            return
        why = self.server.trouble or Trouble("no answer")
        if API not in self.counts.errors:
            self.event("api_down", since_s=at_s, word=why.word, error=str(why))
        self.counts.errors[API] = str(why)


def main(arguments: list[str]) -> int:
    """Run the collector; its exit code."""
    return served(arguments, lambda path: KubeletProcess(KubeletPlan.read(path), SystemClock()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
