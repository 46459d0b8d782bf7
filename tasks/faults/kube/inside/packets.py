"""
Rules of the packet filter in a container's network, and a queue in which packets wait.

They let go by themselves when this program is killed: rules that drop or refuse carry the time at which the kernel stops to
apply them, and a queue is bypassed once nobody reads it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from tasks.faults.kube.inside.processes import LIBC, called, members

NOBODY = "192.0.2.1"  # an address for documentation (RFC 5737): a rule for it matches nothing
CLONE_NEWNET = 0x40000000
QUEUE = 17


class Rules:
    """Rules of the packet filter in the container's network, known by the mark in their comment."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        inside = members(*order["pod"])
        if not inside:
            raise LookupError("no process of the pod is on this node")
        handle = os.open(f"/proc/{inside[0]}/ns/net", os.O_RDONLY)
        called(LIBC.setns(handle, CLONE_NEWNET), "enter the container's network")
        os.close(handle)

    def begin(self) -> None:
        """Put the rules in."""
        for port in self.order["ports"]:
            self.filter("-I", "INPUT", *rule(self.order, port, time.time() + self.order["seconds"]))

    def turn(self, until_s: float) -> None:
        """The kernel does it: wait."""
        time.sleep(max(0.0, until_s - time.monotonic()))

    def end(self) -> list[str]:
        """Take the rules out; those that are still there."""
        for number, _ in sorted(self.left(), reverse=True):
            self.filter("-D", "INPUT", str(number))
        return [text for _, text in self.left()]

    def left(self) -> list[tuple[int, str]]:
        """Numbers and texts of our rules."""
        listed = [line for line in self.filter("-S", "INPUT").splitlines() if line.startswith("-A")]
        return [(number, line) for number, line in enumerate(listed, start=1) if self.order["mark"] in line.replace('"', " ").split()]

    def filter(self, *arguments: str) -> str:
        """What iptables says."""
        ran = subprocess.run(["iptables", "-w", "5", *arguments], capture_output=True, text=True, check=False)  # noqa: S607
        if ran.returncode != 0:
            raise OSError(f"iptables {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout


def rule(order: dict[str, Any], port: int, until_wall_s: float) -> list[str]:
    """The rule for *port*; the kernel stops to apply it at the whole second after its end, whoever is gone by then."""
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(math.ceil(until_wall_s) + 1))
    found = ["-p", "tcp", "--dport", str(port), *(["-s", NOBODY] if order["placebo"] else [])]
    found += ["-m", "comment", "--comment", order["mark"], "-m", "time", "--datestop", until]
    if order.get("ratio", 1.0) < 1:
        found += ["-m", "statistic", "--mode", "random", "--probability", f"{order['ratio']:.6f}"]
    ends = {
        "hold": ["NFQUEUE", "--queue-num", str(QUEUE), "--queue-bypass"],
        "drop": ["DROP"],
        "reset": ["REJECT", "--reject-with", "tcp-reset"],
    }
    return [*found, "-j", *ends[order["mode"]]]


class Held(Rules):
    """Packets that are held for a while each."""

    def begin(self) -> None:
        """Read the queue first, then fill it."""
        self.delay_s = self.order["delay_ms"] / 1000
        self.waiting: list[tuple[float, int]] = []
        self.queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # netfilter
        self.queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.queue.setsockopt(270, 5, 1)  # netlink: what does not fit is lost in silence
        self.queue.bind((0, 0))
        settings = (struct.pack(">BBH", 1, 0, 0), struct.pack(">IB", 0, 1), struct.pack(">I", 8192))
        for kind, value in enumerate(settings, start=1):  # take the queue; without the packets' contents; so many at most
            self.queue.send(message(2, attribute(kind, value), acknowledge=True))
            for answered, answer in messages(self.queue.recv(65536)):
                if answered == 2 and struct.unpack_from("=i", answer)[0] != 0:
                    code = -struct.unpack_from("=i", answer)[0]
                    raise OSError(code, f"the kernel's packet queue: {os.strerror(code)}")
        super().begin()

    def turn(self, until_s: float) -> None:
        """Take what comes, and let go what has waited long enough."""
        while (now_s := time.monotonic()) < until_s:
            self.let_go(now_s)
            patience_s = min(self.waiting[0][0] if self.waiting else until_s, until_s) - now_s
            if select.select([self.queue], [], [], max(0.0, patience_s))[0]:
                for kind, body in messages(self.queue.recv(1 << 20)):
                    if kind == 3 << 8:
                        heapq.heappush(self.waiting, (time.monotonic() + self.delay_s, packet_id(body)))

    def let_go(self, now_s: float) -> None:
        """Accept every packet whose time has come."""
        while self.waiting and self.waiting[0][0] <= now_s:
            number = heapq.heappop(self.waiting)[1]
            self.queue.send(message(1, attribute(2, struct.pack(">II", 1, number))))

    def end(self) -> list[str]:
        """No more come; those that wait may go."""
        left = super().end()
        self.let_go(math.inf)
        self.queue.close()
        return left


_NUMBERS = itertools.count(1)


def attribute(kind: int, data: bytes) -> bytes:
    """One netlink attribute."""
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def message(kind: int, body: bytes, *, acknowledge: bool = False) -> bytes:
    """A message of that kind to the packet queue."""
    head = struct.pack("=IHHII", 20 + len(body), 3 << 8 | kind, 5 if acknowledge else 1, next(_NUMBERS), 0)
    return head + struct.pack(">BBH", 0, 0, QUEUE) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each message in *data*."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[max(16, (length + 3) & ~3) :]


def packet_id(body: bytes) -> int:
    """The number that the kernel gave to a packet."""
    place = 4
    while place + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, place)
        if kind == 1:
            return int(struct.unpack_from(">I", body, place + 4)[0])
        place += max(4, (length + 3) & ~3)
    raise ValueError("a packet without a number")
