"""Free loopback ports."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterable
from pathlib import Path

from tasks.base.errors import PreflightError

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 10_240, 65_535


def allocate_ports(names: Iterable[str]) -> dict[str, int]:
    """
    A free loopback port for each of *names*, all different.

    They lie outside the range that the kernel takes outgoing connections from, so that nothing of the sort can take the
    port of a process while it is being restarted.

    Raises:
        PreflightError: There are not enough.
    """
    wanted = list(dict.fromkeys(names))
    candidates = _outside_ephemeral()
    random.SystemRandom().shuffle(candidates)
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in candidates:
            if len(ports) == len(wanted):
                break
            stream = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            if _bind(stream, port):
                ports.append(port)
    if len(ports) < len(wanted):
        raise PreflightError(f"this machine has no {len(wanted)} free loopback ports", next_step="end what uses them, then run this again")
    return dict(zip(wanted, ports, strict=True))


def require_free(ports: Iterable[tuple[str, int]]) -> None:
    """
    Make sure that each (name, port) can be listened on.

    Raises:
        PreflightError: One is taken, or asked for twice; says by whom.
    """
    given: dict[int, str] = {}
    for name, port in ports:
        if port in given:
            raise PreflightError(f"{given[port]} and {name} both want port {port}", next_step=f"give {name} another port")
        given[port] = name
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended do not count
            if not _bind(stream, port):
                holder = holder_of(port)
                raise PreflightError(
                    f"port {port} of {name} is taken" + (f" by {holder}" if holder else ""),
                    next_step="end that program or choose another port; what an earlier run left: tidegauge down",
                )


def holder_of(port: int) -> str | None:
    """The process that listens on *port*, for people; None when the system does not tell."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid is not None:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    return None


def answers(port: int, path: str | None, timeout_s: float) -> bool:
    """Whether something listens on loopback *port* and, with *path*, answers ``GET`` of it by status 200."""
    try:
        with socket.create_connection((HOST, port), timeout_s) as stream:
            if path is None:
                return True
            stream.settimeout(timeout_s)
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
            return stream.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def _bind(stream: socket.socket, port: int) -> bool:
    try:
        stream.bind((HOST, port))
    except OSError:
        return False
    return True


def _outside_ephemeral() -> list[int]:
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999
    outside = [port for port in range(_LOWEST, _HIGHEST + 1) if not low <= port <= high]
    return outside if len(outside) > 1000 else list(range(_LOWEST, _HIGHEST + 1))
