"""
The load generator: Locust users that walk the journeys of a plan, and a log with one JSON line for each second.

Run by ``locust --headless -f locustfile.py`` with the plan's path in ``TIDEGAUGE_LOAD_PLAN``; as ``--master`` or ``--worker``
where several generators share the load. What it imports beside Locust needs the standard library alone.
The log's first line says when the load began; every line is written with one system call, so that a kill can tear
only the last one.
"""

import inspect
import json
import math
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, events, task  # isort: skip -- patches the sockets of all that follow
import gevent
from gevent.pool import Group
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment
from locust.event import EventHook
from locust.exception import RescheduleTask, StopUser
from locust.runners import MasterRunner, Runner, WorkerRunner

from tasks.load.journeys.crew import Master, Worker
from tasks.load.raw_log import RawLog
from tasks.load.schedule import Slots, choices_of, next_change, pace_of, share_of
from tasks.load.script import VARIABLE, Journey, Request, read_script
from tasks.load.tally import Tally, result_of
from tasks.load.walk import choose, fill_body, fill_path, learnt

PLAN = read_script(Path(os.environ[VARIABLE]))
CURVE = PLAN.curve
END_S = math.inf if PLAN.duration_s is None else PLAN.offset_s + PLAN.duration_s
PAGE = resource.getpagesize()
LINGER_S = 2.0
"""A worker that was told to end stays this long after its last line: with its pod goes what nobody has read."""


