"""The checks of ``doctor``, and of the start of a run."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.findings import Check, State
from flows.server import choose_server
from tasks.base.errors import TidegaugeError
from tasks.base.files import DISK_FACTOR


def checks(file: Path | None, store: Path) -> list[Check]:
    """Look at the machine, the store, the server that would be used and, when given, the document."""
    found = [python(), processors(), disk(store, 0), open_files(), server(store), shops(store)]
    return found if file is None else [*found, *document(file, store)]


def python() -> Check:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"Python {version}")


def processors() -> Check:
    """Cores this process may use."""
    count = len(os.sched_getaffinity(0))
    if count >= 2:
        return Check("processors", "ok", f"{count} cores")
    return Check("processors", "warn", "one core: shop, load and scraper share it; latencies will be noise", "run on two cores or more")


def disk(store: Path, needed_bytes: int, usage: Callable[[Path], Any] = shutil.disk_usage) -> Check:
    """Free space where the store is, against an estimate times 1.5."""
    place = store
    while not place.exists():
        place = place.parent
    free = usage(place).free
    wanted = needed_bytes * DISK_FACTOR
    text = f"{free / 1e9:.1f} GB free at {place}"
    if free < wanted:
        return Check("disk", "fail", f"{text}; the plan needs {wanted / 1e9:.1f} GB", "free some space, or use --store on another disk")
    if free < 1e9:
        return Check("disk", "warn", text, "free some space")
    return Check("disk", "ok", text)


def open_files() -> Check:
    """The limit of open files."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Check("open files", "ok", f"limit {soft}") if soft >= 1024 else Check("open files", "warn", f"limit {soft}", "ulimit -n 4096")


def server(store: Path) -> Check:
    """Which Prefect server would be used, and whether it answers."""
    choice = choose_server(os.environ, store)
    if choice.url is None:
        return Check("prefect", "ok", choice.why)
    import httpx

    try:
        answer = httpx.get(f"{choice.url.rstrip('/')}/health", timeout=3.0)
    except httpx.HTTPError as error:
        return Check("prefect", "fail", f"{choice.url} ({choice.why}) does not answer: {error}", "start it, or unset PREFECT_API_URL")
    state: State = "ok" if answer.is_success else "fail"
    return Check("prefect", state, f"{choice.url} ({choice.why}) answers {answer.status_code}")


def shops(store: Path) -> Check:
    """Shops that run, and what is left of dead ones."""
    from tasks.recordings.standing import leftovers, standings

    found = standings(store)
    left = [f"{one.name}: {text}" for one in found for text in leftovers(one)]
    if left:
        return Check("leftovers", "warn", f"{len(left)} processes of dead shops run: {left[0]}", "tidegauge down --all")
    return Check("leftovers", "ok", f"{len(found)} shops are up" if found else "nothing is left of earlier runs")


def document(file: Path, store: Path) -> list[Check]:
    """The document itself, and whether the disk has room for its plan."""
    from flows.cluster_checks import cluster_checks
    from flows.document import load_document
    from flows.source_checks import source_checks
    from flows.timeline import timeline
    from flows.trust import at_home, programs

    try:
        loaded = load_document(file)
        made = timeline(loaded, str(file))
        trusted = at_home(file, Path.cwd()) or not programs(loaded)
    except TidegaugeError as error:
        return [Check("document", "fail", error.message, error.next_step or "")]
    text = f"{file} is valid; about {made.eta_s / 60:.0f} minutes and {made.disk_bytes / 1e6:.0f} MB"
    there = cluster_checks(loaded, store, trusted=trusted)
    return [Check("document", "ok", text), disk(store, made.disk_bytes), *there, *source_checks(loaded, made.eta_s)]
