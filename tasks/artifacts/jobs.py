"""
A stage as a value, the cache key that says what makes its artifact, and the way from one to the other.

Key = stage, settings used, digests of the inputs, and, for everything computed, the code (fingerprint of the
stage's folder and all it imports) and the versions of the libraries that do the arithmetic. A recording's key
never holds code: a measurement is not undone by a change of the program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.artifacts.fingerprint import fingerprint
from tasks.artifacts.refs import Ref
from tasks.artifacts.store import Artifact, Made, Store
from tasks.artifacts.versions import library_versions
from tasks.base.errors import StorageError
from tasks.base.files import canonical_json, sha256_text
from tasks.base.model import Strict

JobSettings = dict[str, Any]


class Job(Strict):
    """One stage to be made, or found."""

    store: str
    """Root folder of the store."""
    stage: str
    """Shown to people: ``record:training``, ``train:robust_z``, ``evaluate``."""
    kind: str
    """Kind of the artifact."""
    inputs: dict[str, str] = {}
    """References by name."""
    settings: JobSettings = {}
    """Everything of the document that can change the result."""
    modules: dict[str, str] = {}
    """SHA-256 of each module file that computes it; empty for a recording."""
    versions: dict[str, str] = {}
    """Versions of the numeric libraries; empty for a recording."""
    refresh: bool = False
    """Make it anew though an artifact answers to the key."""
    run: str = ""
    """Which run asks; not part of the key."""

    @property
    def key(self) -> str:
        """The cache key, 40 hex digits."""
        names = ("stage", "kind", "inputs", "settings", "modules", "versions")
        return sha256_text(canonical_json({name: getattr(self, name) for name in names}))[:40]

    def ref(self, name: str) -> Ref:
        """The input called *name*."""
        return Ref.parse(self.inputs[name])

    def open_store(self) -> Store:
        """The store this job works in."""
        return Store(Path(self.store))


class Result(Strict):
    """What became of a job."""

    stage: str
    """The job's stage."""
    ref: str
    """Its artifact."""
    outcome: str
    """``ran`` or ``cached``."""
    why: str
    """Why it ran, or why it did not have to."""
    seconds: float
    """How long it took now."""


def computed(places: Iterable[str], **fields: Any) -> Job:
    """A job whose key holds the code in *places* (dotted names) and the library versions."""
    return Job(modules=dict(fingerprint(tuple(places)).modules), versions=dict(library_versions()), **fields)


class Partial(Exception):
    """Raised by a computation that was stopped with something worth keeping in its folder; carries the real cause."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


Compute = Callable[[Job, Store, Path], tuple[str, ...] | None]
Accept = Callable[[Job, Artifact], str | None]


def anything(_: Job, __: Artifact) -> str | None:
    """Accept whatever verifies."""
    return None


def make(job: Job, compute: Compute, accept: Accept = anything) -> Result:
    """
    Find the artifact of *job*, or let *compute* fill a folder and commit it.

    Args:
        job: What is wanted.
        compute: Fills the folder; returns notes on what was dropped, repaired or capped. When it fails the
            half-filled folder goes; when it raises :class:`Partial` what is there is committed first.
        accept: Says why an artifact found must not be reused, or None.

    Raises:
        StorageError: The disk is full, or an input is damaged.
    """
    import shutil

    start = time.monotonic()
    store = job.open_store()
    found, why = look_up(store, job, accept)
    if found is not None:
        return Result(stage=job.stage, ref=str(found), outcome="cached", why=why, seconds=time.monotonic() - start)
    check_inputs(store, job)
    staged = store.stage(job.kind)
    try:
        notes = compute(job, store, staged) or ()
        ref = store.commit(staged, job.kind, made_by(job, notes))
    except Partial as partial:
        store.commit(staged, job.kind, made_by(job, (_first_line(partial),)), answers=not _usable(store, job, accept))
        raise partial.cause from partial.cause.__cause__
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Result(stage=job.stage, ref=str(ref), outcome="ran", why=why, seconds=time.monotonic() - start)


def _usable(store: Store, job: Job, accept: Accept) -> bool:
    """Whether something good answers to the key of *job* already, asked for anew or not."""
    found = store.find(job.kind, job.key)
    return found is not None and accept(job, store.open(found)) is None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def look_up(store: Store, job: Job, accept: Accept = anything) -> tuple[Ref | None, str]:
    """The artifact that can be reused for *job* and why, or None and why it has to run."""
    found = None if job.refresh else store.find(job.kind, job.key)
    if found is None:
        return None, explain(store, job)
    refused = accept(job, store.open(found))
    return (found, reason_cached(store, found)) if refused is None else (None, refused)


def made_by(job: Job, notes: tuple[str, ...] = ()) -> Made:
    """The lineage that *job* puts into a manifest."""
    inputs = {name: Ref.parse(text) for name, text in job.inputs.items()}
    return Made(job.stage, job.key, inputs, job.settings, job.modules, job.versions, notes)


def check_inputs(store: Store, job: Job) -> None:
    """
    Verify every byte of every input.

    Raises:
        StorageError: An input is missing or damaged; nothing is computed from it.
    """
    for name, text in sorted(job.inputs.items()):
        problems = store.problems(Ref.parse(text))
        if problems:
            raise StorageError(
                f"{job.stage} cannot use its input {name}: {problems[0]}", next_step="tidegauge runs verify latest --read-data"
            )


def reason_cached(store: Store, ref: Ref) -> str:
    """Why *ref* could be reused."""
    from tasks.base.clock import iso

    manifest = store.open(ref).manifest
    same = "cluster, app, load, telemetry and seed" if not manifest["modules"] else "settings, inputs, code and library versions"
    return f"same {same} as on {iso(manifest['created_s'])}"


def explain(store: Store, job: Job) -> str:
    """Why *job* has to run: what differs from the newest artifact of the same stage."""
    if job.refresh:
        return "asked for by --refresh"
    newest: Mapping[str, Any] | None = None
    for entry in sorted((store.root / "index" / job.kind).glob("*.json")):
        ref = store.indexed(entry)
        try:
            manifest = None if ref is None else store.open(ref).manifest
        except StorageError:
            manifest = None
        if manifest is None:
            if entry.stem == job.key:
                return "the artifact on disk is missing or damaged"
            continue
        if entry.stem == job.key and manifest["stage"] == job.stage:
            return "the artifact on disk is damaged"
        if manifest["stage"] == job.stage and (newest is None or manifest["created_s"] > newest["created_s"]):
            newest = manifest
    return "never made before" if newest is None else _difference(newest, job)


def _difference(old: Mapping[str, Any], job: Job) -> str:
    changed = []
    for title, was, now in (
        ("settings", old["settings"], job.settings),
        ("inputs", old["made_from"], job.inputs),
        ("code", old["modules"], job.modules),
        ("versions", old["versions"], job.versions),
    ):
        names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if names:
            changed.append(f"{title} changed: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else ""))
    return "; ".join(changed) or "the cache entry was removed"