class State:
    """What the users, the shape and the recorder of this process share."""

    def __init__(self) -> None:
        self.log = RawLog(PLAN.raw)
        self.tally = Tally()
        self.slots = Slots()
        self.origin_s: float | None = PLAN.origin_monotonic_s
        self.tick_s = PLAN.offset_s
        self.next_second = 0
        self.cpu = (time.monotonic(), time.process_time())
        self.items: dict[str, tuple[str, ...]] = {}
        self.runner: Runner | None = None
        self.crew: Master | Worker | None = None
        self.number = 0
        self.set_users: Callable[[int], None] | None = None
        self.users_present = 0
        self.closing = False

    def begin(self) -> None:
        """Fix the beginning (the next whole second, unless the plan has one) and log it."""
        wall, monotonic = time.time(), time.monotonic()
        if self.origin_s is None:
            self.origin_s = monotonic + math.ceil(wall) - wall
        self.next_second = round(wall + self.origin_s - monotonic) if self.origin_s > monotonic else int(wall)
        origin_wall_s = wall + self.origin_s - monotonic
        start = {"kind": "start", "time_s": wall, "origin_wall_s": origin_wall_s, "origin_monotonic_s": self.origin_s}
        who = {"pid": os.getpid()} if self.crew is None else {"pid": os.getpid(), "worker": self.number}
        self.log.write({**start, "offset_s": PLAN.offset_s, **who})

    def load_s(self) -> float:
        """Seconds into the users' curve, now."""
        return time.monotonic() - self.origin_s + PLAN.offset_s

    def write_until(self, before: int) -> None:
        """Log every second before *before* that was not logged yet."""
        closed = dict(self.tally.close(before))
        cpu_ratio = self._cpu_ratio()
        for second in range(min(self.next_second, *closed), before) if closed else range(self.next_second, before):
            count = closed.get(second) or Tally().second(second)
            count.late_s = max(count.late_s, time.time() - second - 1.0)
            self.log.write({"kind": "second", "second": second, **self._facts(second, cpu_ratio), **count.to_json()})
        self.next_second = max(self.next_second, before)

    def _facts(self, second: int, cpu_ratio: float) -> dict:
        start_s = second - time.time() + self.load_s()
        first_s, end_s = max(start_s, PLAN.offset_s), min(start_s + 1.0, END_S)
        area = CURVE.integral(end_s) - CURVE.integral(first_s) if end_s > first_s else 0.0
        return {
            "users_planned": round(area / (end_s - first_s), 3) if end_s > first_s else 0.0,
            "users_present": self.users_present,
            "journeys_planned": round(area * PLAN.rate_per_user_per_s, 3),
            "cpu_ratio": round(cpu_ratio, 4),
            "rss_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        }

    def _cpu_ratio(self) -> float:
        now = (time.monotonic(), time.process_time())
        passed, used = now[0] - self.cpu[0], now[1] - self.cpu[1]
        self.cpu = now
        return used / passed if passed > 0 else 0.0


STATE = State()
REQUESTS = EventHook()


@REQUESTS.add_listener
def record(response_time: float, response: FastResponse, context: dict, **_: object) -> None:
    """Count a request that has ended."""
    result = result_of(response.status_code or 0, context["declined"])
    STATE.tally.request(int(time.time()), context["endpoint"], result, own_s=response_time / 1000, lag_s=context["lag_s"])


class Planned(LoadTestShape):
    """
    As many users as planned, changed on whole seconds after the beginning (a restart: at once).

    Locust asks about once a second, at moments that drift. This shape keeps its own time instead, and answers only at the end.
    """

    def tick(self) -> None:
        """Change the users on each whole second to the plan's value in its middle; return when the load is over."""
        if isinstance(STATE.crew, Master):
            return STATE.crew.conduct()
        moment_s, users = max(PLAN.offset_s, STATE.load_s()), -1
        while moment_s < END_S and not STATE.closing:
            gevent.sleep(max(0.0, moment_s - STATE.load_s()))
            STATE.tick_s = moment_s
            wanted = share_of(math.floor(CURVE.at(moment_s + 0.5) + 0.5), STATE.number, PLAN.workers)
            if wanted != users or STATE.runner.user_count < wanted:  # users who were leaving when more were wanted are replaced
                STATE.set_users(wanted)
            users = wanted
            moment_s = next_change(moment_s, STATE.load_s(), PLAN.offset_s)
        return gevent.sleep(max(0.0, min(END_S, moment_s) - STATE.load_s()))


class HighestFirst(Group):
    """The users' greenlets; those in the highest slots are the first to leave, so that the rest stay spread evenly."""

    def __iter__(self) -> Iterator[gevent.Greenlet]:
        return iter(sorted(self.greenlets, key=lambda found: found.args[0].slot if found.args else -1, reverse=True))


class Visitor(FastHttpUser):
    """A user of the application: sets out on a journey at fixed times."""

    host = PLAN.host
    network_timeout = PLAN.timeout_s
    connection_timeout = PLAN.timeout_s
    concurrency = 1
    slot = -1

    def on_start(self) -> None:
        """Take a slot; its first journey is the first one due since the last change of users."""
        self.client.request_event = REQUESTS  # not Locust's own: its statistics grow with every second of a long run
        self.slot = STATE.number + PLAN.workers * STATE.slots.take()
        self.pace = pace_of(self.slot, PLAN.rate_per_user_per_s, PLAN.seed)
        self.turn = self.pace.first(STATE.tick_s)
        self.free_s = STATE.load_s()
        self.waited = False
        self.account = PLAN.accounts[self.slot % len(PLAN.accounts)] if PLAN.accounts else None

    def on_stop(self) -> None:
        """Give the slot back."""
        STATE.slots.give_back(self.slot // PLAN.workers)

    def wait_time(self) -> float:
        """Until the next intended start."""
        return max(0.0, self.pace.start_s(self.turn) - STATE.load_s())

    @task
    def visit(self) -> None:
        """Walk one journey."""
        if not self.waited:
            self.waited = True
            raise RescheduleTask
        started_s, due_s = STATE.load_s(), self.pace.start_s(self.turn)
        lag_s = max(0.0, started_s - due_s)
        late_s = max(0.0, started_s - max(due_s, self.free_s))
        if STATE.closing or due_s >= END_S:
            raise StopUser
        rng = choices_of(self.slot, self.turn, PLAN.seed)
        self.turn = self.pace.following(self.turn, started_s)
        STATE.tally.started(int(time.time()), lag_s=lag_s, late_s=late_s)
        if self.walk(choose(PLAN.journeys, rng), rng, lag_s):
            STATE.tally.completed(int(time.time()))
        self.free_s = STATE.load_s()

    def walk(self, journey: Journey, rng: random.Random, lag_s: float) -> bool:
        """Send all requests of *journey*; False when one needs a value that no reply has ever given."""
        values: dict[str, str] = {}
        for request in journey.requests:
            if request.pause_s is not None:
                gevent.sleep(request.pause_s)
            try:
                response = self.send(request, values, lag_s)
            except KeyError:
                return False
            if request.learn is not None:
                known = learnt(reply_of(response), request.learn.field) or STATE.items.get(request.endpoint)
                if known:
                    STATE.items[request.endpoint] = known
                    values[request.learn.name] = rng.choice(known)
        return True

    def send(self, request: Request, values: dict[str, str], lag_s: float) -> FastResponse:
        """Send one request."""
        return self.client.request(
            request.method,
            fill_path(request, values),
            name=request.endpoint,
            json=fill_body(request, values),
            auth=(self.account.user, self.account.password) if request.login else None,
            allow_redirects=False,
            context={"endpoint": request.endpoint, "declined": request.declined, "lag_s": lag_s},
        )


def reply_of(response: FastResponse) -> object:
    """The JSON value of a good *response*; None when it failed or is not JSON."""
    try:
        return json.loads(response.content) if response.content and response.status_code < 400 else None
    except ValueError:
        return None


@events.init.add_listener
def begin(environment: Environment, runner: Runner, **_: object) -> None:
    """Start the recorder and the way to stop."""
    environment.stop_timeout = PLAN.stop_grace_s
    environment.process_exit_code = 0
    environment.stats.use_response_times_cache = environment.stats.total.use_response_times_cache = False
    runner.user_greenlets = HighestFirst()
    STATE.runner = runner
    inspect.stack()  # Locust does so when it stops; the first time holds everybody up for a tenth of a second
    if isinstance(runner, MasterRunner):
        STATE.crew = Master(runner, PLAN)
    elif isinstance(runner, WorkerRunner):
        STATE.crew = Worker(runner, PLAN, lambda: STATE.log.write({"kind": "ready"}), begin_share)
        STATE.number, STATE.set_users = STATE.crew.number, STATE.crew.set_users
    else:
        STATE.set_users = lambda users: runner.start(users, spawn_rate=max(1.0, CURVE.peak))
        gevent.signal_handler(signal.SIGTERM, close, runner)
        begin_log()


def begin_log() -> None:
    """Say when the load begins, and keep the log from then on."""
    STATE.begin()
    gevent.spawn(keep_log)


def begin_share(origin_s: float) -> None:
    """Begin a worker's part of the load at *origin_s*."""
    STATE.origin_s = origin_s
    begin_log()
    gevent.spawn(walk_share)


def walk_share() -> None:
    """A worker's part, to its end: a worker of Locust has no shape of its own."""
    Planned().tick()
    if not STATE.closing:
        STATE.runner.environment.process_exit_code = 0
        STATE.runner.quit()


def close(runner: Runner) -> None:
    """Nobody sets out any more; journeys under way may end."""
    STATE.closing = True
    runner.quit()


def keep_log() -> None:
    """Count the users in the middle of each second, and log it just after it has passed."""
    while not STATE.log.ended:
        gevent.sleep(max(0.0, math.floor(time.time()) + 0.5 - time.time()))
        STATE.users_present = STATE.runner.user_count
        gevent.sleep(math.floor(time.time()) + 1.02 - time.time())
        STATE.write_until(int(time.time()))


@events.quitting.add_listener
def end(**_: object) -> None:
    """Log what is left; the second under way too when something happened in it."""
    if STATE.origin_s is None:
        return
    if STATE.crew is not None:  # Locust ends a worker without waiting for its users
        STATE.closing = True
        STATE.runner.stop()
    now = int(time.time())
    STATE.write_until(now + 1 if now in STATE.tally.open else now)
    STATE.log.end()
    if STATE.runner.environment.process_exit_code:
        gevent.sleep(LINGER_S)
