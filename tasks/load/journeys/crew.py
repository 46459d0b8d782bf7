"""
Several generators as one load: a Locust master that lets all workers begin together, and workers that each take their share.

Who does what follows from the plan and the number of a worker, never from messages: worker k of N has the users k, k + N, k + 2 N
and so on. Users and their phases are those of one generator, and the loss of a worker takes its own users away, nobody else's.
The master gives the beginning, as seconds from now, so that clocks need not agree; after that workers go on without it. It
keeps nothing that could be lost: a new master asks the workers how old the load is.
"""

import math
import os
import secrets
import signal
import time
from collections.abc import Callable

import gevent
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerNode, WorkerRunner

from tasks.load.script import Script

ASK, BEGIN, HOW_OLD, AGE = (f"tidegauge-{word}" for word in ("ask", "begin", "how-old", "age"))
AHEAD_S = 1.0
"""From the moment at which all workers are there to the beginning, at least."""
ASK_S = 0.5
FRESH_S = 3.0
"""A worker that asked this long ago is there."""
AFTER_S = 5.0
"""How long the master outlives the load, for stragglers."""
NUMBER = "JOB_COMPLETION_INDEX"
"""Environment variable with a worker's number, as an indexed Job gives it."""
TOLD_TO_END = 128 + signal.SIGTERM
"""Exit code before the load is over: whoever started the process shall start it again."""


class Master:
    """Waits for the workers, and tells each when the load begins or began."""

    def __init__(self, runner: MasterRunner, script: Script) -> None:
        self.runner, self.script = runner, script
        self.origin_s: float | None = None
        """``time.monotonic()`` at the beginning."""
        if script.origin_wall_s is not None:
            self.origin_s = time.monotonic() + script.origin_wall_s - time.time()
        self.nonce = secrets.token_hex(8)
        self.asked: dict[int, float] = {}
        runner.register_message(ASK, self.answer)
        runner.register_message(AGE, self.adopt)
        runner.environment.parsed_options.expect_workers = 0  # Locust would wait for idle ones, which a new master never sees
        runner.environment.events.quitting.add_listener(self.leave)
        gevent.signal_handler(signal.SIGTERM, os._exit, TOLD_TO_END)  # workers are told by whoever ends the load

    def answer(self, msg: Message, **_: object) -> None:
        """Take note of a worker; tell it the beginning, or be told."""
        now = time.monotonic()
        if msg.node_id not in self.runner.clients:
            self.runner.clients[msg.node_id] = WorkerNode(msg.node_id)  # it came before this master did
        if msg.data["begun"]:
            self.runner.send_message(HOW_OLD, {"nonce": self.nonce}, client_id=msg.node_id)
            return
        self.asked[msg.data["worker"]] = now
        if self.origin_s is None and sum(now - asked < FRESH_S for asked in self.asked.values()) == self.script.workers:
            wall = time.time() + AHEAD_S
            self.origin_s = now + AHEAD_S + math.ceil(wall) - wall
        if self.origin_s is not None:
            self.runner.send_message(BEGIN, {"in_s": self.origin_s - now}, client_id=msg.node_id)

    def adopt(self, msg: Message, **_: object) -> None:
        """Take the beginning from a worker; an answer to an earlier master may have waited too long to be true."""
        if msg.data["nonce"] == self.nonce:
            self.origin_s = time.monotonic() - msg.data["age_s"]

    def conduct(self) -> None:
        """Return when the load is over, stragglers included."""
        while not self.over(AFTER_S):
            gevent.sleep(ASK_S)

    def over(self, after_s: float = 0.0) -> bool:
        """Whether the load ended *after_s* seconds ago, or earlier."""
        if self.origin_s is None or self.script.duration_s is None:
            return False
        return time.monotonic() - self.origin_s >= self.script.duration_s + after_s

    def leave(self, environment: Environment, **_: object) -> None:
        """Say by the exit code whether another master is needed: Locust ends this one when the last worker has gone."""
        environment.process_exit_code = 0 if self.over() else TOLD_TO_END


class Worker:
    """Asks for the beginning, then sets its own users."""

    def __init__(self, runner: WorkerRunner, script: Script, ready: Callable[[], None], begin: Callable[[float], None]) -> None:
        self.runner = runner
        self.number = int(os.environ[NUMBER])
        if not 0 <= self.number < script.workers:
            raise SystemExit(f"{NUMBER} is {self.number}: there are {script.workers} workers")
        self.ready, self.begin = ready, begin
        self.origin_s: float | None = None
        runners.MASTER_HEARTBEAT_TIMEOUT = math.inf  # the plan says what to do, whether the master is there or not
        runner.environment.process_exit_code = TOLD_TO_END
        runner.register_message(BEGIN, self.told)
        runner.register_message(HOW_OLD, self.tell)
        gevent.spawn(self.ask)

    def ask(self) -> None:
        """Show the master that this worker is there."""
        while True:
            if self.origin_s is None:
                self.ready()
            self.send(ASK, {"worker": self.number, "begun": self.origin_s is not None})
            gevent.sleep(ASK_S)

    def told(self, msg: Message, **_: object) -> None:
        """Begin, once."""
        if self.origin_s is None:
            self.origin_s = time.monotonic() + msg.data["in_s"]
            self.begin(self.origin_s)

    def tell(self, msg: Message, **_: object) -> None:
        """How old the load is."""
        if self.origin_s is not None:
            self.send(AGE, {**msg.data, "age_s": time.monotonic() - self.origin_s})

    def send(self, kind: str, data: dict) -> None:
        """Send it, or not: a master that is away is asked again."""
        try:
            self.runner.client.send(Message(kind, data, self.runner.client_id))
        except RPCError:
            return

    def set_users(self, wanted: int) -> None:
        """Have *wanted* users: come at once, leave after their journeys."""
        if self.runner.spawning_greenlet:
            self.runner.spawning_greenlet.kill(block=True)
        counts = {one.__name__: wanted for one in self.runner.user_classes}
        self.runner.spawning_greenlet = self.runner.greenlet.spawn(self.runner.start_worker, counts)
