"""Imported recordings of a store: which there are, and which of them somebody means."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tasks.artifacts.refs import RUN_ID, Ref
from tasks.artifacts.runs import EVALUATED, Runs
from tasks.artifacts.store import Store
from tasks.base.clock import from_iso, iso
from tasks.base.errors import DocumentError, StorageError
from tasks.base.files import read_json
from tasks.base.intervals import Interval
from tasks.base.trials import Trial

ROLES = ("training", "calibration", "faults", "hold-out")
LISTED = 12
"""Imports that a message names."""
_DIGEST = re.compile(r"(?:recording/)?([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Import:
    """An imported recording, and what it is used for."""

    ref: Ref
    name: str
    role: str
    span: Interval
    interval_s: float | None
    """Usual distance of two scrapes of a target; None where nothing in it tells."""
    status: str
    gaps: int
    server: str
    """Address of the server that it came from."""
    trials: tuple[Trial, ...]
    run: str = ""
    """The newest run that imported it; empty where it was named by its reference."""

    @classmethod
    def read(cls, store: Store, ref: Ref, run: str = "") -> "Import":
        """
        What the recording *ref* says of itself.

        Raises:
            StorageError: It is not there, or not what was written.
            DocumentError: It was recorded here, not imported.
        """
        artifact = store.open(ref)
        facts: Mapping[str, Any] = read_json(artifact.file("recording.json"))
        if "imported" not in facts:
            raise DocumentError(f"{ref} was not imported", next_step="tidegauge evaluate --run RUN scores what a run recorded")
        return cls(
            ref=ref,
            name=facts["name"],
            role=facts["role"],
            span=Interval(from_iso(facts["start"]), from_iso(facts["end"])),
            interval_s=facts["interval_s"],
            status=facts["status"],
            gaps=facts["gaps"],
            server=facts["imported"].get("access", {}).get("url", ""),
            trials=tuple(Trial.from_json(item) for item in read_json(artifact.file("faults.json"))),
            run=run,
        )

    @property
    def told(self) -> str:
        """Which one it is, in words."""
        return f"{self.name} ({self.role}), {(iso(self.span.start_s) or '')[:19]} to {(iso(self.span.end_s) or '')[:19]}"


def listed(store: Store) -> tuple[Import, ...]:
    """All that are whole, each once, the newest first; what is damaged is left to ``runs list`` and ``runs verify``."""
    found = dict[Ref, Import]()
    for record in sorted(_records(store), key=lambda record: str(record["started"]), reverse=True):
        for ref in map(Ref.parse, _recordings(record)):
            if ref not in found:
                with suppress(StorageError):
                    found[ref] = Import.read(store, ref, record["run"])
    return tuple(found.values())


def _records(store: Store) -> Iterator[Mapping[str, Any]]:
    """Records of imports that finished."""
    runs = Runs(store)
    for run in runs.ids():
        try:
            record = runs.read(run)
        except StorageError:
            continue
        if record["extent"] == "import" and record["status"] in EVALUATED:
            yield record


def chosen(store: Store, words: Sequence[str], say: Callable[[str], None] = lambda _: None) -> tuple[Import, ...]:
    """
    The imports that *words* mean, in their order; each word is told with what was found.

    A word is the id of the run that imported it, the recording's reference, its name, or its role, where no import is called so; of
    several the newest. ``ROLE=WORD`` uses it for another role than that with which it was imported.

    Raises:
        DocumentError: One means nothing, or may mean several.
        StorageError: One that was named by its id is damaged.
    """
    found: list[Import] = []
    known = listed(store)
    for word in words:
        role, equals, what = word.partition("=")
        if equals and role not in ROLES:
            raise DocumentError(f"--imports {word}: {role!r} is no role", next_step=f"one of {', '.join(ROLES)}")
        for one in _meant(store, what if equals else word, known, say):
            used = replace(one, role=role) if equals else one
            say(f"{used.told}: run {used.run}" if used.run else used.told)
            found.append(used)
    twice = sorted({one.name for one in found if [other.ref for other in found].count(one.ref) > 1})
    if twice:
        raise DocumentError(f"{', '.join(twice)} is named twice: a recording serves one role", next_step="name it once")
    return tuple(found)


def _meant(store: Store, what: str, known: Sequence[Import], say: Callable[[str], None]) -> list[Import]:
    if RUN_ID.fullmatch(what):
        return _of_run(store, what)
    if digest := _DIGEST.fullmatch(what):
        ref = Ref("recording", digest[1])
        return [next((one for one in known if one.ref == ref), None) or Import.read(store, ref)]
    called = [one for one in known if one.name == what] or [one for one in known if one.role == what]
    if not called:
        raise _unknown(what, known)
    if len({(one.name, one.role) for one in called}) > 1:
        listing = "; ".join(f"{one.told}: run {one.run}" for one in called[:LISTED])
        raise DocumentError(f"{what} may mean {len(called)} imports: {listing}", next_step="name them by their runs")
    if older := called[1:]:
        say(f"{what}: the newest of {len(called)}; left out: {', '.join(one.run for one in older[:LISTED])}")
    return called[:1]


def _of_run(store: Store, run: str) -> list[Import]:
    record = Runs(store).read(run)
    if record["extent"] != "import":
        raise DocumentError(f"run {run} is no import: it has a document", next_step=f"tidegauge evaluate --run {run}")
    if record["status"] not in EVALUATED:
        raise DocumentError(
            f"the import {run} is {record['status']}: {record['error'] or 'it goes on'}",
            next_step="the command that began it goes on where it stopped",
        )
    return [Import.read(store, Ref.parse(text), run) for text in _recordings(record)]


def _recordings(record: Mapping[str, Any]) -> list[str]:
    return [text for name, text in record["artifacts"].items() if name.startswith("record:")]


def _unknown(what: str, known: Sequence[Import]) -> DocumentError:
    if not known:
        return DocumentError(
            f"no import is called {what!r}: there is none in this store",
            next_step=f"tidegauge import prometheus URL --start 6h --name {ROLES[0]} --role {ROLES[0]}",
        )
    from tasks.base.mistakes import nearest

    near = nearest(what, {one.name for one in known})
    there = ", ".join(f"{one.name} ({one.role}, run {one.run})" for one in known[:LISTED])
    return DocumentError(f"no import is called {what!r}{near}", next_step=f"one of {there}")
