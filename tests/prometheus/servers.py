"""
Real Prometheus servers on loopback, started for a test and never outliving it.

A target is first scraped 5 to 10 s after the server is ready: its discovery and its scrape manager each look at new targets
every 5 s, which no flag shortens. A test that only needs samples pushes them (``history.push``) or lays blocks
(``history.write_blocks``) instead.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from _pytest.mark import ParameterSet

from tasks.base.files import write_json
from tasks.base.process import start_child, stop_group
from tasks.cluster import procfs
from tasks.telemetry.prometheus.batch import Labels
from tests.prometheus.history import NORMAL_NAN, Course

VARIABLE = "TIDEGAUGE_PROMETHEUS3"
READY_S = 60.0
GRACE_S = 20.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Binary:
    """A ``prometheus`` that can be started."""

    path: Path
    version: tuple[int, ...]

    @property
    def text(self) -> str:
        """``2.42.0``."""
        return ".".join(str(part) for part in self.version)


@functools.cache
def binaries() -> tuple[Binary, ...]:
    """The servers found here, oldest first, one a version: on PATH, in ``TIDEGAUGE_PROMETHEUS3``, built by ``make cluster``."""
    found: dict[tuple[int, ...], Binary] = {}
    for path in _candidates():
        version = _version(path)
        if version is not None:
            found.setdefault(version, Binary(path, version))
    return tuple(found[version] for version in sorted(found))


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("prometheus")
    told = (on_path, os.environ.get(VARIABLE))
    yield from (Path(one) for one in told if one)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegauge" / "cluster"
    yield from sorted(path for pattern in ("*/prometheus", "*/bin/prometheus") for path in cache.glob(pattern) if path.is_file())


def _version(path: Path) -> tuple[int, ...] | None:
    """None for what is no Prometheus, or cannot be run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    match = re.match(r"prometheus, version (\d+)\.(\d+)\.(\d+)", done.stdout + done.stderr)
    return tuple(int(part) for part in match.groups()) if match else None


def newest(major: int) -> Binary | None:
    """The newest server of *major* that is here."""
    return next((one for one in reversed(binaries()) if one.version[0] == major), None)


def _parameter(major: int) -> ParameterSet:
    found = newest(major)
    if found is not None:
        return pytest.param(found, id=found.text)
    place = "on PATH" if major == 2 else f"in {VARIABLE} or built by `make cluster`"
    return pytest.param(None, id=f"{major}.x", marks=pytest.mark.skip(reason=f"no Prometheus {major}.x {place}"))


EACH_MAJOR = [_parameter(major) for major in (2, 3)]
"""For ``pytest.mark.parametrize("binary", EACH_MAJOR)``: the newest 2.x and 3.x, skipped where absent."""


def default_binary() -> Binary:
    """The server on PATH, or the oldest of those found; the test is skipped where there is none."""
    if not binaries():
        pytest.skip("there is no Prometheus on PATH")
    on_path = shutil.which("prometheus")
    return next((one for one in binaries() if str(one.path) == on_path), binaries()[0])


@dataclass(frozen=True, slots=True)
class Job:
    """A scrape job; its targets stand in a file of their own, which the server watches."""

    name: str
    targets: Sequence[str] = ()
    """``host:port``; more in :meth:`Prometheus.retarget`."""
    interval_s: float = 1.0
    timeout_s: float | None = None
    """None: as long as the interval."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Added to each target."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the ``scrape_config``, as Prometheus names them."""

    def config(self, file: Path) -> dict[str, Any]:
        """Its ``scrape_config``; the targets are read from *file*."""
        timeout_s = self.interval_s if self.timeout_s is None else self.timeout_s
        return {
            "job_name": self.name,
            "scrape_interval": f"{round(self.interval_s * 1000)}ms",
            "scrape_timeout": f"{round(timeout_s * 1000)}ms",
            "file_sd_configs": [{"files": [str(file)]}],
            **self.more,
        }


class ServerError(Exception):
    """The server did not do what it was started for, or said no; the message has its words."""


