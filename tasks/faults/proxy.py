"""
The fault proxy: ``python -m tasks.faults.proxy CONFIG.json``.

One process, one loopback listener a service, always in the path, so that a fault changes a rule and nothing else. The
configuration is one JSON object:

```json
{"socket": "STATE_DIR/proxy.sock", "metrics_port": 40100, "host": "127.0.0.1",
 "services": [{"name": "orders", "port": 40001, "upstream_port": 41001}]}
```

Rules are set over the unix socket (mode 0600), one JSON object a line: ``{"do": "set", "service": S, "rule": {...}}``,
``{"do": "clear", "service": S, "fault": ID or null}``, ``{"do": "status"}``; each is answered by ``{"ok": true, ...}`` or
``{"ok": false, "error": text}``. ``GET /metrics`` on ``metrics_port`` gives the counters by service: witnesses of a fault,
never features. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.faults.relay import Client, Gate
from tasks.faults.rules import Counters, Rule

LOOPBACK = ("127.0.0.1", "::1")
_HELP = {
    "requests": "Requests that arrived.",
    "delayed": "Requests that a rule held back.",
    "errors_injected": "Requests answered with an error in the service's place.",
    "held_seconds": "Seconds that requests were really held, by the clock.",
    "answered_seconds": "Seconds from a request's first byte to its answer's first byte.",
    "upstream_failures": "Requests that the service could not be reached for, or broke off.",
}


def read_gates(config: Mapping[str, Any]) -> dict[str, tuple[Gate, int]]:
    """
    Each service's gate and the port it is served on.

    Raises:
        ValueError: A port or name is missing or given twice, or the host is not a loopback address.
    """
    host = config.get("host", "127.0.0.1")
    if host not in LOOPBACK:
        raise ValueError(f"the proxy listens on loopback only, not on {host!r}")
    gates = {item["name"]: (Gate(item["name"], host, int(item["upstream_port"])), int(item["port"])) for item in config["services"]}
    ports = [port for _, port in gates.values()]
    if len(gates) < len(config["services"]) or len(set(ports)) < len(ports):
        raise ValueError("two services of the proxy share a name or a port")
    return gates


def exposition(gates: Mapping[str, Counters]) -> str:
    """The counters in the Prometheus text format."""
    lines = []
    for key, text in _HELP.items():
        name = f"proxy_{key}_total"
        lines += [f"# HELP {name} {text}", f"# TYPE {name} counter"]
        field = key.replace("_seconds", "_s")
        lines += [f'{name}{{service="{service}"}} {getattr(counters, field)}' for service, counters in sorted(gates.items())]
    lines += ["# HELP proxy_open_connections Client connections open now.", "# TYPE proxy_open_connections gauge"]
    lines += [f'proxy_open_connections{{service="{service}"}} {counters.open}' for service, counters in sorted(gates.items())]
    return "\n".join(lines) + "\n"


def answer(gates: Mapping[str, tuple[Gate, int]], request: Mapping[str, Any]) -> dict[str, Any]:
    """
    Do what one line on the socket asks.

    Raises:
        ValueError: The request is unknown, or names no service of this proxy.
    """
    match request.get("do"):
        case "status":
            return {"ok": True, "pid": os.getpid(), "services": {name: _status(gate, port) for name, (gate, port) in gates.items()}}
        case "set":
            rule = Rule.from_json(request["rule"])
            if not rule.holds(time.monotonic(), time.time()):
                raise ValueError(f"the rule of fault {rule.fault} had ended before it was set")
            _gate(gates, request).rule = rule
        case "clear":
            _gate(gates, request).clear(request.get("fault"))
        case other:
            raise ValueError(f"the proxy does not know {other!r}; it knows set, clear, status")
    return {"ok": True}


def _gate(gates: Mapping[str, tuple[Gate, int]], request: Mapping[str, Any]) -> Gate:
    name = str(request.get("service"))
    if name not in gates:
        raise ValueError(f"no service {name!r} behind this proxy")
    return gates[name][0]


def _status(gate: Gate, port: int) -> dict[str, Any]:
    rule = gate.active()
    return {"port": port, "upstream_port": gate.port, "rule": None if rule is None else rule.to_json(), **asdict(gate.counters)}


async def serve(config: Mapping[str, Any], stop: asyncio.Event) -> None:
    """Listen until *stop* is set; the socket appears only when every listener is there."""
    loop, gates = asyncio.get_running_loop(), read_gates(config)
    host = config.get("host", "127.0.0.1")

    def listener(gate: Gate) -> Any:
        return lambda: Client(gate)

    servers = [await loop.create_server(listener(gate), host, port, backlog=512) for gate, port in gates.values()]

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                reply = answer(gates, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                reply = {"ok": False, "error": str(error)}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def metrics(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _one_page(reader, writer, exposition({name: gate.counters for name, (gate, _) in gates.items()}))

    servers.append(await asyncio.start_server(metrics, host, int(config["metrics_port"])))
    socket = Path(config["socket"])
    socket.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        servers.append(await asyncio.start_unix_server(control, socket))
    finally:
        os.umask(before)
    gc.collect()
    gc.freeze()
    await stop.wait()
    for server in servers:
        server.close()
    socket.unlink(missing_ok=True)


async def _one_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> None:
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        found = head.startswith(b"GET /metrics ")
        body = text.encode() if found else b"only /metrics is here\n"
        status = b"200 OK" if found else b"404 Not Found"
        kind = b"text/plain; version=0.0.4; charset=utf-8"
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, kind, len(body)) + body
        )
        await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def _until_signal(config: Mapping[str, Any]) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await serve(config, stop)


def main(argv: list[str]) -> int:
    """Run the proxy that the configuration file *argv[0]* describes; the exit status."""
    try:
        asyncio.run(_until_signal(json.loads(Path(argv[0]).read_bytes())))
    except (OSError, ValueError, KeyError, IndexError) as error:
        sys.stderr.write(f"fault proxy: {error!r}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
