"""
A small real web server for the load to hit: ``python target.py PORT_FILE``, or :func:`running` from a test.

It answers the Sock Shop's nine requests and counts what it answered. ``GET /-/counts`` tells the counts,
``GET /-/freeze?s=2`` stops the whole server for two seconds, ``GET /-/status?code=500`` makes every answer that code
(0: as usual again). Control requests are not counted.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COUNTS: Counter = Counter()
LOGINS: Counter = Counter()
ITEMS = [{"id": f"item-{number}", "price": 99.99 if number == 0 else 10.0} for number in range(10)]
FORCED = {"code": 0}
STATUS = {"POST /cart": 201, "DELETE /cart": 202, "POST /orders": 201}


def answer(method: str, target: str, headers: dict, body: bytes) -> tuple[int, bytes, str]:
    """Status, body and cookie of one request."""
    url = urlsplit(target)
    query = {key: value[0] for key, value in parse_qs(url.query).items()}
    if url.path.startswith("/-/"):
        return 200, json.dumps(control(url.path[3:], query)).encode(), ""
    endpoint = f"{method} {url.path}"
    COUNTS[endpoint] += 1
    if FORCED["code"]:
        return FORCED["code"], b"{}", ""
    if endpoint == "GET /catalogue":
        return 200, json.dumps(ITEMS).encode(), ""
    if endpoint == "GET /login":
        LOGINS[headers.get("authorization", "none")] += 1
        return 200, b"{}", f"id={COUNTS[endpoint]}"
    if endpoint == "POST /cart":
        COUNTS["item " + json.loads(body)["id"]] += 1
    if endpoint == "POST /orders" and "id=" not in headers.get("cookie", ""):
        return 401, b"{}", ""
    if endpoint == "POST /orders" and COUNTS[endpoint] % 10 == 0:
        return 406, b"{}", ""
    return STATUS.get(endpoint, 200), b"{}", ""


def control(name: str, query: dict) -> dict:
    """What a test asks for."""
    if name == "freeze":
        time.sleep(float(query["s"]))
    elif name == "status":
        FORCED["code"] = int(query["code"])
    return {"counts": COUNTS, "logins": LOGINS}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, reply, cookie = answer(method, target, headers, body)
            extra = f"Set-Cookie: {cookie}\r\n" if cookie else ""
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(reply)}\r\n{extra}\r\n".encode() + reply
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Listen on a free loopback port, and say which."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    path = Path(sys.argv[1])
    path.with_suffix(".tmp").write_text(str(server.sockets[0].getsockname()[1]))
    path.with_suffix(".tmp").rename(path)
    await server.serve_forever()


@dataclass(frozen=True)
class Target:
    """The running server, seen from a test."""

    host: str
    process: subprocess.Popen

    def ask(self, what: str) -> dict:
        """A control request."""
        with urllib.request.urlopen(f"{self.host}/-/{what}", timeout=30) as reply:
            return json.load(reply)

    def answered(self) -> dict[str, int]:
        """How many requests it answered, by method and path."""
        return {name: count for name, count in self.ask("counts")["counts"].items() if not name.startswith("item ")}


@contextmanager
def running(folder: Path) -> Iterator[Target]:
    """The server in a process of its own, until the end of the block."""
    port_file = folder / "port"
    process = subprocess.Popen([sys.executable, __file__, str(port_file)])
    try:
        deadline = time.monotonic() + 20
        while not port_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield Target(f"http://127.0.0.1:{port_file.read_text()}", process)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(main())