class Prometheus:
    """
    A server: started by ``with``, or by :meth:`start`; its data stay when it ends.

    Args:
        folder: Made where it is not there: ``data/`` is the database (blocks may lie there before), ``prometheus.log`` the log.
        jobs: What it scrapes.
        flags: Further flags, such as ``--query.max-samples=1000``.
        config: Further sections of its configuration, such as ``{"global": {"external_labels": {...}}}``.
        binary: Which server; None: the one on PATH, and the test is skipped where there is none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jobs: Sequence[Job] = (),
        flags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        binary: Binary | None = None,
    ) -> None:
        self.folder, self.jobs, self.flags = folder, tuple(jobs), tuple(flags)
        self.binary = binary or default_binary()
        self.config = dict(config or {})
        self.data = folder / "data"
        self.log = folder / "prometheus.log"
        self.port = 0
        """Given by the first start; restarts keep it."""
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process while it runs."""
        if self._child is None:
            raise ServerError("it does not run")
        return self._child.pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        """
        Start it, and wait until it is ready.

        Raises:
            ServerError: It ended, or is not ready within a minute; the message has the end of its log.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self._write_config()
        self.port = self.port or _free_port()
        self._child = start_child(self._argv(), output=self.log, cwd=self.folder, env=_environment())
        try:
            self.wait(self.ready, "ready", within_s=READY_S)
        except ServerError:
            self.stop()
            raise
        return self

    def _argv(self) -> list[str]:
        return [
            str(self.binary.path),
            f"--config.file={self.folder / 'prometheus.json'}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-admin-api",
            "--web.enable-lifecycle",
            "--web.enable-remote-write-receiver",
            *self.flags,
        ]

    def _write_config(self) -> None:
        for job in self.jobs:
            if not self._targets_file(job.name).exists():
                self.retarget(job.name, *job.targets)
        jobs = [job.config(self._targets_file(job.name)) for job in self.jobs]
        write_json(self.folder / "prometheus.json", {**self.config, "scrape_configs": jobs})

    def _targets_file(self, job: str) -> Path:
        return self.folder / f"targets-{job}.json"

    def retarget(self, job: str, *targets: str) -> None:
        """Let *job* scrape *targets* from now on; the running server takes it up within about 10 s."""
        labels = next(one.labels for one in self.jobs if one.name == job)
        write_json(self._targets_file(job), [{"targets": list(targets), "labels": dict(labels)}])

    def stop(self) -> None:
        """End it orderly, by force after a while; nothing happens when it does not run."""
        if self._child is not None:
            stop_group(self._child, grace_s=GRACE_S)
            self._child = None

    def kill9(self) -> None:
        """End it at once, as the kernel would."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._child is not None
        self._child.wait()
        self._child = None

    def restart(self) -> Self:
        """Stop it if it runs, and start it on the same port and data."""
        self.stop()
        return self.start()

    def ready(self) -> bool:
        """Whether it says that it is."""
        try:
            with _OPENER.open(f"{self.url}/-/ready", timeout=2) as reply:
                return int(reply.status) == 200
        except OSError:
            return False

    def wait(self, condition: Callable[[], bool], what: str, *, within_s: float = 30.0) -> None:
        """
        Ask *condition* until it holds.

        Raises:
            ServerError: Not *what* within *within_s*, or the server ended before.
        """
        until_s = time.monotonic() + within_s
        while not condition():
            if self._child is None or self._child.poll() is not None:
                raise ServerError(f"Prometheus ended before it was {what}:\n{self.log_end()}")
            if time.monotonic() > until_s:
                raise ServerError(f"Prometheus was not {what} within {within_s:g} s:\n{self.log_end()}")
            time.sleep(0.05)

    def log_end(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def get(self, path: str, **parameters: str | float) -> bytes:
        """
        The body of ``GET path?parameters``.

        Raises:
            ServerError: Another status than 200; the message has it and the body.
        """
        query = urllib.parse.urlencode(parameters)
        return _asked(urllib.request.Request(f"{self.url}{path}?{query}"))

    def post(self, path: str, **parameters: str) -> bytes:
        """
        The body of a ``POST`` with *parameters* in the address.

        Raises:
            ServerError: See :meth:`get`; a reply of 204 is fine.
        """
        return _asked(urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", method="POST"))

    def api(self, name: str, **parameters: str | float) -> Any:
        """
        The ``data`` of the HTTP API's answer, such as ``api("query", query="up")``.

        Raises:
            ServerError: It said no.
        """
        return json.loads(self.get(f"/api/v1/{name}", **parameters))["data"]

    def value(self, query: str) -> float | None:
        """The value of the first series of an instant *query* now; None where there is none."""
        result = self.api("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def raw(self, selector: str, start_ms: int, end_ms: int) -> dict[Labels, Course]:
        """
        The raw samples from *start_ms* to *end_ms*, both included, as the JSON API tells them; stale markers are not told.

        It asks for a little more, as 2.x closes the range on the left and 3.x does not, and trims here.
        """
        query = f"{selector}[{end_ms - start_ms + 1000}ms]"
        result = self.api("query", query=query, time=f"{end_ms / 1000:.3f}")["result"]
        found = (Course.of(one["metric"], *_columns(one.get("values", []))).between(start_ms, end_ms) for one in result)
        return {course.labels: course for course in found if len(course.time_ms)}

    def delete(self, selector: str) -> None:
        """Delete the series of *selector* by tombstones, as its admin interface does."""
        self.post("/api/v1/admin/tsdb/delete_series", **{"match[]": selector})

    def cpu_s(self) -> float:
        """Processor seconds of all its threads since it was started."""
        found = procfs.stat(self.pid)
        if found is None:
            raise ServerError("it has ended")
        return procfs.own_cpu_s(self.pid, found)

    def tsdb_bytes(self) -> int:
        """Bytes of chunks and indexes of all blocks on disk; what is still in the head does not count."""
        return block_bytes(self.data)


def block_bytes(data: Path) -> int:
    """Bytes of chunks and indexes of all blocks in *data*."""
    blocks = [meta.parent for meta in data.glob("*/meta.json")]
    return sum(path.stat().st_size for block in blocks for path in (block / "index", *block.glob("chunks/*")))


def block_samples(data: Path) -> int:
    """How many samples the blocks in *data* say they hold."""
    return sum(int(json.loads(meta.read_text())["stats"].get("numSamples", 0)) for meta in data.glob("*/meta.json"))


def _columns(values: Sequence[Sequence[Any]]) -> tuple[list[int], list[float]]:
    return [round(stamp * 1000) for stamp, _ in values], [NORMAL_NAN if text == "NaN" else float(text) for _, text in values]


def _asked(request: urllib.request.Request) -> bytes:
    try:
        with _OPENER.open(request, timeout=60) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            raise ServerError(f"status {error.code}: {error.read().decode(errors='replace')[:500]}") from error


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _environment() -> dict[str, str]:
    """This environment without proxies, which would be asked for the targets."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
