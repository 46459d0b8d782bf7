"""
Delay or lose packets of the network namespace it runs in, from user space: for kernels without ``netem``.

Packets come through a netfilter queue, such as that of ``iptables -I INPUT -p tcp --dport 80 -j NFQUEUE --queue-num 5
--queue-bypass``; with ``--queue-bypass`` they flow again as soon as this program has ended.
"""

from __future__ import annotations

import argparse
import heapq
import random
import select
import time
from itertools import count
from typing import Any

from netfilterqueue import NetfilterQueue  # type: ignore[import-not-found] # it is in the image alone


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--queue", type=int, required=True, help="number of the netfilter queue")
    made.add_argument("--delay-ms", type=float, default=0.0, help="how long each packet is held")
    made.add_argument("--jitter-ms", type=float, default=0.0, help="up to this much more or less")
    made.add_argument("--loss-ratio", type=float, default=0.0, help="share of packets that are dropped")
    made.add_argument("--seconds", type=float, default=60.0, help="end after this time")
    return made


def main() -> None:
    """Hold packets until the time is over; those still held are let go."""
    wanted = parser().parse_args()
    held: list[tuple[float, int, Any]] = []
    numbers = count()

    def take(packet: Any) -> None:
        if random.random() < wanted.loss_ratio:
            packet.drop()
            return
        hold_ms = max(0.0, wanted.delay_ms + random.uniform(-wanted.jitter_ms, wanted.jitter_ms))
        packet.retain()
        heapq.heappush(held, (time.monotonic() + hold_ms / 1000, next(numbers), packet))

    queue = NetfilterQueue()
    queue.bind(wanted.queue, take, max_len=8192)
    end_s = time.monotonic() + wanted.seconds
    while (now_s := time.monotonic()) < end_s:
        while held and held[0][0] <= now_s:
            heapq.heappop(held)[2].accept()
        patience_s = min(held[0][0] if held else end_s, end_s) - now_s
        if select.select([queue.get_fd()], [], [], patience_s)[0]:
            queue.run(block=False)
    for _, _, packet in held:
        packet.accept()
    queue.unbind()


if __name__ == "__main__":
    main()
